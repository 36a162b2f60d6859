"""A finished model as the classify worker, `evaluate` and `predict` see it, whatever engine made it."""

import contextlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from engines.reporter import Reporter
from engines.runs.folder import RunFolder
from engines.settings import UserError

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


def open_classifier(folder: RunFolder, device: str) -> Classifier:
    """Load the finished model of a run on `device` ("cpu", "cuda", "cuda:1"), by the engine that made it.

    An `evaluate` run opens the model it scored. `UserError` when there is no finished model.
    """
    source = source_run(folder)
    if not source.model.is_dir():
        raise UserError(f"{source.name} has no finished model in {source.model}; wait for its end, or resume it")
    name = source.read_document().get("engine")
    classifier: Classifier = importlib.import_module(f"engines.methods.{name}").load(source, device)
    return classifier


def source_run(folder: RunFolder) -> RunFolder:
    """The run whose model `folder` uses: itself, or the run that an `evaluate` run scored."""
    if not folder.config.is_file():
        raise UserError(f"no run {folder.name} in {folder.path.parent}; `labtui list` shows the runs")
    document = folder.read_document()
    if document.get("engine") != "evaluate":
        return folder
    return source_run(RunFolder(folder.path.parent / str(document.get("run", ""))))


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
    """Token ids of each text, cut to `max_length`, and how many tokens each text has in full."""
    if not texts:
        return [], []
    ids: list[list[int]] = tokenizer(list(texts), verbose=False)["input_ids"]
    total = [len(row) for row in ids]
    long = [n for n, length in enumerate(total) if length > max_length]
    if long:  # cut by the tokenizer, so that the closing special token stays
        cut = tokenizer([texts[n] for n in long], truncation=True, max_length=max_length)["input_ids"]
        for n, row in zip(long, cut, strict=True):
            ids[n] = row
    return ids, total


def batches_by_length(ids: Sequence[Sequence[int]], batch_tokens: int) -> Iterator[list[int]]:
    """Row numbers in batches of like length, longest first, each at most `batch_tokens` with its padding."""
    order = sorted(range(len(ids)), key=lambda n: len(ids[n]), reverse=True)
    while order:
        size = max(1, batch_tokens // max(1, len(ids[order[0]])))
        yield order[:size]
        order = order[size:]


def padded(ids: Sequence[Sequence[int]], pad_id: int, device: str) -> dict[str, "torch.Tensor"]:
    """`input_ids` and `attention_mask`, both (rows, longest row), int64, on `device`."""
    import torch

    width = max(len(row) for row in ids)
    filled = torch.tensor([[*row, *[pad_id] * (width - len(row))] for row in ids])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids])
    return {"input_ids": filled.to(device), "attention_mask": mask.to(device)}


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
            with autocast(device):
                batch = outputs(padded([ids[n] for n in rows], pad_id, device))
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


class LinearHead:
    """Multinomial logistic regression over feature vectors, kept as plain arrays."""

    def __init__(self, coefficients: "numpy.ndarray", intercepts: "numpy.ndarray") -> None:
        self.coefficients = coefficients  # (classes, features), float64
        self.intercepts = intercepts  # (classes,), float64

    @classmethod
    def fit(
        cls, features: Any, true: Sequence[int], classes: int, inverse_regularisation: float
    ) -> tuple["LinearHead", bool]:
        """Fit by scikit-learn on dense or sparse (items, features); also whether the solver converged.

        A class without an item in `true` is never predicted: its probability is 0.
        """
        import warnings

        import numpy
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            found = LogisticRegression(C=inverse_regularisation, max_iter=1000).fit(features, list(true))
        seen, rows, constants = found.classes_, found.coef_, found.intercept_
        if len(rows) == 1:  # two classes share one row: the first class is the reference, 0
            rows, constants = numpy.vstack([0 * rows, rows]), numpy.append(0.0, constants)
        coefficients, intercepts = numpy.zeros((classes, rows.shape[1])), numpy.full(classes, -numpy.inf)
        coefficients[seen], intercepts[seen] = rows, constants
        return cls(coefficients, intercepts), not any(issubclass(w.category, ConvergenceWarning) for w in caught)

    def probabilities(self, features: Any) -> "numpy.ndarray":
        """(items, classes) from dense or sparse (items, features)."""
        import numpy

        logits = features @ self.coefficients.T + self.intercepts
        powers = numpy.exp(logits - logits.max(axis=1, keepdims=True))
        return numpy.asarray(powers / powers.sum(axis=1, keepdims=True))
