import csv
import io
import json
import re
from collections.abc import Callable
from statistics import stdev

import pytest

from engines.runs.folder import RunFolder
from engines.runs.home import Home
from labtui.results import tables
from labtui.results.columns import Column, known_columns, sort_rows
from labtui.results.rows import ResultRow, collect_rows

Finished = Callable[..., RunFolder]
EVIL = "50 % of $x_1 & {y} #2 ~ ^ \\ <b>"


def rows_and_columns(home: Home, published: bool = False) -> tuple[list[ResultRow], list[Column]]:
    rows = collect_rows(home, published=published)
    return rows, known_columns(rows)


# -- all that is known of the rows ------------------------------------------------------------------------


def test_json_is_an_array_of_objects_in_full_precision(home: Home, finished: Finished) -> None:
    folder = finished("quickstart/loop", [[1, 2, 0], [0, 3, 0]])
    (document,) = json.loads(tables.to_json(collect_rows(home)))
    assert (document["run"], document["config"], document["engine"]) == (folder.name, "quickstart/loop", "bag_of_words")
    assert (document["state"], document["model"], document["items"]) == ("finished", "tiny", 6)
    assert document["accuracy"] == 4 / 6 and document["recall"]["negative"] == 1 / 3
    assert json.loads(tables.to_json([])) == []


def test_csv_has_a_line_a_run_and_a_column_a_class(home: Home, finished: Finished) -> None:
    finished("two", [[1, 2, 0], [0, 3, 0]])
    finished("three", [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]], labels=["a", "b", 'c, "quoted"'])
    lines = list(csv.DictReader(io.StringIO(tables.to_csv(collect_rows(home, published=True)))))
    by_name = {line["config"]: line for line in lines if line["state"] == "finished"}
    assert float(by_name["two"]["accuracy"]) == 4 / 6 and by_name["two"]["recall.a"] == ""
    assert by_name["three"]['recall.c, "quoted"'] == "0.0" and by_name["three"]["invalid"] == "1"
    assert sum(line["state"] == "published" for line in lines) == 7
    assert tables.to_csv([]).splitlines() == ["run,config,engine,state,model,accuracy,items"]


def test_json_and_csv_hold_the_repeats_and_what_they_varied(home: Home, finished: Finished) -> None:
    tables_of = [[[8, 2, 0], [0, 10, 0]], [[10, 0, 0], [0, 10, 0]], [[5, 5, 0], [0, 10, 0]]]
    finished("many", tables_of[0], repeats=tables_of, varied="template")
    finished("once", [[9, 1, 0], [0, 10, 0]])
    rows = sort_rows(collect_rows(home), "accuracy")
    once, many = json.loads(tables.to_json(rows))
    assert (many["repeats"], many["varied"], many["accuracies"]) == (3, "template", [0.9, 1.0, 0.75])
    assert many["accuracy_sd"] == pytest.approx(stdev([0.9, 1.0, 0.75]))
    assert (once["repeats"], once["varied"], once["accuracy_sd"]) == (1, "", None)
    lines = list(csv.DictReader(io.StringIO(tables.to_csv(rows))))
    assert [(line["repeats"], line["varied"]) for line in lines] == [("1", ""), ("3", "template")]
    assert float(lines[1]["accuracy_sd"]) == many["accuracy_sd"] and lines[0]["accuracy_sd"] == ""


def test_table_and_markdown_name_the_published_rows_and_keep_their_columns(home: Home, finished: Finished) -> None:
    finished("quickstart/a|b", [[9, 1, 0], [0, 10, 0]])
    rows = collect_rows(home, published=True)
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
    rows = collect_rows(home)
    text, dropped = tables.to_table(rows, width)
    head = text.splitlines()[0]
    assert max(map(len, text.splitlines())) <= max(width, len("  ".join(head.split("  ")[:3])) + 60)
    assert width < 80 or max(map(len, text.splitlines())) <= width
    assert all(name in head for name in ("run", "accuracy", "95 %"))
    assert bool(dropped) is (width < 300) and not any(f"  {name}  " in head for name in dropped)


def test_escape_sequences_of_a_run_reach_no_export(home: Home, finished: Finished) -> None:
    finished("evil\x1b]52;c;aGk=\x07[/i]", [[9, 1, 0], [0, 10, 0]], labels=["neg\x1b[31m", "pos"], model="m\x9b2J")
    rows = collect_rows(home)
    for text in (tables.to_table(rows)[0], tables.RECORDS["md"](rows), tables.to_csv(rows)):
        assert "\x1b" not in text and "\x9b" not in text


# -- the columns that a screen shows ----------------------------------------------------------------------


def test_latex_sets_every_character_as_it_is_written() -> None:
    assert tables.latex(EVIL) == (
        r"50 \% of \$x\_1 \& \{y\} \#2 \textasciitilde{} \textasciicircum{} "
        r"\textbackslash{} \textless{}b\textgreater{}"
    )
    assert tables.latex("0.957–0.979") == "0.957--0.979"


def test_a_latex_table_is_whole_escaped_and_has_the_notes_of_published_rows(home: Home, finished: Finished) -> None:
    finished(f"quickstart/{EVIL}", [[9, 1, 0], [0, 10, 0]], labels=["neg_a", "pos&b"])
    text = tables.table_latex(*rows_and_columns(home, published=True))
    lines = text.splitlines()
    body = [line for line in lines if line.endswith(r"\\")]
    spec = re.search(r"\\begin\{tabular\}\{([lr]+)\}", text)
    assert spec and len(body) == 1 + 1 + 7
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body} == {len(spec.group(1)) - 1}
    assert [line for line in lines if line.startswith("\\") and "rule" in line] == [
        r"\toprule",
        r"\midrule",
        r"\bottomrule",
    ]
    assert "rec. neg\\_a" in body[0] and "rec. pos\\&b" in body[0] and r"\textbackslash{}" in body[1]
    unescaped = re.sub(r"\\[&%$#_{}]", "", text)
    assert not set("$#_").intersection(unescaped.partition(r"\begin{tabular}")[2])
    assert r"\item published: not measured by this program" in text and text.count("untrained head") == 1


def test_tables_hold_the_rows_and_columns_as_shown(home: Home, finished: Finished) -> None:
    finished("b|c", [[9, 1, 0], [0, 10, 0]])
    finished("a", [[5, 5, 0], [0, 10, 0]])
    rows, columns = rows_and_columns(home)
    rows, shown = sort_rows(rows, "accuracy"), columns[:3]
    (first, second) = csv.DictReader(io.StringIO(tables.table_csv(rows, shown)))
    assert list(first) == ["run", "accuracy", "interval_low", "interval_high"]
    assert (float(first["accuracy"]), float(second["accuracy"])) == (0.95, 0.75)
    document = json.loads(tables.table_json(rows, shown))
    assert document[0]["interval_low"] == float(first["interval_low"]) == (rows[0].interval or [None])[0]
    markdown = tables.table_markdown(rows, shown).splitlines()
    assert markdown[0] == "| run | accuracy | 95 % |" and markdown[2].startswith("| b\\|c") and len(markdown) == 4


def test_markdown_shows_foreign_names_as_they_are_written(home: Home, finished: Finished) -> None:
    finished("a|b *c* [d](e) `f` <g> ~h~ #i", [[4, 1, 0], [1, 4, 0]])
    *_, line = tables.table_markdown(*rows_and_columns(home)).splitlines()
    escaped = r"a\|b \*c\* \[d\](e) \`f\` \<g\> \~h\~ \#i"
    assert escaped in line


def test_a_csv_for_spreadsheets_holds_no_formula_and_numbers_stay_numbers(home: Home, finished: Finished) -> None:
    finished('=HYPERLINK("x")', [[4, 1, 0], [1, 4, 0]], model="-1")
    (plain,) = csv.DictReader(io.StringIO(tables.to_csv(collect_rows(home))))
    (safe,) = csv.DictReader(io.StringIO(tables.to_csv(collect_rows(home), excel=True).removeprefix("\ufeff")))
    assert (plain["config"], plain["model"]) == ('=HYPERLINK("x")', "-1")
    assert (safe["config"], safe["model"]) == ('\'=HYPERLINK("x")', "'-1")
    assert safe["accuracy"] == plain["accuracy"] == "0.8"
