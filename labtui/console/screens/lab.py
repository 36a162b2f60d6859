"""Lab: the experiments, the runs, and the selected run live."""

from collections.abc import Collection
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from engines.runs.folder import RunFolder
from engines.runs.summary import DAMAGED, FAILED, LOST, RUNNING, STOPPED
from labtui.console.screens.base import ConsoleScreen
from labtui.console.views import ExperimentView, Live, Mail, RunView, after_resuming
from labtui.console.widgets.bars import KeyBar, TopBar
from labtui.console.widgets.chart import Chart
from labtui.console.widgets.live_charts import LiveCharts
from labtui.console.widgets.log_pane import LogPane
from labtui.console.widgets.row_list import RowList
from labtui.console.widgets.run_panel import RunSummary, RunTitle, summary_text
from labtui.console.widgets.run_table import ExperimentList, RunTable
from labtui.sanitize import clean

if TYPE_CHECKING:
    from textual.widgets import Input  # imported when it is needed: the first paint is not to wait for it

WIDE_COLUMNS, TALL_ROWS = 110, 28
RUNGS = (
    ("ask", "asks it to stop at its next step, with a checkpoint where it trains"),
    ("terminate", "sends SIGTERM to its whole process tree"),
    ("kill", "sends SIGKILL to its whole process tree"),
)
WELCOME = """No run to watch yet.

  Choose an experiment at the left and press enter: its form opens with the
  settings filled in. n starts it as it stands.

  `labtui quickstart` runs a small study of every engine in three minutes,
  without a GPU and without a model hub."""


class LabScreen(ConsoleScreen[None]):
    """The first screen. It shows what `LabApp` delivers and asks the app for everything else."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "start_now", "Start now", tooltip="Start the experiment under the cursor as its config says"),
        Binding(
            "x", "stop", "Stop", tooltip="Stop the run, after a question: first ask it, then SIGTERM, then SIGKILL"
        ),
        Binding(
            "R",
            "resume",
            "Resume",
            tooltip="Go on with a run that has not finished, from its last checkpoint",
        ),
        Binding("b", "drawer", "Lists", tooltip="Show or hide experiments and runs on a small terminal"),
        Binding("slash", "filter", "Filter", key_display="/", tooltip="Show only runs with these words in them"),
        Binding("i", "summary", "Scores", tooltip="Scores and confusion matrix in place of the charts, and back"),
        Binding("f", "maximise", "Full chart", tooltip="One chart over the whole view, and back"),
        Binding("right_square_bracket", "chart(1)", "Chart", key_display="[ ]", tooltip="Previous or next chart"),
        Binding("left_square_bracket", "chart(-1)", show=False),
        Binding("l", "log_y", "Log-Y", tooltip="Logarithmic axis for the chart that has the focus, else the loss"),
        Binding("s", "smooth", "Smooth", tooltip="Smooth the curves: 0, 0.6, 0.9, 0.97"),
        Binding("o", "overlay", "Overlay", tooltip="Keep this run's loss on the chart behind the runs selected next"),
        Binding("tab", "next_pane", "Next pane", show=False, tooltip="Experiments, runs, charts, log"),
        Binding("shift+tab", "next_pane(-1)", "Previous pane", show=False),
        Binding("escape", "back", "Back", show=False, tooltip="Back to the runs"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._selected: str | None = None
        self._awaited: str | None = None  # selected before the list knows it
        self._by_hand = False
        self._view: RunView | None = None
        self._want_summary = False
        self._rungs: dict[str, int] = {}  # by run: how many rungs of its stopping are done
        self._study_ran = False

    @property
    def experiments(self) -> Collection[ExperimentView]:
        """All experiments of the config folders."""
        return self._experiments.views.values()

    @property
    def runs(self) -> Collection[RunView]:
        """All runs, newest first."""
        return self._runs.views.values()

    def compose(self) -> ComposeResult:
        self._experiments = ExperimentList(id="experiments")
        self._runs = RunTable(id="runs")
        self._title, self._summary, self._log = RunTitle(), RunSummary(id="summary"), LogPane(id="log")
        self._charts = LiveCharts(self.console.ascii_only, id="charts")
        self._experiments.border_title, self._runs.border_title, self._log.border_title = "experiments", "runs", "log"
        yield TopBar("lab")
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield self._experiments
                yield self._runs
            with Vertical(id="right"):
                yield self._title
                yield self._charts
                yield self._summary
                yield self._log
        yield KeyBar()

    def on_mount(self) -> None:
        self._lay_out()
        self._choose_page()
        self._runs.focus()
        self.console.take_mail()
        self.call_after_refresh(self._charts.fill)

    # -- what arrives -----------------------------------------------------------------------------------------

    def show(self, mail: Mail) -> None:
        """Take in what the feed found."""
        if mail.experiments is not None:
            self._experiments.show(mail.experiments)
            if not self._runs.views and not mail.names and not self._by_hand:
                self._experiments.focus()
        if mail.names is not None and not mail.names and self._single:
            self.add_class("-drawer")  # nothing to watch: something to choose
        if mail.names is not None or mail.runs:
            self._runs.show(mail.names, mail.runs)
            self._count_runs()
            self._select_by_itself()
            self._end_of_study()
        for name, live in mail.live.items():
            if name == self._selected:
                self._show_live(live)
            elif name == self._charts.overlay:
                self._charts.show_overlay(live)
        if self._view and (self._view.name in mail.runs or self._view.name in mail.live):
            self._title.show(self._as_listed(self._view))
            self._choose_page()

    def _count_runs(self) -> None:
        alive = sum(run.alive for run in self.runs)
        listed = f"{self._runs.matching} of {len(self.runs)}" if self._runs.words else str(len(self.runs))
        title = f"runs  {listed}" + (f", {alive} alive" if alive else "")
        if title != self._runs.border_title:  # setting it repaints the whole list
            self._runs.border_title = title

    def _select_by_itself(self) -> None:
        """While the user has not chosen, show what matters: of the runs that were highlighted, the one that runs."""
        views = self._runs.views
        if self._awaited in views:
            self._runs.key, self._awaited = self._awaited, None
        if self._awaited:
            return
        if self._selected not in views:
            self._selected = None
        current = views.get(self._selected or "")
        if current and (self._by_hand or current.alive):
            return
        wanted = [views[name] for name in self.console.highlight if name in views]
        candidates = [run for run in wanted if run.alive]
        if current is None or not (self.console.highlight or self._view):
            candidates += wanted[:1] + [run for run in self.runs if run.alive] + list(self.runs)
        running = [run for run in candidates if run.state == "running"]
        if candidates:
            self._select((running or candidates)[0].name)

    def _end_of_study(self) -> None:
        """When the last of the highlighted runs has ended before the user's eyes, their results are next."""
        names = self.console.highlight
        alive = [name for name in names if name in self._runs.views and self._runs.views[name].alive]
        if alive:
            self._study_ran = True
        elif self._study_ran and all(self._runs.views[n].state for n in names if n in self._runs.views):
            self._study_ran = False
            if self.app.screen is self:
                self.notify("All runs of the study have ended; 1 goes back to their curves.", markup=False)
                self.call_later(self.console.action_mode, "results")

    def _select(self, name: str) -> None:
        if name == self._selected:
            return
        self._selected, self._want_summary = name, False
        self._runs.key = name
        self._follow()

    def _follow(self) -> None:
        names = dict.fromkeys(name for name in (self._selected, self._charts.overlay) if name)
        self.console.feed.follow(*names)

    def watch_run(self, name: str) -> None:
        """Select a run and show its live view, whatever the list shows."""
        self._by_hand = True
        self._selected = None
        self._awaited = name
        self._select(name)
        self.remove_class("-drawer")
        self._runs.focus()

    def _show_live(self, live: Live) -> None:
        run = live.run
        before, self._view = self._view, run
        self._charts.show(live)
        if live.lines_anew:
            self._log.clear()
        self._log.extend(live.lines)
        other = before is None or (before.name, before.state) != (run.name, run.state)
        if other:
            self.refresh_bindings()

    def _as_listed(self, run: RunView) -> RunView:
        """While it runs, a run is shown as the list has it: two figures of one thing would differ."""
        listed = self._runs.views.get(run.name)
        return listed if listed and listed.state == run.state == RUNNING else run

    def _choose_page(self) -> None:
        """Charts where there are curves, else the summary in words."""
        charts = self._charts.has_curves and not self._want_summary
        if self._charts.display != charts or self._summary.display == charts:
            self._charts.display, self._summary.display = charts, not charts
            self.refresh_bindings()  # the keys of charts come and go with them
        if not charts:
            width = max(20, self.size.width - 60)
            self._summary.say(summary_text(self._as_listed(self._view), width) if self._view else Text(WELCOME))

    # -- layout -----------------------------------------------------------------------------------------------

    @property
    def _single(self) -> bool:
        return self.size.width < WIDE_COLUMNS or self.size.height < TALL_ROWS

    def on_resize(self, event: events.Resize) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        single = self._single
        self.set_class(single, "-single")
        if not single:
            self.remove_class("-drawer")
        self._charts.lay_out(single)

    def action_drawer(self) -> None:
        """Open or close the lists on a small terminal."""
        self.toggle_class("-drawer")
        (self._runs if self.has_class("-drawer") else self._charts.main).focus()

    def action_next_pane(self, direction: int = 1) -> None:
        """Walk through the panes; on a small terminal the drawer opens and closes on the way."""
        main = self._charts.main if self._charts.display else self._summary
        panes: list[Widget] = [self._experiments, self._runs, main, self._log]
        focused = self.focused
        if isinstance(focused, Chart) and focused not in panes:
            focused = self._charts.main
        index = panes.index(focused) if focused in panes else -1
        pane = panes[(index + direction) % len(panes)]
        if self._single:
            self.set_class(isinstance(pane, RowList), "-drawer")
        pane.focus()

    def action_back(self) -> None:
        """Leave a full chart, the filter or the drawer; then back to the runs."""
        if self._charts.is_maximised:
            self.action_maximise()
        elif not self.query("#filter") and self._single and self.has_class("-drawer") and self._view:
            self.action_drawer()
        else:
            self.query("#filter").remove()
            self._runs.filter("")
            self._count_runs()
            self._runs.focus()

    def action_chart(self, step: int) -> None:
        """The previous or next chart."""
        self._charts.step(step)

    def action_maximise(self) -> None:
        """One chart alone, and back."""
        self._charts.toggle_maximised()

    def action_log_y(self) -> None:
        """Logarithmic or linear axis."""
        self._charts.toggle_log_y()

    def action_smooth(self) -> None:
        """The next factor of smoothing."""
        self._charts.smooth_on()

    def action_summary(self) -> None:
        """Charts or summary."""
        self._want_summary = not self._want_summary
        self._choose_page()

    def action_overlay(self) -> None:
        """Keep the loss of the selected run on the chart, or let it go."""
        if self._charts.overlay:
            self._charts.overlay = None
            self._follow()
        elif self._selected and self._view:
            self._charts.keep_overlay(self._view)
            self.notify("Its loss stays on the chart; select another run. o lets it go.", markup=False)

    # -- the lists --------------------------------------------------------------------------------------------

    @on(RowList.Highlighted, "#runs")
    def _moved(self, event: RowList.Highlighted) -> None:
        self._by_hand, self._awaited = True, None
        self._select(event.key)

    @on(RowList.Chosen, "#runs")
    def _watch(self) -> None:
        self._by_hand = True
        self.remove_class("-drawer")
        (self._charts.main if self._charts.display else self._log).focus()

    @on(RowList.Chosen, "#experiments")
    def _open_form(self, event: RowList.Chosen) -> None:
        experiment = self._experiments.views[event.key]
        if experiment.error:
            self.console.complain(experiment.error)
        else:
            self.console.open_launch(experiment.name)

    async def action_filter(self) -> None:
        """Ask for words that a run must hold to be listed."""
        from textual.widgets import Input

        if self._single:
            self.add_class("-drawer")
        if not self.query("#filter"):
            line = Input(id="filter", placeholder="words of state, name or model; esc shows all", compact=True)
            await self.query_one("#left").mount(line, before=self._runs)
        self.query_one("#filter", Input).focus()

    def on_input_changed(self, event: "Input.Changed") -> None:
        self._runs.filter(event.value)
        self._count_runs()

    def on_input_submitted(self) -> None:
        self._runs.focus()

    # -- what is done to runs ---------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that could do nothing now are neither shown nor taken."""
        run = self._view
        match action:
            case "stop":
                run = self._under_cursor
                return run is not None and run.alive and isinstance(self.focused, RunTable)
            case "resume":
                return run is not None and run.state in (STOPPED, FAILED, LOST, DAMAGED)
            case "start_now":
                return isinstance(self.focused, ExperimentList)
            case "drawer":
                return self._single
            case "log_y" | "smooth" | "overlay" | "maximise" | "chart" | "summary":
                return self._charts.has_curves
        return True

    @property
    def _folder(self) -> RunFolder:
        assert self._view is not None
        return RunFolder(self.console.home.runs / self._view.name)

    def action_start_now(self) -> None:
        """Launch the experiment under the cursor as its config says."""
        name, console = self._experiments.key, self.console

        def launch() -> RunFolder:
            from engines import catalog
            from labtui import actions

            return actions.launch(console.home, catalog.read(str(name)))

        def launched(folder: RunFolder) -> None:
            self.notify(f"started {folder.name}", markup=False)
            console.feed.rescan()
            self.watch_run(folder.name)

        if name is not None:
            self.in_background(launch, launched)

    def action_resume(self) -> None:
        """Go on with the selected run."""
        assert self._view is not None
        console, folder, checkpoint = self.console, self._folder, self._view.checkpoint

        def resume() -> RunFolder:
            from labtui import actions

            return actions.resume(console.home, folder)

        def resumed(folder: RunFolder) -> None:
            self._rungs.pop(folder.name, None)
            self.notify(f"resumed; it waits its turn and {after_resuming(checkpoint)}", markup=False)
            console.feed.rescan(folder.name)

        self.in_background(resume, resumed)

    def action_stop(self) -> None:
        """Ask whether to take the next rung of the ladder: ask the run, SIGTERM, SIGKILL."""
        from labtui.console.screens.stop import StopScreen

        run = self._under_cursor
        assert run is not None
        name = run.name
        rung, effect = self._next_rung(name)

        def answered(confirmed: bool | None) -> None:
            if confirmed:
                self._stop(name, rung)

        self.app.push_screen(StopScreen(run, effect), answered)

    @property
    def _under_cursor(self) -> RunView | None:
        return self._runs.views.get(self._runs.key or "")

    def _next_rung(self, name: str) -> tuple[str, str]:
        return RUNGS[min(self._rungs.get(name, 0), len(RUNGS) - 1)]

    def _stop(self, name: str, rung: str) -> None:
        folder, feed = RunFolder(self.console.home.runs / name), self.console.feed
        self._rungs[name] = self._rungs.get(name, 0) + 1

        def stop() -> str:
            from labtui import actions

            return actions.stop(folder, rung)

        def stopped(sentence: str) -> None:
            after = self._next_rung(name)[1]
            self.notify(f"{clean(sentence)}; if it does not answer, x {after}", markup=False, timeout=8)
            feed.rescan(name)

        self.in_background(stop, stopped)
