"""What all commands share: exit codes, what is printed, arguments that several of them take."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, Protocol, TextIO

from engines.runs.credentials import redacted
from engines.runs.summary import DAMAGED, FAILED, FINISHED, LOST, STOPPED
from labtui.sanitize import clean, json_text, shortened

OK, FAILURE, USAGE, STOPPED_CODE, LOST_CODE, NO_TERMINAL, FAULT, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 130
EXIT_CODES = """exit codes:
  0    done; with --follow: the run finished
  1    the run failed or is damaged, or the action could not be done
  2    wrong usage, config or data; the message says what to mend
  3    the run was stopped
  4    the run was lost: its worker died without reporting an end
  5    no terminal to draw on; the message names the command to use instead
  6    a fault of labtui itself; the message names the file with its traceback
  130  interrupted; runs go on by themselves"""
STATE_CODES = {FINISHED: OK, FAILED: FAILURE, STOPPED: STOPPED_CODE, LOST: LOST_CODE, DAMAGED: FAILURE}

Action = Callable[[argparse.Namespace], int]
"""What a command does; returns the exit code."""


class Command(Protocol):
    """Adds a command: its name, what it does, and a line about it; returns its parser, for its arguments."""

    def __call__(self, name: str, action: Action, help: str) -> argparse.ArgumentParser: ...


class Parser(argparse.ArgumentParser):
    """A parser whose errors are cleaned like all narration; they repeat what was typed."""

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        if message:
            say(message.rstrip("\n"))
        raise SystemExit(status)


def say(text: str) -> None:
    """A line of narration, cleaned; a very long one is shortened."""
    sys.stderr.write(shortened(clean(text)) + "\n")


def show(line: str) -> None:
    """A line for people on standard output, cleaned wherever it goes."""
    write_data(clean(line) + "\n")


def write_data(text: str) -> None:
    """Data on standard output: as it is into files and pipes, cleaned on a terminal (`clean_terminals`)."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        error.filename = "standard output"
        raise


def print_json(value: Any) -> None:
    """A value as JSON on standard output, without access tokens: messages of libraries may hold one."""
    write_data(redacted(json_text(value, indent=1)) + "\n")


class _CleanStream:
    """A text stream in front of a terminal: whatever is written to it is cleaned, also what libraries write."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(clean(text, multiline=True))
        return len(text)

    def writelines(self, lines: "list[str]") -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def clean_terminals() -> Iterator[None]:
    """While inside, nothing that could steer a terminal gets through the standard output and the standard error.

    A stream that was closed by the caller is replaced by one that writes nowhere.
    """
    before = sys.stdout, sys.stderr
    with contextlib.ExitStack() as opened:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name) or opened.enter_context(open(os.devnull, "w"))
            setattr(sys, name, _CleanStream(stream) if stream.isatty() else stream)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before


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
