"""Asking `python -m engines.inputs` about data and models, so that the asker imports nothing heavy and stays small."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import engines
from engines.errors import UserError

_ROOT = Path(str(engines.__file__)).parent.parent  # the working directory in which `-m` finds these very packages
_LOOK_EVERY_S = 0.1


class InputsError(RuntimeError):
    """The look itself failed, by a fault of ours; the message is its traceback."""


def ask(question: str, meanwhile: Callable[[], object] = lambda: None, **arguments: Any) -> Any:
    """The answer of a process of its own. `meanwhile` is called again and again, and may raise to give up.

    Raises `UserError` with a sentence where the answer is one, and `InputsError`.
    """
    request: bytes | None = json.dumps({"ask": question, "with": arguments}).encode()
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", "engines.inputs"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        output: bytes | None = None
        try:
            while output is None:
                try:
                    output = child.communicate(request, timeout=_LOOK_EVERY_S)[0]
                except subprocess.TimeoutExpired:
                    request = None  # it is on its way
                    meanwhile()
        finally:
            if output is None:
                child.kill()
                child.wait()
        if child.returncode:
            errors.seek(0)
            raise InputsError(errors.read().decode(errors="replace").strip() or f"status {child.returncode}")
    reply = json.loads(output)
    if "error" in reply:
        raise UserError(reply["error"])
    return reply["answer"]
