"""`python -m engines.study HOME`: answers questions about finished runs, so that the asker stays light.

A question is a line of JSON on the standard input, `{"id", "ask", "with"}`: a method of
`ResultsReader` and its arguments by name. Its answer is a line on the standard output, `{"id", "answer"}`, or
`{"id", "error"}`, a sentence, with `"traceback"` where it is a fault of ours. Ends with its input.
"""

import json
import os
import queue
import signal
import sys
import threading
import traceback
from types import FrameType
from typing import Any, BinaryIO, NoReturn

from engines.errors import UserError, sentence_of
from engines.runs.home import Home
from engines.study.reader import ResultsReader

QUESTIONS = ("measure", "spread", "compare", "repeats", "items", "item", "disagreement")
IDLE_S = 0.05  # after so long without a question there is time to prepare for the next
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main(argv: list[str]) -> int:
    if len(argv) != 2:
        sys.stderr.write("usage: python -m engines.study HOME\n")
        return 2
    os.nice(5)
    os.environ.update(dict.fromkeys(THREADS, "1"))  # read when NumPy is imported; the cores belong to training
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    signal.signal(signal.SIGTERM, _leave)
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, waiting), daemon=True).start()
    try:
        _serve(ResultsReader(Home(argv[1])), waiting, answers)
    except SystemExit:
        os._exit(0)  # no waiting for what the background imports


def _serve(study: ResultsReader, waiting: "queue.SimpleQueue[bytes]", answers: BinaryIO) -> NoReturn:
    prepared = False
    while True:
        try:
            line = waiting.get(timeout=None if prepared else IDLE_S)
        except queue.Empty:
            threading.Thread(target=_prepare, daemon=True).start()
            prepared = True
            continue
        answers.write(_reply(study, json.loads(line)))
        answers.flush()


def _reply(study: ResultsReader, question: dict[str, Any]) -> bytes:
    reply: dict[str, Any] = {"id": question["id"]}
    try:
        if question["ask"] not in QUESTIONS:
            raise UserError(f'no question "{question["ask"]}"; there is {", ".join(QUESTIONS)}')
        answer = getattr(study, question["ask"])(**question["with"])
        return json.dumps({**reply, "answer": answer}, allow_nan=False, separators=(",", ":")).encode() + b"\n"
    except (UserError, OSError) as error:
        reply["error"] = sentence_of(error)
    except Exception as error:
        reply["error"] = f"{question['ask']} failed: {type(error).__name__}: {error}"
        reply["traceback"] = traceback.format_exc()
    return json.dumps(reply).encode() + b"\n"


def _listen(questions: BinaryIO, waiting: "queue.SimpleQueue[bytes]") -> None:
    """Pass questions on; end with the input, also when the asker was killed and while an answer is computed."""
    for line in questions:
        waiting.put(line)
    os.kill(os.getpid(), signal.SIGTERM)


def _prepare() -> None:
    """Import what the first comparison needs, which takes longer than the comparison."""
    import scipy.stats  # noqa: F401


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit  # through `write_atomic`, which takes its half-written file away


if __name__ == "__main__":
    sys.exit(main(sys.argv))
