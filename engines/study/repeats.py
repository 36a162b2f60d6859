"""What repeats or seeds say of a method: both the test items and the repeats are a sample.

An interval over items alone says what these executions would score on other items; it may hold none of them. Here the
items, the repeats and what is peculiar to an item in a repeat each have a variance: a crossed design of two random
factors. `docs/benchmarks/coverage.md` shows how often the intervals hold and the tests err.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from engines.answers.intervals import Interval, two_sided, wilson_of_share
from engines.study.clusters import cluster_numbers, design_effect, reach_of, t_quantile, variance_of_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

FEWEST_REPEATS = 3
LEAST_P = 1e-100  # a smaller p is given as this; quantiles of smaller ones overflow


@dataclass(frozen=True)
class MeanAccuracy:
    """The mean over repeats with two intervals: over further items, and over further items and repeats.

    `crossed` is None where nothing can be said of other repeats, and `reason` says why. `repeat_sd` is the standard
    deviation of the repeats' true accuracies, without what their answers to these items add; None with one repeat.
    """

    mean: float
    items_only: Interval
    crossed: Interval | None
    reason: str
    repeat_sd: float | None


@dataclass(frozen=True)
class GroupComparison:
    """`difference` is the mean accuracy of a less that of b; `p` is two-sided.

    `about` "methods": items and repeats are both a sample, and the sentence speaks of the methods. "runs": the
    repeats are taken as given, because a group has one alone or nothing varied, and it speaks of these runs.
    """

    difference: float
    interval: Interval
    p: float
    about: Literal["methods", "runs"]


def mean_accuracy(correct: "ArrayLike", clusters: "ArrayLike | None" = None, confidence: float = 0.95) -> MeanAccuracy:
    """The mean accuracy of repeats on the same items, with an interval that takes both as a sample.

    `correct` is bool (repeats, items), `clusters` a number of each item's cluster, where items belong together. The
    variances of items, repeats and their interaction come from the mean squares of a two-way layout without
    replication; the repeats' own, (their mean square less that of the interaction) / items, is 0 where that is
    negative. Over the items the interval is Wilson's on an effective number of items, mean * (1 - mean) / variance of
    the items' means. To it the repeats are added by the square of the distance: reach^2 = (reach over items)^2 + t^2 *
    (repeats' variance) / repeats, t with repeats - 1 degrees of freedom.

    No crossed interval with fewer than `FEWEST_REPEATS` repeats, nor where all repeats are right on the same items:
    nothing varied then. Without items nothing is known: (0, 1). Sources: S. R. Searle, G. Casella and C. E. McCulloch,
    "Variance Components", Wiley 1992, chapter 4; G. Y. Zou and A. Donner, "Construction of confidence limits about
    effect measures: a general approach", Statistics in Medicine 27 (2008), 1693-1702, for adding squares.
    Where few repeats differ by chance alone, that is narrower than one t quantile with Satterthwaite's degrees of
    freedom for the sum. Raises `ValueError` for another shape or a wrong `confidence`.
    """
    import numpy as np

    right = np.asarray(correct, dtype=float)
    if right.ndim != 2 or not len(right):
        raise ValueError(f"an array of shape {right.shape} is not (repeats, items) with at least one repeat")
    repeats, items = right.shape
    quantile = two_sided(confidence)
    groups = None if clusters is None else cluster_numbers(clusters, right.shape[1:])
    if groups is not None:
        quantile = reach_of(groups, confidence)
    if not items or math.isinf(quantile):
        return MeanAccuracy(float(right.mean()) if items else 0.0, (0.0, 1.0), None, "too few items", None)
    of_items, mean = right.mean(axis=0), float(right.mean())
    items_only = wilson_of_share(mean, _effective_items(of_items, groups, repeats), quantile)
    if repeats == 1:
        return MeanAccuracy(mean, items_only, None, "one repeat", None)
    of_repeats = variance_of_repeats(right, groups)
    repeat_sd = math.sqrt(of_repeats)
    if (right == right[0]).all():
        return MeanAccuracy(mean, items_only, None, "nothing varied", repeat_sd)
    if repeats < FEWEST_REPEATS:
        return MeanAccuracy(mean, items_only, None, f"{repeats} repeats are too few", repeat_sd)
    added = t_quantile(1 - confidence, repeats - 1) ** 2 * of_repeats / repeats
    low, high = items_only
    crossed = (
        max(0.0, mean - math.hypot(mean - low, math.sqrt(added))),
        min(1.0, mean + math.hypot(high - mean, math.sqrt(added))),
    )
    return MeanAccuracy(mean, items_only, crossed, "", repeat_sd)


def compare_groups(
    correct_a: "ArrayLike", correct_b: "ArrayLike", clusters: "ArrayLike | None" = None, confidence: float = 0.95
) -> GroupComparison:
    """Whether the methods behind two groups of runs differ, from all their repeats on the same items.

    `correct_a` and `correct_b` are bool (repeats, items), the items in one order, the repeats of any number and not
    paired; `clusters` a number of each item's cluster. The items' variance is that of the differences of their means
    over repeats, as if two more items (clusters) disagreed, one each way. The seeds' variance is that of each group's
    repeats beyond what these items explain, by their number. The interval adds the squares of the reach of both, t
    each: for the items with items (clusters) - 1 degrees of freedom, for the seeds with Satterthwaite's of the two
    groups. `p` is one less the confidence at which the interval touches 0.

    Where a group has one repeat, or nothing varied in either, the seeds are left out and the result is `about` the
    "runs"; of one run per side `paired_difference_interval` and the exact `mcnemar_exact` say it better. Sources: as
    `mean_accuracy`; F. E. Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics
    Bulletin 2 (1946), 110-114; D. G. Bonett and R. M. Price, "Adjusted Wald confidence interval for a difference of
    binomial proportions based on paired data", Journal of Educational and Behavioral Statistics 37 (2012), 479-488,
    for the two items. With fewer than two items (clusters) nothing is known: (-1, 1), p 1. Raises `ValueError` for
    shapes that do not fit or a wrong `confidence`.
    """
    import numpy as np
    from scipy.optimize import brentq

    a, b = np.asarray(correct_a, dtype=float), np.asarray(correct_b, dtype=float)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or not len(a) or not len(b):
        raise ValueError(f"answers of shape {a.shape} and {b.shape} are not (repeats, items) to the same items")
    two_sided(confidence)
    groups = None if clusters is None else cluster_numbers(clusters, a.shape[1:])
    units = a.shape[1] if groups is None else int(groups.max(initial=-1)) + 1
    differences = a.mean(axis=0) - b.mean(axis=0)
    if units < 2:
        return GroupComparison(float(differences.mean()) if units else 0.0, (-1.0, 1.0), 1.0, "runs")
    difference = float(differences.mean())
    disagreeing = np.flatnonzero(differences)
    apart = len(disagreeing if groups is None else np.unique(groups[disagreeing]))
    of_items = variance_of_mean(differences, groups) * (1 + 2 / apart) if apart else 2 / units**2
    seeds = [variance_of_repeats(group, groups) / len(group) for group in (a, b) if len(group) > 1]
    about: Literal["methods", "runs"] = "methods"
    if len(seeds) < 2 or all((group == group[0]).all() for group in (a, b)):
        about, seeds = "runs", []
    of_seeds = sum(seeds)
    freedom = of_seeds**2 / sum(v * v / (len(g) - 1) for v, g in zip(seeds, (a, b), strict=True)) if of_seeds else 1.0

    def reach(alpha: float) -> float:
        over_items = t_quantile(alpha, units - 1) ** 2 * of_items
        return math.sqrt(over_items + (t_quantile(alpha, freedom) ** 2 * of_seeds if of_seeds else 0.0))

    half = reach(1 - confidence)
    if not difference:
        p = 1.0
    elif reach(LEAST_P) <= abs(difference):
        p = LEAST_P
    else:
        p = math.exp(brentq(lambda log_p: reach(math.exp(log_p)) - abs(difference), math.log(LEAST_P), 0.0))
    return GroupComparison(difference, (max(-1.0, difference - half), min(1.0, difference + half)), p, about)


def variance_of_repeats(right: "NDArray[np.floating]", groups: "NDArray[np.integer] | None" = None) -> float:
    """The variance of the repeats' true accuracies, 0 or more, from answers (repeats, items) with two or more repeats.

    The variance of the observed accuracies less what the interaction of items and repeats adds to each.
    """
    import numpy as np

    repeats = len(right)
    accuracies = right.mean(axis=1)
    peculiar = right - right.mean(axis=0) - accuracies[:, None] + accuracies.mean()
    interaction = sum(variance_of_mean(row, groups) for row in peculiar) / (repeats - 1)
    return max(0.0, float(np.var(accuracies, ddof=1)) - interaction)


def _effective_items(of_items: "NDArray[np.floating]", groups: "NDArray[np.integer] | None", repeats: int) -> float:
    """How many independent items know their mean as well as these do; at most all answers."""
    mean, items = float(of_items.mean()), len(of_items)
    binomial = mean * (1 - mean)
    if binomial <= 0 or items < 2:
        return items / (design_effect(of_items, groups) if groups is not None else 1.0)
    variance = variance_of_mean(of_items, groups)
    if groups is None:
        variance *= 1 - 1 / items  # as in Wilson's own
    return binomial / max(variance, binomial / (items * repeats))
