"""How sure a figure is: intervals of shares, means and differences. Importable without NumPy, as the console uses some.

Shares and differences are fractions, 0 to 1 (differences -1 to 1). Items are test items; a repeat is one set of
answers to all of them.
"""

import math
from statistics import NormalDist

Interval = tuple[float, float]

FEWEST_PAIRS_OF_TANGO = 50


def wilson_interval(correct: int, items: int, confidence: float = 0.95) -> Interval:
    """The Wilson score interval of the share `correct` / `items`, as fractions (low, high).

    Without items nothing is known: (0, 1). Source: E. B. Wilson, "Probable inference, the law of succession,
    and statistical inference", Journal of the American Statistical Association 22 (1927), 209-212. Raises
    `ValueError` unless 0 <= `correct` <= `items` and 0 < `confidence` < 1.
    """
    if not 0 <= correct <= items:
        raise ValueError(f"{correct} correct of {items} items is no share")
    z = two_sided(confidence)
    return wilson_of_share(correct / items, items, z) if items else (0.0, 1.0)


def wilson_of_share(share: float, items: float, quantile: float) -> Interval:
    """The Wilson score interval (low, high) of a `share`, 0 to 1, known as well as from `items` independent items.

    `items`, above 0, need not be whole: an effective number, share * (1 - share) / variance, puts a variance of any
    kind into Wilson's form, which stays between 0 and 1 and holds the share. `quantile` is how many standard errors
    the interval reaches to either side, 1.96 for 95 % of a normal distribution. Source: as `wilson_interval`; the
    effective number of items is L. Kish, "Survey Sampling", Wiley 1965, section 8.2.
    """
    squared = quantile * quantile
    scale = 1 + squared / items
    centre = (share + squared / (2 * items)) / scale
    half = quantile / scale * math.sqrt(share * (1 - share) / items + squared / (4 * items * items))
    # the ends at 0 and 1 are exact in theory, and lost to rounding in practice
    return (0.0 if share == 0 else max(0.0, centre - half)), (1.0 if share == 1 else min(1.0, centre + half))


def paired_difference_interval(both: int, a_only: int, b_only: int, neither: int, confidence: float = 0.95) -> Interval:
    """The interval (low, high) of the accuracy of a less that of b, both on the same items.

    The arguments are the cells of `paired_table`. Tango's score interval from `FEWEST_PAIRS_OF_TANGO` items on,
    Newcombe's method 10 below (`tango_interval`, `newcombe_interval`); `docs/benchmarks/coverage.md` compares them.
    Neither is the exact test turned around: near alpha the interval may exclude 0 where `mcnemar_exact` finds p just
    above 0.05, or the other way round. Without items nothing is known: (-1, 1). Raises `ValueError` for a negative
    count or a wrong `confidence`.
    """
    check_counts(both=both, a_only=a_only, b_only=b_only, neither=neither)
    quantile = two_sided(confidence)
    items = both + a_only + b_only + neither
    if items >= FEWEST_PAIRS_OF_TANGO:
        return tango_interval(a_only, b_only, items, quantile)
    return newcombe_interval(both, a_only, b_only, neither, quantile)


def tango_interval(a_only: float, b_only: float, items: float, quantile: float) -> Interval:
    """Tango's score interval (low, high) of the difference (`a_only` - `b_only`) / `items` of two paired shares.

    `a_only` and `b_only` count the items on which only one of the two is right; they and `items`, above 0, need not be
    whole (effective numbers). The interval holds every difference that a score test does not reject; the test's
    variance takes the most likely share of b alone right given that difference. `quantile` is the standard errors to
    either side, 1.96 for 95 %. Without a disagreement it is +-quantile^2 / (items + quantile^2). Source: T. Tango,
    "Equivalence test and confidence interval for the difference in proportions for the paired-sample design",
    Statistics in Medicine 17 (1998), 891-908.
    """

    def score(difference: float) -> float:
        linear = 2 * items * difference - (a_only + b_only) - (a_only - b_only) * difference
        constant = -b_only * difference * (1 - difference)
        b_share = (math.sqrt(max(0.0, linear * linear - 8 * items * constant)) - linear) / (4 * items)
        variance = items * (2 * b_share + difference * (1 - difference))
        above = a_only - b_only - items * difference
        return above / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, above) if above else 0.0

    def end(outside: float, target: float) -> float:
        """Between the difference, whose score is 0, and `outside`: where the score, which falls, is `target`."""
        inside = (a_only - b_only) / items
        for _ in range(60):
            middle = (inside + outside) / 2
            if abs(score(middle)) < abs(target):
                inside = middle
            else:
                outside = middle
        return inside

    return end(-1.0, quantile), end(1.0, -quantile)


def newcombe_interval(both: float, a_only: float, b_only: float, neither: float, quantile: float) -> Interval:
    """Newcombe's interval (low, high) of the difference of two paired shares, a less b; cells need not be whole.

    The Wilson intervals of the two accuracies, combined with their correlation, which is taken down by a continuity
    correction where it is positive. `quantile` is the standard errors to either side, 1.96 for 95 %. Without items
    nothing is known: (-1, 1). Source: method 10 of R. G. Newcombe, "Improved confidence intervals for the difference
    between binomial proportions based on paired data", Statistics in Medicine 17 (1998), 2635-2650.
    """
    items = both + a_only + b_only + neither
    if not items:
        return -1.0, 1.0
    right_a, right_b = both + a_only, both + b_only
    a, b = right_a / items, right_b / items
    low_a, high_a = wilson_of_share(a, items, quantile)
    low_b, high_b = wilson_of_share(b, items, quantile)
    spread = right_a * (items - right_a) * right_b * (items - right_b)
    shared: float = both * neither - a_only * b_only
    if shared > 0:
        shared = max(0.0, shared - items / 2)
    correlation = shared / math.sqrt(spread) if spread > 0 else 0.0

    def reach(of_a: float, of_b: float) -> float:
        return math.sqrt(max(0.0, of_a * of_a - 2 * correlation * of_a * of_b + of_b * of_b))

    difference = (a_only - b_only) / items
    return difference - reach(a - low_a, high_b - b), difference + reach(high_a - a, b - low_b)


def two_sided(confidence: float) -> float:
    """How many standard deviations either side of the mean hold the share `confidence` of a normal distribution."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence = {confidence} is not between 0 and 1")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def check_counts(**counts: int) -> None:
    """Raise `ValueError` where a count is negative."""
    for name, count in counts.items():
        if count < 0:
            raise ValueError(f"{name} = {count} is no count")
