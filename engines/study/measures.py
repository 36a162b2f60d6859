"""What one set of answers scores, with intervals, and which of its answers are right."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from engines.answers import metrics
from engines.answers.columns import Answers
from engines.answers.intervals import Interval, wilson_interval
from engines.answers.metrics import ACCURACY, Answered, Metric
from engines.study.values import AnswerSet, ItemAnswer, Measures, Share, finite, share

if TYPE_CHECKING:
    from numpy.typing import NDArray


def measure_answers(
    row: AnswerSet, value: str, answers: Answers, predicted: "NDArray[Any]", probabilities: "NDArray[Any] | None"
) -> Measures:
    """What one set of answers scores: `predicted` (items,), places in the labels of `answers` or -1, and their
    `probabilities` (items, classes)."""
    import numpy as np

    labels, classes = answers.labels, len(answers.labels)
    column = np.where(predicted < 0, classes, predicted).astype(np.int64)
    cells = np.bincount(answers.true * (classes + 1) + column, minlength=classes * (classes + 1))
    confusion: list[list[int]] = cells.reshape(classes, classes + 1).tolist()
    answered = Answered(confusion, answers.true, probabilities)
    figures = {metric.name: figure for metric in metrics.METRICS if (figure := _figure(metric, answered)) is not None}
    return {
        "row": row,
        "value": value,
        "items": answered.items,
        "correct": answered.correct,
        "invalid": answered.invalid,
        "accuracy": figures.pop(ACCURACY.name),
        "accuracy_answered": answered.correct / given if (given := answered.items - answered.invalid) else None,
        "recall": {
            labels[c]: share(recall, wilson_interval(confusion[c][c], sum(confusion[c])))
            for c, recall in answered.recall.items()
        },
        "precision": {labels[c]: precision for c, precision in answered.precision.items()},
        "figures": figures,
        "reliability": [
            {"low": low, "high": high, "items": count, "confidence": confidence, "accuracy": accuracy}
            for low, high, count, confidence, accuracy in answered.calibration[1]
        ],
        "confusion": confusion,
    }


def mean_measures(row: AnswerSet, of_each: Sequence[Measures], interval: Interval | None) -> Measures:
    """The means of what several executions score, none of which has an interval but that of the accuracy; counts, also
    those of the confusion matrix, are sums. `row` is what stands for them."""
    first = of_each[0]

    def mean(shares: Sequence[Share]) -> Share:
        return {"value": fmean(share["value"] for share in shares), "low": None, "high": None}

    accuracy = mean([m["accuracy"] for m in of_each])
    alike = len({len(m["confusion"]) for m in of_each}) == 1
    return {
        "row": row,
        "value": "",
        "items": first["items"],
        "correct": sum(m["correct"] for m in of_each),
        "invalid": sum(m["invalid"] for m in of_each),
        "accuracy": share(accuracy["value"], interval) if interval else accuracy,
        "accuracy_answered": None,
        "recall": {
            label: mean([m["recall"][label] for m in of_each])
            for label in first["recall"]
            if all(label in m["recall"] for m in of_each)
        },
        "precision": {
            label: fmean(m["precision"][label] for m in of_each)
            for label in first["precision"]
            if all(label in m["precision"] for m in of_each)
        },
        "figures": {
            name: mean([m["figures"][name] for m in of_each])
            for name in first["figures"]
            if all(name in m["figures"] for m in of_each)
        },
        "reliability": [],
        "confusion": [
            [sum(cells) for cells in zip(*lines, strict=True)]
            for lines in zip(*(m["confusion"] for m in of_each), strict=True)
        ]
        if alike
        else [],
    }


def _figure(metric: Metric, answered: Answered) -> Share | None:
    """A metric with its interval; None where it does not apply."""
    value = metric.value(answered)
    if value is None:
        return None
    interval = metric.interval(answered) if metric.interval else ""
    if isinstance(interval, str):
        return {"value": value, "low": None, "high": None, "reason": interval}
    return share(value, interval)


def are_right(predicted: "NDArray[Any]", labels: Sequence[str], answers: Answers) -> "NDArray[Any]":
    """Which answers are the true label, (rows, items) bool. `predicted` (rows, items) are places in `labels`, its items
    in the order of `answers`."""
    import numpy as np

    right: NDArray[Any] = predicted == np.array([labels.index(label) for label in answers.labels])[answers.true]
    return right


def answer_of(answers: Answers, row: int, item: int) -> ItemAnswer:
    """What a row of `answers` says of an item, both by their places."""
    predicted, read = int(answers.predicted[row, item]), int(answers.tokens_read[row, item])
    chance = float(answers.probabilities[row, item, predicted]) if predicted >= 0 else math.nan
    return {
        "predicted": answers.labels[predicted] if predicted >= 0 else None,
        "probability": finite(chance),
        "tokens_read": read if read >= 0 else None,
        "text": answers.text(row, item),
    }
