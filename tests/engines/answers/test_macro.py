import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.answers.intervals import wilson_interval
from engines.answers.macro import macro_scores
from tests.support import known

TABLES = st.integers(1, 4).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 60), min_size=k + 1, max_size=k + 1), min_size=k, max_size=k)
)


def answers(table: np.ndarray) -> tuple[list[int], list[int]]:
    true, predicted = np.nonzero(table)
    counts = table[true, predicted]
    return np.repeat(true, counts).tolist(), np.repeat(predicted, counts).tolist()


@settings(max_examples=60)
@given(TABLES)
def test_macro_scores_are_those_of_scikit_learn_over_the_classes_that_count(rows: list[list[int]]) -> None:
    from sklearn.metrics import f1_score, precision_score, recall_score

    table = np.array(rows)
    macro = macro_scores(table)
    if not table.sum():
        assert all((s.value, s.interval, s.reason) == (None, None, "no test items") for s in macro.values())
        return
    true, predicted = answers(table)
    tested = np.flatnonzero(table.sum(axis=1))
    named = np.flatnonzero(table.sum(axis=1) + table[:, :-1].sum(axis=0))
    options = {"average": "macro", "zero_division": 0}
    assert macro["macro_recall"].value == pytest.approx(recall_score(true, predicted, labels=tested, **options))
    assert macro["macro_precision"].value == pytest.approx(precision_score(true, predicted, labels=named, **options))
    assert macro["macro_f1"].value == pytest.approx(f1_score(true, predicted, labels=named, **options))


@settings(max_examples=100)
@given(TABLES, st.floats(0.5, 0.99))
def test_a_score_lies_inside_its_interval_and_there_is_one_or_a_reason(rows: list[list[int]], level: float) -> None:
    table = np.array(rows)
    for score in macro_scores(table, level).values():
        assert (score.interval is None) == bool(score.reason)
        if score.interval and score.value is not None:
            low, high = score.interval
            assert 0 <= low <= score.value <= high <= 1 and low < high


def test_two_items_a_class_have_no_interval_and_the_reason_counts_the_classes() -> None:
    table = np.zeros((77, 78), dtype=int)
    np.fill_diagonal(table, 2)
    assert {(s.interval, s.reason) for s in macro_scores(table).values()} == {(None, "too few items in 77 classes")}
    table[:76] *= 10
    assert macro_scores(table)["macro_f1"].reason == "too few items in 1 class"


def test_a_class_that_is_only_predicted_counts_in_precision_and_f1_and_not_in_recall() -> None:
    macro = macro_scores([[40, 0, 10, 0], [0, 50, 0, 0], [0, 0, 0, 0]])
    assert macro["macro_recall"].value == pytest.approx(0.9) and macro["macro_recall"].interval
    assert macro["macro_precision"].value == pytest.approx(2 / 3)
    assert macro["macro_precision"].reason == "too few items in 1 class"
    assert macro_scores([[40, 0, 0], [0, 0, 0]])["macro_f1"].value == 1  # an absent class counts nowhere


def test_all_right_leaves_a_doubt() -> None:
    for score in macro_scores([[50, 0, 0], [0, 50, 0]]).values():
        assert score.interval is not None
        assert score.interval[1] == 1 and 0.9 < score.interval[0] < 0.99


def test_with_many_items_the_interval_of_recall_is_the_normal_one() -> None:
    half = 1.959964 * np.sqrt((0.8 * 0.2 / 1000 + 0.6 * 0.4 / 1500) / 4)
    interval = macro_scores([[800, 200, 0], [500, 900, 100]])["macro_recall"].interval
    assert interval == pytest.approx((0.7 - half, 0.7 + half), abs=0.001)


def test_of_one_class_the_interval_of_recall_is_nearly_wilsons() -> None:
    assert macro_scores([[180, 20]])["macro_recall"].interval == pytest.approx(wilson_interval(180, 200), abs=0.003)


def test_the_variance_of_f1_is_that_of_drawn_items() -> None:
    shares = np.array([[0.30, 0.06, 0.03, 0.01], [0.02, 0.35, 0.03, 0.0], [0.05, 0.01, 0.13, 0.01]])
    drawn = np.random.default_rng(8).multinomial(3000, shares.ravel(), 2000).reshape(-1, 3, 4)
    for name in ("macro_recall", "macro_precision", "macro_f1"):
        scores = [macro_scores(table)[name] for table in drawn[:300]]
        half = np.mean([(s.interval[1] - s.interval[0]) / 2 for s in scores if s.interval])
        spread = np.std([known(macro_scores(table)[name].value) for table in drawn])
        assert half == pytest.approx(1.96 * spread, rel=0.06)


@pytest.mark.parametrize(
    ("confusion", "level", "message"),
    [
        ([[1, 2], [3, 4]], 0.95, r"shape \(2, 2\)"),
        ([], 0.95, r"shape \(0,\)"),
        ([[-1, 2]], 0.95, "negative"),
        ([[1, 2]], 1.0, r"confidence = 1\.0"),
    ],
)
def test_what_is_no_confusion_matrix_is_refused(confusion: list[list[int]], level: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        macro_scores(confusion, level)
