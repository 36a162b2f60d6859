"""The command line: argv to an action, and exit codes. The headless twin of everything the screens do.

Standard output is data, standard error is narration.
"""

import argparse
import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    sub.add_argument("--format", choices=("table", "json", "csv", "md"), default="table",
                     help="table (default; fitted to a terminal), or with all columns: json, csv, md")
    sub.add_argument("--published", action="store_true", help="add the published figures of the original study")
    sub.add_argument("--sort", default="accuracy", metavar="COLUMN",
                     help="accuracy (default), items, macro_f1, items_per_s, ...")

    sub = command("classify", _classify, "classify one review with finished runs")
    sub.add_argument("text", help="the review, or - for standard input")
    sub.add_argument("--run", action="append", required=True, metavar="RUN", help="a finished run; may be repeated")
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
    from labtui import results

    rows = results.sort(results.collect(home, published=published), sort)
    writers = {"json": results.to_json, "csv": results.to_csv, "md": results.to_markdown}
    if form == "table":
        if not rows:
            say("no finished runs yet; `labtui quickstart` makes some")
            return OK
        text, dropped = results.to_table(rows, shutil.get_terminal_size().columns if sys.stdout.isatty() else None)
    else:
        text, dropped = writers[form](rows), []
    print(text.rstrip("\n"), flush=True)
    if dropped:
        say(f"left out for want of width: {', '.join(dropped)}; --format csv has all columns")
    return OK


def _finished_run(home: Home, name: str) -> Summary:
    summary = summarize(find_run(home, name))
    if summary.state != FINISHED:
        raise UserError(f"{summary.name} is not finished (it is {summary.state}); only a finished run can classify")
    return summary


def _classify(arguments: argparse.Namespace) -> int:
    from labtui import format

    home = Home()
    text = sys.stdin.read() if arguments.text == "-" else arguments.text
    if not text.strip():
        raise UserError("the review is empty; give it as an argument, or - and standard input")
    clients = []
    for name in arguments.run:
        client = Client(home, _finished_run(home, name).folder)
        client.start()
        clients.append(client)
    rows = []
    for client in clients:
        reply = client.classify([text])
        answer = dict(reply.answers[0])
        # a model that answered in words gives no probabilities
        answer["probabilities"] = dict(zip(client.status().labels, answer["probabilities"], strict=False))
        rows.append({"run": client.run.name, **answer, "model_ms": reply.model_ms, "device": reply.device})
    if arguments.json:
        _print_json(rows)
        return OK
    for row in rows:
        read = f"read {format.count(row['tokens_read'])} of {format.count(row['tokens_total'])} tokens"
        print(
            f"{row['label']:<12} {format.score(max(row['probabilities'].values(), default=None))}  "
            f"{row['model_ms']:.1f} ms on "
            f"{row['device']}  {read}  {row['run']}"
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
