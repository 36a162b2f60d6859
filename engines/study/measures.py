"""What one set of answers scores, with intervals, and which of its answers are right."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engines.answers import scoring
from engines.answers.calibration import brier_score, calibration
from engines.answers.columns import Answers
from engines.answers.intervals import macro_intervals, wilson_interval
from engines.study.values import ItemAnswer, Measures, Row, Share, finite, share

if TYPE_CHECKING:
    from numpy.typing import NDArray


def measure_answers(
    row: Row, value: str, answers: Answers, predicted: "NDArray[Any]", probabilities: "NDArray[Any] | None"
) -> Measures:
    """What one set of answers scores: `predicted` (items,), places in the labels of `answers` or -1, and their
    `probabilities` (items, classes)."""
    import numpy as np

    labels, classes = answers.labels, len(answers.labels)
    column = np.where(predicted < 0, classes, predicted).astype(np.int64)
    cells = np.bincount(answers.true * (classes + 1) + column, minlength=classes * (classes + 1))
    confusion: list[list[int]] = cells.reshape(classes, classes + 1).tolist()
    scores = scoring.scores(confusion, labels)
    items, correct = len(predicted), sum(confusion[c][c] for c in range(classes))
    intervals = macro_intervals(confusion)
    brier = error = None
    bins: list[tuple[float, float, int, float, float]] = []
    if probabilities is not None and np.isfinite(probabilities).any():
        brier = brier_score(probabilities, answers.true)
        error, bins = calibration(probabilities, answers.true)

    def macro(name: str) -> Share:
        return share(scores.value(name) or 0.0, intervals[name])

    return {
        "row": row,
        "value": value,
        "items": items,
        "correct": correct,
        "invalid": sum(line[-1] for line in confusion),
        "accuracy": share(scores.accuracy or 0.0, wilson_interval(correct, items)),
        "accuracy_answered": scores.accuracy_answered if any(sum(line[:-1]) for line in confusion) else None,
        "recall": {
            label: share(scores.recall[label], wilson_interval(line[c], sum(line)))
            for c, (label, line) in enumerate(zip(labels, confusion, strict=True))
            if sum(line)
        },
        "precision": scores.precision,
        "macro_precision": macro("macro_precision"),
        "macro_recall": macro("macro_recall"),
        "macro_f1": macro("macro_f1"),
        "brier": brier,
        "calibration_error": error,
        "reliability": [
            {"low": low, "high": high, "items": count, "confidence": confidence, "accuracy": accuracy}
            for low, high, count, confidence, accuracy in bins
        ],
        "confusion": confusion,
    }


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
