import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.parts.statistics import wilson_interval


@pytest.mark.parametrize(
    ("accuracy", "low", "high"),
    [(0.4936, 0.47403, 0.51319), (0.6216, 0.60242, 0.64041), (0.5996, 0.58025, 0.61864)],
)
def test_wilson_interval_is_that_of_statsmodels(accuracy: float, low: float, high: float) -> None:
    """The three runs of the original study on 2,500 reviews, intervals computed by statsmodels 0.15."""
    assert wilson_interval(round(accuracy * 2500), 2500) == pytest.approx((low, high), abs=5e-6)


@settings(deadline=None)
@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_interval_holds_the_share_and_stays_between_0_and_1(counts: tuple[int, int], confidence: float) -> None:
    correct, items = counts
    low, high = wilson_interval(correct, items, confidence)
    assert 0 <= low <= correct / items <= high <= 1
    assert low < high


@settings(deadline=None)
@given(st.integers(0, 500), st.integers(1, 500))
def test_wrong_answers_mirror_right_ones(correct: int, wrong: int) -> None:
    low, high = wilson_interval(correct, correct + wrong)
    assert wilson_interval(wrong, correct + wrong) == pytest.approx((1 - high, 1 - low))


@settings(deadline=None)
@given(st.integers(1, 1000), st.integers(2, 50))
def test_more_items_of_the_same_share_narrow_it(items: int, factor: int) -> None:
    low, high = wilson_interval(items // 3, items)
    nearer_low, nearer_high = wilson_interval(items // 3 * factor, items * factor)
    assert nearer_high - nearer_low < high - low


def test_no_items_say_nothing() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("arguments", [(3, 2), (-1, 2), (1, 2, 0.0), (1, 2, 1.0)])
def test_impossible_counts_are_refused(arguments: tuple) -> None:
    with pytest.raises(ValueError):
        wilson_interval(*arguments)
