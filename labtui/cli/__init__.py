"""The command line: argv to an action, and exit codes. The headless twin of everything the screens do.

Standard output is data, standard error is narration. Each module holds commands, with their arguments beside them.
"""

import argparse
import io
import sys

from engines.errors import UserError, sentence_of
from labtui.cli import console, models, results, runs
from labtui.cli.common import EXIT_CODES, FAILURE, INTERRUPTED, OK, USAGE, Action, say


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a locale without a character is no reason to fail
    arguments = _parser().parse_args(argv)
    action: Action = arguments.action
    try:
        return action(arguments)
    except UserError as error:
        say(f"labtui: {sentence_of(error)}")
        return USAGE
    except KeyboardInterrupt:
        say("interrupted; runs that were started go on by themselves")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        sys.stderr.close()
        return OK
    except OSError as error:
        say(f"labtui: {sentence_of(error)}")
        return FAILURE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="labtui",
        usage="labtui [-h] [COMMAND ...]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="A lab console in the terminal: fine-tune, evaluate, watch and compare language models.\n"
        "Without a command it opens the console.",
    )
    parser.set_defaults(action=console.console)
    commands = parser.add_subparsers(prog="labtui", metavar="COMMAND", help=argparse.SUPPRESS)
    listed = []

    def command(name: str, action: Action, help: str) -> argparse.ArgumentParser:
        listed.append(f"  {name:<12} {help}")
        sub = commands.add_parser(name, description=help[0].upper() + help[1:] + ".")
        sub.set_defaults(action=action)
        return sub

    console.add_quickstart(command)
    runs.add(command)
    results.add(command)
    models.add(command)
    console.add_doctor(command)
    parser.epilog = "\n".join(["commands (`labtui COMMAND --help` says more):", *listed, "", EXIT_CODES])
    return parser
