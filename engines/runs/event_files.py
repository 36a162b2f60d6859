"""`events.jsonl` written and followed: the one writer of a run, and readers that any number of processes may be."""

import contextlib
import os
import signal
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from engines.errors import reason_of
from engines.runs.events import BLOCK_BYTES, LINE_MOST_BYTES, STATE_CHANGES, Event, Numbered, Record, decode, encode
from engines.runs.reading import open_regular


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
                    return msgspec.json.decode(os.pread(self._fd, end - start, start), type=Numbered).seq + 1
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
