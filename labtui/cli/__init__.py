"""The command line: argv to an action, and exit codes. The headless twin of everything the screens do.

Standard output is data, standard error is narration. Each module holds commands, with their arguments beside them.
"""

import argparse
import contextlib
import io
import sys

from labtui.cli import console, data, models, results, runs
from labtui.cli.common import EXIT_CODES, FAILURE, Action, Parser, clean_terminals
from labtui.cli.faults import exit_code


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a locale without a character is no reason to fail
    with clean_terminals():
        command = "labtui"
        try:
            arguments = _parser().parse_args(argv)
            command = arguments.command
            return int(arguments.action(arguments))
        except (Exception, KeyboardInterrupt) as error:
            with contextlib.suppress(OSError):  # nobody reads the standard error any more
                return exit_code(error, command)
            return FAILURE


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="labtui",
        usage="labtui [-h] [COMMAND ...]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="A lab console in the terminal: fine-tune, evaluate, watch and compare language models.\n"
        "Without a command it opens the console.",
    )
    parser.set_defaults(action=console.console, command="labtui")
    commands = parser.add_subparsers(prog="labtui", metavar="COMMAND", help=argparse.SUPPRESS)
    listed = []

    def command(name: str, action: Action, help: str) -> argparse.ArgumentParser:
        listed.append(f"  {name:<12} {help}")
        sub = commands.add_parser(name, description=help[0].upper() + help[1:] + ".")
        sub.set_defaults(action=action, command=f"labtui {name}")
        return sub

    console.add_quickstart(command)
    data.add(command)
    runs.add(command)
    results.add(command)
    models.add(command)
    console.add_doctor(command)
    parser.epilog = "\n".join(["commands (`labtui COMMAND --help` says more):", *listed, "", EXIT_CODES])
    return parser
