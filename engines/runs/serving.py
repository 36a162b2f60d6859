"""Asking a finished run's model: a warm worker in a folder of its own, requests in, answers out.

`<home>/serving/<run>/` holds `alive.lock` (held by a living worker), `requests/<id>.json`, `answers.jsonl`
(appended by the worker, shortened when long), `status.json` and `serve.log`. The run's own folder is never
written. Both sides poll every 10 ms while a request is open.
"""

import contextlib
import json
import os
import secrets
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from engines.errors import ServingError
from engines.runs import locks, processes
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.writing import make_private, write_atomic

POLL_S = 0.01
IDLE_S = 600.0
LOADING, READY, FAILED, ENDED = "loading", "ready", "failed", "ended"


@dataclass(frozen=True)
class Status:
    """`status.json`, and what the lock says of it."""

    state: str  # loading, ready, failed (to load) or ended (idle, or asked to)
    device: str = ""  # "cpu" or the GPU's name
    reason: str = ""  # why that device
    labels: list[str] = field(default_factory=list)
    ready_at: float | None = None  # Unix seconds
    idle_timeout_s: float = IDLE_S
    message: str = ""  # why loading failed


@dataclass(frozen=True)
class Reply:
    """The answer to one request, one entry per text: `label`, `probabilities`, `tokens_read`, `tokens_total`."""

    answers: list[dict[str, Any]]
    model_ms: float  # tokenising and forward pass of all texts
    device: str


class ServingFolder:
    """Names and small files of one warm worker."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).absolute()

    @property
    def run(self) -> RunFolder:
        """The finished run that is served."""
        return RunFolder(Home(self.path.parent.parent).runs / self.path.name)

    @property
    def lock(self) -> Path:
        return self.path / "alive.lock"

    @property
    def requests(self) -> Path:
        return self.path / "requests"

    @property
    def answers(self) -> Path:
        return self.path / "answers.jsonl"

    @property
    def status(self) -> Path:
        return self.path / "status.json"

    @property
    def log(self) -> Path:
        return self.path / "serve.log"

    def read_status(self) -> Status:
        """The last written status; `ended` before the first start."""
        try:
            values = json.loads(self.status.read_bytes())
            return Status(**{k: v for k, v in values.items() if k in Status.__dataclass_fields__})
        except (OSError, ValueError, TypeError):
            return Status(ENDED)

    def write_status(self, status: Status) -> None:
        write_atomic(self.status, json.dumps(asdict(status)).encode())


class Client:
    """One asker of one run's warm worker; not shared between threads. Starting the worker is part of asking."""

    def __init__(self, home: Home, run: RunFolder) -> None:
        self.run = run
        self.folder = ServingFolder(home.serving / run.name)
        self._open: set[str] = set()
        self._answers: dict[str, dict[str, Any]] = {}  # read and not yet polled, by request
        self._inode = 0
        self._offset = 0

    def is_alive(self) -> bool:
        return locks.is_locked(self.folder.lock)

    def status(self) -> Status:
        """The last written status; "ended" where the worker died."""
        status = self.folder.read_status()
        return replace(status, state=ENDED) if status.state in (LOADING, READY) and not self.is_alive() else status

    def start(self, idle_s: float = IDLE_S) -> None:
        """Start the worker unless one lives; it loads the model and ends after `idle_s` seconds without a request."""
        self.run.home.check_writable()
        make_private(self.folder.path)
        make_private(self.folder.requests)
        fd = locks.try_lock(self.folder.lock)
        if fd is None:
            return
        try:
            self.folder.write_status(Status(LOADING, idle_timeout_s=idle_s))
            write_atomic(self.folder.log, b"")
            argv = [sys.executable, "-m", "engines.serve", str(self.folder.path), str(idle_s)]
            processes.spawn(argv, self.folder.path, self.folder.log, fd)
        finally:
            os.close(fd)

    def ask(self, texts: list[str], idle_s: float = IDLE_S, repeat: int = 0) -> str:
        """Leave a request, starting the worker if none lives; the id to `poll` with.

        `repeat`, counted from 0, is that of a run that asked its model in several ways; the model is loaded once.
        """
        self.start(idle_s)
        if not self._open:  # nobody waits for anything written so far
            with contextlib.suppress(FileNotFoundError):
                stat = self.folder.answers.stat()
                self._inode, self._offset = stat.st_ino, stat.st_size
        request = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
        write_atomic(self.folder.requests / f"{request}.json", json.dumps({"texts": texts, "repeat": repeat}).encode())
        self._open.add(request)
        return request

    def poll(self, request: str) -> Reply | None:
        """The reply once it is there, else None; costs microseconds.

        Raises `ServingError` when the model could not be loaded, the request failed or the worker died.
        """
        # both before the answers are read: a worker answers, then takes the request away, then may end
        pending = (self.folder.requests / f"{request}.json").exists()
        alive = self.is_alive()
        self._read()
        answer = self._answers.pop(request, None)
        if answer is not None:
            self._open.discard(request)
            if "error" in answer:
                raise ServingError(f"{self.run.name}: {answer['error']}")
            return Reply(answer["answers"], answer["model_ms"], answer["device"])
        if alive and pending:
            return None
        status = self.folder.read_status()
        if pending and status.state == ENDED:  # its idle time ran out as we asked
            self.start(status.idle_timeout_s)
            return None
        self.withdraw(request)
        raise ServingError(self._why_ended(status) if not alive else f"{self.run.name}: the answer is lost; ask again")

    def withdraw(self, request: str) -> None:
        """Ask no more for this request."""
        self._open.discard(request)
        (self.folder.requests / f"{request}.json").unlink(missing_ok=True)

    def classify(self, texts: list[str], timeout_s: float = 600.0, idle_s: float = IDLE_S, repeat: int = 0) -> Reply:
        """`ask` and wait; the first call waits for the model to load. Raises `ServingError`."""
        request = self.ask(texts, idle_s, repeat)
        deadline = time.monotonic() + timeout_s
        while (reply := self.poll(request)) is None:
            if time.monotonic() > deadline:
                state = self.status().state
                self.withdraw(request)
                raise ServingError(f"{self.run.name} gave no answer in {timeout_s:g} s; its classify worker is {state}")
            time.sleep(POLL_S)
        return reply

    def _read(self) -> None:
        try:
            with open(self.folder.answers, "rb") as file:
                stat = os.fstat(file.fileno())
                if stat.st_ino != self._inode or stat.st_size < self._offset:
                    self._inode, self._offset = stat.st_ino, 0
                if stat.st_size == self._offset:
                    return
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            with contextlib.suppress(ValueError):
                answer = json.loads(line)
                if answer["id"] in self._open:
                    self._answers[answer["id"]] = answer

    def _why_ended(self, status: Status) -> str:
        if status.state == FAILED:
            return f"{self.run.name} could not be loaded: {status.message}"
        try:
            lines = self.folder.log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:]
        except OSError:
            lines = []
        log_end = f"; its log ends: {' / '.join(lines)}" if lines else ""
        return f"the classify worker of {self.run.name} died{log_end}; asking again starts a new one"
