"""What an exception that ends a command means to a person: a sentence and an exit code, never a traceback."""

import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

from engines.errors import UserError, sentence_of
from engines.runs.credentials import redacted
from engines.runs.home import Home
from labtui.cli.common import FAILURE, FAULT, INTERRUPTED, OK, USAGE, say


def exit_code(error: BaseException, command: str) -> int:
    """Say what went wrong in `command` ("labtui list"), and return the exit code for it."""
    match error:
        case KeyboardInterrupt():
            say("interrupted; runs that were started go on by themselves")
            return INTERRUPTED
        case BrokenPipeError():  # the reader of our output went away, as `| head` does
            _forget_output()
            return OK
        case UserError():
            say(f"labtui: {sentence_of(error)}")
            return USAGE
        case OSError() if error.strerror:
            _forget_output()
            say(f"{command}: {sentence_of(error)}")
            return FAILURE
        case RecursionError():
            say(f"{command}: a file or a setting is nested too deeply to be read; {_kept(error)}")
            return FAILURE
        case MemoryError():
            say(f"{command}: the machine has too little free memory for this; close other programs, or ask for less")
            return FAILURE
    words = (str(error).strip().splitlines() or [""])[-1]  # of a traceback that a child process handed on, what it says
    say(f"{command}: {type(error).__name__}: {words}; this is a fault of labtui: {_kept(error)}")
    return FAULT


def _forget_output() -> None:
    """Send what is still buffered for the standard output nowhere, or Python complains of it at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _kept(error: BaseException) -> str:
    """Write the traceback into a file of the home, or a temporary one where that cannot be; where it is, in words."""
    name = f"fault-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    text = f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {sys.argv}\n" + "".join(traceback.format_exception(error))
    for folder in (Home().path, Path(tempfile.gettempdir())):
        path = folder / name
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(fd, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(redacted(text))
            return f"the traceback is in {path}"
        except OSError:
            continue
    return "its traceback could not be written anywhere"
