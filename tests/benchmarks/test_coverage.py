"""A few cells of docs/benchmarks/coverage.md that count quickly, with the seeds of the page."""

import json

import numpy as np
import pytest

from benchmarks import coverage, harness


@pytest.mark.parametrize(("classes", "items", "rare"), [(2, 300, True), (20, 500, False), (77, 1000, False)])
def test_macro_intervals_hold_the_true_score_19_times_in_20(classes: int, items: int, rare: bool) -> None:
    cell = coverage.macro_cell(classes, items, 0.9, rare, uneven=True, data_sets=400)
    for name in coverage.SCORES:
        assert cell["shown"][name] > 200 and 0.915 < cell[name] < 0.985
    assert cell["figure outside"] == 0


@pytest.mark.parametrize(("repeats", "sd"), [(3, 0), (3, 3), (5, 1)])
def test_the_crossed_interval_holds_the_true_mean_and_the_one_over_items_does_not(repeats: int, sd: float) -> None:
    cell = coverage.mean_cell("half", repeats, 1000, sd, 0.9, 400)
    assert 0.91 < cell["coverage"] < 0.99
    assert cell["items only"] < 0.6 if sd == 3 else cell["items only"] > 0.6
    if not sd:
        assert cell["width"] < 1.4


@pytest.mark.parametrize("sd", [0, 2])
def test_equally_good_methods_are_seldom_told_apart_and_often_by_items_alone(sd: float) -> None:
    cell = coverage.groups_cell("half", (3, 3), 1000, (sd, sd), 300)
    assert cell["type I error"] < 0.06 + 2 * 0.014
    assert not sd or cell["items only"] > 0.3


def test_tango_is_nearer_to_95_percent_than_newcombe() -> None:
    cells = [coverage.paired_cell(100, disagreement, 0.02, 1000) for disagreement in (0.04, 0.1)]
    away = {name: sum(abs(cell[name] - 0.95) for cell in cells) for name in ("tango", "newcombe")}
    assert away["tango"] < away["newcombe"] and all(0.93 < cell["tango"] < 0.99 for cell in cells)


def test_copies_of_texts_are_no_more_evidence() -> None:
    cell = coverage.clusters_cell(50, "ten", 1.0, 0.9, 300)
    assert cell["accuracy"] > 0.92 and cell["error"] < 0.06
    assert cell["accuracy, items alone"] < 0.7 and cell["error, items alone"] > 0.3


def test_each_drawn_answer_is_right_as_often_as_its_repeat() -> None:
    draws = np.random.default_rng(1)
    right = coverage.answers(np.array([0.3, 0.6, 0.9]), 0.5, 50_000, draws)
    assert right.shape == (3, 50_000) and right.mean(axis=1) == pytest.approx([0.3, 0.6, 0.9], abs=0.01)


def test_the_page_is_what_the_figures_say() -> None:
    tables = json.loads((harness.DOCS / "coverage.json").read_text(encoding="utf-8"))["tables"]
    page = (harness.DOCS / "coverage.md").read_text(encoding="utf-8")
    assert tables.keys() == coverage.TABLES.keys()
    for name, (_, _, words) in coverage.TABLES.items():
        assert words(tables[name]["rows"], tables[name]["data sets"]) in page
