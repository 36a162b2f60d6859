"""The events of a run: typed, append-only, one JSON object per line.

Header of every line: `seq` (from 0, no gaps), `time` (Unix seconds), `kind`. Readers skip unknown kinds and
keep unknown fields. A number that is not finite is written as null, and `not_finite` names its field.
"""

import json
import math
from typing import Any, NamedTuple, Union

import msgspec

from engines.runs import older, scores
from engines.runs.reading import Count, Seconds, wrong_with
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
    host_memory_total_bytes: Count | None = None  # what the worker may use


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
        raise ValueError(f"confusion: not {len(labels)} rows, one per label, of {len(labels) + 1} columns")
    if items is not None and sum(map(sum, confusion)) > items:
        raise ValueError(f"confusion: more answers than the {items} items")


class Evaluated(Event, frozen=True):
    split: str  # "validation" or "test"
    items: Count
    scores: Scores
    labels: list[str]
    confusion: list[list[Count]]  # one row per true label, one column per predicted label, then invalid
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


class Numbered(msgspec.Struct, frozen=True):
    seq: Count


class _Header(Numbered, frozen=True):
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
