"""The commands about results: tables, comparisons, exports, imports, the report."""

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engines.answers.variant import Variant
from engines.errors import UserError
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.summary import find_run
from labtui.cli.common import OK, Command, add_run, print_json, say, show, write_data
from labtui.results.columns import sort_rows
from labtui.results.rows import Follower, published_rows, result_of

if TYPE_CHECKING:
    from engines.study.values import AnswerSet, Comparison, RunMeasures


def add(command: Command) -> None:
    sub = command("results", _results, "compare finished runs")
    sub.add_argument(
        "--format",
        choices=("table", "json", "csv", "md", "latex"),
        default="table",
        help="table (default; fitted to a terminal), or with all columns: json, csv, md, latex (booktabs)",
    )
    _add_excel(sub)
    sub.add_argument("--published", action="store_true", help="add the published figures of the founding study")
    sub.add_argument(
        "--sort", default="accuracy", metavar="COLUMN", help="accuracy (default), items, macro_f1, items_per_s, ..."
    )

    sub = command("compare", _compare, "compare sets of answers to the same items: who is better, and how sure it is")
    sub.add_argument(
        "run",
        nargs="+",
        metavar="RUN[:REPEAT]",
        help="two or more finished runs; of one with repeats also which, by its number from 1 or by what "
        "it was given; RUN:before is the model before the run tuned it",
    )
    sub.add_argument("--json", action="store_true", help="print one JSON object")

    sub = command("export", _export, "write the answers of a run item by item, or its model card")
    add_run(sub)
    sub.add_argument(
        "--format",
        choices=("csv", "parquet", "json", "card"),
        default="csv",
        help="csv (default), parquet, json, or card: a README.md for the hub with the scores",
    )
    sub.add_argument("--output", metavar="FILE", help="write here instead of standard output; never over a file")
    _add_excel(sub)
    sub.add_argument("--no-texts", action="store_true", help="leave the texts of the items out")

    sub = command("import", _import, "make a run of the predictions that another program made")
    sub.add_argument(
        "file",
        help="CSV, TSV, JSONL or Parquet with a label and predictions, also .gz, or a "
        "samples_*.jsonl of lm-evaluation-harness",
    )
    sub.add_argument("--name", default="", help="what the run is called (default: the file's name)")
    sub.add_argument(
        "--text",
        default="",
        metavar="COLUMN",
        help="the column of the texts, by which items are matched with those of other runs (default: detected by name)",
    )
    sub.add_argument(
        "--label", default="", metavar="COLUMN", help="the column of the labels (default: detected by name)"
    )
    sub.add_argument(
        "--labels",
        default="",
        metavar="CLASS,CLASS",
        help="the classes there are (default: those of the labels and the predictions); any other answer is invalid",
    )
    sub.add_argument(
        "--varied",
        default="",
        metavar="WORDS",
        help="what differs between several columns of predictions, such as seed: they are repeats",
    )
    sub.add_argument("--model", default="", metavar="NAME", help="the model that made the predictions")
    kind = sub.add_mutually_exclusive_group()
    kind.add_argument("--repeats", action="store_true", help="several columns of predictions are repeats of one model")
    kind.add_argument("--models", action="store_true", help="several columns of predictions are models, a run each")

    sub = command("report", _report, "write one HTML page of results, tests, plots and exact settings")
    sub.add_argument("run", nargs="*", help="finished runs (default: all of them)")
    sub.add_argument("--published", action="store_true", help="add the published figures of the founding study")
    sub.add_argument("--output", default="report.html", metavar="FILE", help="default: report.html; never over a file")


def _add_excel(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--excel",
        action="store_true",
        help="of csv: marked as UTF-8, and texts that a spreadsheet would run as formulas get an apostrophe before "
        "them; `labtui import` takes it off again",
    )


def _check_excel(arguments: argparse.Namespace) -> None:
    if arguments.excel and arguments.format != "csv":
        raise UserError(f"--excel is of --format csv, not of {arguments.format}")


def _results(arguments: argparse.Namespace) -> int:
    _check_excel(arguments)
    return print_results(
        Home(), arguments.format, published=arguments.published, sort=arguments.sort, excel=arguments.excel
    )


def print_results(home: Home, form: str, *, published: bool, sort: str, excel: bool = False) -> int:
    """Print the finished runs in a format of `labtui results`; the exit code."""
    from labtui.results import groups, tables

    follower = Follower(home)
    rows = follower.scored() + (published_rows() if published else [])
    for name, reason in follower.damaged.items():
        say(f"left out: {name} is damaged: {reason}")
    if not rows and form not in ("json", "csv"):
        say("no finished runs yet; `labtui quickstart` makes some")
        return OK
    if form not in ("json", "csv"):  # these have a record per run
        from engines.study.reader import ResultsReader

        rows = groups.read(ResultsReader(home), rows).tops
    rows = sort_rows(rows, sort)
    if form == "table":
        text, dropped = tables.to_table(rows, shutil.get_terminal_size().columns if sys.stdout.isatty() else None)
    elif excel:
        text, dropped = tables.to_csv(rows, excel=True), []
    else:
        text, dropped = tables.RECORDS[form](rows), []
    write_data(text.rstrip("\n") + "\n")
    if dropped:
        say(f"left out for want of width: {', '.join(dropped)}; --format csv has all columns")
    return OK


def _compare(arguments: argparse.Namespace) -> int:
    from engines.study.reader import ResultsReader

    home = Home()
    chosen = [_answers(home, name) for name in arguments.run]
    study = ResultsReader(home)
    executions = [executions for executions, _ in chosen]
    comparison = study.compare([rows[0] for rows in executions], [name for _, name in chosen], executions)
    if arguments.json:
        print_json(comparison)
        return OK
    runs = dict.fromkeys(row["run"] for row in comparison["rows"])
    for line in _comparison(comparison, [study.measure(run) for run in runs]):
        show(line)
    return OK


def _comparison(comparison: "Comparison", runs: "Sequence[RunMeasures]") -> Iterator[str]:
    """The lines of `labtui compare`; `runs` are the measures of the runs compared."""
    from labtui import format
    from labtui.results.comparison_limits import beyond_the_test
    from labtui.sanitize import clean

    names = [clean(name) for name in comparison["names"]]
    width = max(map(len, names))
    for name, measures in zip(names, comparison["measures"], strict=True):
        accuracy = measures["accuracy"]
        yield (
            f"{name:<{width}}  accuracy {format.score(accuracy['value'])} "
            f"({format.interval(accuracy['low'], accuracy['high'])}) on {format.count(measures['items'])} items"
        )
    if comparison["reason"]:
        yield ""
        yield clean(comparison["reason"])
    for pair in comparison["pairs"]:
        difference = pair["difference"]
        yield ""
        yield clean(pair["sentence"])
        single = pair["about"] == "answers"
        if single:
            yield (
                f"  both right {format.count(pair['both_right'])} · only {names[pair['a']]} "
                f"{format.count(pair['a_only'])} · only {names[pair['b']]} {format.count(pair['b_only'])} · "
                f"both wrong {format.count(pair['both_wrong'])}"
            )
        interval = (
            ""
            if difference["low"] is None or difference["high"] is None
            else (f" (95 % {100 * difference['low']:+.1f} to {100 * difference['high']:+.1f})")
        )
        corrected = f", corrected for {len(comparison['pairs'])} pairs (Holm) {pair['p_holm']:.3g}"
        yield (
            f"  difference {100 * difference['value']:+.1f} points{interval} · "
            f"{'exact McNemar p' if single else 'p'} {pair['p']:.3g}"
            f"{corrected if len(comparison['pairs']) > 1 else ''}"
        )
        yield from (f"  ! {clean(limit)}" for limit in beyond_the_test(comparison, pair, runs))


def _answers(home: Home, reference: str) -> "tuple[list[AnswerSet], str]":
    """The answers that `RUN`, of all its repeats, `RUN:REPEAT` or `RUN:before` names, and what they are called."""
    from labtui.results import groups

    name, named, which = reference.partition(":")
    folder = find_run(home, name)
    row = result_of(folder)
    if row is None or row.accuracy is None:
        raise UserError(f"{folder.name} has no answers to compare: it has not finished, or has not been tested")
    if which in (Variant.BEFORE, "original"):  # older versions said "original"
        if row.before is None:
            raise UserError(f'{folder.name} tuned no model that answered before; leave ":{which}" out')
        row = row.before
    elif named:
        row = row.children[repeat_of(folder, which)]
    return groups.executions_of(row), groups.executions_name(row)


def repeat_of(folder: RunFolder, named: str) -> int:
    """The repeat of a finished run, from 0, that its number from 1 or what it was given names."""

    row = result_of(folder)
    values = [child.value for child in row.children] if row is not None else []
    if named.isdecimal() and 0 < int(named) <= len(values):
        return int(named) - 1
    matches = [at for at, value in enumerate(values) if value.casefold() == named.casefold()]
    if len(matches) == 1:
        return matches[0]
    if not values:
        raise UserError(f'{folder.name} has no repeats to choose from; leave ":{named}" out')
    offered = ", ".join(f"{at} ({value})" if value else str(at) for at, value in enumerate(values, start=1))
    raise UserError(f'{folder.name} has no repeat "{named}"; choose one of {offered}')


def _export(arguments: argparse.Namespace) -> int:
    from labtui.results import exports

    _check_excel(arguments)
    folder = find_run(Home(), arguments.run)
    if arguments.format == "parquet" and not arguments.output:
        raise UserError("Parquet is no text; name a file by --output")
    if arguments.format == "card":
        content = exports.model_card(folder).encode()
    else:
        table = exports.item_table(folder, texts=not arguments.no_texts)
        content = exports.items_csv(table, excel=True) if arguments.excel else exports.ITEMS[arguments.format](table)
    if arguments.output:
        say(f"wrote {exports.save(Path(arguments.output), content)}")
    else:
        write_data(content.decode())
    return OK


def _import(arguments: argparse.Namespace) -> int:
    from engines.importing import importer
    from labtui.predict import Narrator

    folders = importer.import_file(
        Home(),
        Path(arguments.file).expanduser(),
        Narrator(say),
        name=arguments.name,
        text=arguments.text,
        label=arguments.label,
        varied=arguments.varied,
        model=arguments.model,
        classes=[word.strip() for word in arguments.labels.split(",") if word.strip()],
        columns_are="repeats" if arguments.repeats else "models" if arguments.models else "",
    )
    for folder in folders:
        show(folder.name)
    return OK


def _report(arguments: argparse.Namespace) -> int:
    from labtui.results import exports, report

    home = Home()
    output = Path(arguments.output)
    exports.check_free(output)  # before minutes of work
    names = [find_run(home, name).name for name in arguments.run]
    page = report.write(home, names, published=arguments.published, say=say)
    say(f"wrote {exports.save(output, page.encode())}")
    return OK
