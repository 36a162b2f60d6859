"""Macro precision, recall and F1 from a confusion matrix, each with an interval over test items.

Scores are fractions, 0 to 1. `docs/benchmarks/coverage.md` shows how often the intervals hold the true score.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engines.answers.intervals import Interval, two_sided, wilson_of_share

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

FEWEST_ITEMS_OF_A_CLASS = 5
SMOOTHING = 1.0  # right and wrong answers that are added to each class before its variance is taken


@dataclass(frozen=True)
class MacroScore:
    """A plain mean over classes; None where no class enters it. Where there is no interval, `reason` says why."""

    value: float | None
    interval: Interval | None
    reason: str


def macro_scores(confusion: "ArrayLike", confidence: float = 0.95) -> dict[str, MacroScore]:
    """`macro_precision`, `macro_recall` and `macro_f1` with their intervals over the test items.

    `confusion` is (classes, classes + 1): one row per true class, one column per predicted one, then invalid. The mean
    goes over the classes with test items (recall), or with test items or answers (precision, F1); a class of these
    that is never predicted has precision 0, as in scikit-learn. Where such a class has fewer than
    `FEWEST_ITEMS_OF_A_CLASS` test items there is no interval.

    Method: Wilson's interval on an effective number of items, score * (1 - score) / variance. The variance is that of
    the delta method, its shares smoothed by `SMOOTHING` right and wrong answers per class, for a class without an
    error is not known to make none. Recall and precision are binomial in each class, given its items or its answers;
    F1 = 2 s / (1 + s) of the share s of right answers among the items that are of the class or taken for it, with the
    covariance of two classes that share an error, and with the bias of the second order taken off the centre. The
    interval is extended to the score where that shift leaves it outside. Sources: `wilson_of_share`; A. Agresti and
    B. A. Coull, "Approximate is better than 'exact' for interval estimation of binomial proportions", The American
    Statistician 52 (1998), 119-126, for the smoothing; K. Takahashi, K. Yamamoto, A. Kuchiba and T. Koyama,
    "Confidence interval for micro-averaged F1 and macro-averaged F1 scores", Applied Intelligence 52 (2022),
    4961-4972, for the delta method. Raises `ValueError` for a table of another shape, negative counts or a wrong
    `confidence`.
    """
    import numpy as np

    table = np.asarray(confusion, dtype=float)
    if table.ndim != 2 or table.shape[1] != table.shape[0] + 1 or not len(table):
        raise ValueError(f"a confusion matrix of shape {table.shape} is not (classes, classes + 1)")
    if (table < 0).any():
        raise ValueError("a confusion matrix holds negative counts")
    quantile = two_sided(confidence)
    right, true, predicted = table.diagonal(), table.sum(axis=1), table[:, :-1].sum(axis=0)
    tested, named = true > 0, (true > 0) | (predicted > 0)

    def score(
        classes: "NDArray[np.bool_]",
        values: "NDArray[np.floating]",
        smoothed: "NDArray[np.floating]",
        variances: "NDArray[np.floating]",
        shared: float = 1.0,
        bias: float = 0.0,
    ) -> MacroScore:
        """The mean of `values`; `shared` is by what the covariances multiply the variance of their sum."""
        if not classes.any():
            return MacroScore(None, None, "no test items")
        value = float(values[classes].mean())
        if few := int((classes & (true < FEWEST_ITEMS_OF_A_CLASS)).sum()):
            return MacroScore(value, None, f"too few items in {few} {'class' if few == 1 else 'classes'}")
        centre = float(smoothed[classes].mean())
        variance = shared * float(variances[classes].sum()) / int(classes.sum()) ** 2
        low, high = wilson_of_share(min(1.0, value + bias), centre * (1 - centre) / variance, quantile)
        return MacroScore(value, (min(low, value), max(high, value)), "")

    def binomial(classes: "NDArray[np.bool_]", whole: "NDArray[np.floating]") -> MacroScore:
        smoothed = (right + SMOOTHING) / (whole + 2 * SMOOTHING)
        return score(classes, _shares(right, whole), smoothed, smoothed * (1 - smoothed) / np.maximum(whole, 1))

    concerned = true + predicted - right
    share = (right + SMOOTHING) / (concerned + 2 * SMOOTHING)
    f1 = _shares(2 * right, true + predicted)
    variances = 4 * share * (1 - share) / (1 + share) ** 4 / np.maximum(concerned, 1)
    # an error moves the F1 of two classes at once: of its true one and of its predicted one
    errors = table.copy()
    np.fill_diagonal(errors, 0)
    error_moves, right_moves = _shares(f1, true + predicted), _shares(2 - 2 * f1, true + predicted)
    alone = float(errors.sum(axis=1) @ error_moves**2 + errors[:, :-1].sum(axis=0) @ error_moves**2)
    alone += float(right @ right_moves**2)
    together = 2 * float(error_moves @ errors[:, :-1] @ error_moves)
    raised = 2 * share * (1 - share) / (1 + share) ** 3 / np.maximum(concerned, 1)
    return {
        "macro_precision": binomial(named, predicted),
        "macro_recall": binomial(tested, true),
        "macro_f1": score(
            named,
            f1,
            2 * share / (1 + share),
            variances,
            shared=1 + together / alone if alone else 2.0,
            bias=float(raised[named].mean()) if named.any() else 0.0,
        ),
    }


def _shares(part: "NDArray[np.floating]", whole: "NDArray[np.floating]") -> "NDArray[np.floating]":
    """Part by part of the whole; 0 of nothing."""
    import numpy as np

    shares: NDArray[np.floating] = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    return shares
