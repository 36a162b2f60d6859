import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.answers.intervals import paired_difference_interval, wilson_interval
from engines.study.clusters import (
    clustered_accuracy_interval,
    clustered_paired_difference,
    design_effect,
    variance_of_mean,
)
from engines.study.statistics import mcnemar_exact, paired_table

SEEDS = st.integers(0, 2**32 - 1)


def pair(seed: int, items: int) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    return draws.random(items) < 0.8, draws.random(items) < 0.7


@settings(max_examples=40)
@given(SEEDS, st.integers(2, 300))
def test_clusters_of_one_item_change_nothing(seed: int, items: int) -> None:
    a, b = pair(seed, items)
    cells = paired_table(a, b)
    difference = clustered_paired_difference(a, b, np.arange(items))
    assert difference.p == pytest.approx(mcnemar_exact(*cells[1:3]), abs=1e-9)
    assert difference.difference == pytest.approx((cells[1] - cells[2]) / items) and difference.clusters == items
    if items >= 200:  # t is normal then
        assert difference.interval == pytest.approx(paired_difference_interval(*cells), abs=0.002)
        interval = clustered_accuracy_interval(a, np.arange(items))
        assert interval == pytest.approx(wilson_interval(int(a.sum()), items), abs=0.002)


@settings(max_examples=30)
@given(SEEDS, st.integers(60, 150), st.integers(2, 12))
def test_every_text_many_times_says_no_more_than_once(seed: int, texts: int, copies: int) -> None:
    a, b = pair(seed, texts)
    alone = clustered_paired_difference(a, b, np.arange(texts))
    clusters = np.repeat(np.arange(texts), copies)
    copied = clustered_paired_difference(np.repeat(a, copies), np.repeat(b, copies), clusters)
    assert copied.p == pytest.approx(alone.p, abs=1e-9)
    ends = np.array([copied.interval, alone.interval])
    assert ends[0] == pytest.approx(ends[1], abs=0.02)
    once = clustered_accuracy_interval(a, np.arange(texts))
    assert clustered_accuracy_interval(np.repeat(a, copies), clusters) == pytest.approx(once, abs=0.01)


def test_seven_against_two_texts_ten_times_each_are_no_finding() -> None:
    texts = np.array([[1, 0]] * 7 + [[0, 1]] * 2 + [[1, 1]] * 50 + [[0, 0]], dtype=bool)
    a, b = np.repeat(texts, 10, axis=0).T
    assert mcnemar_exact(*paired_table(a, b)[1:3]) < 2e-7
    difference = clustered_paired_difference(a, b, np.repeat(np.arange(60), 10))
    assert difference.p == pytest.approx(0.1796875) and difference.interval[0] < 0 < difference.interval[1]


@settings(max_examples=30)
@given(st.lists(st.integers(-6, 6), min_size=2, max_size=9))
def test_p_is_that_of_all_signs_tried(sums: list[int]) -> None:
    a = np.concatenate([np.full(max(1, abs(s)), s > 0) for s in sums])
    b = np.concatenate([np.full(max(1, abs(s)), s < 0) for s in sums])
    clusters = np.repeat(np.arange(len(sums)), [max(1, abs(s)) for s in sums])
    flipped = [abs(sum(sign * s for sign, s in zip(signs, sums, strict=True))) for signs in _signs(len(sums))]
    expected = np.mean([f >= abs(sum(sums)) for f in flipped])
    assert clustered_paired_difference(a, b, clusters).p == pytest.approx(expected)


def _signs(count: int) -> list[tuple[int, ...]]:
    return list(itertools.product((1, -1), repeat=count))


def test_variance_of_a_mean_is_that_of_statsmodels() -> None:
    from statsmodels.regression.linear_model import OLS

    draws = np.random.default_rng(3)
    groups = np.sort(draws.integers(0, 25, 200))
    values = draws.random(25)[groups] + draws.random(200)
    fit = OLS(values, np.ones(200)).fit(cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False})
    count = len(np.unique(groups))
    expected = fit.bse[0] * math.sqrt(count / (count - 1))
    numbers = np.unique(groups, return_inverse=True)[1]
    assert math.sqrt(variance_of_mean(values, numbers)) == pytest.approx(expected)
    assert variance_of_mean(values, None) == pytest.approx(values.var(ddof=1) / 200)


def test_design_effect_is_1_at_least_and_the_size_of_a_cluster_of_copies() -> None:
    draws = np.random.default_rng(4)
    values = draws.random(100).round()
    assert design_effect(np.repeat(values, 5), np.repeat(np.arange(100), 5)) == pytest.approx(5, rel=0.02)
    assert design_effect(np.tile([0.0, 1.0], 50), np.repeat(np.arange(50), 2)) == 1
    assert design_effect(np.ones(10), np.array([0] * 8 + [1, 2])) == pytest.approx(6.6)


def test_names_of_clusters_do_not_matter() -> None:
    a, b = pair(5, 90)
    numbers = np.random.default_rng(5).integers(0, 30, 90)
    names = [f"film {n}" for n in numbers]
    assert clustered_paired_difference(a, b, numbers) == clustered_paired_difference(a, b, names)
    assert clustered_accuracy_interval(a, numbers) == clustered_accuracy_interval(a, names)


def test_one_cluster_says_nothing() -> None:
    a, b = pair(6, 20)
    assert clustered_accuracy_interval(a, [1] * 20) == (0, 1) and clustered_accuracy_interval([], []) == (0, 1)
    for difference in (clustered_paired_difference(a, b, [1] * 20), clustered_paired_difference([], [], [])):
        assert (difference.interval, difference.p) == ((-1, 1), 1)


def test_where_all_are_right_copies_leave_the_doubt_of_the_texts() -> None:
    low, high = clustered_accuracy_interval(np.ones(400), np.repeat(np.arange(40), 10))
    assert high == 1 and low == pytest.approx(wilson_interval(40, 40)[0], abs=0.01)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="one for each"):
        clustered_accuracy_interval([True, False], [1])
    with pytest.raises(ValueError, match="same items"):
        clustered_paired_difference([True, False], [True], [1, 2])
    with pytest.raises(ValueError, match="confidence = 1"):
        clustered_accuracy_interval([True, False], [1, 2], confidence=1)
