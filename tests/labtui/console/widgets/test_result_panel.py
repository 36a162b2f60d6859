from collections.abc import Callable
from dataclasses import replace

import pytest

from engines.runs.folder import RunFolder
from engines.runs.home import Home
from labtui.console.widgets.result_panel import (
    agreement_words,
    axis_of,
    confusion_text,
    facts_text,
    gathered,
    matrix_text,
)
from labtui.results import groups
from labtui.results.rows import ResultRow, collect_rows, published_rows
from tests.labtui.measures import run_measures

Finished = Callable[..., RunFolder]
GOOD, FAIR = [[45, 5, 0], [5, 45, 0]], [[40, 10, 0], [10, 40, 0]]


def tree(home: Home) -> list[ResultRow]:
    return groups.gather(collect_rows(home))


def test_the_matrix_shows_shares_of_the_true_class(home: Home, finished: Finished) -> None:
    finished("a", [[3, 1, 0], [0, 0, 0]])
    (row,) = tree(home)
    lines = confusion_text(row).plain.splitlines()
    assert lines[1].split() == ["negative", "3", "75.0", "%", "1", "25.0", "%"]
    assert lines[2].split() == ["positive", "0", "–", "0", "–"]


def test_the_matrix_of_several_executions_says_that_it_is_their_sum(home: Home, finished: Finished) -> None:
    finished("a", GOOD, repeats=[GOOD, FAIR])
    lines = confusion_text(tree(home)[0]).plain.splitlines()
    assert lines[1].split()[:3] == ["negative", "85", "85.0"] and lines[-1] == "the sum of 2 repeats"


def test_published_figures_say_that_no_matrix_is_known() -> None:
    gemma = next(top for top in groups.gather(published_rows()) if top.n == 3)
    assert confusion_text(gemma).plain == "no confusion matrix is published for it"
    text = facts_text(gemma, axis_of([gemma])).plain
    assert text.startswith("! UNTRAINED HEAD") and "sd 0.068   3 executions, varied: head" in text
    assert "not been read" not in text


def test_all_dot_strips_share_one_axis_of_whole_twentieths() -> None:
    tops = groups.gather(published_rows())
    assert axis_of(tops) == (0.45, 0.65)
    assert axis_of([]) == (0.0, 1.0)
    same = replace(tops[0], accuracies=(0.5, 0.5))
    assert axis_of([same]) == (0.5, 0.55)


@pytest.mark.parametrize("repeats", [None, [GOOD, FAIR]])
def test_without_room_every_line_fits_a_terminal_of_80(
    home: Home, finished: Finished, repeats: list[list[list[int]]] | None
) -> None:
    run = finished("a", GOOD, repeats=repeats)
    measured = run_measures(run.name, repeats or [GOOD], varied="exemplars" if repeats else "")
    (row,) = groups.gather(collect_rows(home), {run.name: measured})
    for ascii_only in (False, True):
        text = facts_text(row, (0.45, 0.95), ascii_only, wide=False).plain
        assert max(map(len, text.splitlines())) <= 77 and "Brier score 0.125   calibration error 0.062" in text
        assert text.isascii() is False or ascii_only
    assert ("macro prec. 0.900 0.890–0.910" in text) is (repeats is None), "no interval of a mean of means"


def test_one_deviation_and_one_interval_are_two_things(home: Home, finished: Finished) -> None:
    run = finished("a", GOOD, repeats=[GOOD, FAIR])
    (row,) = groups.gather(collect_rows(home), {run.name: run_measures(run.name, [GOOD, FAIR], varied="x")})
    text = facts_text(row, (0.8, 0.9)).plain
    assert "±" not in text and "sd 0.071" in text
    assert "95 % of the mean 0.710–0.790, over other items and other repeats" in text


@pytest.mark.parametrize(
    ("kappa", "words"),
    [
        (-0.074, "no more than by chance"),
        (0.0, "no more than by chance"),
        (-0.5, "less than by chance"),
        (0.3, "a little more"),
        (0.7, "most of what chance leaves open"),
        (1.0, "almost always"),
        (None, "no kappa"),
    ],
)
def test_kappa_is_said_in_words(kappa: float | None, words: str) -> None:
    assert words in agreement_words(kappa)


def test_what_all_runs_of_a_group_are_warned_of_is_said_once() -> None:
    assert gathered(["loss rose: 1", "few items", "loss rose: 2"]) == ["loss rose: 1; and of 1 more", "few items"]


def test_answers_that_cannot_be_read_are_not_said_to_follow(home: Home, finished: Finished) -> None:
    run = finished("a", GOOD)
    (row,) = groups.gather(collect_rows(home), unreadable={run.name: "its answers are torn; run it again"})
    text = facts_text(row, (0.45, 0.95)).plain
    assert "torn" in text and "not been read yet" not in text


def test_a_matrix_wider_than_the_panel_gives_way_to_the_most_frequent_mistakes(home: Home, finished: Finished) -> None:
    finished("a", GOOD)
    (row,) = tree(home)
    text = confusion_text(row, 38).plain
    assert text.splitlines()[1].split()[:3] == ["5", "of", "50"] and "taken for" in text.splitlines()[1]


def test_a_matrix_without_room_gives_way_to_its_most_frequent_mistakes() -> None:
    labels = [f"a class with a rather long name {n}" for n in range(9)]
    table = [[9 - i if i == j else int(j == i + 1) * i for j in range(10)] for i in range(9)]
    text = matrix_text(labels, table, "true", "invalid", 76).plain
    first, worst, *_ = text.splitlines()
    assert "9 classes" in first and worst.split()[:3] == ["8", "of", "9"] and worst.endswith("taken for invalid")
    assert max(map(len, text.splitlines())) <= 76 and len(text.splitlines()) == 6


def test_large_counts_stay_apart_in_the_matrix() -> None:
    lines = matrix_text(["negative", "positive"], [[12500, 0, 0], [0, 12500, 0]], "true", "invalid").plain
    assert lines.splitlines()[1].split() == ["negative", "12,500", "100.0", "%", "0", "0.0", "%"]
