"""The runs in a list: state, id, experiment, progress, time to go or main score."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from textual.binding import Binding, BindingType

from engines.runs.summary import DAMAGED, FAILED, FINISHED, LOST, QUEUED, RUNNING, STOPPED
from labtui import format
from labtui.console.views import ExperimentView, RunView
from labtui.console.widgets.row_list import ListRow, RowList

GLYPHS = {RUNNING: "●", QUEUED: "◌", FINISHED: "✓", FAILED: "✗", STOPPED: "■", LOST: "▲", DAMAGED: "?", "": "·"}
STATE_STYLES = {
    RUNNING: "running",
    QUEUED: "warn",
    FINISHED: "good",
    FAILED: "bad",
    STOPPED: "warn",
    LOST: "bad",
    DAMAGED: "bad",
}
NO_RUNS = "no runs yet:\nchoose an experiment, press enter"
_ORDER = {RUNNING: 0, QUEUED: 1}


def shortened(text: str, width: int) -> str:
    """Clean text in exactly `width` cells; of a name with a slash the front is given up first."""
    if cell_len(text) > width:
        text = text.rpartition("/")[2]
    if cell_len(text) > width:
        return set_cell_size(text, max(0, width - 1)) + "…"[:width]
    return set_cell_size(text, width)


def outcome(run: RunView) -> str:
    """What there is to say of a run in a dozen cells: progress and time to go, runs ahead, score, error."""
    if run.state == RUNNING:
        share = format.percent(run.progress) if run.progress is not None else run.phase[:12]
        return f"{share} {format.duration(run.eta_s):>6}" if run.eta_s is not None else share
    if run.state == QUEUED:
        return f"{run.ahead} ahead" if run.ahead else "next"
    if run.state == FAILED:
        kind = str(getattr(run.end, "type", ""))
        return "out of memory" if "OutOfMemory" in kind or kind == "MemoryError" else ""
    if run.state == DAMAGED:
        return DAMAGED
    if run.accuracy is not None:
        tested = run.end is not None and run.end.split == "test"
        return ("" if tested else "val ") + format.score(run.accuracy)
    return format.MISSING if run.state == FINISHED else ""


class RunTable(RowList):
    """All runs: living ones first, then the newest. `words` narrows it to runs with all these words in them."""

    PLACE = "In the list of runs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Watch", key_display="enter", tooltip="Watch the run: move to its charts"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(placeholder=NO_RUNS, id=id)
        self._views: dict[str, RunView] = {}
        self.words: tuple[str, ...] = ()

    @property
    def views(self) -> Mapping[str, RunView]:
        return self._views

    @property
    def matching(self) -> int:
        """How many runs hold all the words."""
        return sum(map(self._holds, self._views.values()))

    def _holds(self, run: RunView) -> bool:
        text = f"{run.state} {run.short} {run.experiment} {run.engine} {run.model}".lower()
        return all(word in text for word in self.words)

    def show(self, names: list[str] | None, changed: Mapping[str, RunView]) -> None:
        """Take in changed runs and, if given, the names of all, newest first."""
        known = {**self._views, **changed}
        self._views = {name: known[name] for name in (names if names is not None else self._views) if name in known}
        self.update()

    def filter(self, text: str) -> None:
        """Show only runs whose state, id, experiment, engine or model hold every word of `text`."""
        self.words = tuple(text.lower().split())
        self._placeholder = "no run has these words" if self.words else NO_RUNS
        self.update()

    def make_rows(self, width: int) -> Iterable[ListRow]:
        for run in sorted(self._views.values(), key=lambda run: _ORDER.get(run.state, 2)):
            if self.words and not self._holds(run):
                continue
            style = STATE_STYLES.get(run.state, "faint")
            result = outcome(run)
            head = f"{GLYPHS[run.state]} {run.state or '...':<8} "
            room = width - len(head) - 6 - len(result) - 2
            name = shortened(run.experiment, max(4, room))
            yield ListRow(
                run.name,
                (
                    (" ", ""),
                    (head, style),
                    (f"{run.short[:4]:<4} ", "faint"),
                    (f"{name} ", "name"),
                    (result, "name" if run.state != RUNNING else style),
                ),
            )


class ExperimentList(RowList):
    """The experiments under the names of their families."""

    PLACE = "In the list of experiments"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Launch", key_display="enter", tooltip="Open the form of the experiment"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(placeholder="reading the experiments", id=id)
        self._views: dict[str, ExperimentView] = {}

    @property
    def views(self) -> Mapping[str, ExperimentView]:
        return self._views

    def show(self, experiments: list[ExperimentView]) -> None:
        """Show these experiments; the quickstart family stands first."""
        order = sorted(experiments, key=lambda e: (e.family != "quickstart", e.family, e.name))
        self._views = {e.name: e for e in order}
        self._placeholder = "no experiments: put a TOML file into\nyour config folder (docs/engines.md)"
        self.update()

    def make_rows(self, width: int) -> Iterable[ListRow]:
        longest = max((cell_len(e.name.removeprefix(f"{e.family}/")) for e in self._views.values()), default=0)
        room = min(longest, max(12, width // 2 - 2))
        family = None
        for e in self._views.values():
            if e.family != family:
                family = e.family
                yield ListRow(None, ((f" {shortened(family, width - 2)}", "heading"),))
            name = shortened(e.name.removeprefix(f"{e.family}/"), room)
            about = (f"{GLYPHS[FAILED]} {e.error}", "bad") if e.error else (e.title, "faint")
            rest = width - room - 5
            if cell_len(about[0]) > rest:
                about = set_cell_size(about[0], max(0, rest - 1)) + "…"[:rest], about[1]
            yield ListRow(e.name, ((f"   {name} ", "name"), about))
