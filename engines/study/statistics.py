"""How sure a figure is, and whether two differ. Pure functions, importable without NumPy, as the console uses some.

Shares, probabilities and differences are fractions, 0 to 1 (differences -1 to 1). Items are test items; a repeat is
one set of answers to all of them. An answer is a class number from 0, or -1, invalid. Arrays are what NumPy makes
arrays of. Nothing here draws from a global random state: the same input and seed give the same figure.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

from engines.answers.intervals import check_counts, two_sided

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


# -- one set of answers -------------------------------------------------------------------------------------


# -- repeats ------------------------------------------------------------------------------------------------


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
    return float((items * agreed - by_chance) / (items * items - by_chance))


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

    check_counts(a_only=a_only, b_only=b_only)
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
    z_alpha = two_sided(1 - alpha)
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
