"""Figures of items that belong together: copies of one text, reviews of one film. What is one of a kind counts once.

A cluster is a group of items whose answers may resemble each other; clusters are independent. Wherever items are
taken as independent (Wilson, McNemar, Tango), the same answers many times over look like many answers.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engines.answers.intervals import (
    FEWEST_PAIRS_OF_TANGO,
    Interval,
    newcombe_interval,
    tango_interval,
    two_sided,
    wilson_of_share,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class ClusteredComparison:
    """`difference` is the accuracy of a less that of b; `p` two-sided; `clusters` how many there are."""

    difference: float
    interval: Interval
    p: float
    clusters: int


def clustered_accuracy_interval(correct: "ArrayLike", clusters: "ArrayLike", confidence: float = 0.95) -> Interval:
    """The interval (low, high) of the share of right answers, over further clusters of items.

    `correct` is bool (items,), `clusters` a number of each item's cluster. Wilson's interval on an effective number of
    items, their number by the design effect: the variance of the share from the clusters' sums of residuals, times
    clusters / (clusters - 1), by that of independent items, at least 1. Its reach is that of a t distribution with
    clusters - 1 degrees of freedom. Where all are right, or none, the data know no design effect, and items of a
    cluster count as one and the same answer. Of one cluster, or none, nothing is known: (0, 1). Sources: L. Kish,
    "Survey Sampling", Wiley 1965, sections 5.4 and 8.2; E. L. Korn and B. I. Graubard, "Confidence intervals for
    proportions with small expected number of positive counts estimated from survey data", Survey Methodology 24
    (1998), 193-201. Raises `ValueError` for shapes that differ or a wrong `confidence`.
    """
    import numpy as np

    right = np.asarray(correct, dtype=float)
    groups = cluster_numbers(clusters, right.shape)
    quantile = reach_of(groups, confidence)
    if math.isinf(quantile):
        return 0.0, 1.0
    share = float(right.mean())
    return wilson_of_share(share, len(right) / design_effect(right, groups), quantile)


def clustered_paired_difference(
    correct_a: "ArrayLike", correct_b: "ArrayLike", clusters: "ArrayLike", confidence: float = 0.95
) -> ClusteredComparison:
    """The difference of two accuracies on the same items, and whether it is one, over further clusters of items.

    `correct_a` and `correct_b` are bool (items,), `clusters` a number of each item's cluster. The interval is that of
    `paired_difference_interval`, its cells divided by the design effect of the items' differences (as in
    `clustered_accuracy_interval`), with the reach of a t distribution with clusters - 1 degrees of freedom. `p` is
    that of an exact test which turns the difference of whole clusters around: were both equally good, a and b could
    be exchanged in any cluster, so that the sign of its difference is a fair coin, and p is how often the sum of all
    is as large or larger. Of single items it is the exact McNemar test, of a text ten times that of the text once.
    Sources: J. N. K. Rao and A. J. Scott, "A simple method for the analysis of clustered binary data", Biometrics 48
    (1992), 577-585, for dividing by the design effect; R. A. Fisher, "The Design of Experiments", Oliver and Boyd
    1935, section 21, for the test. Of one cluster, or none, nothing is known: (-1, 1), p 1. Raises `ValueError` for
    shapes that differ or a wrong `confidence`.
    """
    import numpy as np

    a, b = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"answers of shape {a.shape} and {b.shape} are not to the same items")
    groups = cluster_numbers(clusters, a.shape)
    quantile = reach_of(groups, confidence)
    differences = a.astype(float) - b
    count = int(groups.max(initial=-1)) + 1
    if math.isinf(quantile):
        return ClusteredComparison(float(differences.mean()) if len(a) else 0.0, (-1.0, 1.0), 1.0, count)
    effect = design_effect(differences, groups)
    both, a_only, b_only, neither = (float(cell.sum()) / effect for cell in (a & b, a & ~b, ~a & b, ~a & ~b))
    items = both + a_only + b_only + neither
    interval = (
        tango_interval(a_only, b_only, items, quantile)
        if items >= FEWEST_PAIRS_OF_TANGO
        else newcombe_interval(both, a_only, b_only, neither, quantile)
    )
    sums = np.bincount(groups, weights=differences, minlength=count).round().astype(int)
    return ClusteredComparison(float(differences.mean()), interval, _sign_flip_p(sums), count)


def design_effect(values: "NDArray[np.floating]", groups: "NDArray[np.integer]") -> float:
    """By how much clusters raise the variance of the mean of `values`, at least 1; `groups` from `cluster_numbers`.

    Where all values are the same, the size of the cluster that an item is in, averaged over the items: its most.
    """
    import numpy as np

    items, sizes = len(values), np.bincount(groups)
    residuals = values - values.mean()
    independent = float(residuals @ residuals) / items**2
    if independent <= 1e-12 / items:
        return float(sizes @ sizes) / items
    return max(1.0, variance_of_mean(values, groups) * (1 - 1 / items) / independent)


def variance_of_mean(values: "NDArray[np.floating]", groups: "NDArray[np.integer] | None") -> float:
    """The variance of the mean of `values` (items,) over further clusters; None for `groups`: each item is its own.

    The sum over clusters of the squared sum of residuals, by items squared, times clusters / (clusters - 1).
    """
    import numpy as np

    residuals = values - values.mean()
    sums = residuals if groups is None else np.bincount(groups, weights=residuals)
    count = len(sums)
    return float(sums @ sums) / len(values) ** 2 * count / (count - 1)


def cluster_numbers(clusters: "ArrayLike", shape: tuple[int, ...]) -> "NDArray[np.integer]":
    """The clusters as numbers from 0 without gaps, checked to be one per item: `shape` is (items,)."""
    import numpy as np

    names = np.asarray(clusters)
    if names.ndim != 1 or names.shape != shape:
        raise ValueError(f"clusters of shape {names.shape} are not one for each of the items of shape {shape}")
    return np.unique(names, return_inverse=True)[1]


def reach_of(groups: "NDArray[np.integer]", confidence: float) -> float:
    """The quantile of a t distribution with clusters - 1 degrees of freedom; infinite with fewer than two clusters."""
    two_sided(confidence)
    count = int(groups.max(initial=-1)) + 1
    return t_quantile(1 - confidence, count - 1) if count > 1 else math.inf


def t_quantile(alpha: float, freedom: float) -> float:
    """How many standard errors either side of the mean leave `alpha` of a t distribution outside."""
    from scipy.special import stdtrit

    return -float(stdtrit(freedom, alpha / 2))


def _sign_flip_p(sums: "NDArray[np.integer]") -> float:
    """How often the sum of whole numbers, each with a fair sign, is as far from 0 as that of `sums`, or farther."""
    import numpy as np
    from scipy.stats import binom

    sizes, counts = np.unique(np.abs(sums[sums != 0]), return_counts=True)
    total = int(sizes @ counts)
    # the chance that the numbers with a minus sum up to 0, 1, ... total
    chances = np.ones(1)
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        wider = np.zeros(len(chances) + size * count)
        for minus, chance in enumerate(binom.pmf(np.arange(count + 1), count, 0.5)):
            wider[minus * size : minus * size + len(chances)] += chance * chances
        chances = wider
    observed = abs(int(sums.sum()))
    far = np.abs(total - 2 * np.arange(total + 1)) >= observed
    return min(1.0, float(chances[far].sum()))
