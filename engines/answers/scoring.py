"""Scores of a classifier from its answers, one definition for all engines; definitions as in scikit-learn."""

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec import structs

from engines.answers import predictions
from engines.answers.metrics import Answered, scored_by_runs, share
from engines.reporter import Reporter
from engines.runs.scores import Scores, of_json

if TYPE_CHECKING:
    from engines.data.items import Example


def predicted_classes(probabilities: Sequence[Sequence[float]]) -> list[int | None]:
    """The most probable class of each item (the first of equals); None, invalid, where a value is not finite."""
    return [
        max(range(len(row)), key=row.__getitem__) if row and all(map(math.isfinite, row)) else None
        for row in probabilities
    ]


def confusion_matrix(true: Sequence[int], predicted: Sequence[int | None], classes: int) -> list[list[int]]:
    """Counts with one row per true class and one column per predicted class, then a last column for invalid (None)."""
    matrix = [[0] * (classes + 1) for _ in range(classes)]
    for t, p in zip(true, predicted, strict=True):
        matrix[t][classes if p is None else p] += 1
    return matrix


def scores(confusion: Sequence[Sequence[int]], labels: Sequence[str]) -> Scores:
    """The declared metrics of a confusion matrix with an invalid column, and what stands beside them in `Scores`."""
    answered = Answered(confusion)
    return of_json(
        {metric.name: value for metric in scored_by_runs() if (value := metric.value(answered)) is not None}
        | {
            "accuracy_answered": share(answered.correct, answered.items - answered.invalid),
            "recall": {labels[c]: value for c, value in answered.recall.items()},
            "precision": {labels[c]: value for c, value in answered.precision.items()},
            "f1": {labels[c]: value for c, value in answered.f1.items()},
            "invalid": answered.invalid,
        }
    )


def over_repeats(every: Sequence[Scores]) -> Scores:
    """The scores of a run from those of its repeats: the means, and with more than one `repeats`, the accuracy of
    each, and `accuracy_sd`, their sample standard deviation. What only the first repeat has, and what is no number,
    stays as it is there.
    """
    if len(every) == 1:
        return every[0]
    means = {name: _mean([getattr(scores, name) for scores in every]) for name in Scores.__struct_fields__}
    accuracies = [scores.accuracy or 0.0 for scores in every]
    return structs.replace(Scores(**means), repeats=accuracies, accuracy_sd=statistics.stdev(accuracies))


def _mean(values: Sequence[Any]) -> Any:
    """Of numbers, or by key of those in dictionaries, as far as all have it; else the first value."""
    first = values[0]
    if isinstance(first, dict):
        return {key: _mean([value[key] for value in values]) for key in first if all(key in value for value in values)}
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return statistics.fmean(numbers) if len(numbers) == len(values) else first


def report_validation(
    report: Reporter,
    true: Sequence[int],
    labels: Sequence[str],
    probabilities: Sequence[Sequence[float]],
    *,
    loss: float | None = None,
    step: int | None = None,
    epoch: float | None = None,
) -> Scores:
    """Score the validation split, report the scores and return them; `true` holds class numbers."""
    confusion = confusion_matrix(true, predicted_classes(probabilities), len(labels))
    result = scores(confusion, labels)
    report.evaluated("validation", result, list(labels), confusion, loss=loss, step=step, epoch=epoch)
    return result


def conclude(
    report: Reporter,
    examples: Sequence["Example"],
    labels: Sequence[str],
    probabilities: Sequence[Sequence[float]],
    *,
    tokens_read: Sequence[int] | None = None,
    loss: float | None = None,
) -> Scores:
    """Score the test split: write `predictions.jsonl`, report the scores and return them.

    `probabilities` has one row per example, in the order of `labels`; a row that is empty or holds a value that is
    not finite is an invalid answer. `tokens_read` is how many tokens of each text the model saw. The file
    appears whole or not at all.
    """
    predicted = predicted_classes(probabilities)
    answers = predictions.predictions_of(examples, labels, predicted, probabilities, tokens_read)
    predictions.write(report.folder, answers)
    confusion = confusion_matrix([e.label for e in examples], predicted, len(labels))
    result = scores(confusion, labels)
    report.evaluated("test", result, list(labels), confusion, loss=loss)
    return result
