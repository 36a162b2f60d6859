import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from engines.answers import scoring
from engines.data.items import Example
from engines.reporter import Reporter
from engines.runs import events as ev
from engines.runs.event_files import EventReader
from engines.runs.folder import RunFolder
from engines.runs.home import Home

LABELS = ["negative", "neutral", "positive"]
ANSWERS = st.lists(st.tuples(st.integers(0, 2), st.none() | st.integers(0, 2)), min_size=1, max_size=60)


@settings(deadline=None)
@given(ANSWERS)
def test_scores_are_those_of_scikit_learn(pairs: list[tuple[int, int | None]]) -> None:
    true, predicted = [t for t, _ in pairs], [p for _, p in pairs]
    scores = scoring.scores(scoring.confusion_matrix(true, predicted, 3), LABELS)
    theirs = [3 if p is None else p for p in predicted]  # invalid as a class of its own, not among those averaged
    assert scores.accuracy == pytest.approx(metrics.accuracy_score(true, theirs))
    for name, labels in (
        ("recall", sorted(set(true))),
        ("precision", named := sorted({*true, *(p for p in predicted if p is not None)})),
        ("f1", named),
    ):
        theirs_of = {"recall": metrics.recall_score, "precision": metrics.precision_score, "f1": metrics.f1_score}[name]
        of_class = getattr(scores, name)
        assert list(of_class) == [LABELS[c] for c in labels]
        per_class = theirs_of(true, theirs, labels=labels, average=None, zero_division=0)
        assert list(of_class.values()) == pytest.approx(list(per_class))
        mean = theirs_of(true, theirs, labels=labels, average="macro", zero_division=0)
        assert scores.value(f"macro_{name}") == pytest.approx(mean)


@settings(deadline=None)
@given(ANSWERS)
def test_confusion_has_a_row_a_true_class_and_invalid_last(pairs: list[tuple[int, int | None]]) -> None:
    matrix = scoring.confusion_matrix([t for t, _ in pairs], [p for _, p in pairs], 3)
    for true in range(3):
        assert matrix[true][3] == sum(t == true and p is None for t, p in pairs)
        for predicted in range(3):
            assert matrix[true][predicted] == sum((t, p) == (true, predicted) for t, p in pairs)


def test_an_invalid_answer_is_wrong_and_counted_apart() -> None:
    scores = scoring.scores([[1, 0, 1], [0, 2, 0]], ["no", "yes"])
    assert scores.invalid == 1
    assert scores.accuracy == 0.75 and scores.accuracy_answered == 1.0
    assert scores.recall == {"no": 0.5, "yes": 1.0} and scores.precision == {"no": 1.0, "yes": 1.0}


def test_a_class_that_is_neither_tested_nor_predicted_counts_nowhere() -> None:
    scores = scoring.scores([[8, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], ["a", "b", "c"])
    assert scores.recall == {"a": 0.8} and scores.precision == {"a": 1.0, "b": 0.0}
    assert (scores.macro_recall, scores.macro_precision) == (0.8, 0.5)
    assert scores.macro_f1 == pytest.approx(sum(scores.f1.values()) / 2)


def test_a_mean_over_repeats_holds_the_classes_that_all_have() -> None:
    both = [scoring.scores(table, ["a", "b"]) for table in ([[8, 2, 0], [0, 0, 0]], [[10, 0, 0], [0, 0, 0]])]
    assert scoring.over_repeats(both).precision == {"a": 1.0} and scoring.over_repeats(both).recall == {"a": 0.9}


def test_no_answer_at_all_scores_zero() -> None:
    assert scoring.scores([[0, 0, 2], [0, 0, 1]], ["no", "yes"]).accuracy_answered == 0.0


def test_conclude_writes_a_line_an_item_and_reports_the_same_figures(home: Home) -> None:
    folder = RunFolder.create(home, {"experiment": "x"})
    items = [("fine", 1, "aa"), ("dull", 0, "bb"), ("odd", 1, "cc")]
    examples = [Example(text=text, label=label, row=row, hash=key) for row, (text, label, key) in enumerate(items)]
    report = Reporter(folder)
    result = scoring.conclude(
        report, examples, ["no", "yes"], [[0.25, 0.75], [0.5, 0.5], [math.nan, 1.0]], tokens_read=[3, 4, 5], loss=0.5
    )
    report.close()
    lines = [json.loads(line) for line in folder.predictions.read_text().splitlines()]
    assert lines == [
        {
            "hash": "aa",
            "label": "yes",
            "predicted": "yes",
            "probabilities": [0.25, 0.75],
            "tokens_read": 3,
            "repeat": 0,
        },
        {"hash": "bb", "label": "no", "predicted": "no", "probabilities": [0.5, 0.5], "tokens_read": 4, "repeat": 0},
        {
            "hash": "cc",
            "label": "yes",
            "predicted": None,
            "probabilities": [None, 1.0],
            "tokens_read": 5,
            "repeat": 0,
            "not_finite": {"probabilities.0": "nan"},
        },
    ]
    (record,) = EventReader(folder.events).read()
    assert record.event == ev.Evaluated("test", 3, result, ["no", "yes"], [[1, 0, 0], [0, 1, 1]], loss=0.5)
    assert result.accuracy == pytest.approx(2 / 3) and result.invalid == 1
    assert {p.name for p in folder.path.iterdir()} == {"config.toml", "events.jsonl", "predictions.jsonl", "requests"}
