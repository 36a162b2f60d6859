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
from engines.prompts.encoding import Encoded, Encoder
from engines.prompts.likelihood import Scorer
from engines.prompts.templates import Prompt
from engines.runs.folder import RunFolder

INVALID = "invalid"
"""The answer to a text for which the model wrote no label."""


@dataclass(frozen=True)
class Asked:
    """What one repeat of a run asks."""

    value: str  # of the thing that varies, for people
    prompt: Prompt
    seed: str  # of whatever is drawn in this repeat
    log_prior: tuple[float, ...] = ()  # what calibration subtracts, a number a class


def asked_path(folder: RunFolder, document: dict[str, Any]) -> Path:
    """Where the model lies that a run asked or tuned, `document` being its own record of it."""
    name, path = str(document["model"]), Path(document["path"])
    path = sources.folder(name) or path
    if not path.is_dir():
        raise UserError(f"{folder.name} asked the model in {path}, which is gone; run it again")
    return path


def write_answers(
    encoder: Encoder,
    scorer: Scorer,
    encoded: Encoded,
    temperature: float = 0.0,
    keys: Sequence[str] = (),
    done: Callable[[int], None] = lambda n: None,
) -> list[str]:
    """What the model writes after each prompt; see `Scorer.write`."""
    new_tokens = max(map(len, encoded.answers)) + likelihood.ANSWER_TOKENS_MORE
    tokens = scorer.write(encoded, new_tokens, temperature, keys, done)
    return [str(encoder.tokenizer.decode(ids, skip_special_tokens=True)) for ids in tokens]


class PromptClassifier:
    """A language model that is asked as a repeat of a run asked it.

    Where answers are written there are no probabilities: an answer has an empty list of them, and one that is
    no label is called `INVALID`.
    """

    def __init__(
        self,
        labels: tuple[str, ...],
        encoder: Encoder,
        scorer: Scorer,
        repeats: Sequence[Asked],
        max_length: int,
        writes: bool,
        temperature: float,
        repeat: int = 0,
    ) -> None:
        self.labels = labels
        self._encoder, self._scorer, self._repeats = encoder, scorer, repeats
        self._max_length, self._writes, self._temperature = max_length, writes, temperature
        self._asked = repeats[repeat]

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
        encoded = self._encoder.encode(self._asked.prompt, cut)
        if self._writes:
            keys = [f"{self._asked.seed}/{hashlib.sha256(text.encode()).hexdigest()}" for text in texts]
            said = write_answers(self._encoder, self._scorer, encoded, self._temperature, keys)
            found = [templates.parse_answer(text, self._asked.prompt.words) for text in said]
            names = [INVALID if label is None else self.labels[label] for label in found]
            return [Answer(name, [], r, t) for name, r, t in zip(names, read, total, strict=True)]
        rows = self._scorer.score(encoded)
        probabilities = [likelihood.probabilities(row, self._asked.log_prior) for row in rows]
        return answers(self.labels, probabilities, read, total)
