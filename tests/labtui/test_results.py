import csv
import io
import json
from collections.abc import Callable

import pytest

from engines.parts.statistics import wilson_interval
from engines.reporter import Reporter
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.settings import UserError
from labtui import results, tables

Finished = Callable[..., RunFolder]


def test_a_finished_run_gives_accuracy_interval_and_recall_of_each_class(home: Home, finished: Finished) -> None:
    folder = finished("quickstart/loop", [[40, 5, 5], [10, 40, 0]], engine="finetune_loop")
    (row,) = results.collect(home)
    assert (row.run, row.experiment, row.engine) == (folder.name, "quickstart/loop", "finetune_loop")
    assert (row.accuracy, row.items, row.invalid) == (0.8, 100, 5)
    assert row.interval == pytest.approx(wilson_interval(80, 100))
    assert row.recall == {"negative": 0.8, "positive": 0.8}
    assert row.macro_f1 is not None and row.training_seconds is not None and row.items_per_s is not None
    assert row.memory_peak_bytes and row.memory_on_host


def test_only_finished_runs_with_a_test_split_are_compared(home: Home, finished: Finished) -> None:
    finished("validated", [[4, 1, 0], [1, 4, 0]], split="validation")
    running = RunFolder.create(home, {"experiment": "running", "engine": "x"})
    report = Reporter(running)
    report.evaluated("test", {"accuracy": 1.0}, ["a", "b"], [[1, 0, 0], [0, 1, 0]])
    report.close()
    assert results.collect(home) == []
    assert [row.experiment for row in results.Follower(home).finished()] == ["validated"]


def test_a_finished_run_is_read_once_and_a_new_one_is_seen(
    home: Home, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished("a", [[1, 0, 0], [0, 1, 0]])
    follower = results.Follower(home)
    assert len(follower.scored()) == 1
    read: list[str] = []
    original = results.result_of
    monkeypatch.setattr(results, "result_of", lambda folder: read.append(folder.name) or original(folder))
    assert len(follower.scored()) == 1 and read == []
    new = finished("b", [[1, 0, 0], [0, 1, 0]])
    assert len(follower.scored()) == 2 and read == [new.name]


def test_a_run_that_tuned_a_model_has_a_second_row_for_the_model_before(home: Home, finished: Finished) -> None:
    folder = finished("tuned", [[45, 5, 0], [10, 40, 0]], before=[[30, 10, 10], [30, 20, 0]])
    tuned, before = results.collect(home)
    assert (tuned.variant, tuned.accuracy, tuned.invalid) == ("", 0.85, 0)
    assert (before.variant, before.accuracy, before.invalid, before.items) == ("before tuning", 0.5, 10, 100)
    assert before.interval == pytest.approx(wilson_interval(50, 100)) and before.recall["positive"] == 0.4
    assert tuned.run == before.run == folder.name and tuned.key != before.key
    assert results.name_of(before) == f"{results.name_of(tuned)} before tuning"
    assert before.training_seconds is None and tuned.training_seconds is not None
    assert [row.run for row in results.Follower(home).finished()] == [folder.name], "one model to classify with"


def test_published_figures_are_marked_and_come_only_when_asked_for(home: Home, finished: Finished) -> None:
    finished("a", [[9, 1, 0], [0, 10, 0]])
    assert [row.published for row in results.collect(home)] == [False]
    published = [row for row in results.collect(home, published=True) if row.published]
    figures = {row.title: (row.accuracy, row.items) for row in published}
    assert figures["DistilBERT loop"] == (0.9382, 10_000)
    assert figures["Mistral-7B before tuning"] == (0.63, 100)
    assert [figures[f"Gemma-2b zero-shot {n}/3"][0] for n in (1, 2, 3)] == [0.4936, 0.6216, 0.5996]
    for row in published:
        assert "original study" in row.source and results.name_of(row).startswith("published: ")
        assert "untrained head" in row.note or not row.title.startswith("Gemma")


def test_rows_sort_by_every_column_with_the_unknown_last_both_ways(home: Home, finished: Finished) -> None:
    finished("a", [[9, 1, 0], [0, 10, 0]])
    finished("b", [[5, 5, 0], [0, 10, 0]])
    rows = results.collect(home, published=True)
    for column in results.columns(rows):
        for descending in (True, False):
            values = [column.value(row) for row in results.sort(rows, column.key, descending)]
            known = [v for v in values if v not in (None, "")]
            assert known == sorted(known, reverse=descending) and known == values[: len(known)]
    assert [r.experiment for r in results.sort(rows, "accuracy") if not r.published] == ["a", "b"]
    assert results.sort(rows, "items")[0].items == 10_000
    with pytest.raises(UserError, match='no column "acuracy"; did you mean "accuracy"'):
        results.sort(rows, "acuracy")


def test_json_is_an_array_of_objects_in_full_precision(home: Home, finished: Finished) -> None:
    folder = finished("quickstart/loop", [[1, 2, 0], [0, 3, 0]])
    (found,) = json.loads(tables.to_json(results.collect(home)))
    assert (found["run"], found["config"], found["engine"]) == (folder.name, "quickstart/loop", "bag_of_words")
    assert (found["state"], found["model"], found["items"]) == ("finished", "tiny", 6)
    assert found["accuracy"] == 4 / 6 and found["recall"]["negative"] == 1 / 3
    assert json.loads(tables.to_json([])) == []


def test_csv_has_a_line_a_run_and_a_column_a_class(home: Home, finished: Finished) -> None:
    finished("two", [[1, 2, 0], [0, 3, 0]])
    finished("three", [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]], labels=["a", "b", 'c, "quoted"'])
    lines = list(csv.DictReader(io.StringIO(tables.to_csv(results.collect(home, published=True)))))
    by_name = {line["config"]: line for line in lines if line["state"] == "finished"}
    assert float(by_name["two"]["accuracy"]) == 4 / 6 and by_name["two"]["recall.a"] == ""
    assert by_name["three"]['recall.c, "quoted"'] == "0.0" and by_name["three"]["invalid"] == "1"
    assert sum(line["state"] == "published" for line in lines) == 7
    assert tables.to_csv([]).splitlines() == ["run,config,engine,state,model,accuracy,items"]


def test_table_and_markdown_name_the_published_rows_and_keep_their_columns(home: Home, finished: Finished) -> None:
    finished("quickstart/a|b", [[9, 1, 0], [0, 10, 0]])
    rows = results.collect(home, published=True)
    table = tables.to_table(rows)[0].splitlines()
    assert table[0].split()[:2] == ["run", "accuracy"]
    assert table[1].startswith("quickstart/a|b") and " 0.950 " in table[1]
    assert sum(line.startswith("published: ") for line in table[1:9]) == 7
    markdown = tables.RECORDS["md"](rows).splitlines()
    bars = {line.replace("\\|", "").count("|") for line in markdown if line.startswith("|")}
    assert len(bars) == 1
    assert any("untrained head" in line for line in markdown)
    assert sum("Source: " in line for line in markdown) == sum("Source: " in line for line in table) == 1
    assert sum("untrained head" in line for line in table) == 1  # one note for the three rows that share it
    assert tables.to_table([]) == ("", [])


@pytest.mark.parametrize("width", [60, 80, 120, 300])
def test_a_table_for_a_terminal_leaves_out_what_weighs_least(home: Home, finished: Finished, width: int) -> None:
    finished("quickstart/distilbert-trainer", [[9, 1, 0], [0, 10, 0]])
    rows = results.collect(home)
    text, dropped = tables.to_table(rows, width)
    head = text.splitlines()[0]
    assert max(map(len, text.splitlines())) <= max(width, len("  ".join(head.split("  ")[:3])) + 60)
    assert width < 80 or max(map(len, text.splitlines())) <= width
    assert all(name in head for name in ("run", "accuracy", "95 %"))
    assert bool(dropped) is (width < 300) and not any(f"  {name}  " in head for name in dropped)


def test_escape_sequences_of_a_run_reach_no_export(home: Home, finished: Finished) -> None:
    finished("evil\x1b]52;c;aGk=\x07[/i]", [[9, 1, 0], [0, 10, 0]], labels=["neg\x1b[31m", "pos"], model="m\x9b2J")
    rows = results.collect(home)
    for text in (tables.to_table(rows)[0], tables.RECORDS["md"](rows), tables.to_csv(rows)):
        assert "\x1b" not in text and "\x9b" not in text
