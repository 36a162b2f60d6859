"""What all commands share: exit codes, narration, arguments that several of them take."""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any, Protocol

from engines.runs.summary import FAILED, FINISHED, LOST, STOPPED

OK, FAILURE, USAGE, STOPPED_CODE, LOST_CODE, NO_TERMINAL, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
EXIT_CODES = """exit codes:
  0    done; with --follow: the run finished
  1    the run failed, or the action could not be done
  2    wrong usage, config or data; the message says what to mend
  3    the run was stopped
  4    the run was lost: its worker died without reporting an end
  5    no terminal to draw on; the message names the command to use instead
  130  interrupted; runs go on by themselves"""
STATE_CODES = {FINISHED: OK, FAILED: FAILURE, STOPPED: STOPPED_CODE, LOST: LOST_CODE}

Action = Callable[[argparse.Namespace], int]
"""What a command does; returns the exit code."""


class Command(Protocol):
    """Adds a command: its name, what it does, and a line about it; returns its parser, for its arguments."""

    def __call__(self, name: str, action: Action, help: str) -> argparse.ArgumentParser: ...


def say(text: str) -> None:
    """A line of narration."""
    sys.stderr.write(text + "\n")


def print_json(value: Any) -> None:
    """A value as JSON on standard output."""
    json.dump(value, sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


def add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="a run's name, or a unique part of it such as its last four digits")


def add_settings(parser: argparse.ArgumentParser, example: str) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="settings",
        help=f"override a setting, such as {example}; may be repeated",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto (default), cpu, gpu0, ... or a GPU's UUID")
