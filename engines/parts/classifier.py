"""A finished model as the classify worker, `evaluate` and `predict` see it, whatever engine made it."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from engines.reporter import Notes, Reporter
from engines.settings import UserError, option

if TYPE_CHECKING:
    import numpy
    import torch

BATCH_TOKENS = {"cuda": 32768, "cpu": 4096}
"""Padded tokens of a batch: larger ones are no faster, on the CPU they leave the caches."""

_CHUNK = 256  # texts between two looks at the requests


@dataclass(frozen=True)
class Answer:
    """What a model says of one text."""

    label: str
    probabilities: list[float]  # in the order of the classifier's labels
    tokens_read: int  # what the model saw; below `tokens_total` when the text was cut
    tokens_total: int


class Classifier(Protocol):
    """A loaded model. `labels` are in class order; `classify` answers in the order of the texts."""

    labels: tuple[str, ...]

    def classify(self, texts: Sequence[str]) -> list[Answer]: ...


@runtime_checkable
class Repeated(Classifier, Protocol):
    """A model that its run asked in several ways: it answers as the first one did."""

    def of_repeat(self, repeat: int) -> Classifier:
        """The same model, not loaded again, as the given repeat of the run asked it; see `checked_repeat`."""


def of_repeat(classifier: Classifier, repeat: int) -> Classifier:
    """`classifier` as the given repeat of its run, counted from 0; `UserError` where the run has no such repeat."""
    if isinstance(classifier, Repeated):
        return classifier.of_repeat(repeat)
    checked_repeat(repeat, 1)
    return classifier


def checked_repeat(repeat: int, count: int) -> None:
    """`UserError` unless `repeat`, counted from 0, is one of `count`. People count them from 1."""
    if not 0 <= repeat < count:
        have = f"repeats 1 to {count}; choose one of them" if count > 1 else "a single repeat; ask it without one"
        raise UserError(f"there is no repeat {repeat + 1}: the run has {have}")


def answers(
    labels: Sequence[str], probabilities: Sequence[Sequence[float]], read: Sequence[int], total: Sequence[int]
) -> list[Answer]:
    """One `Answer` a row; the label is the most probable one."""
    return [
        Answer(labels[max(range(len(row)), key=row.__getitem__)], list(row), r, t)
        for row, r, t in zip(probabilities, read, total, strict=True)
    ]


def classify_reported(classifier: Classifier, texts: Sequence[str], report: Reporter) -> list[Answer]:
    """Classify many texts in the current phase, reporting progress and minding stops."""
    found: list[Answer] = []
    for start in range(0, len(texts), _CHUNK):
        report.check_stop()
        found += classifier.classify(texts[start : start + _CHUNK])
        report.progress(len(found))
    return found


def tokenized(tokenizer: Any, texts: Sequence[str], max_length: int) -> tuple[list[list[int]], list[int]]:
    """Token ids of each text, cut to `max_length` as the tokenizer's own truncation, and its tokens in full."""
    if not texts:
        return [], []
    ids: list[list[int]] = tokenizer(list(texts), verbose=False)["input_ids"]
    total = [len(row) for row in ids]
    if max(total) > max_length:  # the special tokens at both ends stay
        special = tokenizer("a", return_special_tokens_mask=True)["special_tokens_mask"]
        first, last = special.index(0), special[::-1].index(0)
        left = tokenizer.truncation_side == "left"
        for n, row in enumerate(ids):
            if len(row) > max_length:
                head = first if left else max_length - last
                ids[n] = row[:head] + row[len(row) - (max_length - head) :]
    return ids, total


def batches_by_length(ids: Sequence[Sequence[int]], batch_tokens: int) -> Iterator[list[int]]:
    """Row numbers in batches of like length, longest first, each at most `batch_tokens` with its padding."""
    lengths = [len(row) for row in ids]
    order = sorted(range(len(ids)), key=lengths.__getitem__, reverse=True)
    start = 0
    while start < len(order):
        size = max(1, batch_tokens // max(1, lengths[order[start]]))
        yield order[start : start + size]
        start += size


def padded(ids: Sequence[Sequence[int]], pad_id: int, width: int = 0) -> dict[str, "torch.Tensor"]:
    """`input_ids` and `attention_mask`, both (rows, `width`), int64, on the CPU; `width` 0 is the longest row's."""
    import numpy
    import torch

    shape = len(ids), width or max(len(row) for row in ids)
    filled, mask = numpy.full(shape, pad_id, numpy.int64), numpy.zeros(shape, numpy.int64)
    for place, row in enumerate(ids):
        filled[place, : len(row)] = row
        mask[place, : len(row)] = 1
    return {"input_ids": torch.from_numpy(filled), "attention_mask": torch.from_numpy(mask)}


def autocast(device: str) -> Any:
    """bf16 autocast on a GPU that has it in hardware, else nothing."""
    import torch

    if device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()


def forward(
    ids: Sequence[Sequence[int]],
    pad_id: int,
    device: str,
    outputs: Callable[[dict[str, "torch.Tensor"]], "torch.Tensor"],
    done: Callable[[int], None] = lambda rows: None,
) -> "torch.Tensor":
    """`outputs` of every row, (rows, ...) float32 on the CPU, in the order of `ids`, without gradients.

    `outputs` maps a padded batch to one vector a row; `done` is told, after each batch, how many rows are.
    """
    import torch

    result: torch.Tensor | None = None
    count = 0
    with torch.inference_mode():
        for rows in batches_by_length(ids, BATCH_TOKENS[device.partition(":")[0]]):
            inputs = {name: tensor.to(device) for name, tensor in padded([ids[n] for n in rows], pad_id).items()}
            with autocast(device):
                batch = outputs(inputs)
            if result is None:
                result = torch.empty((len(ids), *batch.shape[1:]))
            result[torch.tensor(rows)] = batch.float().cpu()
            count += len(rows)
            done(count)
    return torch.empty((0, 0)) if result is None else result


class SequenceClassifier:
    """A `save_pretrained` folder with a sequence-classification head; labels from its `id2label`."""

    def __init__(self, path: Path, max_length: int, device: str) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._tokenizer = AutoTokenizer.from_pretrained(path)
        model = AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32)
        self._model = model.to(device).eval()
        self._max_length = max_length
        self._device = device
        self.labels = tuple(str(model.config.id2label[n]) for n in range(model.config.num_labels))

    def classify(self, texts: Sequence[str]) -> list[Answer]:
        ids, total = tokenized(self._tokenizer, texts, self._max_length)
        pad_id = self._tokenizer.pad_token_id or 0
        logits = forward(ids, pad_id, self._device, lambda batch: self._model(**batch).logits)
        probabilities = logits.double().softmax(-1).tolist() if texts else []
        return answers(self.labels, probabilities, [len(row) for row in ids], total)


@dataclass(frozen=True)
class Regression:
    """Logistic regression."""

    inverse_regularisation: float = option(
        1.0, "Inverse strength of the L2 penalty; lower generalises more, higher fits more.", minimum=1e-6
    )


class LinearHead:
    """Multinomial logistic regression over feature vectors, kept as plain arrays."""

    def __init__(self, coefficients: "numpy.ndarray", intercepts: "numpy.ndarray") -> None:
        self.coefficients = coefficients  # (classes, features), float64
        self.intercepts = intercepts  # (classes,), float64

    @classmethod
    def fit(
        cls, features: Any, true: Sequence[int], classes: int, regression: Regression, report: Notes
    ) -> "LinearHead":
        """Fit by scikit-learn on dense or sparse (items, features); a note says so where the solver did not converge.

        A class without an item in `true` is never predicted: its probability is 0.
        """
        import warnings

        import numpy
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            found = LogisticRegression(C=regression.inverse_regularisation, max_iter=1000).fit(features, list(true))
        if any(issubclass(w.category, ConvergenceWarning) for w in caught):
            report.note("logistic regression did not converge; lower classifier.inverse_regularisation", "warning")
        seen, rows, constants = found.classes_, found.coef_, found.intercept_
        if len(rows) == 1:  # two classes share one row: the first class is the reference, 0
            rows, constants = numpy.vstack([0 * rows, rows]), numpy.append(0.0, constants)
        coefficients, intercepts = numpy.zeros((classes, rows.shape[1])), numpy.full(classes, -numpy.inf)
        coefficients[seen], intercepts[seen] = rows, constants
        return cls(coefficients, intercepts)

    def probabilities(self, features: Any) -> "numpy.ndarray":
        """(items, classes) from dense or sparse (items, features)."""
        import numpy

        logits = features @ self.coefficients.T + self.intercepts
        powers = numpy.exp(logits - logits.max(axis=1, keepdims=True))
        return numpy.asarray(powers / powers.sum(axis=1, keepdims=True))
