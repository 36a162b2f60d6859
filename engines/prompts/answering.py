"""Asking a language model about a text: what one repeat of a run asks, and the classifier that asks it again."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.answers.classifier import Answer, answers, checked_repeat
from engines.errors import UserError
from engines.models import sources
from engines.prompts import likelihood, templates
from engines.prompts.encoding import Encoded, PromptTokenizer
from engines.prompts.likelihood import Scorer
from engines.prompts.templates import Prompt
from engines.runs.folder import RunFolder

INVALID = "invalid"
"""The answer to a text for which the model wrote no label."""


@dataclass(frozen=True)
class PromptRepeat:
    """What one repeat of a run asks."""

    value: str  # of the thing that varies, for people
    prompt: Prompt
    seed: str  # of whatever is drawn in this repeat
    log_prior: tuple[float, ...] = ()  # what calibration subtracts, one number per class


def recorded_model_path(folder: RunFolder, document: dict[str, Any]) -> Path:
    """Where the model lies that a run asked or tuned, `document` being its own record of it."""
    name, path = str(document["model"]), Path(document["path"])
    path = sources.folder(name) or path
    if not path.is_dir():
        raise UserError(f"{folder.name} asked the model in {path}, which is gone; run it again")
    return path


def write_answers(
    prompt_tokenizer: PromptTokenizer,
    scorer: Scorer,
    encoded: Encoded,
    temperature: float = 0.0,
    keys: Sequence[str] = (),
    done: Callable[[int], None] = lambda n: None,
) -> list[str]:
    """What the model writes after each prompt; see `Scorer.write`."""
    new_tokens = max(map(len, encoded.answers)) + likelihood.ANSWER_TOKENS_MORE
    tokens = scorer.write(encoded, new_tokens, temperature, keys, done)
    return [str(prompt_tokenizer.tokenizer.decode(ids, skip_special_tokens=True)) for ids in tokens]


class PromptClassifier:
    """A language model that is asked as a repeat of a run asked it.

    Where answers are written there are no probabilities: an answer has an empty list of them, and one that is
    no label is called `INVALID`.
    """

    def __init__(
        self,
        labels: tuple[str, ...],
        prompt_tokenizer: PromptTokenizer,
        scorer: Scorer,
        repeats: Sequence[PromptRepeat],
        max_length: int,
        writes: bool,
        temperature: float,
        repeat: int = 0,
    ) -> None:
        self.labels = labels
        self._encoder, self._scorer, self._repeats = prompt_tokenizer, scorer, repeats
        self._max_length, self._writes, self._temperature = max_length, writes, temperature
        self._repeat = repeats[repeat]

    def of_repeat(self, repeat: int) -> "PromptClassifier":
        """The same model, asked as another repeat of the run."""
        checked_repeat(repeat, len(self._repeats))
        return PromptClassifier(
            self.labels,
            self._encoder,
            self._scorer,
            self._repeats,
            self._max_length,
            self._writes,
            self._temperature,
            repeat,
        )

    def classify(self, texts: Sequence[str]) -> list[Answer]:
        cut, read, total = self._encoder.cut(texts, self._max_length)
        encoded = self._encoder.encode(self._repeat.prompt, cut)
        if self._writes:
            keys = [f"{self._repeat.seed}/{hashlib.sha256(text.encode()).hexdigest()}" for text in texts]
            written = write_answers(self._encoder, self._scorer, encoded, self._temperature, keys)
            predicted = [templates.parse_answer(text, self._repeat.prompt.words) for text in written]
            names = [INVALID if label is None else self.labels[label] for label in predicted]
            return [Answer(name, [], r, t) for name, r, t in zip(names, read, total, strict=True)]
        rows = self._scorer.score(encoded)
        probabilities = [likelihood.probabilities(row, self._repeat.log_prior) for row in rows]
        return answers(self.labels, probabilities, read, total)
