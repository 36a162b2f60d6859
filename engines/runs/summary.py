"""What a list shows of a run, computed from its files: never stored, always rebuildable."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from engines.errors import RunError, RunNotFoundError
from engines.runs import events as ev
from engines.runs import locks
from engines.runs.folder import RunFolder
from engines.runs.forecast import Forecast, earlier_costs
from engines.runs.home import Home
from engines.runs.scores import Scores

QUEUED, RUNNING, FINISHED, FAILED, STOPPED, LOST = "queued", "running", "finished", "failed", "stopped", "lost"
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
    _last: ev.Event | None = None
    _has_learnt: bool = False

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

    def apply(self, records: Iterable[ev.Record]) -> None:
        """Fold further records in; `state` is brought up to date by `settle`."""
        for record in records:
            self._apply(record)

    def _apply(self, record: ev.Record) -> None:
        event = record.event
        self.changed, self._last = record.time, event
        self._forecast.apply(record)
        match event:
            case ev.Queued():
                self.ahead, self.end = event.ahead, None
            case ev.Started():
                self.device, self.started, self.end = event.device, record.time, None
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
        self.phase, self.total, self.unit, self.done = name, total, unit, 0
        self.items_per_s = None

    def _advance(self, done: int, total: int | None, memory: ev.Memory) -> None:
        self.done, self.total = done, total or self.total
        self.memory_peak_bytes = memory.memory_peak_bytes or self.memory_peak_bytes
        self.host_memory_bytes = memory.host_memory_bytes or self.host_memory_bytes

    def settle(self) -> "Summary":
        """Compute `state` from the last event and the lock, and return self."""
        alive = locks.is_locked(self.folder.lock)
        ended = {ev.Finished: FINISHED, ev.Failed: FAILED, ev.Stopped: STOPPED}.get(type(self._last))
        if ended and not (alive and self._relaunched()):
            self.state = ended
        elif not alive:
            self.state = LOST
        else:
            self.state = QUEUED if ended or self._last is None or isinstance(self._last, ev.Queued) else RUNNING
        if self.state == RUNNING and not self._has_learnt:
            self._has_learnt = True
            self._forecast.learn(earlier_costs(self.folder, self.document, self.device))
        return self

    def _relaunched(self) -> bool:
        launch = self.folder.read_launch()
        return launch is not None and launch.launched > (self.changed or 0.0)

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
            "message": self.end.message if isinstance(self.end, ev.Failed) else "",
        }


def open_summary(folder: RunFolder) -> Summary:
    """A summary with the config read and no events folded in yet."""
    try:
        document = folder.read_document()
    except (OSError, RunError):
        document = {}
    return Summary(folder, document)


def read_end(folder: RunFolder) -> ev.Record | None:
    """The record of a run's end, if that is the last one of its file."""
    for most_bytes in (4096, 65536):  # an end is short, unless it carries a long traceback
        tail = ev.read_last(folder.events, most_bytes)
        if tail and isinstance(tail[-1].event, ev.Ended):
            return tail[-1]
    return None


def summarize(folder: RunFolder) -> Summary:
    """The summary of a run. An ended run is read from the end of its file, and for its device from the start."""
    summary = open_summary(folder)
    if end := read_end(folder):
        summary.apply([end])
        head = ev.EventReader(folder.events).read(limit_bytes=1 << 12)
        summary.device = next((r.event.device for r in head if isinstance(r.event, ev.Started)), "")
    else:
        summary.apply(ev.read_all(folder.events))
    return summary.settle()


def list_runs(home: Home) -> list[RunFolder]:
    """All run folders, newest first."""
    folders = [RunFolder(p) for p in home.runs.iterdir() if p.is_dir() and (p / "config.toml").exists()]
    return sorted(folders, key=lambda f: f.name, reverse=True)


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
