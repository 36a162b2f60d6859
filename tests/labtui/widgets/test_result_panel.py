from collections.abc import Callable
from dataclasses import replace

import pytest

from engines.runs.folder import RunFolder
from engines.runs.home import Home
from labtui import groups, results
from labtui.results import ResultRow
from labtui.widgets.result_panel import axis_of, confusion_text, facts_text
from tests.labtui.measures import run_measures

Finished = Callable[..., RunFolder]
GOOD, FAIR = [[45, 5, 0], [5, 45, 0]], [[40, 10, 0], [10, 40, 0]]


def tree(home: Home) -> list[ResultRow]:
    return groups.gather(results.collect(home))


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
    gemma = next(top for top in groups.gather(results.published_rows()) if top.n == 3)
    assert confusion_text(gemma).plain == "no confusion matrix is published for it"
    said = facts_text(gemma, axis_of([gemma])).plain
    assert said.startswith("! UNTRAINED HEAD") and "sd 0.068   3 executions, varied: head" in said
    assert "not been read" not in said


def test_all_dot_strips_share_one_axis_of_whole_twentieths() -> None:
    tops = groups.gather(results.published_rows())
    assert axis_of(tops) == (0.45, 0.65)
    assert axis_of([]) == (0.0, 1.0)
    same = replace(tops[0], accuracies=(0.5, 0.5))
    assert axis_of([same]) == (0.5, 0.55)


@pytest.mark.parametrize("repeats", [None, [GOOD, FAIR]])
def test_without_room_every_line_fits_a_terminal_of_80(
    home: Home, finished: Finished, repeats: list[list[list[int]]] | None
) -> None:
    run = finished("a", GOOD, repeats=repeats)
    found = run_measures(run.name, repeats or [GOOD], varied="exemplars" if repeats else "")
    (row,) = groups.gather(results.collect(home), {run.name: found})
    for ascii_only in (False, True):
        text = facts_text(row, (0.45, 0.95), ascii_only, wide=False).plain
        assert max(map(len, text.splitlines())) <= 77 and "Brier 0.125   ECE 0.062   peak" in text
        assert text.isascii() is False or ascii_only
    assert ("macro prec. 0.900 0.890–0.910" in text) is (repeats is None), "no interval of a mean of means"


def test_one_deviation_and_one_interval_are_two_things(home: Home, finished: Finished) -> None:
    run = finished("a", GOOD, repeats=[GOOD, FAIR])
    (row,) = groups.gather(results.collect(home), {run.name: run_measures(run.name, [GOOD, FAIR], varied="x")})
    text = facts_text(row, (0.8, 0.9)).plain
    assert "±" not in text and "sd 0.071" in text
    assert "95 % of the mean 0.710–0.790 over the items, these repeats given" in text
