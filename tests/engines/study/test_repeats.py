import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.answers.intervals import paired_difference_interval, wilson_interval
from engines.study.repeats import compare_groups, mean_accuracy, variance_of_repeats
from engines.study.statistics import mcnemar_exact, paired_table

SEEDS = st.integers(0, 2**32 - 1)


def answers(seed: int, accuracies: list[float], items: int) -> np.ndarray:
    """Right or wrong (repeats, items); items differ in how hard they are."""
    draws = np.random.default_rng(seed)
    hard = draws.beta(0.6, 0.6, items).argsort().argsort() / items
    mixed = 0.7 * hard + 0.3 * draws.random((len(accuracies), items))
    return mixed < np.quantile(mixed, accuracies, axis=1).diagonal()[:, None]


# -- the mean over repeats ----------------------------------------------------------------------------------


def test_one_repeat_has_wilsons_interval_and_no_crossed_one() -> None:
    right = answers(1, [0.8], 500)
    mean = mean_accuracy(right)
    assert mean.items_only == pytest.approx(wilson_interval(int(right.sum()), 500))
    assert (mean.crossed, mean.reason, mean.repeat_sd) == (None, "one repeat", None)


def test_where_nothing_varied_it_is_the_interval_of_one_repeat_and_named_so() -> None:
    right = answers(2, [0.8], 500)
    mean = mean_accuracy(np.repeat(right, 5, axis=0))
    assert mean.items_only == pytest.approx(wilson_interval(int(right.sum()), 500))
    assert (mean.crossed, mean.reason, mean.repeat_sd) == (None, "nothing varied", 0)


def test_two_repeats_have_no_crossed_interval() -> None:
    mean = mean_accuracy(answers(3, [0.7, 0.8], 500))
    assert mean.crossed is None and mean.reason == "2 repeats are too few"


def test_three_repeats_far_apart_have_an_interval_that_holds_them() -> None:
    right = answers(4, [0.494, 0.622, 0.600], 2500)
    mean = mean_accuracy(right)
    assert mean.crossed is not None and mean.mean == pytest.approx(0.572, abs=1e-3)
    assert mean.crossed[0] < 0.494 and mean.crossed[1] > 0.622
    assert mean.items_only[1] - mean.items_only[0] < 0.045
    # with so many items it is the t interval of the three accuracies
    half = 4.3027 * np.std(right.mean(axis=1), ddof=1) / math.sqrt(3)
    assert mean.crossed == pytest.approx((mean.mean - half, mean.mean + half), abs=0.01)


@settings(max_examples=40)
@given(SEEDS, st.integers(3, 6), st.integers(20, 400))
def test_mean_lies_in_both_intervals_and_the_crossed_one_is_the_wider(seed: int, repeats: int, items: int) -> None:
    draws = np.random.default_rng(seed)
    right = draws.random((repeats, items)) < draws.random((repeats, 1))
    mean = mean_accuracy(right)
    assert mean.items_only[0] <= mean.mean <= mean.items_only[1]
    if mean.crossed:
        assert 0 <= mean.crossed[0] <= mean.items_only[0] + 1e-12
        assert mean.items_only[1] - 1e-12 <= mean.crossed[1] <= 1
    shuffled = right[draws.permutation(repeats)][:, draws.permutation(items)]
    again = mean_accuracy(shuffled)
    assert again.items_only == pytest.approx(mean.items_only) and again.mean == pytest.approx(mean.mean)


def test_variance_of_repeats_is_that_of_the_two_way_table() -> None:
    """The mean squares written out."""
    right = answers(5, [0.7, 0.8, 0.75, 0.9], 60).astype(float)
    repeats, items = right.shape
    mean, rows, columns = right.mean(), right.mean(axis=1), right.mean(axis=0)
    of_repeats = items * ((rows - mean) ** 2).sum() / (repeats - 1)
    residual = ((right - rows[:, None] - columns + mean) ** 2).sum() / ((repeats - 1) * (items - 1))
    assert variance_of_repeats(right) == pytest.approx((of_repeats - residual) / items)


def test_repeat_sd_is_the_drawn_one() -> None:
    draws = np.random.default_rng(6)
    sds = [mean_accuracy(draws.random((5, 4000)) < draws.normal(0.7, 0.04, (5, 1))).repeat_sd for _ in range(200)]
    assert math.sqrt(np.mean(np.square(np.array(sds, dtype=float)))) == pytest.approx(0.04, rel=0.1)


def test_copies_of_texts_make_the_mean_no_surer() -> None:
    right = answers(7, [0.8, 0.82, 0.78], 200)
    copied, texts = np.repeat(right, 10, axis=1), np.repeat(np.arange(200), 10)
    once, sure, told = mean_accuracy(right), mean_accuracy(copied), mean_accuracy(copied, texts)
    assert once.crossed and sure.crossed and told.crossed
    assert told.crossed == pytest.approx(once.crossed, abs=0.006)
    assert sure.items_only[1] - sure.items_only[0] < 0.5 * (once.items_only[1] - once.items_only[0])


def test_without_items_or_with_one_cluster_nothing_is_known() -> None:
    assert mean_accuracy(np.zeros((3, 0))).items_only == (0, 1)
    assert mean_accuracy(np.ones((3, 4)), clusters=[1, 1, 1, 1]).items_only == (0, 1)
    for wrong in (np.zeros(3), np.zeros((0, 3))):
        with pytest.raises(ValueError, match="at least one repeat"):
            mean_accuracy(wrong)


# -- two groups ---------------------------------------------------------------------------------------------


def test_groups_whose_seeds_differ_more_than_they_do_are_not_told_apart() -> None:
    right = answers(8, [0.80, 0.84, 0.76, 0.83, 0.87, 0.79], 10_000)
    comparison = compare_groups(right[:3], right[3:])
    assert comparison.about == "methods" and comparison.difference == pytest.approx(-0.03, abs=1e-3)
    assert comparison.p > 0.2 and comparison.interval[0] < comparison.difference < 0 < comparison.interval[1]
    assert mcnemar_exact(*paired_table(right[0], right[3])[1:3]) < 1e-6  # of two runs: told apart without a doubt


def test_groups_whose_seeds_agree_are_told_apart() -> None:
    right = answers(9, [0.800, 0.802, 0.798, 0.830, 0.828, 0.832], 10_000)
    comparison = compare_groups(right[:3], right[3:])
    assert comparison.p < 1e-3 and comparison.interval[1] < 0


def test_with_one_seed_a_side_or_without_variation_the_test_is_of_those_runs() -> None:
    right = answers(10, [0.80, 0.82, 0.84], 1000)
    single = compare_groups(right[:1], right[2:])
    cells = paired_table(right[0], right[2])
    assert single.about == "runs"
    assert single.interval == pytest.approx(paired_difference_interval(*cells), abs=0.003)
    assert single.p == pytest.approx(mcnemar_exact(*cells[1:3]), rel=0.5)
    assert compare_groups(right[:2], right[2:]).about == "runs"
    same = compare_groups(np.repeat(right[:1], 3, axis=0), np.repeat(right[2:], 2, axis=0))
    assert same.about == "runs" and same.interval == pytest.approx(single.interval)


@settings(max_examples=40)
@given(SEEDS, st.integers(1, 4), st.integers(1, 4), st.integers(2, 200))
def test_p_is_one_less_the_confidence_at_which_the_interval_touches_0(seed: int, a: int, b: int, items: int) -> None:
    draws = np.random.default_rng(seed)
    right = draws.random((a + b, items)) < draws.random((a + b, 1))
    comparison = compare_groups(right[:a], right[a:])
    swapped = compare_groups(right[a:], right[:a])
    assert swapped.p == pytest.approx(comparison.p, rel=1e-6) and swapped.about == comparison.about
    assert swapped.interval == pytest.approx((-comparison.interval[1], -comparison.interval[0]))
    if 1e-6 < comparison.p < 0.999:
        low, high = compare_groups(right[:a], right[a:], confidence=1 - comparison.p).interval
        assert min(abs(low), abs(high)) < 1e-6
    assert (comparison.interval[0] <= 0 <= comparison.interval[1]) == (comparison.p >= 0.05)


def test_the_same_answers_are_no_difference_and_a_small_one_is_not_excluded() -> None:
    right = answers(11, [0.8, 0.8], 400)
    comparison = compare_groups(right, right)
    assert (comparison.difference, comparison.p) == (0, 1) and comparison.interval[0] < 0 < comparison.interval[1]


def test_copies_of_texts_make_the_difference_no_surer() -> None:
    right = answers(12, [0.80, 0.81, 0.82, 0.84, 0.85, 0.83], 150)
    copied, texts = np.repeat(right, 10, axis=1), np.repeat(np.arange(150), 10)
    once, told = compare_groups(right[:3], right[3:]), compare_groups(copied[:3], copied[3:], texts)
    assert told.p == pytest.approx(once.p, rel=0.1) and told.interval == pytest.approx(once.interval, abs=0.003)


def test_groups_of_other_items_are_refused() -> None:
    for a, b in ((np.ones((2, 3)), np.ones((2, 4))), (np.ones(3), np.ones(3)), (np.ones((0, 3)), np.ones((1, 3)))):
        with pytest.raises(ValueError, match="same items"):
            compare_groups(a, b)
    assert compare_groups(np.ones((2, 1)), np.zeros((2, 1))).interval == (-1, 1)
