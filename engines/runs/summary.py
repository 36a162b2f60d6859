"""What a list shows of a run, computed from its files: never stored, always rebuildable."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.errors import RunError, RunNotFoundError, reason_of
from engines.runs import events as ev
from engines.runs import order, processes
from engines.runs.event_files import EventReader, read_last
from engines.runs.folder import RunFolder
from engines.runs.forecast import Forecast, earlier_costs
from engines.runs.home import Home
from engines.runs.scores import Scores

QUEUED, RUNNING, FINISHED, FAILED, STOPPED, LOST = "queued", "running", "finished", "failed", "stopped", "lost"
DAMAGED = "damaged"  # its files do not tell how it stands
ALIVE = (QUEUED, RUNNING)


@dataclass
class Summary:
    """A run folded from its config, its events and its lock."""

    folder: RunFolder
    document: dict[str, Any]  # config.toml; empty when unreadable
    state: str = LOST
    ahead: int = 0  # while queued: runs that go first
    device: str = ""
    phase: str = ""
    unit: str = ""
    done: int = 0
    total: int | None = None
    epoch: float | None = None
    loss: float | None = None
    items_per_s: float | None = None
    started: float | None = None  # Unix seconds at which the turn came
    changed: float | None = None  # Unix seconds of the last event
    end: ev.Ended | None = None
    evaluated: ev.Evaluated | None = None  # the last evaluation
    untrained: bool = False  # a part that answers was drawn at random, as the run has said already
    checkpoint: int | None = None  # the step of the last one
    memory_peak_bytes: int | None = None
    host_memory_bytes: int | None = None
    host_memory_total_bytes: int | None = None  # what the worker may use
    fault: str = ""  # why a file could not be read: the file and the reason
    bad_lines: int = 0  # of the events, which are left out
    first_bad: str = ""  # file, line and field of the first one
    _config_fault: str = ""
    _events_fault: str = ""
    _last: ev.Event | None = None
    _last_seq: int = -1
    _has_learnt: bool = False
    _steps: int = 0  # of the training that are done

    def __post_init__(self) -> None:
        self._forecast = Forecast(self.document)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def short(self) -> str:
        """The last four hex digits, enough to name a run by hand."""
        return self.folder.name.rpartition("-")[2]

    @property
    def damage(self) -> str:
        """What cannot be read, in words; empty where everything can."""
        more = f", and {self.bad_lines - 1:,} more lines" if self.bad_lines > 1 else ""
        return "; ".join(filter(None, (self.fault, f"{self.first_bad}{more}")))

    @property
    def experiment(self) -> str:
        return str(self.document.get("experiment", self.folder.name))

    @property
    def engine(self) -> str:
        return str(self.document.get("engine", ""))

    @property
    def model(self) -> str:
        return self.end.model if self.end and self.end.model else str(self.document.get("model", {}).get("name", ""))

    @property
    def scores(self) -> Scores:
        """Of the test split when there is one, else of the last validation."""
        if self.end and self.end.scores.accuracy is not None:
            return self.end.scores
        return self.evaluated.scores if self.evaluated else Scores()

    @property
    def accuracy(self) -> float | None:
        return self.scores.accuracy

    @property
    def untrained_head(self) -> bool:
        """Whether the head that answers was drawn at random and never trained."""
        return self.untrained or self.scores.untrained_head

    @property
    def progress(self) -> float | None:
        """Share of the whole run that is done, 0 to 1, by time; None where too little is known."""
        return self._forecast.share if self.state == RUNNING else None

    @property
    def eta_s(self) -> float | None:
        """Seconds until the whole run ends, as of its last event; None where too little is known."""
        return self._forecast.left_s if self.state == RUNNING else None

    def read(self, reader: EventReader, limit_bytes: int = 1 << 22) -> list[ev.Record]:
        """Fold the next records of the run's events in, and what of them cannot be read; returns the records."""
        records = reader.read(limit_bytes)
        self.apply(records)
        self.bad_lines, self.first_bad = reader.bad_lines, reader.first_bad
        self._events_fault = reader.fault
        return records

    def apply(self, records: Iterable[ev.Record]) -> None:
        """Fold further records in; `state` is brought up to date by `settle`."""
        for record in records:
            self._apply(record)

    def _apply(self, record: ev.Record) -> None:
        event = record.event
        self.changed, self._last, self._last_seq = record.time, event, record.seq
        self._forecast.apply(record)
        match event:
            case ev.Queued():
                self.ahead, self.end = event.ahead, None
            case ev.Started():
                self.device, self.started, self.end = event.device, record.time, None
                self.host_memory_total_bytes = event.host_memory_total_bytes
                self._steps = 0
                self._enter("", None, "")  # an earlier worker's place is not this one's
            case ev.Resumed():
                self._steps = event.step
                self._has_learnt = False  # another device perhaps
            case ev.Phase():
                self._enter(event.name, event.total, event.unit)
            case ev.Progress():
                if event.phase != self.phase:
                    self._enter(event.phase, event.total, "")
                self._advance(event.done, event.total, event)
                self.items_per_s = event.items_per_s
            case ev.Step():
                if self.phase != "train":
                    self._enter("train", event.total, "steps")
                self._advance(event.step, event.total, event)
                self._steps = event.step
                self.epoch, self.loss, self.items_per_s = event.epoch, event.loss, event.examples_per_s
            case ev.Evaluated():
                self.evaluated = event
            case ev.Checkpoint():
                self.checkpoint = event.step
            case ev.Untrained():
                self.untrained = True
            case ev.Ended():
                self.end = event
                if self.started is None and event.seconds:  # the end is all that is read of an ended run
                    self.started = record.time - event.seconds
                self.memory_peak_bytes = event.memory_peak_bytes or self.memory_peak_bytes

    def _enter(self, name: str, total: int | None, unit: str) -> None:
        self.phase, self.total, self.unit = name, total, unit
        self.done = self._steps if name == "train" else 0
        self.items_per_s = None

    def _advance(self, done: int, total: int | None, memory: ev.Memory) -> None:
        self.done, self.total = done, total or self.total
        self.memory_peak_bytes = memory.memory_peak_bytes or self.memory_peak_bytes
        self.host_memory_bytes = memory.host_memory_bytes or self.host_memory_bytes

    def settle(self) -> "Summary":
        """Compute `state` from the last event and the lock, and return self."""
        lock_fault = ""
        try:
            alive = processes.is_alive(self.folder)
        except OSError as error:
            alive, lock_fault = False, reason_of(error)
        faults = filter(None, (self._config_fault, self._events_fault, lock_fault))
        self.fault = "; ".join(faults).replace(f"{self.folder.path}/", "")
        ends: dict[Any, str] = {ev.Finished: FINISHED, ev.Failed: FAILED, ev.Stopped: STOPPED}
        ended = ends.get(type(self._last))
        if self.fault and not alive:
            self.state = DAMAGED
        elif ended and not (alive and self._relaunched()):
            self.state = ended
        elif not alive:
            self.state = DAMAGED if self.bad_lines else LOST
        else:
            self.state = QUEUED if ended or self._last is None or isinstance(self._last, ev.Queued) else RUNNING
        if self.state == RUNNING and not self._has_learnt:
            self._has_learnt = True
            self._forecast.learn(earlier_costs(self.folder, self.document, self.device))
        return self

    def _relaunched(self) -> bool:
        launch = self.folder.read_launch()
        if launch is None:
            return False
        if launch.last_seq is None:  # of a version that went by the clock
            return launch.launched > (self.changed or 0.0)
        return self._last_seq <= launch.last_seq

    def as_dict(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        return {
            "run": self.name,
            "config": self.experiment,
            "engine": self.engine,
            "model": self.model,
            "state": self.state,
            "phase": self.phase,
            "done": self.done,
            "total": self.total,
            "epoch": self.epoch,
            "loss": self.loss,
            "eta_s": self.eta_s,
            "accuracy": self.accuracy,
            "items": self.end.items if self.end else (self.evaluated.items if self.evaluated else 0),
            "device": self.device,
            "started": self.started,
            "changed": self.changed,
            "damage": self.damage,
            "message": self.end.message if isinstance(self.end, ev.Failed) else "",
        }


def open_summary(folder: RunFolder) -> Summary:
    """A summary with the config read and no events folded in yet."""
    try:
        return Summary(folder, folder.read_document())
    except (OSError, RunError) as error:
        return Summary(folder, {}, _config_fault=reason_of(error))


def read_end(folder: RunFolder) -> ev.Record | None:
    """The record of a run's end, if that is the last one of its file."""
    for most_bytes in (4096, 65536, ev.LINE_MOST_BYTES):  # an end is short, unless it carries a long traceback
        if tail := read_last(folder.events, most_bytes):
            return tail[-1] if isinstance(tail[-1].event, ev.Ended) else None
    return None


def summarize(folder: RunFolder) -> Summary:
    """The summary of a run. An ended run is read from the end of its file, and for its device from the start.

    Nothing in the folder makes it fail: a run that cannot be read is damaged.
    """
    try:
        summary = open_summary(folder)
        reader = EventReader(folder.events)
        if end := read_end(folder):
            summary.apply([end])
            head = reader.read(limit_bytes=1 << 12)
            summary.device = next((r.event.device for r in head if isinstance(r.event, ev.Started)), "")
        else:
            while not reader.at_end:
                summary.read(reader)
        return summary.settle()
    except Exception as error:  # a fault of this program must not hide the other runs
        return unreadable(folder, error)


def unreadable(folder: RunFolder, error: Exception) -> Summary:
    """The summary of a run whose reading ended in an error that nobody foresaw."""
    return Summary(folder, {}, DAMAGED, fault=f"{type(error).__name__}: {reason_of(error)}")


def list_runs(home: Home) -> list[RunFolder]:
    """All run folders, the one made last first; of runs of earlier versions, after them, by name."""
    if not home.runs.is_dir():  # of a home that is only read
        return []
    folders = [RunFolder(p) for p in home.runs.iterdir() if p.is_dir() and _has_config(p)]
    places = order.places(home)
    return sorted(folders, key=lambda f: (places.get(f.name, -1), f.name), reverse=True)


def _has_config(folder: Path) -> bool:
    try:
        os.lstat(folder / "config.toml")
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # it cannot be looked into, which the list tells
        return True
    return True


def find_run(home: Home, name: str) -> RunFolder:
    """The run of that name or unique part of a name ("3f2a", "distilbert-loop-3f2a").

    Raises `RunNotFoundError` with a sentence when none or several match.
    """
    folders = list_runs(home)
    exact = [f for f in folders if f.name == name]
    matches = exact or [f for f in folders if f.name.endswith(name)] or [f for f in folders if name in f.name]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise RunNotFoundError(f'no run matches "{name}"; `labtui list` shows them')
    shown = ", ".join(f.name for f in matches[:4])
    raise RunNotFoundError(
        f'"{name}" matches {len(matches)} runs ({shown}{", …" if len(matches) > 4 else ""}); name one'
    )
