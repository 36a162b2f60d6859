"""The answers of a run in columns: `predictions.jsonl` as arrays, kept in `predictions.npz`, always rebuildable."""

import hashlib
import io
import json
import math
import zipfile
from array import array
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from engines.answers import predictions
from engines.answers.variant import Variant
from engines.errors import HomeError, UserError
from engines.runs import events as ev
from engines.runs.event_files import read_all, read_last
from engines.runs.folder import RunFolder
from engines.runs.writing import write_atomic

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 1
"""Of `predictions.npz`; columns of another format are built anew."""
WITHOUT_TEXT = "file:"
"""How the hash of an item begins whose text is not known: only items of the same file can be the same."""
_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    TypeError,
    NotImplementedError,
    zipfile.BadZipFile,
    msgspec.DecodeError,
)


@dataclass(frozen=True)
class Answers:
    """All answers of a run, an entry per item in the order in which `predictions.jsonl` first names them."""

    labels: tuple[str, ...]
    test_set: str  # names the items and their labels, whatever their order: equal exactly where these are
    rows: tuple[tuple[Variant, int], ...]  # of each set of answers, with its repeat; the run's own variant first
    columns: "Mapping[str, NDArray[Any]]" = field(repr=False)  # read at first use

    @property
    def hashes(self) -> "NDArray[Any]":
        """(items,) bytes of fixed width."""
        return self.columns["hashes"]

    @property
    def true(self) -> "NDArray[Any]":
        """(items,) int16, places in `labels`."""
        return self.columns["true"]

    @property
    def predicted(self) -> "NDArray[Any]":
        """(rows, items) int16, -1 where the answer is no label."""
        return self.columns["predicted"]

    @property
    def probabilities(self) -> "NDArray[Any]":
        """(rows, items, classes) float32, NaN where there is none."""
        return self.columns["probabilities"]

    @property
    def tokens_read(self) -> "NDArray[Any]":
        """(rows, items) int32, -1 where it is not known."""
        return self.columns["tokens_read"]

    def text(self, row: int, item: int) -> str | None:
        """What the model wrote, where it was kept."""
        ends = self.columns["text_ends"]
        if not len(ends):
            return None
        place = row * len(self.true) + item
        start, end = int(ends[place - 1]) if place else 0, int(ends[place])
        # a kept text ends in one byte more, so that an empty one differs from none
        return None if start == end else self.columns["texts"][start : end - 1].tobytes().decode()

    @cached_property
    def imported_without_texts(self) -> bool:
        """Whether an item is known by its file and row alone."""
        return any(hashed.startswith(WITHOUT_TEXT.encode()) for hashed in self.hashes.tolist())


class _Head(msgspec.Struct, frozen=True):
    """What `predictions.npz` says of its columns, as JSON in one of them."""

    source: list[int]  # `_stamp` of the lines they were built from
    labels: list[str]
    test_set: str
    rows: list[tuple[Variant, int]]


class _Stored(dict[str, Any]):
    """The columns of an open `predictions.npz`, each read at first use; the file stays the one that was opened."""

    def __init__(self, folder: RunFolder, file: Mapping[str, Any], head: _Head) -> None:
        super().__init__()
        self._folder, self._file, self._head = folder, file, head

    def __missing__(self, name: str) -> Any:
        try:
            self[name] = self._file[name]
        except _UNREADABLE:  # torn after it was written
            head, columns = _build(self._folder)
            if head.source != self._head.source:
                raise UserError(f"{self._folder.name}: its answers changed while they were read; ask again") from None
            self.update(columns)
        return self[name]


def read(folder: RunFolder) -> Answers:
    """The answers of a run, from `predictions.npz` where it fits `predictions.jsonl`, else built and stored.

    A folder that takes no file is no obstacle. Raises `UserError` where the run has no answers, or a line is none.
    """
    import numpy as np

    stamp = _stamp(folder)
    with suppress(*_UNREADABLE):
        file = np.load(folder.predictions_columns, allow_pickle=False)
        head = msgspec.json.decode(file["head"].tobytes(), type=_Head)
        if head.source == stamp:
            return _answers(head, _Stored(folder, file, head))
    return write(folder)


def write(folder: RunFolder) -> Answers:
    """Build the columns of `predictions.jsonl`, store them beside it and return them; errors as in `read`."""
    import numpy as np

    head, columns = _build(folder)
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, head=np.frombuffer(msgspec.json.encode(head), np.uint8), **columns)
    with suppress(OSError, HomeError):
        folder.home.check_writable()
        write_atomic(folder.predictions_columns, packed.getvalue())
    return _answers(head, columns)


def _answers(head: _Head, columns: Mapping[str, Any]) -> Answers:
    return Answers(tuple(head.labels), head.test_set, tuple(head.rows), columns)


def _stamp(folder: RunFolder) -> list[int]:
    try:
        status = folder.predictions.stat()
    except OSError:
        raise UserError(f"{folder.name} has no answers: {folder.predictions.name} is missing; run it again") from None
    return [FORMAT, status.st_size, status.st_mtime_ns]


@dataclass
class _Series:
    """One set of answers as its lines come, one entry per answer."""

    items: "array[int]" = field(default_factory=lambda: array("i"))  # places among all items
    predicted: "array[int]" = field(default_factory=lambda: array("h"))
    tokens_read: "array[int]" = field(default_factory=lambda: array("i"))
    probabilities: "array[float]" = field(default_factory=lambda: array("f"))
    texts: dict[int, bytes] = field(default_factory=dict)  # by item


def _build(folder: RunFolder) -> tuple[_Head, dict[str, Any]]:
    """Head and columns; goes through the lines once and keeps none, for there can be millions."""
    import numpy as np

    stamp = _stamp(folder)
    labels = _labels(folder)
    number = {label: place for place, label in enumerate(labels)}
    unknown = [math.nan] * len(labels)
    items: dict[str, int] = {}
    true = array("h")
    series: dict[tuple[Variant, int], _Series] = {}
    for count, line in enumerate(predictions.read(folder), 1):
        item = items.setdefault(line.hash, len(items))
        label = number.get(line.label)
        if item == len(true) and label is not None:
            true.append(label)
        elif label is None or true[item] != label:
            raise UserError(
                f"{folder.name}: line {count:,} of {folder.predictions.name} is no answer of the classes "
                f"{', '.join(labels)} to an item of one label; run or import it again"
            )
        one = series.setdefault((line.variant, line.repeat), _Series())
        one.items.append(item)
        one.predicted.append(-1 if line.predicted is None else number.get(line.predicted, -1))
        one.tokens_read.append(-1 if line.tokens_read is None else line.tokens_read)
        one.probabilities.extend(line.probabilities if len(line.probabilities) == len(labels) else unknown)
        if line.text is not None:
            one.texts[item] = line.text.encode("utf-8", "replace") + b"\n"
    if not items:
        raise UserError(f"{folder.name} has no answers: {folder.predictions.name} is empty; run it again")
    rows = sorted(series)  # the own variant is the empty word
    for (variant, repeat), one in series.items():
        if not len(one.items) == len(set(one.items)) == len(items):
            raise UserError(
                f"{folder.name}: {folder.predictions.name} holds {len(one.items):,} answers of "
                f"{f'''{variant.words}, ''' if variant else ''}repeat {repeat + 1}, to {len(set(one.items)):,} "
                f"of the {len(items):,} items, instead of one to each; run or import it again"
            )
    shape = len(rows), len(items)
    columns = {
        "hashes": np.array([hashed.encode() for hashed in items], dtype=np.bytes_),
        "true": np.array(true, np.int16),
        "predicted": np.full(shape, -1, np.int16),
        "probabilities": np.full((*shape, len(labels)), np.nan, np.float32),
        "tokens_read": np.full(shape, -1, np.int32),
    }
    for place, row in enumerate(rows):
        one = series[row]
        columns["predicted"][place, one.items] = one.predicted
        columns["tokens_read"][place, one.items] = one.tokens_read
        columns["probabilities"][place, one.items] = np.array(one.probabilities).reshape(-1, len(labels))
    kept = any(series[row].texts for row in rows)
    texts = [series[row].texts.get(item, b"") for row in rows for item in range(len(items))] if kept else []
    columns["texts"] = np.frombuffer(b"".join(texts), np.uint8)
    columns["text_ends"] = np.cumsum([len(text) for text in texts], dtype=np.int64)
    named = [json.dumps(label) for label in labels]
    pairs = sorted(f"{hashed} {named[t]}\n" for hashed, t in zip(items, true, strict=True))
    test_set = hashlib.sha256("".join(pairs).encode()).hexdigest()
    return _Head(stamp, labels, test_set, rows), columns


def _labels(folder: RunFolder) -> list[str]:
    """In class order, as the run's last event names them."""
    readers: tuple[Callable[[Path], Iterable[ev.Record]], ...] = (read_last, read_all)
    for read in readers:  # the end of a long file mostly tells
        for record in reversed(list(read(folder.events))):
            if isinstance(record.event, ev.Ended | ev.Evaluated | ev.Repeat) and record.event.labels:
                return list(record.event.labels)
    raise UserError(f"{folder.name} has no scores: its events name no classes; run it again")
