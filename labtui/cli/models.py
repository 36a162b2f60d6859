"""The commands that ask the model of a finished run: about one review, a file, or other data."""

import argparse
import sys
from pathlib import Path

from engines import catalog
from engines.errors import UserError
from engines.runs.home import Home
from engines.runs.serving import Client
from engines.runs.summary import FINISHED, Summary, find_run, summarize
from engines.runs.writing import SHARED, open_atomic
from labtui.cli.common import OK, Command, add_device, add_run, add_settings, print_json, say, show
from labtui.cli.results import repeat_of
from labtui.cli.runs import started


def add(command: Command) -> None:
    sub = command("classify", _classify, "classify one review with finished runs")
    sub.add_argument("text", help="the review, or - for standard input")
    sub.add_argument(
        "--run",
        action="append",
        required=True,
        metavar="RUN[:REPEAT]",
        help="a finished run; of one with repeats also which, by its number from 1 or by what it was "
        "given, such as gemma-3f2a:2 or gemma-3f2a:question; may be repeated",
    )
    sub.add_argument("--json", action="store_true", help="print a JSON array, one object per run")

    sub = command("evaluate", _evaluate, "score a finished run on other data, as a new run without training")
    add_run(sub)
    add_settings(sub, "data.source=reviews.csv")
    add_device(sub)
    sub.add_argument("--follow", action="store_true", help="narrate until the run ends")

    sub = command("predict", _predict, "label a file of reviews with a finished run")
    add_run(sub)
    sub.add_argument("file", help="CSV, TSV, JSONL or Parquet, also .gz")
    sub.add_argument("--text", default="", metavar="COLUMN", help="the column of the texts (default: detected by name)")
    sub.add_argument("--format", choices=("csv", "jsonl"), default="csv", help="of the output (default: csv)")
    sub.add_argument("--output", metavar="FILE", help="write here instead of standard output; never over a file")


def _classify(arguments: argparse.Namespace) -> int:
    from labtui import format

    home = Home()
    text = sys.stdin.read() if arguments.text == "-" else arguments.text
    if not text.strip():
        raise UserError("the review is empty; give it as an argument, or - and standard input")
    clients = []
    for reference in arguments.run:
        name, named, repeat = reference.partition(":")
        folder = _finished_run(home, name).folder
        client = Client(home, folder)
        chosen = repeat_of(folder, repeat) if named else None
        client.start()
        clients.append((client, chosen))
    rows = []
    for client, chosen in clients:
        reply = client.classify([text], repeat=chosen or 0)
        answer = dict(reply.answers[0])
        # a model that answered in words gives no probabilities
        answer["probabilities"] = dict(zip(client.status().labels, answer["probabilities"], strict=False))
        which = {} if chosen is None else {"repeat": chosen + 1}
        rows.append({"run": client.run.name, **which, **answer, "model_ms": reply.model_ms, "device": reply.device})
    if arguments.json:
        print_json(rows)
        return OK
    for row in rows:
        read = f"read {format.count(row['tokens_read'])} of {format.count(row['tokens_total'])} tokens"
        show(
            f"{row['label']:<12} {format.score(max(row['probabilities'].values(), default=None))}  "
            f"{row['model_ms']:.1f} ms on "
            f"{row['device']}  {read}  {row['run']}{':' + str(row['repeat']) if 'repeat' in row else ''}"
        )
    return OK


def _evaluate(arguments: argparse.Namespace) -> int:
    from labtui import actions

    home = Home()
    overrides = catalog.parse_overrides(arguments.settings, catalog.engine("evaluate").Config)
    return started(actions.evaluate(home, find_run(home, arguments.run), overrides, arguments.device), arguments.follow)


def _predict(arguments: argparse.Namespace) -> int:
    from labtui.predict import predict
    from labtui.results import exports

    home = Home()
    summary = _finished_run(home, arguments.run)
    if arguments.output:
        with open_atomic(exports.check_free(Path(arguments.output)), SHARED, text=True) as output:
            count = predict(home, summary.folder, Path(arguments.file), arguments.text, arguments.format, output, say)
    else:
        count = predict(home, summary.folder, Path(arguments.file), arguments.text, arguments.format, sys.stdout, say)
    say(f"labelled {count:,} reviews with {summary.name}")
    return OK


def _finished_run(home: Home, name: str) -> Summary:
    """The summary of a finished run that has a model."""
    from engines.importing import importer

    summary = summarize(find_run(home, name))
    if summary.engine == importer.ENGINE:
        raise UserError(f"{summary.name} was imported: it holds answers and no model; choose a run of this program")
    if summary.state != FINISHED:
        raise UserError(f"{summary.name} is not finished (it is {summary.state}); only a finished run can classify")
    return summary
