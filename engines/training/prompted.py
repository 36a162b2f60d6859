"""Reviews as a language model meets them while it is tuned: rows to learn from, and prompts to be scored by.

What is trained is what is scored: the prompts, the answers and their tokens are those of `engines.prompts.encoding`;
only the answer, and the token that closes it, has a loss.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engines.data.dealing import SPLITS
from engines.data.items import Example
from engines.data.splits import Splits
from engines.errors import UserError
from engines.models import opening
from engines.models.kinds import usable_positions
from engines.prompts import encoding, likelihood
from engines.prompts.encoding import Encoded, PromptTokenizer
from engines.prompts.likelihood import Batches, Scorer
from engines.prompts.templates import TEMPLATES, Prompt
from engines.prompts.tuning_rows import TuningRows, conversations
from engines.reporter import Reporter
from engines.runs import events as ev
from engines.training.lora import Config

_CHUNK = 256  # reviews tokenised between two looks at the requests


class PromptedSplits:
    """The splits of a tuning as tokens: `rows` of training and validation, prompts of validation and test.

    Raises `UserError` where a row would be dropped or would not teach its answer.
    """

    def __init__(self, config: Config, splits: Splits, folder: Path, report: Reporter) -> None:
        from transformers import AutoConfig

        self.tokenizer = opening.load_tokenizer(folder)
        self.prompt_tokenizer = PromptTokenizer(
            self.tokenizer, encoding.chats(config.prompt.form, self.tokenizer), tuned=True
        )
        self.prompt = Prompt(TEMPLATES[config.prompt.template], tuple(splits.labels))
        ids = (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id)
        self.pad_id = next((int(i) for i in ids if i is not None), 0)
        self.rows: dict[str, TuningRows] = {}
        self.tokens_read: dict[str, list[int]] = {}  # of each review
        self._report = report
        self._model_name = config.model.name
        decoder = AutoConfig.from_pretrained(folder).get_text_config(decoder=True)
        self._context: float = usable_positions(decoder) or math.inf
        self._texts: dict[str, list[str]] = {}
        self._encoded: dict[str, Encoded] = {}
        self._batches = Batches(report.device)  # remembers what fitted

        examples = {name: getattr(splits, name) for name in SPLITS}
        report.phase("tokenize", sum(map(len, examples.values())), "texts")
        for name in SPLITS:
            self._tokenize(name, examples[name], config.training.max_length)

    def _tokenize(self, split: str, examples: Sequence[Example], max_length: int) -> None:
        texts: list[str] = []
        read: list[int] = []
        ids: list[list[int]] = []
        starts: list[int | None] = []
        truncated, before = 0, sum(map(len, self._texts.values()))
        for start in range(0, len(examples), _CHUNK):
            self._report.check_stop()
            part = examples[start : start + _CHUNK]
            kept, lengths, total = self.prompt_tokenizer.cut([e.text for e in part], max_length)
            texts += kept
            read += lengths
            truncated += sum(r < t for r, t in zip(lengths, total, strict=True))
            if split != "test":
                new_ids, new_starts = conversations(self.prompt_tokenizer, self.prompt, kept, [e.label for e in part])
                ids += new_ids
                starts += new_starts
            self._report.progress(before + len(texts))
        if truncated:
            self._report.fact(ev.Truncated(split, truncated, len(examples), max_length))
        self._texts[split], self.tokens_read[split] = texts, read
        if split != "test":
            self.rows[split] = TuningRows(ids, self._checked(split, ids, starts))

    def _checked(self, split: str, ids: list[list[int]], starts: list[int | None]) -> list[int]:
        """Where the answers begin, in every row."""
        total = len(ids)
        if long := sum(len(row) > self._context for row in ids):
            raise UserError(
                f"{long:,} of {total:,} {split} rows would be dropped: with prompt and answer they are longer than the "
                f"{self._context:,} tokens that {self._model_name} reads; lower training.max_length"
            )
        whole = [start for start in starts if start is not None]
        if len(whole) < total:
            raise UserError(
                f"{total - len(whole):,} of {total:,} {split} rows would be dropped: the tokenizer of "
                f'{self._model_name} cannot tell their answer from the prompt "{self.prompt.template.name}"; choose '
                "another prompt.template"
            )
        return whole

    def prompts(self, split: str) -> Encoded:
        """The prompts of a split, for a model that has learned to close its answers."""
        if split not in self._encoded:
            self._encoded[split] = self.prompt_tokenizer.encode(
                self.prompt, self._texts[split], self._report.check_stop
            )
        return self._encoded[split]

    def untuned_prompts(self, split: str) -> Encoded:
        """The prompts of a split, for the model as it is before tuning."""
        untuned = PromptTokenizer(self.tokenizer, self.prompt_tokenizer.chat)
        return replace(self.prompts(split), answers=untuned.answers(self.prompt))

    def widest_prompts(self, split: str) -> Encoded:
        """The first batch of scoring a split: its longest prompts."""
        prompts = self.prompts(split)
        rows = sorted(prompts.rows, key=len, reverse=True)
        return replace(prompts, rows=rows[: self._batches.size(len(rows[0]), len(prompts.prefix))])

    def probabilities(
        self, model: Any, prompts: Encoded, done: Callable[[int], None] = lambda texts: None
    ) -> list[list[float]]:
        """Probabilities of the classes, one row per prompt; `done` is told how many. The model's mode stays."""
        scorer = Scorer(model, self._report.device)
        scorer.batches = self._batches
        was_training = model.training
        model.eval()
        try:
            scores = scorer.score(prompts, done)
        finally:
            model.train(was_training)
        level = [0.0] * len(prompts.answers)
        return [likelihood.probabilities(row, level) for row in scores]
