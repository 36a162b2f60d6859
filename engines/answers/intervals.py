"""How sure a figure is: intervals of shares, means and differences. Importable without NumPy, as the console uses some.

Shares and differences are fractions, 0 to 1 (differences -1 to 1). Items are test items; a repeat is one set of
answers to all of them. Nothing here draws from a global random state: the same input and seed give the same figure.
"""

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


Interval = tuple[float, float]


def wilson_interval(correct: int, items: int, confidence: float = 0.95) -> Interval:
    """The Wilson score interval of the share `correct` / `items`, as fractions (low, high).

    Without items nothing is known: (0, 1). Source: E. B. Wilson, "Probable inference, the law of succession,
    and statistical inference", Journal of the American Statistical Association 22 (1927), 209-212. Raises
    `ValueError` unless 0 <= `correct` <= `items` and 0 < `confidence` < 1.
    """
    if not 0 <= correct <= items:
        raise ValueError(f"{correct} correct of {items} items is no share")
    z = two_sided(confidence)
    if items == 0:
        return 0.0, 1.0
    share = correct / items
    scale = 1 + z * z / items
    centre = (share + z * z / (2 * items)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / items + z * z / (4 * items * items))
    # the ends at 0 and 1 are exact in theory, and lost to rounding in practice
    return (0.0 if correct == 0 else centre - half), (1.0 if correct == items else centre + half)


def macro_intervals(
    confusion: "ArrayLike", resamples: int = 2000, seed: int = 0, confidence: float = 0.95
) -> dict[str, Interval]:
    """Intervals of `macro_precision`, `macro_recall` and `macro_f1`, each (low, high).

    `confusion` is (classes, classes + 1): counts, a row a true class, a column a predicted one, then invalid; the
    scores are those of `engines.answers.scoring.scores`. Percentile bootstrap over the items: drawing items with
    replacement is drawing the cells of the table, so `resamples` tables come from one multinomial distribution.
    A class with few items may be missing from a resample and then counts 0, as it does in the scores. Where all
    answers are right the bootstrap knows no doubt, (1, 1). Without items nothing is known: (0, 1).
    Source: B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap", Chapman & Hall 1993, chapter 13.
    Raises `ValueError` for a table of another shape, negative counts, no resamples or a wrong `confidence`.
    """
    import numpy as np

    table = np.asarray(confusion)
    if table.ndim != 2 or table.shape[1] != table.shape[0] + 1 or not len(table):
        raise ValueError(f"a confusion matrix of shape {table.shape} is not (classes, classes + 1)")
    if (table < 0).any():
        raise ValueError("a confusion matrix holds negative counts")
    ends = _ends(resamples, confidence)
    items = int(table.sum())
    if not items:
        return dict.fromkeys(("macro_precision", "macro_recall", "macro_f1"), (0.0, 1.0))
    true, predicted = np.nonzero(table)  # empty cells stay empty
    drawn = np.random.default_rng(seed).multinomial(items, table[true, predicted] / items, resamples).astype(float)
    classes = np.arange(len(table))
    in_row, in_column = true[:, None] == classes, predicted[:, None] == classes
    right = drawn @ (in_row & in_column)
    rows, columns = drawn @ in_row, drawn @ in_column

    def interval(part: "NDArray[np.floating]", whole: "NDArray[np.floating]") -> Interval:
        shares = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0).mean(axis=1)
        low, high = np.quantile(shares, ends)
        return float(low), float(high)

    return {
        "macro_precision": interval(right, columns),
        "macro_recall": interval(right, rows),
        "macro_f1": interval(2 * right, rows + columns),
    }


def mean_accuracy_interval(correct: "ArrayLike", resamples: int = 2000, seed: int = 0) -> Interval:
    """The 95 % interval (low, high) of the repeats' mean accuracy, over the items; the repeats are taken as given.

    `correct` is bool (repeats, items). Percentile bootstrap: an item is drawn with its answers in all repeats, so
    only the number of items that k repeats got right counts, and `resamples` sets of items come from one multinomial
    distribution. It says how the mean would move with other items of the same kind, not with further repeats.
    Without items nothing is known: (0, 1). Source: B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap",
    Chapman & Hall 1993, chapter 13. Raises `ValueError` for another shape or no resamples.
    """
    import numpy as np

    right = np.asarray(correct, dtype=bool)
    if right.ndim != 2 or not len(right):
        raise ValueError(f"an array of shape {right.shape} is not (repeats, items) with at least one repeat")
    ends = _ends(resamples, 0.95)
    repeats, items = right.shape
    if not items:
        return 0.0, 1.0
    counts = np.bincount(right.sum(axis=0), minlength=repeats + 1)
    drawn = np.random.default_rng(seed).multinomial(items, counts / items, resamples)
    low, high = np.quantile(drawn @ np.arange(repeats + 1) / (items * repeats), ends)
    return float(low), float(high)


def paired_difference_interval(both: int, a_only: int, b_only: int, neither: int, confidence: float = 0.95) -> Interval:
    """The interval (low, high) of the accuracy of a less that of b, both on the same items.

    The arguments are the cells of `paired_table`. Method 10 of R. G. Newcombe, "Improved confidence intervals for
    the difference between binomial proportions based on paired data", Statistics in Medicine 17 (1998), 2635-2650:
    the Wilson intervals of the two accuracies, combined with their correlation, which is taken down by a continuity
    correction where it is positive. It is not the test turned around: near alpha it may exclude 0 where
    `mcnemar_exact` finds p just above 0.05, or the other way round. Without items nothing is known: (-1, 1).
    Raises `ValueError` for a negative count or a wrong `confidence`.
    """
    check_counts(both=both, a_only=a_only, b_only=b_only, neither=neither)
    items = both + a_only + b_only + neither
    right_a, right_b = both + a_only, both + b_only
    low_a, high_a = wilson_interval(right_a, items, confidence)
    low_b, high_b = wilson_interval(right_b, items, confidence)
    if not items:
        return -1.0, 1.0
    a, b = right_a / items, right_b / items
    spread = right_a * (items - right_a) * right_b * (items - right_b)
    shared: float = both * neither - a_only * b_only
    if shared > 0:
        shared = max(0.0, shared - items / 2)
    correlation = shared / math.sqrt(spread) if spread else 0.0

    def reach(of_a: float, of_b: float) -> float:
        return math.sqrt(max(0.0, of_a * of_a - 2 * correlation * of_a * of_b + of_b * of_b))

    difference = (a_only - b_only) / items
    return difference - reach(a - low_a, high_b - b), difference + reach(high_a - a, b - low_b)


def two_sided(confidence: float) -> float:
    """How many standard deviations either side of the mean hold the share `confidence` of a normal distribution."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence = {confidence} is not between 0 and 1")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _ends(resamples: int, confidence: float) -> Interval:
    """The two shares at which the resampled values are cut off."""
    if resamples < 1:
        raise ValueError(f"resamples = {resamples} draws nothing; set 1 or more")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence = {confidence} is not between 0 and 1")
    return (1 - confidence) / 2, (1 + confidence) / 2


def check_counts(**counts: int) -> None:
    """Raise `ValueError` where a count is negative."""
    for name, count in counts.items():
        if count < 0:
            raise ValueError(f"{name} = {count} is no count")
