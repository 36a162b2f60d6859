"""What the feed hands to the screens: runs, experiments, log lines and curves as they are shown."""

from dataclasses import dataclass, field

from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.runs.summary import ALIVE, Summary
from labtui import format, narrate
from labtui.console.curves import Floats
from labtui.devices import Sample
from labtui.sanitize import clean

TRACEBACK_LINES = 12


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as the screens show it. `state` is empty until its folder has been read.

    All text is cleaned but `name`, the folder's name: an identity, not for showing.
    """

    name: str
    short: str
    experiment: str
    state: str = ""
    engine: str = ""
    model: str = ""
    title: str = ""
    device: str = ""
    ahead: int = 0
    phase: str = ""
    unit: str = ""
    done: int = 0
    total: int | None = None
    epoch: float | None = None
    items_per_s: float | None = None
    progress: float | None = None  # share of the whole run, 0 to 1, by time
    eta_s: float | None = None  # until the run ends
    accuracy: float | None = None
    started: float | None = None
    changed: float | None = None
    checkpoint: int | None = None  # the step of the last one, where all events were read
    damage: str = ""  # what of its files cannot be read
    memory_peak_bytes: int | None = None
    end: ev.Ended | None = None  # its texts are foreign
    evaluated: ev.Evaluated | None = None  # its texts are foreign

    @property
    def alive(self) -> bool:
        return self.state in ALIVE

    @classmethod
    def unread(cls, folder: RunFolder) -> "RunView":
        """What the folder's name alone tells: `<date>-<time>-<experiment>-<short>`."""
        parts = clean(folder.name).split("-")
        return cls(folder.name, parts[-1], "-".join(parts[2:-1]) or parts[0])

    @classmethod
    def of(cls, s: Summary) -> "RunView":
        return cls(
            s.name,
            clean(s.short),
            clean(s.experiment),
            s.state,
            clean(s.engine),
            clean(format.model_name(s.model, s.untrained_head)),
            clean(str(s.document.get("title", ""))),
            clean(s.device),
            s.ahead,
            clean(s.phase),
            clean(s.unit),
            s.done,
            s.total,
            s.epoch,
            s.items_per_s,
            s.progress,
            s.eta_s,
            s.accuracy,
            s.started,
            s.changed,
            s.checkpoint,
            clean(s.damage),
            s.memory_peak_bytes,
            s.end,
            s.evaluated,
        )


@dataclass(frozen=True, slots=True)
class ExperimentView:
    """An experiment of the config folders; `error` says why it cannot be launched."""

    name: str
    family: str
    title: str = ""
    engine: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One cleaned line of a run's log; `level` is info, warning, error or faint."""

    time: float  # Unix seconds
    text: str
    level: str = "info"


@dataclass
class Live:
    """News of a followed run. `points_anew`, `lines_anew`: these are all there are, what was shown before is void."""

    run: RunView
    total: int | None  # steps
    points: dict[str, tuple[Floats, Floats]]
    points_anew: bool
    lines: list[LogLine]
    lines_anew: bool


@dataclass
class Mail:
    """Everything that changed since the last collection."""

    names: list[str] | None = None  # all runs, newest first, when the list changed
    runs: dict[str, RunView] = field(default_factory=dict)
    experiments: list[ExperimentView] | None = None
    live: dict[str, Live] = field(default_factory=dict)
    sample: Sample | None = None


def after_resuming(checkpoint: int | None) -> str:
    """What a run does when it is resumed, whose last checkpoint is of this step."""
    return f"goes on from step {checkpoint:,}" if checkpoint is not None else "begins anew: it has no checkpoint"


def log_lines(record: ev.Record) -> list[LogLine]:
    """The lines of the log pane for one event; none for the ones that curves and titles show."""
    event = record.event
    if isinstance(event, ev.Step | ev.Progress):
        return []
    level = {ev.Failed: "error", ev.Phase: "faint", ev.Queued: "faint"}.get(type(event), "info")
    if narrate.is_warning(event):
        level = "warning"
    if not isinstance(event, ev.Failed):
        text = narrate.sentence(event)
        return [LogLine(record.time, text, level)] if text else []
    trace = clean(event.traceback, multiline=True).rstrip().splitlines()[-TRACEBACK_LINES:]
    lines = [LogLine(record.time, line, "faint") for line in trace]
    lines.append(LogLine(record.time, clean(f"failed: {failure(event)}"), "error"))
    if event.hint:
        lines.append(LogLine(record.time, clean(f"hint: {event.hint}"), "warning"))
    return lines


def failure(event: ev.Failed) -> str:
    """Why a run failed, not yet cleaned; the kind of an exception is named only where nobody foresaw it."""
    return f"{event.type}: {event.message}" if event.traceback else event.message
