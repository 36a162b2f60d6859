"""The events of a run: typed, append-only, one JSON object per line.

Header of every line: `seq` (from 0, no gaps), `time` (Unix seconds), `kind`. Readers skip unknown kinds and
keep unknown fields. A number that is not finite is written as null, and `not_finite` names its field.
"""

import contextlib
import json
import math
import os
import signal
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Union

import msgspec

from engines.errors import reason_of
from engines.runs import older, scores
from engines.runs.reading import Count, Seconds, open_regular, wrong_with
from engines.runs.scores import Scores

BLOCK_BYTES = 1 << 16
LINE_MOST_BYTES = 1 << 23  # a longer line is no event: with 1,000 classes a confusion matrix takes 3 MB


class Event(msgspec.Struct, frozen=True, tag_field="kind", tag=str.lower):
    """Base of all events. `kind` is the class name in lower case."""

    @property
    def kind(self) -> str:
        return str(self.__struct_config__.tag)


class Queued(Event, frozen=True):
    devices: list[str]
    ahead: Count  # runs that go first on these devices


class Started(Event, frozen=True):
    device: str  # "cpu" or a GPU UUID
    config_hash: str
    versions: dict[str, str]
    seed: int | None = None  # none where nothing in the run is random


class Resumed(Event, frozen=True):
    step: Count  # the step of the checkpoint; steps above it are repeated and the older ones dropped


class Phase(Event, frozen=True):
    name: str
    total: Count | None = None
    unit: str = ""


class Memory(Event, frozen=True, kw_only=True):
    """Memory fields shared by `Step` and `Progress`; None where the device has no such figure."""

    memory_allocated_bytes: Count | None = None
    memory_reserved_bytes: Count | None = None
    memory_peak_bytes: Count | None = None
    host_memory_bytes: Count | None = None


class Progress(Memory, frozen=True):
    phase: str
    done: Count
    total: Count | None = None
    items_per_s: float | None = None


class Step(Memory, frozen=True):
    step: Count  # optimiser steps done
    total: Count
    epoch: float
    loss: float  # mean over the steps since the last event
    learning_rate: float
    grad_norm: float | None = None
    examples_per_s: float | None = None
    tokens_per_s: float | None = None


def _check_confusion(labels: list[str], confusion: list[list[int]], items: int | None = None) -> None:
    if confusion and [len(row) for row in confusion] != [len(labels) + 1] * len(labels):
        raise ValueError(f"confusion: not {len(labels)} rows, one a label, of {len(labels) + 1} columns")
    if items is not None and sum(map(sum, confusion)) > items:
        raise ValueError(f"confusion: more answers than the {items} items")


class Evaluated(Event, frozen=True):
    split: str  # "validation" or "test"
    items: Count
    scores: Scores
    labels: list[str]
    confusion: list[list[Count]]  # a row a true label, a column a predicted label, then invalid
    loss: float | None = None
    step: Count | None = None
    epoch: float | None = None

    def __post_init__(self) -> None:
        _check_confusion(self.labels, self.confusion, self.items)


class Repeat(Event, frozen=True):
    index: Count
    varied: str
    value: str
    scores: Scores
    labels: list[str] = []
    confusion: list[list[Count]] = []

    def __post_init__(self) -> None:
        _check_confusion(self.labels, self.confusion)


class Checkpoint(Event, frozen=True):
    step: Count
    path: str
    size_bytes: Count


class Note(Event, frozen=True):
    text: str
    level: str = "info"  # or "warning"


class Fact(Event, frozen=True):
    """Base of what must be known of a run's data, model and settings; whoever shows it puts it into words."""


class Dropped(Fact, frozen=True):
    """Rows of the source that are left out."""

    rows: Count
    reason: str  # "no_label"
    source: str


class Overlap(Fact, frozen=True):
    """Items of one split of which another one holds copies, or near copies."""

    split: str  # "validation" or "test"
    found_in: str  # "train" or "validation"
    items: Count | None = None  # of `split`; None: not known, for no record of the other split is left
    near: bool = False  # the copies are near ones, not exact
    dropped: Count = 0  # items that are left out for it
    dropped_from: str = ""  # the split that they are left out of; empty: the copies stay
    run: str = ""  # whose split `found_in` is; empty: this run's own


class Truncated(Fact, frozen=True):
    """Texts of which only the beginning is read."""

    split: str  # "train", "validation", "test" or "examples", those of a prompt
    items: Count
    total: Count  # items of `split`
    max_length: Count  # tokens that are read


class Unread(Fact, frozen=True):
    """Tokens that stand for words the tokenizer does not know: of them a model reads nothing."""

    split: str  # "train", "validation" or "test"
    unknown: Count
    tokens: Count  # of the split, as far as they are read


class Untrained(Fact, frozen=True):
    """Weights that answer were drawn at random, and nothing has trained them."""

    part: str  # "head"


class Selected(Fact, frozen=True):
    """Of which step the model is that is tested and saved."""

    step: Count
    split: str  # on which it was the best one
    metric: str  # by which it was; at a tie the lower loss decides
    value: float  # of `metric`


class Adjusted(Fact, frozen=True):
    """Settings that the run had to change itself; a fresh process goes on with them."""

    reason: str  # "out_of_memory"
    before: dict[str, Any]  # by dotted name, as in `after`
    after: dict[str, Any]


class Ended(Event, frozen=True, kw_only=True):
    """What every last event carries, so that a list of runs reads only the end of the file."""

    model: str = ""
    scores: Scores = Scores()  # of the test split, else validation
    split: str = ""
    items: Count = 0
    labels: list[str] = []
    confusion: list[list[Count]] = []
    step: Count | None = None
    total: Count | None = None
    seconds: float = 0.0  # wall time of the worker since its turn came
    training_seconds: float | None = None  # inside the phase "train"
    items_per_s: float | None = None  # of the phase "test"
    memory_peak_bytes: Count | None = None  # on the device
    host_memory_peak_bytes: Count | None = None

    def __post_init__(self) -> None:
        _check_confusion(self.labels, self.confusion, self.items)


class Finished(Ended, frozen=True):
    pass


class Failed(Ended, frozen=True):
    type: str
    message: str
    traceback: str = ""
    hint: str = ""


class Stopped(Ended, frozen=True):
    reason: str = "asked"


KINDS: dict[str, type[Event]] = {
    str(c.__struct_config__.tag): c
    for c in (Queued, Started, Resumed, Phase, Progress, Step, Evaluated, Repeat, Checkpoint, Note)
    + (Dropped, Overlap, Truncated, Unread, Untrained, Selected, Adjusted)
    + (Finished, Failed, Stopped)
}
STATE_CHANGES = (Queued, Started, Resumed, Evaluated, Repeat, Checkpoint, Ended)


class Record(NamedTuple):
    """An event as read back: its header, and fields this version does not know."""

    seq: int
    time: float
    event: Event
    extra: dict[str, Any]


class _Seq(msgspec.Struct, frozen=True):
    seq: Count


class _Header(_Seq, frozen=True):
    time: Seconds
    kind: str


def _line_type(event: type[Event]) -> Any:
    """A line of that kind as far as its header goes; a field that the event lacks is an error."""
    fields: list[Any] = [("seq", Count), ("time", Seconds)]
    fields += [(name, msgspec.Raw, msgspec.Raw()) for name in event.__struct_fields__]
    tag = event.__struct_config__.tag
    return msgspec.defstruct(f"{event.__name__}Line", fields, tag_field="kind", tag=tag, forbid_unknown_fields=True)


# Notes and ends may be of an earlier version, to be lifted before they are typed.
_PLAIN = [c for c in KINDS.values() if not issubclass(c, Note | Ended)]
_plain_event = msgspec.json.Decoder(Union[tuple(_PLAIN)]).decode  # noqa: UP007
_plain_line = msgspec.json.Decoder(Union[tuple(map(_line_type, _PLAIN))]).decode  # noqa: UP007


def encode(event: Event, seq: int, at: float) -> bytes:
    """One line, newline included. None fields are left out; numbers that are not finite are named."""
    values: dict[str, Any] = {"seq": seq, "time": round(at, 3), "kind": event.kind}
    lost: dict[str, str] = {}
    for name in event.__struct_fields__:
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
    """The record of one line, or None for an unknown kind.

    Raises `ValueError`, which names the kind and the field, on a line that is no event or has a value of another type.
    """
    try:
        header = _plain_line(line)
        return Record(header.seq, header.time, _plain_event(line), {})
    except (ValueError, RecursionError):
        return _decode_any(line)


def _decode_any(line: bytes) -> Record | None:
    """What is not of the plain form: unknown kinds and fields, numbers that are not finite, older versions, damage."""
    try:
        values = json.loads(line)
    except RecursionError as error:
        raise ValueError(wrong_with(error)) from None
    if not isinstance(values, dict):
        raise ValueError(f"not an event: {line[:80]!r}")
    values = older.lifted(values)
    try:
        header = msgspec.convert(values, _Header)
    except msgspec.ValidationError as error:
        raise ValueError(wrong_with(error)) from None
    kind = KINDS.get(header.kind)
    if kind is None:
        return None
    try:
        for name, value in values.get("not_finite", {}).items():
            values[name] = float(value)
        if "scores" in kind.__struct_fields__ and "scores" in values:
            values["scores"] = scores.of_json(values["scores"])
        event = msgspec.convert({name: values[name] for name in kind.__struct_fields__ if name in values}, kind)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{header.kind}: {wrong_with(error)}") from None
    known = {"seq", "time", "kind", "not_finite", *kind.__struct_fields__}
    return Record(header.seq, header.time, event, {name: v for name, v in values.items() if name not in known})


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
        end = self._line_start(size)
        os.ftruncate(self._fd, end)
        while end > 0:
            start = self._line_start(end - 1)
            if end - start <= LINE_MOST_BYTES:
                with contextlib.suppress(ValueError, RecursionError):
                    return msgspec.json.decode(os.pread(self._fd, end - start, start), type=_Seq).seq + 1
            end = start
        return 0

    def _line_start(self, end: int) -> int:
        """Where the line begins that goes up to `end`: after the last newline before it."""
        while end > 0:
            start = max(0, end - BLOCK_BYTES)
            newline = os.pread(self._fd, end - start, start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
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

    A torn last line waits for its newline; a line that is no event is skipped and counted in `bad_lines`, the first
    one told in `first_bad`. `fault` says why the file itself could not be read the last time; empty where it could,
    or is missing. When the file has shrunk it is read again from the start and `restarted` is True for that read.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        """`offset`: bytes at the start that are passed over, whole lines."""
        self.path = path
        self.restarted = False
        self.fault = ""
        self.at_end = False
        self._begin(offset)

    def _begin(self, offset: int = 0) -> None:
        self.bad_lines = 0
        self.first_bad = ""
        self._passed = self._offset = offset  # where the first line not yet read begins
        self._line = 0  # lines before it, those that were passed over not counted
        self._searched = offset  # up to where it is known to have no newline
        self._read_version = (-1, -1)  # size and time of the file when all of it had been read

    def read(self, limit_bytes: int = 1 << 22) -> list[Record]:
        """New records, from the lines that begin in the next `limit_bytes`; an empty list when there are none."""
        self.restarted, self.fault, self.at_end = False, "", True
        try:
            with open_regular(self.path) as file:
                data = self._whole_lines(file, limit_bytes)
        except FileNotFoundError:
            return []
        except OSError as error:
            self.fault = reason_of(error)
            return []
        self.at_end = not data
        records = []
        for line in data.split(b"\n")[:-1]:
            self._line += 1
            try:
                record = decode(line)
            except ValueError as error:
                self._skip(str(error))
                continue
            if record is not None:
                records.append(record)
        return records

    def _skip(self, reason: str) -> None:
        self.bad_lines += 1
        after = f" after byte {self._passed}" if self._passed else ""
        self.first_bad = self.first_bad or f"{self.path.name}: line {self._line}{after}: {reason}"

    def _whole_lines(self, file: BinaryIO, limit_bytes: int) -> bytes:
        status = os.fstat(file.fileno())
        if status.st_size < self._offset:
            self._begin()
            self.restarted = True
        if status.st_size < self._searched:  # the next writer has cut the torn line off
            self._searched = self._offset
        version = (status.st_size, status.st_mtime_ns)
        if version == self._read_version:
            return b""
        while True:
            if self._searched - self._offset > LINE_MOST_BYTES and not self._pass_long_line(file):
                break
            file.seek(self._offset)  # a torn line is read anew: the next writer may have cut it off
            data = file.read(limit_bytes)
            if not data.endswith(b"\n"):
                data += file.readline(LINE_MOST_BYTES + 1)
            end = data.rfind(b"\n") + 1
            self._searched = self._offset + (end or len(data))
            if end:
                self._offset += end
                return data[:end]
            if len(data) <= LINE_MOST_BYTES:
                break
        self._read_version = version
        return b""

    def _pass_long_line(self, file: BinaryIO) -> bool:
        """Go on after a line that is too long to be an event; False where its end has not been written yet."""
        file.seek(self._searched)
        while block := file.read(BLOCK_BYTES):
            newline = block.find(b"\n")
            if newline >= 0:
                self._offset = self._searched = self._searched + newline + 1
                self._line += 1
                self._skip(f"longer than {LINE_MOST_BYTES >> 20} MiB")
                return True
            self._searched += len(block)
        return False


def read_all(path: Path) -> Iterator[Record]:
    """Every record of a file, from its start."""
    reader = EventReader(path)
    while not reader.at_end:
        yield from reader.read()


def read_last(path: Path, most_bytes: int = 65536) -> list[Record]:
    """The records of the last `most_bytes` of a file, oldest first; a cut first line is left out.

    None of a file that cannot be read: an `EventReader` tells why.
    """
    try:
        with open_regular(path) as file:
            start = max(0, os.fstat(file.fileno()).st_size - most_bytes)
            file.seek(start)
            data = file.read(most_bytes)
    except OSError:
        return []
    if start:
        data = data[data.find(b"\n") + 1 :]
    records = []
    for line in data.split(b"\n")[:-1]:
        with contextlib.suppress(ValueError):
            if record := decode(line):
                records.append(record)
    return records
