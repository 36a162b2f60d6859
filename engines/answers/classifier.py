"""A finished model as the classify worker, `evaluate` and `predict` see it, whatever engine made it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from engines.errors import UserError
from engines.reporter import Reporter

if TYPE_CHECKING:
    pass


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
    answered: list[Answer] = []
    for start in range(0, len(texts), _CHUNK):
        report.check_stop()
        answered += classifier.classify(texts[start : start + _CHUNK])
        report.progress(len(answered))
    return answered
