"""The command line: argv to an action, and exit codes. The headless twin of everything the screens do.

Standard output is data, standard error is narration.
"""

import argparse
import io
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines import catalog
from engines.parts import memory
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.processes import AlreadyRunning
from engines.runs.serving import Client, ServingError
from engines.runs.summary import (
    FAILED,
    FINISHED,
    LOST,
    QUEUED,
    RUNNING,
    STOPPED,
    Summary,
    find_run,
    list_runs,
    summarize,
)
from engines.settings import UserError

if TYPE_CHECKING:
    from engines.parts.study import Comparison, Row

OK, FAILURE, USAGE, STOPPED_CODE, LOST_CODE, NO_TERMINAL, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
EXIT_CODES = """exit codes:
  0    done; with --follow: the run finished
  1    the run failed, or the action could not be done
  2    wrong usage, config or data; the message says what to mend
  3    the run was stopped
  4    the run was lost: its worker died without a last word
  5    no terminal to draw on; the message names the command to use instead
  130  interrupted; runs go on by themselves"""
STATE_CODES = {FINISHED: OK, FAILED: FAILURE, STOPPED: STOPPED_CODE, LOST: LOST_CODE}


def say(text: str) -> None:
    """A line of narration."""
    sys.stderr.write(text + "\n")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a locale without a character is no reason to fail
    arguments = _parser().parse_args(argv)
    action: Callable[[argparse.Namespace], int] = arguments.action
    try:
        return action(arguments)
    except (UserError, LookupError, AlreadyRunning, ServingError) as error:
        say(f"labtui: {error.args[0] if error.args else error}")
        return USAGE
    except KeyboardInterrupt:
        say("interrupted; runs that were started go on by themselves")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        sys.stderr.close()
        return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="labtui",
        usage="labtui [-h] [COMMAND ...]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="A lab console in the terminal: fine-tune, evaluate, watch and compare language models.\n"
        "Without a command it opens the console.",
    )
    parser.set_defaults(action=_console)
    commands = parser.add_subparsers(prog="labtui", metavar="COMMAND", help=argparse.SUPPRESS)
    listed = []

    def command(name: str, action: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
        listed.append(f"  {name:<12} {help}")
        sub = commands.add_parser(name, description=help[0].upper() + help[1:] + ".")
        sub.set_defaults(action=action)
        return sub

    sub = command("quickstart", _quickstart, "launch the quickstart study on tiny models and watch it")
    sub.add_argument("--again", action="store_true", help="run the study once more, beside the existing runs")
    sub.add_argument("--follow", action="store_true", help="without the console: wait for the end, print the results")

    sub = command("experiments", _experiments, "list the experiments that can be run")
    sub.add_argument("--json", action="store_true", help="print a JSON array")

    sub = command("run", _run, "launch an experiment")
    sub.add_argument("config", help="an experiment's name (`labtui experiments` lists them) or a TOML file")
    _add_settings(sub, "training.epochs=2")
    _add_device(sub)
    sub.add_argument("--follow", action="store_true", help="narrate until the run ends; the exit code tells how")

    sub = command("estimate", _estimate, "estimate the peak memory of an experiment, offline, before it is launched")
    sub.add_argument("config", help="an experiment's name or a TOML file")
    _add_settings(sub, "training.batch_size=8")
    _add_device(sub)
    sub.add_argument("--json", action="store_true", help="print one JSON object")

    sub = command("list", _list, "list the runs, newest first")
    sub.add_argument("--json", action="store_true", help="print a JSON array, one object a run")

    sub = command("show", _show, "show one run: settings, state, scores, last notes")
    _add_run(sub)
    sub.add_argument("--json", action="store_true", help="print one JSON object")

    sub = command("follow", _follow, "narrate a run until it ends; the exit code tells how")
    _add_run(sub)

    sub = command("stop", _stop, "stop a run: it saves a checkpoint and ends at its next step")
    _add_run(sub)
    rung = sub.add_mutually_exclusive_group()
    rung.add_argument("--terminate", action="store_true", help="send SIGTERM to the whole process tree instead")
    rung.add_argument("--kill", action="store_true", help="send SIGKILL to the whole process tree instead")

    sub = command("resume", _resume, "go on with a run that stopped, failed or was lost")
    _add_run(sub)
    sub.add_argument("--follow", action="store_true", help="narrate until the run ends")

    sub = command("results", _results, "compare finished runs")
    sub.add_argument("--format", choices=("table", "json", "csv", "md", "latex"), default="table",
                     help="table (default; fitted to a terminal), or with all columns: json, csv, md, latex (booktabs)")
    sub.add_argument("--published", action="store_true", help="add the published figures of the original study")
    sub.add_argument("--sort", default="accuracy", metavar="COLUMN",
                     help="accuracy (default), items, macro_f1, items_per_s, ...")

    sub = command("compare", _compare, "compare sets of answers to the same items: who is better, and how sure it is")
    sub.add_argument("run", nargs="+", metavar="RUN[:REPEAT]",
                     help="two or more finished runs; of one with repeats also which, by its number from 1 or by what "
                          "it was given; RUN:original is the model before the run tuned it")
    sub.add_argument("--json", action="store_true", help="print one JSON object")

    sub = command("export", _export, "write the answers of a run item by item, or its model card")
    _add_run(sub)
    sub.add_argument("--format", choices=("csv", "parquet", "json", "card"), default="csv",
                     help="csv (default), parquet, json, or card: a README.md for the hub with the scores")
    sub.add_argument("--output", metavar="FILE", help="write here instead of standard output; never over a file")
    sub.add_argument("--no-texts", action="store_true", help="leave the texts of the items out")

    sub = command("import", _import, "make a run of the predictions that another program made")
    sub.add_argument("file", help="CSV, TSV, JSONL or Parquet with a label and predictions, also .gz, or a "
                                  "samples_*.jsonl of lm-evaluation-harness")
    sub.add_argument("--name", default="", help="what the run is called (default: the file's name)")
    sub.add_argument("--text", default="", metavar="COLUMN",
                     help="the column of the texts, by which items meet those of other runs (default: found by name)")
    sub.add_argument("--label", default="", metavar="COLUMN", help="the column of the labels (default: found by name)")
    sub.add_argument("--varied", default="", metavar="WORDS",
                     help="what differs between several columns of predictions, such as seed")
    sub.add_argument("--model", default="", metavar="NAME", help="the model that made the predictions")

    sub = command("report", _report, "write one HTML page of results, tests, plots and exact settings")
    sub.add_argument("run", nargs="*", help="finished runs (default: all of them)")
    sub.add_argument("--published", action="store_true", help="add the published figures of the original study")
    sub.add_argument("--output", default="report.html", metavar="FILE", help="default: report.html; never over a file")

    sub = command("classify", _classify, "classify one review with finished runs")
    sub.add_argument("text", help="the review, or - for standard input")
    sub.add_argument("--run", action="append", required=True, metavar="RUN[:REPEAT]",
                     help="a finished run; of one with repeats also which, by its number from 1 or by what it was "
                          "given, such as gemma-3f2a:2 or gemma-3f2a:question; may be repeated")
    sub.add_argument("--json", action="store_true", help="print a JSON array, one object a run")

    sub = command("evaluate", _evaluate, "score a finished run on other data, as a new run without training")
    _add_run(sub)
    _add_settings(sub, "data.source=reviews.csv")
    _add_device(sub)
    sub.add_argument("--follow", action="store_true", help="narrate until the run ends")

    sub = command("predict", _predict, "label a file of reviews with a finished run")
    _add_run(sub)
    sub.add_argument("file", help="CSV, TSV, JSONL or Parquet, also .gz")
    sub.add_argument("--text", default="", metavar="COLUMN", help="the column of the texts (default: found by name)")
    sub.add_argument("--format", choices=("csv", "jsonl"), default="csv", help="of the output (default: csv)")
    sub.add_argument("--output", metavar="FILE", help="write here instead of standard output")

    sub = command("doctor", _doctor, "check Python, torch, CUDA, driver, hub, home folder and disk")
    sub.add_argument("--json", action="store_true", help="print a JSON array, one object a finding")
    parser.epilog = "\n".join(["commands (`labtui COMMAND --help` says more):", *listed, "", EXIT_CODES])
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="a run's name, or a unique part of it such as its last four digits")


def _add_settings(parser: argparse.ArgumentParser, example: str) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="settings",
        help=f"override a setting, such as {example}; may be repeated",
    )


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto (default), cpu, gpu0, ... or a GPU's UUID")


# -- the console ----------------------------------------------------------------------------------------------


def _console(arguments: argparse.Namespace) -> int:
    return _open_console(Home(), instead="labtui list, labtui run CONFIG --follow or labtui results")


def _quickstart(arguments: argparse.Namespace) -> int:
    from labtui import actions

    home = Home()
    if not arguments.follow and not _terminal():
        return _no_terminal("labtui quickstart --follow")
    runs = actions.quickstart(home, again=arguments.again)
    if not arguments.follow:
        return _open_console(home, instead="labtui quickstart --follow", study=runs)
    codes = [_narrate(run) for run in runs]
    _print_results(home, "table", published=True, sort="accuracy")
    return max(codes)


def _terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _no_terminal(instead: str) -> int:
    say(f"labtui: no terminal to draw on; use {instead}")
    return NO_TERMINAL


def _open_console(home: Home, instead: str, study: list[RunFolder] | None = None) -> int:
    if not _terminal():
        return _no_terminal(instead)
    from labtui.app import LabApp

    app = LabApp(home, highlight=[run.name for run in study or []])
    app.run()
    if app.alive_runs:
        say(f"{app.alive_runs} run{'s go' if app.alive_runs > 1 else ' goes'} on; `labtui` opens the console again")
    return app.return_code or OK


# -- runs -----------------------------------------------------------------------------------------------------


def _experiments(arguments: argparse.Namespace) -> int:
    rows = []
    for name in catalog.experiments():
        try:
            found = catalog.read(name)
            rows.append({"config": name, "engine": found.engine, "title": found.title, "error": ""})
        except UserError as error:
            rows.append({"config": name, "engine": "", "title": "", "error": str(error)})
    if arguments.json:
        _print_json(rows)
        return OK
    for row in rows:
        print(f"{row['config']:<32} {row['engine']:<18} {row['error'] or row['title']}")
    return OK


def _run(arguments: argparse.Namespace) -> int:
    from labtui import actions

    experiment = catalog.read(arguments.config)
    if arguments.settings:
        overrides = catalog.parse_overrides(arguments.settings, type(experiment.config))
        experiment = catalog.read(arguments.config, overrides)
    return _started(actions.launch(Home(), experiment, arguments.device), arguments.follow)


def _resume(arguments: argparse.Namespace) -> int:
    from labtui import actions

    home = Home()
    return _started(actions.resume(home, find_run(home, arguments.run)), arguments.follow)


def _evaluate(arguments: argparse.Namespace) -> int:
    from labtui import actions

    home = Home()
    overrides = catalog.parse_overrides(arguments.settings, catalog.engine("evaluate").Config)
    return _started(
        actions.evaluate(home, find_run(home, arguments.run), overrides, arguments.device), arguments.follow
    )


def _estimate(arguments: argparse.Namespace) -> int:
    from labtui import actions

    experiment = catalog.read(arguments.config)
    if arguments.settings:
        overrides = catalog.parse_overrides(arguments.settings, type(experiment.config))
        experiment = catalog.read(arguments.config, overrides)
    found, free_bytes = actions.estimate(Home(), experiment, arguments.device)
    if arguments.json:
        verdict = None if free_bytes is None else found.verdict(free_bytes)
        totals = {"total_bytes": found.total_bytes, "free_bytes": free_bytes, "verdict": verdict}
        _print_json({"config": experiment.name, "device": found.device, **totals, "components": found.components})
        return OK
    for line in memory.describe(found, free_bytes):
        print(line)
    return OK


def _started(folder: RunFolder, follow: bool) -> int:
    print(folder.name, flush=True)
    if follow:
        return _narrate(folder)
    say(f"started; watch it with `labtui` or `labtui follow {folder.name}`")
    return OK


def _follow(arguments: argparse.Namespace) -> int:
    return _narrate(find_run(Home(), arguments.run))


def _narrate(folder: RunFolder) -> int:
    from labtui.narrate import narrate

    return STATE_CODES[narrate(folder, say)]


def _list(arguments: argparse.Namespace) -> int:
    from labtui import format
    from labtui.sanitize import clean

    summaries = [summarize(folder) for folder in list_runs(Home())]
    if arguments.json:
        _print_json([s.as_dict() for s in summaries])
        return OK
    if not summaries:
        say("no runs yet; `labtui quickstart` or `labtui run CONFIG` starts one, `labtui experiments` lists configs")
    width = max((len(clean(s.name)) for s in summaries), default=0)
    for s in summaries:
        where = ""
        if s.state == RUNNING:
            where = f"{clean(s.phase)} {format.percent(s.progress) if s.progress is not None else ''}"
        elif s.state == QUEUED:
            where = f"{s.ahead} ahead"
        tested = s.end is not None and s.end.split == "test"
        score = "" if s.accuracy is None else f"accuracy {format.score(s.accuracy)}{'' if tested else ' on validation'}"
        print(f"{clean(s.name):<{width}}  {s.state:<8}  {where:<14}  {score}".rstrip())
    return OK


def _show(arguments: argparse.Namespace) -> int:
    from labtui.narrate import describe

    summary = summarize(find_run(Home(), arguments.run))
    if arguments.json:
        _print_json(
            {
                **summary.as_dict(),
                "settings": summary.document,
                "folder": str(summary.folder.path),
                "scores": summary.scores,
            }
        )
        return OK
    for line in describe(summary):
        print(line)
    return OK


def _stop(arguments: argparse.Namespace) -> int:
    from labtui import actions

    folder = find_run(Home(), arguments.run)
    rung = "kill" if arguments.kill else "terminate" if arguments.terminate else "ask"
    say(actions.stop(folder, rung))
    return OK


# -- results and single reviews -------------------------------------------------------------------------------


def _results(arguments: argparse.Namespace) -> int:
    return _print_results(Home(), arguments.format, published=arguments.published, sort=arguments.sort)


def _print_results(home: Home, form: str, *, published: bool, sort: str) -> int:
    from labtui import results, tables

    rows = results.sort(results.collect(home, published=published), sort)
    if form == "table":
        if not rows:
            say("no finished runs yet; `labtui quickstart` makes some")
            return OK
        text, dropped = tables.to_table(rows, shutil.get_terminal_size().columns if sys.stdout.isatty() else None)
    else:
        text, dropped = tables.RECORDS[form](rows), []
    print(text.rstrip("\n"), flush=True)
    if dropped:
        say(f"left out for want of width: {', '.join(dropped)}; --format csv has all columns")
    return OK


def _compare(arguments: argparse.Namespace) -> int:
    from engines.parts.study import Study

    home = Home()
    chosen = [_answers(home, asked) for asked in arguments.run]
    found = Study(home).compare([row for row, _ in chosen], [name for _, name in chosen])
    if arguments.json:
        _print_json(found)
        return OK
    for line in _comparison(found):
        print(line)
    return OK


def _comparison(found: "Comparison") -> Iterator[str]:
    """The lines of `labtui compare`."""
    from labtui import format
    from labtui.sanitize import clean

    names = [clean(name) for name in found["names"]]
    width = max(map(len, names))
    for name, measures in zip(names, found["measures"], strict=True):
        accuracy = measures["accuracy"]
        yield (f"{name:<{width}}  accuracy {format.score(accuracy['value'])} "
               f"({format.interval(accuracy['low'], accuracy['high'])}) on {format.count(measures['items'])} items")
    if found["reason"]:
        yield ""
        yield clean(found["reason"])
    for pair in found["pairs"]:
        difference = pair["difference"]
        yield ""
        yield clean(pair["sentence"])
        yield (f"  both right {format.count(pair['both_right'])} · only {names[pair['a']]} "
               f"{format.count(pair['a_only'])} · only {names[pair['b']]} {format.count(pair['b_only'])} · "
               f"both wrong {format.count(pair['both_wrong'])}")
        interval = "" if difference["low"] is None or difference["high"] is None else (
            f" (95 % {100 * difference['low']:+.1f} to {100 * difference['high']:+.1f})")
        corrected = f", corrected for {len(found['pairs'])} pairs (Holm) {pair['p_holm']:.3g}"
        yield (f"  difference {100 * difference['value']:+.1f} points{interval} · exact McNemar p {pair['p']:.3g}"
               f"{corrected if len(found['pairs']) > 1 else ''}")


def _answers(home: Home, asked: str) -> "tuple[Row, str]":
    """The set of answers that `RUN`, `RUN:REPEAT` or `RUN:original` names, and what it is called."""
    from labtui import groups, results

    name, named, which = asked.partition(":")
    folder = find_run(home, name)
    row = results.result_of(folder)
    if row is None or row.accuracy is None:
        raise UserError(f"{folder.name} has no answers to compare: it has not finished, or has not been tested")
    if which == groups.ORIGINAL:
        if row.before is None:
            raise UserError(f'{folder.name} tuned no model that answered before; leave ":{which}" out')
        row = row.before
    elif named:
        row = row.children[_repeat(folder, which)]
    answers = groups.answers_of(row)
    assert answers is not None  # a run's row is no published one
    return answers, groups.answers_name(row)


def _export(arguments: argparse.Namespace) -> int:
    from labtui import exports

    folder = find_run(Home(), arguments.run)
    if arguments.format == "parquet" and not arguments.output:
        raise UserError("Parquet is no text; name a file by --output")
    if arguments.format == "card":
        content = exports.model_card(folder).encode()
    else:
        content = exports.ITEMS[arguments.format](exports.item_table(folder, texts=not arguments.no_texts))
    if arguments.output:
        say(f"wrote {exports.save(Path(arguments.output), content)}")
    else:
        print(content.decode(), end="", flush=True)
    return OK


def _import(arguments: argparse.Namespace) -> int:
    from engines.parts import foreign
    from labtui.predict import Narrator

    folder = foreign.import_file(Home(), Path(arguments.file).expanduser(), Narrator(say), name=arguments.name,
                                 text=arguments.text, label=arguments.label, varied=arguments.varied,
                                 model=arguments.model)  # fmt: skip
    print(folder.name)
    return OK


def _report(arguments: argparse.Namespace) -> int:
    from labtui import exports, report

    home = Home()
    output = Path(arguments.output)
    exports.check_free(output)  # before minutes of work
    names = [find_run(home, name).name for name in arguments.run]
    page = report.write(home, names, published=arguments.published, say=say)
    say(f"wrote {exports.save(output, page.encode())}")
    return OK


def _finished_run(home: Home, name: str) -> Summary:
    """The summary of a finished run that has a model."""
    from engines.parts import foreign

    summary = summarize(find_run(home, name))
    if summary.engine == foreign.ENGINE:
        raise UserError(f"{summary.name} was imported: it holds answers and no model; choose a run of this program")
    if summary.state != FINISHED:
        raise UserError(f"{summary.name} is not finished (it is {summary.state}); only a finished run can classify")
    return summary


def _repeat(folder: RunFolder, named: str) -> int:
    """The repeat of a finished run, from 0, that its number from 1 or what it was given names."""
    from labtui import results

    row = results.result_of(folder)
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


def _classify(arguments: argparse.Namespace) -> int:
    from labtui import format

    home = Home()
    text = sys.stdin.read() if arguments.text == "-" else arguments.text
    if not text.strip():
        raise UserError("the review is empty; give it as an argument, or - and standard input")
    clients = []
    for asked in arguments.run:
        name, named, repeat = asked.partition(":")
        folder = _finished_run(home, name).folder
        client = Client(home, folder)
        chosen = _repeat(folder, repeat) if named else None
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
        _print_json(rows)
        return OK
    for row in rows:
        read = f"read {format.count(row['tokens_read'])} of {format.count(row['tokens_total'])} tokens"
        print(
            f"{row['label']:<12} {format.score(max(row['probabilities'].values(), default=None))}  "
            f"{row['model_ms']:.1f} ms on "
            f"{row['device']}  {read}  {row['run']}{':' + str(row['repeat']) if 'repeat' in row else ''}"
        )
    return OK


def _predict(arguments: argparse.Namespace) -> int:
    from labtui.predict import predict

    home = Home()
    summary = _finished_run(home, arguments.run)
    if arguments.output:
        with open(arguments.output, "w", encoding="utf-8", newline="") as output:
            count = predict(home, summary.folder, Path(arguments.file), arguments.text, arguments.format, output, say)
    else:
        count = predict(home, summary.folder, Path(arguments.file), arguments.text, arguments.format, sys.stdout, say)
    say(f"labelled {count:,} reviews with {summary.name}")
    return OK


def _doctor(arguments: argparse.Namespace) -> int:
    from labtui.doctor import examine

    findings = examine(Home())
    if arguments.json:
        _print_json([vars(f) for f in findings])
    else:
        for f in findings:
            print(f"{'ok' if f.ok else '!!' if f.required else '- '} {f.name:<14} {f.text}")
        missing = [f.name for f in findings if f.required and not f.ok]
        say(f"to mend before runs work: {', '.join(missing)}" if missing else
            "everything that runs need is here" + ("; - marks what only some need"
                                                   if not all(f.ok for f in findings) else ""))
    return OK if all(f.ok for f in findings if f.required) else FAILURE


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    sys.exit(main())
