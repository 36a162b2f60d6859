"""The commands that open the console or look after it: `labtui` alone, quickstart, doctor."""

import argparse
import sys

from engines.runs.folder import RunFolder
from engines.runs.home import Home
from labtui.cli.common import FAILURE, NO_TERMINAL, OK, Command, print_json, say, show
from labtui.cli.results import print_results
from labtui.cli.runs import narrated


def add_quickstart(command: Command) -> None:
    sub = command("quickstart", _quickstart, "launch the quickstart study on tiny models and watch it")
    sub.add_argument("--again", action="store_true", help="run all its experiments once more, beside the existing runs")
    sub.add_argument("--follow", action="store_true", help="without the console: wait for the end, print the results")


def add_doctor(command: Command) -> None:
    sub = command("doctor", _doctor, "check Python, torch, CUDA, driver, hub, home folder and disk")
    sub.add_argument("--json", action="store_true", help="print a JSON array, one object per finding")


def console(arguments: argparse.Namespace) -> int:
    """`labtui` without a command."""
    return _open_console(Home(), instead="labtui list, labtui run CONFIG --follow or labtui results")


def _quickstart(arguments: argparse.Namespace) -> int:
    from labtui import actions

    home = Home()
    if not arguments.follow and not _terminal():
        return _no_terminal("labtui quickstart --follow")
    runs = actions.quickstart(home, again=arguments.again)
    if not arguments.follow:
        return _open_console(home, instead="labtui quickstart --follow", study=runs)
    codes = [narrated(run) for run in runs]
    print_results(home, "table", published=True, sort="accuracy")
    return max(codes)


def _terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _no_terminal(instead: str) -> int:
    say(f"labtui: no terminal to draw on; use {instead}")
    return NO_TERMINAL


def _open_console(home: Home, instead: str, study: list[RunFolder] | None = None) -> int:
    if not _terminal():
        return _no_terminal(instead)
    from labtui.console.app import LabApp

    app = LabApp(home, highlight=[run.name for run in study or []])
    app.run()
    if app.alive_runs:
        say(f"{app.alive_runs} run{'s go' if app.alive_runs > 1 else ' goes'} on; `labtui` opens the console again")
    return app.return_code or OK


def _doctor(arguments: argparse.Namespace) -> int:
    from labtui.doctor import examine

    findings = examine(Home())
    if arguments.json:
        print_json([vars(f) for f in findings])
    else:
        for f in findings:
            show(f"{'ok' if f.ok else '!!' if f.required else '- '} {f.name:<14} {f.text}")
        missing = [f.name for f in findings if f.required and not f.ok]
        say(
            f"to mend before runs work: {', '.join(missing)}"
            if missing
            else "everything that runs need is here"
            + ("; - marks what only some need" if not all(f.ok for f in findings) else "")
        )
    return OK if all(f.ok for f in findings if f.required) else FAILURE
