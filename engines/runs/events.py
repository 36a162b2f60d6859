"""The events of a run: typed, append-only, one JSON object per line.

Header of every line: `seq` (from 0, no gaps), `time` (Unix seconds), `kind`. Readers skip unknown kinds and
keep unknown fields. A number that is not finite is written as null, and `not_finite` names its field.
"""

import json
import math
import os
import signal
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from engines.runs import older, scores
from engines.runs.scores import Scores


@dataclass(frozen=True)
class Event:
    """Base of all events. `kind` is the class name in lower case."""

    kind: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        cls.kind = cls.__name__.lower()


@dataclass(frozen=True)
class Queued(Event):
    devices: list[str]
    ahead: int  # runs that go first on these devices


@dataclass(frozen=True)
class Started(Event):
    device: str  # "cpu" or a GPU UUID
    config_hash: str
    versions: dict[str, str]
    seed: int | None = None  # none where nothing in the run is random


@dataclass(frozen=True)
class Resumed(Event):
    step: int  # the step of the checkpoint; steps above it are repeated and the older ones dropped


@dataclass(frozen=True)
class Phase(Event):
    name: str
    total: int | None = None
    unit: str = ""


@dataclass(frozen=True)
class Memory(Event):
    """Memory fields shared by `Step` and `Progress`; None where the device has no such figure."""

    memory_allocated_bytes: int | None = field(default=None, kw_only=True)
    memory_reserved_bytes: int | None = field(default=None, kw_only=True)
    memory_peak_bytes: int | None = field(default=None, kw_only=True)
    host_memory_bytes: int | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Progress(Memory):
    phase: str
    done: int
    total: int | None = None
    items_per_s: float | None = None


@dataclass(frozen=True)
class Step(Memory):
    step: int  # optimiser steps done
    total: int
    epoch: float
    loss: float  # mean over the steps since the last event
    learning_rate: float
    grad_norm: float | None = None
    examples_per_s: float | None = None
    tokens_per_s: float | None = None


@dataclass(frozen=True)
class Evaluated(Event):
    split: str  # "validation" or "test"
    items: int
    scores: Scores
    labels: list[str]
    confusion: list[list[int]]  # a row a true label, a column a predicted label, then invalid
    loss: float | None = None
    step: int | None = None
    epoch: float | None = None


@dataclass(frozen=True)
class Repeat(Event):
    index: int
    varied: str
    value: str
    scores: Scores
    labels: list[str] = field(default_factory=list)
    confusion: list[list[int]] = field(default_factory=list)


@dataclass(frozen=True)
class Checkpoint(Event):
    step: int
    path: str
    size_bytes: int


@dataclass(frozen=True)
class Note(Event):
    text: str
    level: str = "info"  # or "warning"


@dataclass(frozen=True)
class Fact(Event):
    """Base of what must be known of a run's data, model and settings; whoever shows it puts it into words."""


@dataclass(frozen=True)
class Dropped(Fact):
    """Rows of the source that are left out."""

    rows: int
    reason: str  # "no_label"
    source: str


@dataclass(frozen=True)
class Overlap(Fact):
    """Items of one split of which another one holds copies, or near copies."""

    split: str  # "validation" or "test"
    found_in: str  # "train" or "validation"
    items: int | None = None  # of `split`; None: not known, for no record of the other split is left
    near: bool = False  # the copies are near ones, not exact
    dropped: int = 0  # items that are left out for it
    dropped_from: str = ""  # the split that they are left out of; empty: the copies stay
    run: str = ""  # whose split `found_in` is; empty: this run's own


@dataclass(frozen=True)
class Truncated(Fact):
    """Texts of which only the beginning is read."""

    split: str  # "train", "validation", "test" or "examples", those of a prompt
    items: int
    total: int  # items of `split`
    max_length: int  # tokens that are read


@dataclass(frozen=True)
class Unread(Fact):
    """Tokens that stand for words the tokenizer does not know: of them a model reads nothing."""

    split: str  # "train", "validation" or "test"
    unknown: int
    tokens: int  # of the split, as far as they are read


@dataclass(frozen=True)
class Untrained(Fact):
    """Weights that answer were drawn at random, and nothing has trained them."""

    part: str  # "head"


@dataclass(frozen=True)
class Selected(Fact):
    """Of which step the model is that is tested and saved."""

    step: int
    split: str  # on which it was the best one
    metric: str  # by which it was; at a tie the lower loss decides
    value: float  # of `metric`


@dataclass(frozen=True)
class Adjusted(Fact):
    """Settings that the run had to change itself; a fresh process goes on with them."""

    reason: str  # "out_of_memory"
    before: dict[str, Any]  # by dotted name, as in `after`
    after: dict[str, Any]


@dataclass(frozen=True)
class Ended(Event):
    """What every last event carries, so that a list of runs reads only the end of the file."""

    model: str = field(default="", kw_only=True)
    scores: Scores = field(default_factory=Scores, kw_only=True)  # of the test split, else validation
    split: str = field(default="", kw_only=True)
    items: int = field(default=0, kw_only=True)
    labels: list[str] = field(default_factory=list, kw_only=True)
    confusion: list[list[int]] = field(default_factory=list, kw_only=True)
    step: int | None = field(default=None, kw_only=True)
    total: int | None = field(default=None, kw_only=True)
    seconds: float = field(default=0.0, kw_only=True)  # wall time of the worker since its turn came
    training_seconds: float | None = field(default=None, kw_only=True)  # inside the phase "train"
    items_per_s: float | None = field(default=None, kw_only=True)  # of the phase "test"
    memory_peak_bytes: int | None = field(default=None, kw_only=True)  # on the device
    host_memory_peak_bytes: int | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Finished(Ended):
    pass


@dataclass(frozen=True)
class Failed(Ended):
    type: str
    message: str
    traceback: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Stopped(Ended):
    reason: str = "asked"


KINDS: dict[str, type[Event]] = {
    c.kind: c
    for c in (Queued, Started, Resumed, Phase, Progress, Step, Evaluated, Repeat, Checkpoint, Note)
    + (Dropped, Overlap, Truncated, Unread, Untrained, Selected, Adjusted)
    + (Finished, Failed, Stopped)
}
STATE_CHANGES = (Queued, Started, Resumed, Evaluated, Repeat, Checkpoint, Ended)
_FIELDS = {kind: frozenset(f.name for f in fields(c)) for kind, c in KINDS.items()}


@dataclass(frozen=True)
class Record:
    """An event as read back: its header, and fields this version does not know."""

    seq: int
    time: float
    event: Event
    extra: dict[str, Any]


def encode(event: Event, seq: int, at: float) -> bytes:
    """One line, newline included. None fields are left out; numbers that are not finite are named."""
    values: dict[str, Any] = {"seq": seq, "time": round(at, 3), "kind": event.kind}
    lost: dict[str, str] = {}
    for name in vars(event):
        value = getattr(event, name)
        if isinstance(value, float) and not math.isfinite(value):
            values[name], lost[name] = None, str(value)
        elif isinstance(value, Scores):
            values[name] = value.as_json()
        elif value is not None:
            values[name] = value
    if lost:
        values["not_finite"] = lost
    line = json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return line.encode("utf-8", "backslashreplace") + b"\n"


def decode(line: bytes) -> Record | None:
    """The record of one line, or None for an unknown kind. Raises `ValueError` on a line that is no event."""
    values = older.lifted(json.loads(line))
    try:
        seq, at, kind = values.pop("seq"), values.pop("time"), values.pop("kind")
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not an event: {line[:80]!r}") from error
    known = _FIELDS.get(kind)
    if known is None:
        return None
    for name, value in values.pop("not_finite", {}).items():
        values[name] = float(value)
    if "scores" in known and "scores" in values:
        values["scores"] = scores.of_json(values["scores"])
    extra = {}
    if not known.issuperset(values):
        extra = {k: values.pop(k) for k in list(values) if k not in known}
    try:
        return Record(seq, at, KINDS[kind](**values), extra)
    except TypeError as error:
        raise ValueError(f"{kind} event lacks a field: {error}") from None


class EventWriter:
    """The only writer of a run's `events.jsonl`.

    On opening, a torn last line is cut off and `seq` goes on from the last whole one. A write that the disk
    takes only in part is cut back; the event waits in memory and is written, in order, as soon as space allows.
    """

    SYNC_EVERY_S = 5.0

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._waiting: deque[bytes] = deque()
        self._synced = time.monotonic()
        self.seq = self._repair()

    def _repair(self) -> int:
        size = os.fstat(self._fd).st_size
        tail = b""
        start = size
        while start > 0:
            start = max(0, start - 65536)
            tail = os.pread(self._fd, size - start, start)
            if tail.count(b"\n") >= 2:
                break
        end = tail.rfind(b"\n") + 1
        os.ftruncate(self._fd, start + end)
        for line in reversed(tail[:end].splitlines()):
            try:
                return int(json.loads(line)["seq"]) + 1
            except (ValueError, KeyError, TypeError):
                continue
        return 0

    def write(self, event: Event) -> None:
        """Append one event; on a full disk it is kept and written later, nothing is raised."""
        # a handler that raises between the write and its bookkeeping would write the line twice
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
        try:
            self._write(event)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _write(self, event: Event) -> None:
        self._waiting.append(encode(event, self.seq, time.time()))
        self.seq += 1
        self.flush()
        now = time.monotonic()
        if isinstance(event, STATE_CHANGES) or now - self._synced > self.SYNC_EVERY_S:
            self._synced = now
            try:
                os.fdatasync(self._fd)
            except OSError:
                self._synced = 0.0  # the disk is ill: try again with the next event

    def flush(self) -> bool:
        """Write what waits; False while the disk does not take it."""
        while self._waiting:
            line = self._waiting[0]
            size = os.fstat(self._fd).st_size
            try:
                written = os.write(self._fd, line)
            except OSError:
                return False
            if written < len(line):
                os.ftruncate(self._fd, size)
                return False
            self._waiting.popleft()
        return True

    def close(self, patience_s: float = 30.0) -> None:
        """Write what waits, for at most `patience_s` seconds, and close the file."""
        deadline = time.monotonic() + patience_s
        while not self.flush() and time.monotonic() < deadline:
            time.sleep(0.2)
        os.close(self._fd)


class EventReader:
    """Follows one `events.jsonl`: each `read` returns the records appended since the last.

    A torn last line waits for its newline; a line that is no event is skipped and counted in `bad_lines`.
    When the file has shrunk it is read again from the start and `restarted` is True for that read.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        """`offset`: bytes at the start that are passed over, whole lines."""
        self.path = path
        self.bad_lines = 0
        self.restarted = False
        self._offset = offset  # where the first line not yet read begins

    def read(self, limit_bytes: int = 1 << 24) -> list[Record]:
        """New records, from the lines that begin in the next `limit_bytes`; an empty list when there are none."""
        self.restarted = False
        try:
            with open(self.path, "rb") as file:
                if os.fstat(file.fileno()).st_size < self._offset:
                    self._offset, self.restarted, self.bad_lines = 0, True, 0
                file.seek(self._offset)  # a torn line is read anew: the next writer may have cut it off
                data = file.read(limit_bytes) + file.readline()
        except FileNotFoundError:
            return []
        end = data.rfind(b"\n") + 1
        self._offset += end
        records = []
        for line in data[:end].splitlines():
            try:
                record = decode(line)
            except (ValueError, TypeError):
                self.bad_lines += 1
                continue
            if record is not None:
                records.append(record)
        return records


def read_all(path: Path) -> Iterator[Record]:
    """Every record of a file, from its start."""
    reader = EventReader(path)
    while records := reader.read():
        yield from records


def read_last(path: Path, most_bytes: int = 65536) -> list[Record]:
    """The records of the last `most_bytes` of a file, oldest first; a cut first line is left out."""
    try:
        with open(path, "rb") as file:
            start = max(0, os.fstat(file.fileno()).st_size - most_bytes)
            file.seek(start)
            data = file.read(most_bytes)
    except FileNotFoundError:
        return []
    if start:
        data = data[data.find(b"\n") + 1 :]
    records = []
    for line in data[: data.rfind(b"\n") + 1].splitlines():
        try:
            record = decode(line)
        except (ValueError, TypeError):
            continue
        if record is not None:
            records.append(record)
    return records
