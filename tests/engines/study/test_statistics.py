import csv
import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.answers.calibration import brier_score, calibration
from engines.answers.intervals import (
    newcombe_interval,
    paired_difference_interval,
    two_sided,
    wilson_interval,
)
from engines.answers.macro import macro_scores
from engines.answers.scoring import scores
from engines.study.repeats import mean_accuracy
from engines.study.statistics import (
    cohen_kappa,
    fleiss_kappa,
    holm,
    majority_vote,
    mcnemar_exact,
    paired_table,
    share_all_agree,
    smallest_detectable_difference,
)

ROOT = Path(__file__).parents[3]
REAL = ROOT.parent / "shared" / "data"
SEEDS = st.integers(0, 2**32 - 1)
CELL = st.integers(0, 300)


def table(true: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """The confusion matrix of class numbers, invalid (-1) last."""
    counts = np.zeros((classes, classes + 1), dtype=int)
    np.add.at(counts, (true, predicted), 1)  # -1 is the last column
    return counts


# -- what is imported ---------------------------------------------------------------------------------------


def test_what_the_console_uses_needs_no_numpy() -> None:
    code = (
        "import sys; from engines.study.statistics import *;"
        "from engines.answers.intervals import *; wilson_interval(1, 2); holm([0.1]);"
        "smallest_detectable_difference(100); paired_difference_interval(1, 2, 3, 4);"
        "print({'numpy', 'scipy', 'torch', 'sklearn'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("set()\n", "")


# -- the study's three executions ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study() -> tuple[np.ndarray, np.ndarray]:
    """True labels (2500,) and the answers (3, 2500) of the founding study's three zero-shot executions of Gemma."""
    path = REAL / "gemma_zero_shot_runs.csv"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = np.array([[int(row[name]) for row in rows] for name in ("label", "run1", "run2", "run3")])
    return columns[0], columns[1:]


@pytest.mark.real_data
def test_the_studys_executions_disagree_as_published(study: tuple[np.ndarray, np.ndarray]) -> None:
    true, answers = study
    accuracies = (answers == true).mean(axis=1)
    assert accuracies == pytest.approx([0.4936, 0.6216, 0.5996])
    assert fmean(accuracies) == pytest.approx(0.5716) and stdev(accuracies) == pytest.approx(0.06844, abs=5e-6)
    assert fleiss_kappa(answers, 2) == pytest.approx(-0.07409, abs=5e-6)
    assert share_all_agree(answers) == pytest.approx(0.342)
    mean = mean_accuracy(answers == true)
    assert mean.items_only == pytest.approx((0.55925, 0.58386), abs=5e-6), "holds none of the three"
    assert mean.crossed == pytest.approx((0.40270, 0.74049), abs=5e-6), "holds all three, and 0.5"


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("a", "b", "a_only", "b_only", "p", "kappa"),
    [
        (0, 1, 532, 852, "7.120e-18", -0.04915),
        (0, 2, 178, 443, "5.123e-27", 0.06735),
        (1, 2, 670, 615, "1.319e-01", 0.03511),
    ],
)
def test_pairs_of_the_studys_executions(
    study: tuple[np.ndarray, np.ndarray], a: int, b: int, a_only: int, b_only: int, p: str, kappa: float
) -> None:
    true, answers = study
    cells = paired_table(answers[a] == true, answers[b] == true)
    assert cells[1:3] == (a_only, b_only) and sum(cells) == 2500
    assert f"{mcnemar_exact(a_only, b_only):.3e}" == p
    assert cohen_kappa(answers[a], answers[b], 2) == pytest.approx(kappa, abs=5e-6)
    low, high = paired_difference_interval(*cells)
    assert low < (a_only - b_only) / 2500 < high
    assert (low < 0 < high) == (float(p) > 0.05)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("run", "precision", "recall"), [(0, 0.4819, 0.4891), (1, 0.6232, 0.6223), (2, 0.7105, 0.5943)]
)
def test_macro_scores_of_the_studys_executions(
    study: tuple[np.ndarray, np.ndarray], run: int, precision: float, recall: float
) -> None:
    true, answers = study
    confusion = table(true, answers[run], 2)
    found = scores(confusion.tolist(), ["negative", "positive"])
    assert found.macro_precision == pytest.approx(precision, abs=5e-5)
    assert found.macro_recall == pytest.approx(recall, abs=5e-5)
    for name, score in macro_scores(confusion).items():
        assert score.interval and score.value and score.value == found.value(name)
        low, high = score.interval
        assert low < score.value < high and 0.02 < high - low < 0.06


# -- Wilson -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accuracy", "low", "high"),
    [(0.4936, 0.47403, 0.51319), (0.6216, 0.60242, 0.64041), (0.5996, 0.58025, 0.61864)],
)
def test_wilson_interval_of_the_studys_executions(accuracy: float, low: float, high: float) -> None:
    assert wilson_interval(round(accuracy * 2500), 2500) == pytest.approx((low, high), abs=5e-6)


@settings(max_examples=30)
@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_wilson_interval_is_that_of_statsmodels(counts: tuple[int, int], confidence: float) -> None:
    from statsmodels.stats.proportion import proportion_confint

    oracle = proportion_confint(*counts, alpha=1 - confidence, method="wilson")
    assert wilson_interval(*counts, confidence) == pytest.approx(oracle, abs=1e-9)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_interval_holds_the_share_and_stays_between_0_and_1(counts: tuple[int, int], confidence: float) -> None:
    correct, items = counts
    low, high = wilson_interval(correct, items, confidence)
    assert 0 <= low <= correct / items <= high <= 1
    assert low < high


@given(st.integers(0, 500), st.integers(1, 500))
def test_wrong_answers_mirror_right_ones(correct: int, wrong: int) -> None:
    low, high = wilson_interval(correct, correct + wrong)
    assert wilson_interval(wrong, correct + wrong) == pytest.approx((1 - high, 1 - low))


@given(st.integers(1, 1000), st.integers(2, 50))
def test_more_items_of_the_same_share_narrow_it(items: int, factor: int) -> None:
    low, high = wilson_interval(items // 3, items)
    nearer_low, nearer_high = wilson_interval(items // 3 * factor, items * factor)
    assert nearer_high - nearer_low < high - low


def test_no_items_say_nothing() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert paired_difference_interval(0, 0, 0, 0) == (-1.0, 1.0)
    assert brier_score(np.zeros((0, 2)), []) is None and calibration(np.zeros((0, 2)), []) == (None, [])
    nothing = np.zeros((3, 0), dtype=np.int16)
    assert fleiss_kappa(nothing, 2) is None and cohen_kappa([], [], 2) is None
    assert share_all_agree(nothing) == 0 and majority_vote(nothing).shape == (0,)
    assert paired_table([], []) == (0, 0, 0, 0) and mcnemar_exact(0, 0) == 1 and holm([]) == []


@pytest.mark.parametrize("arguments", [(3, 2), (-1, 2), (1, 2, 0.0), (1, 2, 1.0)])
def test_impossible_counts_are_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError):
        wilson_interval(*arguments)


# -- probabilities ------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(SEEDS, st.integers(2, 6), st.integers(1, 60))
def test_brier_score_is_half_that_of_scikit_learn(seed: int, classes: int, items: int) -> None:
    from sklearn.metrics import brier_score_loss

    draws = np.random.default_rng(seed)
    given_, true = draws.dirichlet(np.ones(classes), items), draws.integers(0, classes, items)
    oracle = (
        brier_score_loss(true, given_[:, 1], labels=[0, 1])
        if classes == 2
        else brier_score_loss(true, given_, labels=range(classes), scale_by_half=True)
    )
    score = brier_score(given_, true)
    assert score == pytest.approx(oracle, abs=1e-12)
    order, names = draws.permutation(items), draws.permutation(classes)
    assert brier_score(given_[order], true[order]) == pytest.approx(score, abs=1e-12)
    assert brier_score(given_[:, names], np.argsort(names)[true]) == pytest.approx(score, abs=1e-12)


def test_brier_score_runs_from_0_to_1_and_knows_no_preference() -> None:
    assert brier_score([[1, 0], [0, 1]], [0, 1]) == 0
    assert brier_score([[1, 0], [0, 1]], [1, 0]) == 1
    assert brier_score([[0.5, 0.5]] * 4, [0, 1, 1, 1]) == pytest.approx(0.25)


def test_items_without_probabilities_are_no_part_of_the_scores() -> None:
    gap = [math.nan, math.nan]
    rows, true = [[0.9, 0.1], gap, [0.3, 0.7], [math.inf, 0]], [0, 1, 0, 1]
    assert brier_score(rows, true) == pytest.approx((0.1**2 + 0.7**2) / 2)
    assert sum(items for _, _, items, _, _ in calibration(rows, true)[1]) == 2
    assert brier_score([gap], [0]) is None and calibration([gap], [0]) == (None, [])


@settings(max_examples=40)
@given(SEEDS, st.integers(2, 5), st.integers(1, 80), st.integers(1, 20))
def test_calibration_error_counted_by_hand(seed: int, classes: int, items: int, bins: int) -> None:
    draws = np.random.default_rng(seed)
    given_, true = draws.dirichlet(np.ones(classes), items).astype(np.float32), draws.integers(0, classes, items)
    error, bars = calibration(given_, true, bins)
    expected = 0.0
    for low, high, count, confidence, accuracy in bars:
        inside = [i for i in range(items) if low < float(given_[i].max()) <= high]
        assert len(inside) == count > 0
        assert confidence == pytest.approx(fmean(float(given_[i].max()) for i in inside))
        assert accuracy == pytest.approx(fmean(given_[i].argmax() == true[i] for i in inside))
        expected += count / items * abs(accuracy - confidence)
    assert sum(row[2] for row in bars) == items and [row[0] for row in bars] == sorted(row[0] for row in bars)
    assert error == pytest.approx(expected)
    order, names = draws.permutation(items), draws.permutation(classes)
    again, _ = calibration(given_[order][:, names], np.argsort(names)[true[order]], bins)
    assert again == pytest.approx(error)


def test_calibration_in_closed_form() -> None:
    certain = [[1.0, 0.0]] * 10
    assert calibration(certain, [0] * 10) == (0.0, [(14 / 15, 1.0, 10, 1.0, 1.0)])
    assert calibration(certain, [1] * 10)[0] == 1.0
    assert calibration([[0.8, 0.2]] * 5, [0, 0, 0, 0, 1])[0] == pytest.approx(0, abs=1e-12)  # 80 %, and right on 80 %
    assert calibration([[0.6, 0.4]] * 2 + [[1.0, 0.0]] * 6, [0, 0] + [0, 0, 0, 1, 1, 1])[0] == pytest.approx(
        2 / 8 * 0.4 + 6 / 8 * 0.5
    )


def test_an_edge_is_an_edge_in_32_bits_too() -> None:
    given = np.array([[p, 1 - p] for p in (0.6, 0.8, 0.4, 1 - 0.4, 0.61)])
    bins = [(round(low * 15), items) for low, _, items, *_ in calibration(given, [0] * 5)[1]]
    assert bins == [(8, 3), (9, 1), (11, 1)]
    narrow = [(round(low * 15), items) for low, _, items, *_ in calibration(given.astype(np.float32), [0] * 5)[1]]
    assert narrow == bins, "0.6 in 32 bits lies a hair above 9 / 15 in 64"


def test_a_confidence_at_an_edge_belongs_below_it() -> None:
    places = [calibration([[c, 1 - c]], [0], bins=10)[1][0][:2] for c in (0.5, 0.6, 0.61, 1.0)]
    assert places == [(0.4, 0.5), (0.5, 0.6), (0.6, 0.7), (0.9, 1.0)]


@pytest.mark.parametrize("score", [brier_score, calibration])
def test_probabilities_that_do_not_fit_are_refused(score: Callable[..., Any]) -> None:
    for rows, true, message in (
        ([0.5, 0.5], [0, 1], "do not fit"),
        ([[0.5, 0.5]], [0, 1], "do not fit"),
        ([[0.5, 0.5]], [2], "not in 0 to 1"),
        ([[0.5, 0.5]], [-1], "not in 0 to 1"),
    ):
        with pytest.raises(ValueError, match=message):
            score(rows, true)
    with pytest.raises(ValueError, match="bins = 0"):
        calibration([[0.5, 0.5]], [0], bins=0)


# -- repeats ------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(SEEDS, st.integers(2, 6), st.integers(2, 40), st.integers(2, 4))
def test_kappas_are_those_of_statsmodels_and_scikit_learn(seed: int, repeats: int, items: int, categories: int) -> None:
    from sklearn.metrics import cohen_kappa_score
    from statsmodels.stats.inter_rater import aggregate_raters
    from statsmodels.stats.inter_rater import fleiss_kappa as oracle

    draws = np.random.default_rng(seed)
    ratings = draws.integers(-1, categories, (repeats, items)).astype(np.int16)
    ratings[0, 0], ratings[1, 1] = 0, 1  # at least two categories
    kappa = fleiss_kappa(ratings, categories)
    assert kappa == pytest.approx(oracle(aggregate_raters(ratings.T)[0]), abs=1e-9)
    pair = cohen_kappa(ratings[0], ratings[1], categories)
    assert pair == pytest.approx(cohen_kappa_score(ratings[0], ratings[1]), abs=1e-9)
    assert cohen_kappa(ratings[1], ratings[0], categories) == pytest.approx(pair)
    order, names = draws.permutation(items), np.append(draws.permutation(categories), -1)
    shuffled = names[ratings[draws.permutation(repeats)][:, order]]
    assert fleiss_kappa(shuffled, categories) == pytest.approx(kappa)
    assert share_all_agree(shuffled) == share_all_agree(ratings)
    assert cohen_kappa(names[ratings[0][order]], names[ratings[1][order]], categories) == pytest.approx(pair)
    assert fleiss_kappa(ratings, categories + 3) == pytest.approx(kappa)  # a class that nobody gave


def test_fleiss_kappa_of_a_textbook_table() -> None:
    """Ten items, five categories, fourteen raters: the table of many textbooks, whose kappa is 0.210."""
    counts = [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
    ratings = np.array([np.repeat(range(5), row) for row in counts]).T
    assert fleiss_kappa(ratings, 5) == pytest.approx(0.20993, abs=5e-6)


def test_kappa_is_1_for_agreement_and_least_for_opposites() -> None:
    answers = np.array([0, 1, 1, -1, 0])
    assert fleiss_kappa([answers] * 3, 2) == pytest.approx(1) and cohen_kappa(answers, answers, 2) == pytest.approx(1)
    opposites = np.array([[0, 1, 0, 1], [1, 0, 1, 0]])
    assert fleiss_kappa(opposites, 2) == pytest.approx(-1) and cohen_kappa(
        opposites[0], opposites[1], 2
    ) == pytest.approx(-1)


def test_kappa_of_independent_answers_is_near_0() -> None:
    answers = np.random.default_rng(3).integers(0, 2, (4, 20_000))
    assert fleiss_kappa(answers, 2) == pytest.approx(0, abs=0.02)
    assert cohen_kappa(answers[0], answers[1], 2) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("category", [-1, 0, 1])
def test_one_category_alone_has_no_kappa(category: int) -> None:
    """All invalid is one such case."""
    same = np.full((3, 7), category)
    assert fleiss_kappa(same, 2) is None and cohen_kappa(same[0], same[1], 2) is None
    assert share_all_agree(same) == 1 and list(majority_vote(same)) == [category] * 7


def test_a_single_repeat_agrees_with_itself_without_a_kappa() -> None:
    assert fleiss_kappa([[0, 1, -1]], 2) is None
    assert share_all_agree([[0, 1, -1]]) == 1 and list(majority_vote([[0, 1, -1]])) == [0, 1, -1]


def test_majority_vote_takes_the_most_frequent_answer_and_leaves_ties_invalid() -> None:
    ratings = np.array([[0, 0, 0, -1, -1, 2], [0, 1, 0, -1, 0, 1], [1, 2, 1, 1, 0, 1], [1, 2, 2, 1, -1, 0]], np.int16)
    votes = majority_vote(ratings)
    assert list(votes) == [-1, 2, 0, -1, -1, 1] and votes.dtype == np.int16


@settings(max_examples=40)
@given(SEEDS, st.integers(1, 6), st.integers(1, 30))
def test_majority_vote_counted_by_hand(seed: int, repeats: int, items: int) -> None:
    draws = np.random.default_rng(seed)
    ratings = draws.integers(-1, 3, (repeats, items))
    votes = majority_vote(ratings)
    for item, vote in enumerate(votes):
        column = list(ratings[:, item])
        most = max(map(column.count, column))
        winners = {answer for answer in column if column.count(answer) == most}
        assert vote == (winners.pop() if len(winners) == 1 else -1)
    assert list(majority_vote(ratings[draws.permutation(repeats)])) == list(votes)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fleiss_kappa([[0, 2]], 2), "an answer is 2"),
        (lambda: fleiss_kappa([[0, -2]], 2), "an answer is -2"),
        (lambda: cohen_kappa([0, 1], [0, 3], 2), "an answer is 3"),
        (lambda: cohen_kappa([0, 1], [0], 2), "2 and 1 answers are not to the same items"),
        (lambda: share_all_agree([0, 1]), "at least one repeat"),
        (lambda: majority_vote(np.zeros((0, 4), int)), "at least one repeat"),
        (lambda: paired_table([True], [True, False]), "not to the same items"),
        (lambda: mcnemar_exact(-1, 3), "a_only = -1"),
        (lambda: paired_difference_interval(1, 2, -3, 4), "b_only = -3"),
        (lambda: paired_difference_interval(1, 2, 3, 4, confidence=0), "confidence = 0"),
        (lambda: holm([0.2, 1.5]), r"p = 1\.5"),
        (lambda: holm([math.nan]), "p = nan"),
        (lambda: smallest_detectable_difference(0), "0 items"),
        (lambda: smallest_detectable_difference(10, disagreement=0), "disagreement = 0"),
        (lambda: smallest_detectable_difference(10, power=1), "power = 1"),
        (lambda: smallest_detectable_difference(10, alpha=0), "not between 0 and 1"),
    ],
)
def test_what_cannot_be_is_refused_with_its_value(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


# -- pairs --------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(CELL, CELL)
def test_mcnemar_is_that_of_statsmodels_whoever_stands_first(a_only: int, b_only: int) -> None:
    from statsmodels.stats.contingency_tables import mcnemar

    p = mcnemar_exact(a_only, b_only)
    assert p == pytest.approx(mcnemar([[5, a_only], [b_only, 7]], exact=True).pvalue, rel=1e-9)
    assert mcnemar_exact(b_only, a_only) == p and 0 < p <= 1


def test_mcnemar_in_closed_form() -> None:
    assert mcnemar_exact(6, 0) == pytest.approx(2 / 2**6)
    assert mcnemar_exact(4, 1) == pytest.approx(12 / 2**5)
    assert mcnemar_exact(8, 8) == 1


@given(SEEDS, st.integers(0, 50))
def test_paired_table_counts_every_item_once(seed: int, items: int) -> None:
    a, b = np.random.default_rng(seed).integers(0, 2, (2, items)).astype(bool)
    both, a_only, b_only, neither = paired_table(a, b)
    assert both + a_only == a.sum() and both + b_only == b.sum() and both + a_only + b_only + neither == items
    assert paired_table(b, a) == (both, b_only, a_only, neither)
    assert paired_table(a, a) == (a.sum(), 0, 0, items - a.sum())


@settings(max_examples=15)  # the oracle takes its time
@given(st.lists(st.floats(0, 1), max_size=12), SEEDS)
def test_holm_is_that_of_statsmodels_in_any_order(p_values: list[float], seed: int) -> None:
    from statsmodels.stats.multitest import multipletests

    corrected = holm(p_values)
    if p_values:
        assert corrected == pytest.approx(list(multipletests(p_values, method="holm")[1]), abs=1e-12)
    order = np.random.default_rng(seed).permutation(len(p_values))
    assert holm([p_values[i] for i in order]) == pytest.approx([corrected[i] for i in order])
    assert all(p <= c <= 1 for p, c in zip(p_values, corrected, strict=True))


def test_holm_by_hand() -> None:
    assert holm([0.04]) == [0.04]
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1, 1]


@pytest.mark.parametrize(
    ("cells", "interval"),
    [
        ((36, 12, 2, 0), (0.0569, 0.3404)),
        ((20, 12, 2, 16), (0.0562, 0.3292)),
        ((35, 14, 0, 1), (0.1461, 0.4175)),
        ((18, 14, 0, 18), (0.1441, 0.3963)),
        ((2, 97, 1, 0), (0.8721, 0.9854)),
        ((0, 29, 1, 0), (0.6666, 0.9882)),
        ((1, 98, 0, 1), (0.9171, 0.9916)),
        ((0, 30, 0, 0), (0.8395, 1.0)),
        ((54, 0, 0, 0), (-0.0664, 0.0664)),
        ((53, 0, 0, 1), (-0.0729, 0.0729)),
        ((30, 0, 0, 24), (-0.0358, 0.0358)),
    ],
)
def test_paired_interval_is_as_printed_by_newcombe(
    cells: tuple[int, int, int, int], interval: tuple[float, float]
) -> None:
    """Table III of the paper, method 10."""
    assert newcombe_interval(*cells, two_sided(0.95)) == pytest.approx(interval, abs=6e-5)


def test_paired_interval_where_answers_go_against_each_other() -> None:
    """Bentur 2009, as computed by Fagerland, Lydersen and Laake, Statistics in Medicine 33 (2014), 2850-2875."""
    assert paired_difference_interval(1, 1, 7, 12) == pytest.approx((-0.507, -0.026), abs=5e-4)


@given(CELL, CELL, CELL, CELL)
def test_paired_interval_is_symmetric_and_holds_the_difference(
    both: int, a_only: int, b_only: int, neither: int
) -> None:
    items = both + a_only + b_only + neither
    low, high = paired_difference_interval(both, a_only, b_only, neither)
    assert -1 - 1e-9 <= low <= high <= 1 + 1e-9
    if items:
        assert low - 1e-12 <= (a_only - b_only) / items <= high + 1e-12
    swapped = paired_difference_interval(both, b_only, a_only, neither)
    assert swapped == pytest.approx((-high, -low), abs=1e-12)
    right_for_wrong = paired_difference_interval(neither, b_only, a_only, both)
    assert right_for_wrong == pytest.approx((-high, -low), abs=1e-12)


@pytest.mark.parametrize("shares", [(0.80, 0.06, 0.04, 0.10), (0.50, 0.20, 0.10, 0.20), (0.90, 0.03, 0.00, 0.07)])
def test_paired_interval_holds_the_true_difference_about_19_times_in_20(shares: tuple[float, ...]) -> None:
    drawn = np.random.default_rng(4).multinomial(200, shares, 1500)
    intervals = [paired_difference_interval(*map(int, cells)) for cells in drawn]
    held = np.mean([low <= shares[1] - shares[2] <= high for low, high in intervals])
    assert 0.93 < held < 0.99


# -- what a test set can show -------------------------------------------------------------------------------


def test_2500_items_at_10_percent_disagreement_show_less_than_1_8_points() -> None:
    assert smallest_detectable_difference(2500) == pytest.approx(0.01771, abs=5e-6)


@pytest.mark.parametrize(("items", "disagreement"), [(400, 0.10), (2500, 0.10), (1000, 0.30), (60, 0.10)])
def test_mcnemar_finds_the_smallest_detectable_difference_about_4_times_in_5(items: int, disagreement: float) -> None:
    difference = smallest_detectable_difference(items, disagreement)
    share = max(disagreement, difference)
    draws = np.random.default_rng(5)

    def power(true_difference: float) -> float:
        shares = [(share + true_difference) / 2, (share - true_difference) / 2, 1 - share]
        drawn = draws.multinomial(items, shares, 700)
        return float(np.mean([mcnemar_exact(int(a), int(b)) < 0.05 for a, b, _ in drawn]))

    assert 0.68 < power(difference) < 0.86
    assert power(difference / 2) < 0.40


@given(st.integers(1, 10**5), st.floats(0.01, 0.9), st.floats(0.5, 0.95))
def test_more_items_less_disagreement_or_less_power_show_smaller_differences(
    items: int, disagreement: float, power: float
) -> None:
    smallest = smallest_detectable_difference(items, disagreement, power)
    assert 0 < smallest <= 1
    assert smallest_detectable_difference(items * 2, disagreement, power) <= smallest
    assert smallest_detectable_difference(items, disagreement * 0.9, power) <= smallest + 1e-9
    assert smallest_detectable_difference(items, disagreement, power * 0.9) <= smallest + 1e-9


@given(st.integers(10, 10**5), st.floats(0.02, 0.5))
def test_the_smallest_detectable_difference_needs_connors_number_of_items(items: int, disagreement: float) -> None:
    smallest = smallest_detectable_difference(items, disagreement)
    share = max(disagreement, smallest)
    needed = ((1.959964 * math.sqrt(share) + 0.841621 * math.sqrt(share - smallest**2)) / smallest) ** 2
    assert needed == pytest.approx(items, rel=1e-4)


def test_the_table_in_the_docs_is_what_the_function_says() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "docs" / "statistics.md").read_text().splitlines()
        if line.startswith(("| test items |", "| points, "))
    ]
    sizes = [int(size.replace(",", "")) for size in rows[0][1:]]
    assert [row[0] for row in rows[1:]] == ["points, 10 % disagreement", "points, 20 % disagreement"]
    for row, disagreement in zip(rows[1:], (0.1, 0.2), strict=True):
        assert row[1:] == [f"{100 * smallest_detectable_difference(size, disagreement):.1f}" for size in sizes]


@pytest.mark.parametrize(("alpha", "items"), [(0.05, 6), (0.01, 8), (0.05 / 36, 11)])
def test_items_too_few_for_any_p_below_alpha_show_nothing(alpha: float, items: int) -> None:
    assert mcnemar_exact(items, 0) < alpha <= mcnemar_exact(items - 1, 0)
    assert (
        smallest_detectable_difference(items, alpha=alpha) < 1 == smallest_detectable_difference(items - 1, alpha=alpha)
    )


def test_three_items_show_nothing() -> None:
    assert smallest_detectable_difference(3) == 1.0


# -- pace ---------------------------------------------------------------------------------------------------


def test_ten_repeats_on_25000_items_are_measured_in_a_moment() -> None:
    draws = np.random.default_rng(6)
    true = draws.integers(0, 2, 25_000)
    ratings = np.where(draws.random((10, 25_000)) < 0.9, true, 1 - true).astype(np.int16)
    given_ = draws.dirichlet([1, 1], 25_000).astype(np.float32)
    confusion = table(true, ratings[0], 2)
    calls: dict[str, Callable[[], object]] = {
        "fleiss": lambda: fleiss_kappa(ratings, 2),
        "cohen": lambda: cohen_kappa(ratings[0], ratings[1], 2),
        "vote": lambda: majority_vote(ratings),
        "mean": lambda: mean_accuracy(ratings == true),
        "brier": lambda: brier_score(given_, true),
        "calibration": lambda: calibration(given_, true),
        "macro": lambda: macro_scores(confusion),
    }
    for name, call in calls.items():
        took_s = []
        for _ in range(4):
            started = time.perf_counter()
            call()
            took_s.append(time.perf_counter() - started)
        assert min(took_s) < 0.05, name
