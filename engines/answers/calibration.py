"""How well probabilities fit what is right."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

Bins = list[tuple[float, float, int, float, float]]
"""Of a reliability diagram: (low, high, items, mean confidence, accuracy), without the empty ones."""


def brier_score(probabilities: "ArrayLike", true: "ArrayLike") -> float | None:
    """How far the probabilities lie from the truth: 0 is certain and right, 1 certain and wrong.

    `probabilities` is (items, classes), `true` the class numbers (items,). Half the squared distance between an
    item's probabilities and its true class (1 there, 0 elsewhere), summed over the classes, then averaged: the half
    makes it run from 0 to 1 and equal to the binary score of (probability - outcome) squared. Items with a value
    that is not finite are left out; None where that leaves nothing. Source: G. W. Brier, "Verification of forecasts
    expressed in terms of probability", Monthly Weather Review 78 (1950), 1-3, who does not halve. Raises
    `ValueError` for shapes that do not fit or a class number outside the columns.
    """
    import numpy as np

    given, classes = _given(probabilities, true)
    if not len(given):
        return None
    squared = np.einsum("ij,ij->i", given, given)
    of_true = given[np.arange(len(given)), classes]
    return float(np.mean(squared - 2 * of_true + 1) / 2)


def calibration(probabilities: "ArrayLike", true: "ArrayLike", bins: int = 15) -> tuple[float | None, Bins]:
    """The expected calibration error and the bins of the reliability diagram.

    `probabilities` is (items, classes), `true` the class numbers (items,). The confidence of an answer is its largest
    probability, the answer its class (the first of equals). `bins` bins of equal width divide 0 to 1, open at their
    low end: a confidence at an edge belongs below it, also as 32 bits hold it. Each bin that has items is (low, high,
    items, mean confidence, accuracy); the error is |accuracy - mean confidence| averaged over the bins, weighted by
    items.
    Items with a value that is not finite are left out; (None, []) where that leaves nothing.
    Sources: M. P. Naeini, G. F. Cooper and M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian
    binning", AAAI Conference on Artificial Intelligence 29 (2015), 2901-2907; C. Guo, G. Pleiss, Y. Sun and
    K. Q. Weinberger, "On calibration of modern neural networks", Proceedings of Machine Learning Research 70
    (2017), 1321-1330, whose 15 bins these are. Raises `ValueError` for shapes that do not fit, a class number
    outside the columns or no bins.
    """
    import numpy as np

    if bins < 1:
        raise ValueError(f"bins = {bins} leaves no bin; set 1 or more")
    given, classes = _given(probabilities, true)
    if not len(given):
        return None, []
    answers = given.argmax(axis=1)
    confidences = given[np.arange(len(given)), answers]
    edges = np.arange(bins + 1) / bins
    # in 32 bits, as answers are kept: 0.6 is the edge at 9 / 15, and not a hair above it
    above = np.searchsorted(edges.astype(np.float32), confidences.astype(np.float32), side="left")
    place = np.clip(above - 1, 0, bins - 1)
    items = np.bincount(place, minlength=bins)
    confidence_sums = np.bincount(place, confidences, bins)
    right = np.bincount(place, answers == classes, bins)
    error = float(np.abs(right - confidence_sums).sum() / len(given))
    return error, [
        (
            float(edges[b]),
            float(edges[b + 1]),
            int(items[b]),
            float(confidence_sums[b] / items[b]),
            float(right[b] / items[b]),
        )
        for b in np.flatnonzero(items)
    ]


def _given(probabilities: "ArrayLike", true: "ArrayLike") -> tuple["NDArray[np.float64]", "NDArray[np.integer]"]:
    """The rows without a gap and their true classes."""
    import numpy as np

    rows, classes = np.asarray(probabilities, dtype=np.float64), np.asarray(true)
    if rows.ndim != 2 or classes.shape != rows.shape[:1]:
        raise ValueError(f"probabilities of shape {rows.shape} do not fit {classes.shape} true classes")
    finite = np.isfinite(rows).all(axis=1)
    rows, classes = rows[finite], classes[finite]
    if len(classes) and not (classes.min() >= 0 and classes.max() < rows.shape[1]):
        raise ValueError(f"a true class is not in 0 to {rows.shape[1] - 1}, the columns of the probabilities")
    return rows, classes
