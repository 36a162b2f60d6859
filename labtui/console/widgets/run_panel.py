"""One run in words: its title line, and a summary for runs that have no curves."""

from collections.abc import Iterable

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from engines.runs import events as ev
from engines.runs.summary import DAMAGED, FAILED, FINISHED, LOST, QUEUED, RUNNING, STOPPED
from labtui import format
from labtui.console.views import RunView, after_resuming, failure
from labtui.console.widgets.bars import TextLine
from labtui.console.widgets.run_table import GLYPHS
from labtui.sanitize import clean

COLOURS = {
    RUNNING: "bold #4ea1ff",
    QUEUED: "#ffb000",
    FINISHED: "#3ddc84",
    FAILED: "bold #ff5f5f",
    STOPPED: "#ffb000",
    LOST: "bold #ff5f5f",
    DAMAGED: "bold #ff5f5f",
}


def state_text(run: RunView) -> Text:
    """State as glyph and word, in its colour."""
    return Text(f"{GLYPHS[run.state]} {run.state or 'reading'}", COLOURS.get(run.state, ""))


def _took(end: ev.Ended) -> str:
    """How long a run took since its turn came."""
    never = not end.seconds and not isinstance(end, ev.Finished)
    return "never had its turn" if never else f"took {format.duration(end.seconds)}"


def where(run: RunView) -> list[str]:
    """What the title says behind the state: place, pace and time to go, then how it ended."""
    parts = []
    if run.state == QUEUED:
        ahead = f"{run.ahead} run{'s' if run.ahead > 1 else ''} go{'es' if run.ahead == 1 else ''} first"
        parts.append(ahead if run.ahead else "starts next")
    if run.state == RUNNING:
        if run.phase == "train" and run.total:
            parts.append(f"step {format.count(run.done)}/{format.count(run.total)}")
        elif run.phase:
            parts.append(run.phase)
        if run.progress is not None:
            parts.append(format.percent(run.progress))
        if run.eta_s is not None:
            parts.append(f"ETA {format.duration(run.eta_s)}")
        if run.epoch is not None and run.phase == "train":
            parts.append(f"epoch {run.epoch:.2f}")
        if run.items_per_s is not None:
            parts.append(format.rate(run.items_per_s, "items"))
    if run.end is not None and not run.alive:
        if isinstance(run.end, ev.Stopped) and run.end.step:
            parts.append(f"at step {format.count(run.end.step)}/{format.count(run.end.total)}")
        if run.accuracy is not None:
            parts.append(
                f"{clean(run.end.split) or 'validation'} accuracy {format.score(run.accuracy)}"
                + (f" on {format.count(run.end.items)}" if run.end.items else "")
            )
        parts.append(_took(run.end))
    return parts


class RunTitle(TextLine):
    """State, name and place of the selected run, in one line."""

    DEFAULT_CSS = "RunTitle { padding: 0 1; }"

    def show(self, run: RunView) -> None:
        """Show where a run stands."""
        for name in (run.experiment, run.experiment.rpartition("/")[2]):
            text = Text.assemble(state_text(run), "  ", (name, "bold"), f" {run.short}")
            for part in where(run):
                text.append(f"  {part}")
            if text.cell_len <= self.size.width:
                break
        self.say(text)


def confusion_lines(labels: list[str], confusion: list[list[int]]) -> Iterable[Text]:
    """The confusion matrix: one row per true label, one column per answer, then the invalid ones when there are any."""
    names = [clean(str(label))[:14] for label in labels]
    columns = [*names, "invalid"][: max((len(row) for row in confusion), default=0)]
    if len(columns) > len(names) and not any(row[-1] for row in confusion):
        columns = columns[:-1]
    widths = [max(len(name), 7) for name in columns]
    room = max([len(name) for name in names] + [13])
    head = "".join(f"  {name:>{width}}" for name, width in zip(columns, widths, strict=True))
    yield Text(f"{'true, answered':<{room}}{head}", "dim")
    for i, (name, row) in enumerate(zip(names, confusion, strict=False)):
        line = Text(f"{name:<{room}}")
        for j, (count, width) in enumerate(zip(row, widths, strict=False)):
            line.append(f"  {format.count(count):>{width}}", "bold" if i == j else "")
        yield line


def bar(share: float, width: int) -> str:
    """A progress bar of `width` cells."""
    filled = round(max(0.0, min(1.0, share)) * width)
    return "━" * filled + "─" * (width - filled)


def summary_text(run: RunView, width: int) -> Text:
    """The run as a page: what it is, where it stands, what it scored or why it failed."""
    lines: list[Text] = []

    def fact(name: str, value: str, style: str = "") -> None:
        if value:
            lines.append(Text.assemble((f"{name:<18}", "dim"), (value, style)))

    lines.append(Text(run.title or run.experiment, "bold"))
    fact("engine", run.engine)
    fact("model", run.model)
    fact("device", run.device)
    lines.append(Text())
    if run.state == QUEUED:
        fact("waits", where(run)[0])
    if run.state == RUNNING:
        of = f"{format.count(run.done)} of {format.count(run.total)} {run.unit}" if run.total else ""
        if run.unit == "bytes":
            of = f"{format.bytes_text(run.done)} of {format.bytes_text(run.total)}" if run.total else ""
        fact("phase", f"{run.phase}  {of}".rstrip())
        if run.total:
            fact("", bar(run.done / run.total, min(40, max(8, width - 24))), COLOURS[RUNNING])
        if run.progress is not None:
            fact("whole run", format.percent(run.progress))
        if run.eta_s is not None:
            fact("ETA", format.duration(run.eta_s))
    if run.state == LOST:
        fact("lost", "the worker died without reporting an end", COLOURS[LOST])
    if run.state in (LOST, FAILED, STOPPED):
        fact("with R it", after_resuming(run.checkpoint))
    fact("damaged", run.damage, COLOURS[DAMAGED])
    end = run.end
    if isinstance(end, ev.Failed):
        fact("failed", clean(failure(end)), COLOURS[FAILED])
        fact("hint", clean(end.hint), COLOURS[QUEUED])
    scored = end if end is not None and end.confusion else run.evaluated
    if scored is not None and scored.confusion:
        fact("scored on", f"{format.count(scored.items)} items of {clean(scored.split)}")
        for name, value in scored.scores.as_json().items():
            if isinstance(value, float):
                fact(
                    clean(str(name)).replace("_", " ").replace("macro f1", "macro F1"),
                    format.score(value),
                    "bold" if name == "accuracy" else "",
                )
        lines.append(Text())
        if len(scored.scores.repeats) > 1:
            first, count = scored.scores.repeats[0], len(scored.scores.repeats)
            lines.append(Text(f"repeat 1 of {count}, accuracy {format.score(first)}:", "dim"))
        lines += confusion_lines(scored.labels, scored.confusion)
    if end is not None and not run.alive:
        lines.append(Text())
        fact("time", _took(end))
        if end.items_per_s:
            fact("scoring", format.rate(end.items_per_s, "items"))
        fact(
            "peak memory",
            format.bytes_text(end.memory_peak_bytes or end.host_memory_peak_bytes)
            if end.memory_peak_bytes or end.host_memory_peak_bytes
            else "",
        )
    return Text("\n").join(lines)


class RunSummary(VerticalScroll):
    """The page of a run without curves, or what to do when there is no run."""

    DEFAULT_CSS = """
    RunSummary { height: 1fr; padding: 1 2; }
    RunSummary > Static { height: auto; }
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._text = Text()
        self._page = Static(markup=False)

    def compose(self) -> ComposeResult:
        yield self._page

    def say(self, text: Text) -> None:
        """Show this page."""
        if text != self._text:
            self._text = text
            self._page.update(text)
