import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar

from engines.answers.intervals import (
    newcombe_interval,
    paired_difference_interval,
    tango_interval,
    two_sided,
    wilson_interval,
    wilson_of_share,
)

NORMAL = two_sided(0.95)
COUNT = st.integers(0, 300)


def tango_by_likelihood(a_only: int, b_only: int, items: int, quantile: float) -> tuple[float, float]:
    """The long way: the share of b alone right is searched for where the likelihood is highest, then the score."""

    def score(difference: float) -> float:
        least, most = max(0.0, -difference), (1 - difference) / 2

        def minus_log_likelihood(b_share: float) -> float:
            shares = (b_share + difference, b_share, 1 - 2 * b_share - difference)
            counts = (a_only, b_only, items - a_only - b_only)
            return -sum(c * math.log(max(s, 1e-300)) for c, s in zip(counts, shares, strict=True) if c)

        minimum = minimize_scalar(
            minus_log_likelihood, bounds=(least, most), method="bounded", options={"xatol": 1e-12}
        )
        variance = (2 * minimum.x + difference - difference**2) / items
        return ((a_only - b_only) / items - difference) / math.sqrt(variance)

    middle = (a_only - b_only) / items
    low = brentq(lambda d: score(d) - quantile, -1 + 1e-9, middle - 1e-9)
    high = brentq(lambda d: score(d) + quantile, middle + 1e-9, 1 - 1e-9)
    return low, high


@pytest.mark.parametrize(
    ("a_only", "b_only", "items", "interval"),
    [(6, 16, 161, (-0.1240, -0.0054)), (1, 7, 21, (-0.517, -0.026))],
    ids=["Cavo 2012", "Bentur 2009"],
)
def test_tango_interval_is_as_published(a_only: int, b_only: int, items: int, interval: tuple[float, float]) -> None:
    """Fagerland, Lydersen and Laake, "Statistical Analysis of Contingency Tables", CRC Press 2017, chapter 8."""
    digits = 6e-5 if items == 161 else 6e-4
    assert tango_interval(a_only, b_only, items, NORMAL) == pytest.approx(interval, abs=digits)


@pytest.mark.parametrize(
    ("a_only", "b_only", "items"), [(12, 2, 50), (40, 20, 160), (3, 1, 400), (5, 0, 80), (0, 9, 60), (30, 30, 61)]
)
def test_tango_interval_is_that_of_a_searched_likelihood(a_only: int, b_only: int, items: int) -> None:
    assert tango_interval(a_only, b_only, items, NORMAL) == pytest.approx(
        tango_by_likelihood(a_only, b_only, items, NORMAL), abs=2e-5
    )


@pytest.mark.parametrize("items", [1, 50, 2500])
def test_tango_interval_without_a_disagreement_is_its_closed_form(items: int) -> None:
    half = NORMAL**2 / (items + NORMAL**2)
    assert tango_interval(0, 0, items, NORMAL) == pytest.approx((-half, half), abs=1e-9)


@given(COUNT, COUNT, COUNT)
def test_tango_interval_is_symmetric_and_holds_the_difference(a_only: int, b_only: int, same: int) -> None:
    items = a_only + b_only + same
    if not items:
        return
    low, high = tango_interval(a_only, b_only, items, NORMAL)
    assert -1 <= low <= (a_only - b_only) / items <= high <= 1 and low < high
    assert tango_interval(b_only, a_only, items, NORMAL) == pytest.approx((-high, -low), abs=1e-9)
    wider = tango_interval(a_only, b_only, items, two_sided(0.99))
    assert wider[0] <= low and high <= wider[1]


def test_paired_interval_is_newcombes_below_50_items_and_tangos_from_there_on() -> None:
    assert paired_difference_interval(40, 5, 2, 2) == newcombe_interval(40, 5, 2, 2, NORMAL)
    assert paired_difference_interval(40, 5, 3, 2) == tango_interval(5, 3, 50, NORMAL)


@pytest.mark.parametrize(("items", "share"), itertools.product((10, 57.5, 3000), (0.0, 0.03, 0.5, 1.0)))
def test_wilson_of_a_share_inverts_its_score_test(items: float, share: float) -> None:
    for end in wilson_of_share(share, items, 2.5):
        if 0 < end < 1:
            assert abs(share - end) / math.sqrt(end * (1 - end) / items) == pytest.approx(2.5)
    low, high = wilson_of_share(share, items, 2.5)
    assert 0 <= low <= share <= high <= 1


def test_wilson_interval_is_that_of_its_share() -> None:
    for correct, items in ((0, 9), (5, 9), (9, 9), (940, 1000)):
        assert wilson_interval(correct, items) == wilson_of_share(correct / items, items, NORMAL)
    assert np.diff(wilson_interval(50, 100)) > np.diff(wilson_interval(500, 1000))
