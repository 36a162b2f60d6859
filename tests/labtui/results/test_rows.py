from collections.abc import Callable
from typing import Any

import pytest

from engines.answers.intervals import wilson_interval
from engines.errors import UserError
from engines.reporter import Reporter
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.scores import Scores
from labtui.results import rows
from labtui.results.columns import columns_for, sort_rows
from labtui.results.rows import Follower, collect_rows, name_of, result_of

Finished = Callable[..., RunFolder]


def test_a_finished_run_gives_accuracy_interval_and_recall_of_each_class(home: Home, finished: Finished) -> None:
    folder = finished("quickstart/loop", [[40, 5, 5], [10, 40, 0]], engine="finetune_loop")
    (row,) = collect_rows(home)
    assert (row.run, row.experiment, row.engine) == (folder.name, "quickstart/loop", "finetune_loop")
    assert (row.accuracy, row.items, row.invalid) == (0.8, 100, 5)
    assert row.interval == pytest.approx(wilson_interval(80, 100))
    assert row.recall == {"negative": 0.8, "positive": 0.8}
    assert row.figure("macro_f1") is not None and row.training_seconds is not None and row.items_per_s is not None
    assert row.memory_peak_bytes and row.memory_on_host


def test_only_finished_runs_with_a_test_split_are_compared(home: Home, finished: Finished) -> None:
    finished("validated", [[4, 1, 0], [1, 4, 0]], split="validation")
    running = RunFolder.create(home, {"experiment": "running", "engine": "x"})
    report = Reporter(running)
    report.evaluated("test", Scores(accuracy=1.0), ["a", "b"], [[1, 0, 0], [0, 1, 0]])
    report.close()
    assert collect_rows(home) == []
    assert [row.experiment for row in Follower(home).finished()] == ["validated"]


def test_a_finished_run_is_read_once_and_a_new_one_is_seen(
    home: Home, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished("a", [[1, 0, 0], [0, 1, 0]])
    follower = Follower(home)
    assert len(follower.scored()) == 1
    read: list[str] = []
    original = result_of

    def noted(folder: RunFolder) -> Any:
        read.append(folder.name)
        return original(folder)

    monkeypatch.setattr(rows, "result_of", noted)
    assert len(follower.scored()) == 1 and read == []
    new = finished("b", [[1, 0, 0], [0, 1, 0]])
    assert len(follower.scored()) == 2 and read == [new.name]


def test_a_run_that_tuned_a_model_has_a_second_row_for_the_model_before(home: Home, finished: Finished) -> None:
    folder = finished("tuned", [[45, 5, 0], [10, 40, 0]], before=[[30, 10, 10], [30, 20, 0]])
    tuned, before = collect_rows(home)
    assert (tuned.variant, tuned.accuracy, tuned.invalid) == ("", 0.85, 0)
    assert (before.variant.words, before.accuracy, before.invalid, before.items) == ("before tuning", 0.5, 10, 100)
    assert before.interval == pytest.approx(wilson_interval(50, 100)) and before.recall["positive"] == 0.4
    assert tuned.run == before.run == folder.name and tuned.key != before.key
    assert name_of(before) == f"{name_of(tuned)} before tuning"
    assert before.training_seconds is None and tuned.training_seconds is not None
    assert [row.run for row in Follower(home).finished()] == [folder.name], "one model to classify with"


def test_published_figures_are_marked_and_come_only_when_asked_for(home: Home, finished: Finished) -> None:
    finished("a", [[9, 1, 0], [0, 10, 0]])
    assert [row.published for row in collect_rows(home)] == [False]
    published = [row for row in collect_rows(home, published=True) if row.published]
    figures = {row.title: (row.accuracy, row.items) for row in published}
    assert figures["DistilBERT loop"] == (0.9382, 10_000)
    assert figures["Mistral-7B before tuning"] == (0.63, 100)
    assert [figures[f"Gemma-2b zero-shot {n}/3"][0] for n in (1, 2, 3)] == [0.4936, 0.6216, 0.5996]
    for row in published:
        assert "founding study" in row.source and name_of(row).startswith("published: ")
        assert "untrained head" in row.note or not row.title.startswith("Gemma")


def test_rows_sort_by_every_column_with_the_unknown_last_both_ways(home: Home, finished: Finished) -> None:
    finished("a", [[9, 1, 0], [0, 10, 0]])
    finished("b", [[5, 5, 0], [0, 10, 0]])
    rows = collect_rows(home, published=True)
    for column in columns_for(rows):
        for descending in (True, False):
            values = [column.value(row) for row in sort_rows(rows, column.key, descending)]
            known = [v for v in values if v not in (None, "")]
            assert known == sorted(known, reverse=descending) and known == values[: len(known)]
    assert [r.experiment for r in sort_rows(rows, "accuracy") if not r.published] == ["a", "b"]
    assert sort_rows(rows, "items")[0].items == 10_000
    with pytest.raises(UserError, match='no column "acuracy"; did you mean "accuracy"'):
        sort_rows(rows, "acuracy")
