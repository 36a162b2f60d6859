"""How sure a figure is, and whether two differ. Pure functions, importable without NumPy, as the console uses some.

Shares, probabilities and differences are fractions, 0 to 1 (differences -1 to 1). Items are test items; a repeat is
one set of answers to all of them. An answer is a class number from 0, or -1, invalid. Arrays are what NumPy makes
arrays of. Nothing here draws from a global random state: the same input and seed give the same figure.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

Interval = tuple[float, float]


# -- one set of answers -------------------------------------------------------------------------------------


def wilson_interval(correct: int, items: int, confidence: float = 0.95) -> Interval:
    """The Wilson score interval of the share `correct` / `items`, as fractions (low, high).

    Without items nothing is known: (0, 1). Source: E. B. Wilson, "Probable inference, the law of succession,
    and statistical inference", Journal of the American Statistical Association 22 (1927), 209-212. Raises
    `ValueError` unless 0 <= `correct` <= `items` and 0 < `confidence` < 1.
    """
    if not 0 <= correct <= items:
        raise ValueError(f"{correct} correct of {items} items is no share")
    z = _two_sided(confidence)
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
    scores are those of `engines.parts.scoring.scores`. Percentile bootstrap over the items: drawing items with
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


def calibration(
    probabilities: "ArrayLike", true: "ArrayLike", bins: int = 15
) -> tuple[float | None, list[tuple[float, float, int, float, float]]]:
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


# -- repeats ------------------------------------------------------------------------------------------------


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


def fleiss_kappa(ratings: "ArrayLike", categories: int) -> float | None:
    """Fleiss' kappa: how much more the repeats agree than by chance; 1 always, 0 as by chance, below 0 less.

    `ratings` is int (repeats, items), -1 or 0 to `categories` - 1; invalid, -1, is a category of its own. By chance
    means answers drawn from the shares that the categories have over all repeats together. None for fewer than two
    repeats, no items, or where all answers of all items are one category: chance alone agrees fully then. Source:
    J. L. Fleiss, "Measuring nominal scale agreement among many raters", Psychological Bulletin 76 (1971), 378-382.
    Raises `ValueError` for another shape or an answer that is no category.
    """
    import numpy as np

    answers = _ratings(ratings, categories)
    repeats, items = answers.shape
    if repeats < 2 or not items:
        return None
    counts = _counts(answers, categories)
    shares = counts.sum(axis=0) / answers.size
    if (shares == 1).any():
        return None
    agreement = float((np.einsum("ij,ij->", counts, counts) / items - repeats) / (repeats * (repeats - 1)))
    chance = float(shares @ shares)
    return (agreement - chance) / (1 - chance)


def cohen_kappa(a: "ArrayLike", b: "ArrayLike", categories: int) -> float | None:
    """Cohen's kappa: how much more two sets of answers agree than by chance; 1 always, 0 as by chance.

    `a` and `b` are int (items,), -1 or 0 to `categories` - 1; invalid, -1, is a category of its own. By chance means
    that each draws from its own shares of the categories. None without items, or where both give one and the same
    category to all. Source: J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological
    Measurement 20 (1960), 37-46. Raises `ValueError` for lengths that differ or an answer that is no category.
    """
    import numpy as np

    first, second = np.asarray(a), np.asarray(b)
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} answers are not to the same items")
    pair = _ratings([first, second], categories)
    items = pair.shape[1]
    of_a, of_b = (np.bincount(row + 1, minlength=categories + 1) for row in pair)
    by_chance = int(of_a @ of_b)
    if by_chance == items * items:  # also without items
        return None
    agreed = int((pair[0] == pair[1]).sum())
    return (items * agreed - by_chance) / (items * items - by_chance)


def share_all_agree(ratings: "ArrayLike") -> float:
    """The share of items to which all repeats gave the same answer, invalid being an answer.

    `ratings` is int (repeats, items). 0 without items; 1 for a single repeat. Raises `ValueError` for another shape.
    """
    answers = _ratings(ratings)
    return float((answers == answers[0]).all(axis=0).mean()) if answers.size else 0.0


def majority_vote(ratings: "ArrayLike") -> "NDArray[np.integer]":
    """The answer that most repeats gave to each item, int (items,); where two are given equally often, -1, invalid.

    `ratings` is int (repeats, items); invalid is an answer like others, and need not be more than half of them to
    win. The type is that of `ratings`. Raises `ValueError` for another shape.
    """
    import numpy as np

    answers = _ratings(ratings)
    counts = _counts(answers, int(answers.max(initial=-1)) + 1)
    most = counts.max(axis=1)
    winner = counts.argmax(axis=1) - 1
    return np.where((counts == most[:, None]).sum(axis=1) > 1, -1, winner).astype(np.asarray(ratings).dtype)


# -- two sets of answers to the same items -------------------------------------------------------------------


def paired_table(correct_a: "ArrayLike", correct_b: "ArrayLike") -> tuple[int, int, int, int]:
    """How many items both got right, only a, only b, neither; the arguments are bool (items,), in the same order.

    Raises `ValueError` for shapes that differ.
    """
    import numpy as np

    a, b = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"answers of shape {a.shape} and {b.shape} are not to the same items")
    both, a_only, b_only = (int(cell.sum()) for cell in (a & b, a & ~b, ~a & b))
    return both, a_only, b_only, len(a) - both - a_only - b_only


def mcnemar_exact(a_only: int, b_only: int) -> float:
    """The two-sided p of the exact McNemar test: how likely so uneven a split is, were both equally good.

    `a_only` and `b_only` count the items that one got right and the other wrong; the others say nothing about the
    difference. Were both equally good, each such item would be a fair coin: a binomial test with one half. 1 where
    there is no such item. Sources: Q. McNemar, "Note on the sampling error of the difference between correlated
    proportions or percentages", Psychometrika 12 (1947), 153-157; T. G. Dietterich, "Approximate statistical tests
    for comparing supervised classification learning algorithms", Neural Computation 10 (1998), 1895-1923, for its
    use here. Raises `ValueError` for a negative count.
    """
    from scipy.stats import binomtest

    _counted(a_only=a_only, b_only=b_only)
    return float(binomtest(a_only, a_only + b_only, 0.5).pvalue) if a_only + b_only else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values corrected for their number, in the same order: compare each with alpha as if it were alone.

    The smallest is multiplied by their number, the next by one less, and so on; none falls below one before it, none
    exceeds 1. The chance of a single false finding among all then stays below alpha, whatever the tests have in
    common. Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6 (1979), 65-70. Raises `ValueError` for a value outside 0 to 1.
    """
    for p in p_values:
        if not 0 <= p <= 1:
            raise ValueError(f"p = {p} is not between 0 and 1")
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for passed, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - passed) * p_values[place]))
        corrected[place] = highest
    return corrected


def paired_difference_interval(both: int, a_only: int, b_only: int, neither: int, confidence: float = 0.95) -> Interval:
    """The interval (low, high) of the accuracy of a less that of b, both on the same items.

    The arguments are the cells of `paired_table`. Method 10 of R. G. Newcombe, "Improved confidence intervals for
    the difference between binomial proportions based on paired data", Statistics in Medicine 17 (1998), 2635-2650:
    the Wilson intervals of the two accuracies, combined with their correlation, which is taken down by a continuity
    correction where it is positive. It is not the test turned around: near alpha it may exclude 0 where
    `mcnemar_exact` finds p just above 0.05, or the other way round. Without items nothing is known: (-1, 1).
    Raises `ValueError` for a negative count or a wrong `confidence`.
    """
    _counted(both=both, a_only=a_only, b_only=b_only, neither=neither)
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


def smallest_detectable_difference(
    items: int, disagreement: float = 0.10, power: float = 0.80, alpha: float = 0.05
) -> float:
    """The smallest difference of two accuracies that a McNemar test on `items` shared items finds with `power`.

    `disagreement` is the share of items that one gets right and the other wrong; the fewer they are, the smaller a
    difference shows. A difference cannot exceed the disagreement, so where few items would need a larger one, the
    disagreement is taken to be as large as the difference. 1 where no difference would show, also where so few items
    cannot give the exact test a p below `alpha`. The test is two-sided at `alpha`; the formula is that of large
    samples, and the exact test finds a little less.
    Source: R. J. Connor, "Sample size for testing differences in proportions for the paired-sample design",
    Biometrics 43 (1987), 207-211, solved for the difference. Raises `ValueError` unless `items` >= 1, 0 <
    `disagreement` <= 1, `alpha` / 2 < `power` < 1 and 0 < `alpha` < 1.
    """
    if items < 1:
        raise ValueError(f"{items} items show nothing; give 1 or more")
    if not 0 < disagreement <= 1:
        raise ValueError(f"disagreement = {disagreement} is not above 0 and at most 1")
    z_alpha = _two_sided(1 - alpha)
    if not alpha / 2 < power < 1:
        raise ValueError(f"power = {power} is not between alpha / 2 = {alpha / 2} and 1")
    z_power = NormalDist().inv_cdf(power)

    def needed(difference: float) -> float:
        """Items that find this difference: Connor's formula."""
        share = max(disagreement, difference)
        root = z_alpha * math.sqrt(share) + z_power * math.sqrt(share - difference * difference)
        return (root / difference) ** 2

    low, high = 0.0, 1.0
    if needed(high) > items or 2 * 0.5**items >= alpha:
        return 1.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (low, middle) if needed(middle) <= items else (middle, high)
    return high


# -- shared -------------------------------------------------------------------------------------------------


def _two_sided(confidence: float) -> float:
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


def _ratings(ratings: "ArrayLike", categories: int | None = None) -> "NDArray[np.integer]":
    """The answers as (repeats, items), checked."""
    import numpy as np

    answers = np.asarray(ratings)
    if answers.ndim != 2 or not len(answers):
        raise ValueError(f"answers of shape {answers.shape} are not (repeats, items) with at least one repeat")
    lowest, highest = answers.min(initial=-1), answers.max(initial=-1)
    if lowest < -1:
        raise ValueError(f"an answer is {lowest}; the least is -1, invalid")
    if categories is not None and highest >= categories:
        raise ValueError(f"an answer is {highest}; the highest of {categories} categories is {categories - 1}")
    return answers.astype(np.int64)


def _counts(answers: "NDArray[np.integer]", categories: int) -> "NDArray[np.integer]":
    """How many repeats gave each category, (items, categories + 1), the invalid first."""
    import numpy as np

    items = answers.shape[1]
    places = np.arange(items) * (categories + 1) + answers + 1
    return np.bincount(places.ravel(), minlength=items * (categories + 1)).reshape(items, categories + 1)


def _counted(**counts: int) -> None:
    for name, count in counts.items():
        if count < 0:
            raise ValueError(f"{name} = {count} is no count")
