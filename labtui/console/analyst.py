"""What finished runs say, asked of a process of its own (`engines.study`): the console computes nothing itself."""

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import engines
from engines.answers.variant import Variant
from engines.errors import UserError
from engines.runs.home import Home
from engines.study.values import (
    AnswerSet,
    Comparison,
    Disagreement,
    ItemPage,
    ItemQuery,
    ItemText,
    RepeatTable,
    RunMeasures,
    Spread,
)

_ROOT = Path(str(engines.__file__)).parent.parent  # the working directory in which `-m` finds these very packages


class Analyst:
    """The questions of `engines.study.reader.ResultsReader`, from any thread, answered one after the other.

    Each blocks until it is answered, and raises `UserError` with a sentence where it cannot be. The process starts
    with the first question and is started anew once where it died.
    """

    def __init__(self, home: Home, log: Callable[[str], object] = lambda traceback: None) -> None:
        """`log` takes the traceback of a question that failed by a fault of ours."""
        self._home, self._log = home, log
        self._next, self._turn = threading.Lock(), threading.Lock()
        self._guard = threading.Lock()  # of the two below
        self._child: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._said: Any = None  # the file that takes the process's standard error
        self._asked = 0

    def measure(self, run: str) -> RunMeasures:
        return cast(RunMeasures, self._ask("measure", run=run))

    def measure_all(
        self, runs: Iterable[str], progress: Callable[[int, int], object] = lambda done, total: None
    ) -> Iterator[RunMeasures | UserError]:
        """The measures of each run as they come, or why it has none; `progress` takes how many are done, and of how
        many. Other questions get their turn in between."""
        runs = list(runs)
        for done, run in enumerate(runs):
            progress(done, len(runs))
            try:
                measures: RunMeasures | UserError = self.measure(run)
            except UserError as error:
                if self._closed:
                    raise
                measures = error
            yield measures
        progress(len(runs), len(runs))

    def spread(self, rows: list[AnswerSet]) -> Spread:
        return cast(Spread, self._ask("spread", rows=rows))

    def compare(
        self, rows: list[AnswerSet], names: list[str], executions: list[list[AnswerSet]] | None = None
    ) -> Comparison:
        return cast(Comparison, self._ask("compare", rows=rows, names=names, executions=executions))

    def repeats(self, run: str, variant: Variant = Variant.OWN) -> RepeatTable:
        return cast(RepeatTable, self._ask("repeats", run=run, variant=variant))

    def items(self, query: ItemQuery) -> ItemPage:
        return cast(ItemPage, self._ask("items", query=query))

    def item(self, run: str, hash: str) -> ItemText:
        return cast(ItemText, self._ask("item", run=run, hash=hash))

    def disagreement(self, source: str, engine: str) -> Disagreement:
        return cast(Disagreement, self._ask("disagreement", source=source, engine=engine))

    def close(self) -> None:
        """End the process; whoever waits for an answer gets a `UserError`, and so does every later question."""
        with self._guard:
            self._closed = True
            if self._child is not None:
                _end(self._child)

    # -- the process ----------------------------------------------------------------------------------------

    def _ask(self, question: str, **arguments: Any) -> Any:
        with self._next:  # held while waiting: who asks again and again then waits behind who came in between
            self._turn.acquire()
        try:
            reply = self._reply(question, arguments)
        finally:
            self._turn.release()
        if "error" not in reply:
            return reply["answer"]
        if "traceback" in reply:
            self._log(reply["traceback"])
        raise UserError(reply["error"])

    def _reply(self, question: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self._asked += 1
        line = json.dumps({"id": self._asked, "ask": question, "with": arguments}).encode() + b"\n"
        last_words = ""
        for _ in range(2):
            child = self._living()
            try:
                assert child.stdin is not None and child.stdout is not None
                child.stdin.write(line)
                child.stdin.flush()
                while (answer := child.stdout.readline()).endswith(b"\n"):
                    reply: dict[str, Any] = json.loads(answer)
                    if reply["id"] == self._asked:
                        return reply  # an earlier answer is one that an interrupted asker left
            except (OSError, ValueError):
                pass
            _end(child)
            self._said.seek(0)
            last_words = self._said.read().decode(errors="replace")
        self._log(last_words)
        why = last_words.strip().rpartition("\n")[2] or f"status {child.returncode}"
        raise UserError(f"the process that answers questions about results ended twice ({why}); try again")

    def _living(self) -> subprocess.Popen[bytes]:
        with self._guard:
            if self._closed:
                raise UserError("results are closed: the console is leaving")
            if self._child is None or self._child.poll() is not None:
                self._said = tempfile.TemporaryFile()  # noqa: SIM115
                self._child = subprocess.Popen(
                    [sys.executable, "-m", "engines.study", str(self._home.path)],
                    cwd=_ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._said,
                    start_new_session=True,  # ctrl+c at a command is for the command, which ends this one by leaving
                )
            return self._child


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()  # lets it take half-written files away
    try:
        child.wait(timeout=1)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
