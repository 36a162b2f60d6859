"""Results: finished runs side by side, the published figures among them, and what is known of one of them."""

from functools import partial
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from engines.errors import UserError
from engines.runs.folder import RunFolder
from engines.runs.summary import Summary, summarize
from engines.study.values import AnswerSet, RunMeasures, Spread
from labtui.console.screens.base import ConsoleScreen, is_abandoned
from labtui.console.screens.details import DetailsScreen
from labtui.console.screens.launch import EvaluateScreen
from labtui.console.screens.result_tree import ResultTree
from labtui.console.widgets.bars import KeyBar, TextLine
from labtui.console.widgets.result_panel import ResultPanel, axis_of
from labtui.console.widgets.result_table import ResultTable
from labtui.console.widgets.row_list import RowList
from labtui.results import groups
from labtui.results.rows import IMPORTED, Follower, ResultRow, short_name
from labtui.sanitize import clean

REFRESH_EVERY_S = 2.0
DRAW_EVERY_S = 0.2  # while answers are read
WIDE_COLUMNS = 110  # below, a run is shown without the family of its experiment
EMPTY = "No run has finished with test scores yet. Launch one from the Lab (key 1); what finishes appears here."
PUBLISHED = " Key p shows the published figures of the founding study."


class ResultsScreen(ConsoleScreen[None]):
    """The table of finished runs, as a tree: groups of the same settings, their runs, the repeats of those."""

    TITLE = "Results"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "Mark", tooltip="Mark the row for comparing, plots and items, or take the mark away"),
        Binding("o", "open", "Open", tooltip="Show or hide the runs of a group, the repeats of a run"),
        Binding("v", "compare", "Compare", tooltip="Compare the marked rows on the same items, with tests"),
        Binding("t", "repeats", "Repeats", tooltip="The repeats of the selected run, and how they agree"),
        Binding("i", "items", "Items", tooltip="Read the test items of the marked rows, or of the selected one"),
        Binding("g", "plots", "Plots", tooltip="Plots of the marked rows, or of all your own"),
        Binding("x", "export", "Export", tooltip="Write what is on the screen, or the answers, to a file"),
        Binding(
            "enter",
            "details",
            "Details",
            key_display="enter",
            priority=True,
            tooltip="Settings, scores and events of the selected run",
        ),
        Binding("c", "classify", "Classify", tooltip="Classify a review with the selected run"),
        Binding("e", "evaluate", "Evaluate", tooltip="Score the selected run on other data, as a new run"),
        Binding(
            "greater_than_sign",
            "sort(1)",
            "Sort by",
            key_display="< >",
            tooltip="Sort by the next column (>) or the one before (<); a click on a header sorts too",
        ),
        Binding("less_than_sign", "sort(-1)", show=False),
        Binding("s", "reverse", "Reverse", tooltip="Turn the order round"),
        Binding("p", "published", "Published", tooltip="Show or hide the published figures of the founding study"),
        Binding("r", "refresh", "Refresh", tooltip="Read the run folders now"),
        Binding(
            "shift+down", "scroll_panel(1)", "More below", show=False, tooltip="Scroll what is said of the selected row"
        ),
        Binding("shift+up", "scroll_panel(-1)", "More above", show=False),
    ]
    DEFAULT_CSS = """
    ResultsScreen #heads { background: $panel; }
    ResultsScreen .message { height: auto; padding: 0 1; color: $text-muted; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.results = ResultTree()
        self._follower: Follower | None = None
        self._read_once = False
        self._asked: dict[str, ResultRow] = {}  # runs whose answers were asked for, as they were then
        self._measured: dict[str, RunMeasures] = {}
        self._unreadable: dict[str, str] = {}  # runs whose answers cannot be read, and why
        self._spreads: dict[str, Spread] = {}
        self._asked_spreads: set[str] = set()
        self._reading = False
        self._progress = (0, 0)
        self._draw_due = False

    def compose(self) -> ComposeResult:
        yield Static(classes="message", markup=False)
        yield TextLine(id="heads")
        yield ResultTable()
        yield ResultPanel()
        yield KeyBar()

    @property
    def table(self) -> ResultTable:
        return self.query_one(ResultTable)

    def on_mount(self) -> None:
        self._follower = Follower(self.console.home)
        self._timer = self.set_interval(REFRESH_EVERY_S, self._read_runs)
        self.table.focus()
        self._read_runs()

    def on_screen_suspend(self) -> None:
        self._timer.pause()

    def on_screen_resume(self) -> None:
        self._timer.resume()
        self._read_runs()

    # -- reading ----------------------------------------------------------------------------------------------

    def action_refresh(self) -> None:
        """Read the run folders, and try again to read the answers that could not be read."""
        self._asked = {run: row for run, row in self._asked.items() if run in self._measured}
        self._asked_spreads = set(self._spreads)
        self._read_runs()

    def _read_runs(self) -> None:
        assert self._follower is not None
        self.in_background(
            self._follower.scored,
            self._take,
            lambda sentence: self._say(f"the runs cannot be read: {sentence}"),
            kind="runs",
        )

    def _take(self, rows: list[ResultRow]) -> None:
        if rows != self.results.rows or not self._read_once:
            self.results.rows, self._read_once = rows, True
            self._draw()
        self._read_on()

    def _read_on(self) -> None:
        """Have the answers read of runs that are new, then those of groups that are."""
        if self._reading:
            return
        runs = [row for row in self.results.rows if not row.variant and self._asked.get(row.run) != row]
        questions = (
            {}
            if runs
            else {
                key: rows
                for key, rows in groups.spread_questions(self.results.tops).items()
                if key not in self._asked_spreads and all(answers["run"] in self._measured for answers in rows)
            }
        )
        if not runs and not questions:
            return
        self._reading = True
        self._asked |= {row.run: row for row in runs}
        self._asked_spreads |= questions.keys()
        self._progress = (0, len(runs))
        self._tell()
        self._read_answers([row.run for row in runs], questions)

    def _read_answers(self, runs: list[str], questions: dict[str, list[AnswerSet]]) -> None:
        analyst = self.console.analyst

        def progress(done: int, total: int) -> None:
            self.call_later(self._show_progress, done, total)

        def read() -> None:
            for run, measures in zip(runs, analyst.measure_all(runs, progress), strict=False):
                if is_abandoned():
                    return
                self.call_later(self._take_measures, run, measures)
            for key, rows in questions.items():
                if is_abandoned():
                    return
                self.call_later(self._take_spread, key, analyst.spread(rows))

        self.in_background(read, lambda _: self._end_reading(), self._stop_reading)

    def _show_progress(self, done: int, total: int) -> None:
        self._progress = (done, total)
        self._tell()

    def _take_measures(self, run: str, measures: RunMeasures | UserError) -> None:
        if isinstance(measures, UserError):
            self._unreadable[run] = clean(str(measures))
        else:
            self._measured[run] = measures
            self._unreadable.pop(run, None)
        self._draw_soon()

    def _take_spread(self, key: str, spread: Spread) -> None:
        self._spreads[key] = spread
        self._draw_soon()

    def _stop_reading(self, sentence: str) -> None:
        self.console.complain(sentence)
        self._end_reading()

    def _end_reading(self) -> None:
        self._reading = False
        self._draw()
        self._read_on()

    def _draw_soon(self) -> None:
        if not self._draw_due:
            self._draw_due = True
            self.set_timer(DRAW_EVERY_S, self._draw)

    # -- drawing ----------------------------------------------------------------------------------------------

    def on_resize(self, event: events.Resize) -> None:
        self.query_one(ResultPanel).set_class(event.size.width >= WIDE_COLUMNS, "-wide")
        if self._read_once:
            self.call_after_refresh(self._draw)

    def _say(self, text: str) -> None:
        message = self.query_one(".message", Static)
        if str(message.content) != text:
            message.update(text)

    def _tell(self) -> None:
        """The first line: what is shown, what is marked, what is still to come."""
        if not self._read_once:
            return
        runs = len({row.run for row in self.results.rows})
        parts = (
            [f"{runs} finished run{'s' * (runs != 1)}"]
            if runs
            else [EMPTY + PUBLISHED * (not self.results.shows_published)]
        )
        if marked := len(self.results.marked()):
            parts.append(f"{marked} marked" + (": mark another, and v compares them" if marked == 1 else ""))
        done, total = self._progress
        if self._reading and total:
            parts.append(f"reading answers: {done} of {total} run{'s' * (total != 1)}")
        if self._unreadable:
            count = len(self._unreadable)
            parts.append(f"the answers of {count} run{'s' * (count != 1)} cannot be read")
        self._say(" · ".join(parts))

    def _draw(self) -> None:
        """Bring the table up to date; the cursor stays on its row, or goes to the one that now hides it."""
        self._draw_due = False
        table, results = self.table, self.results
        parents = groups.parents(results.tops)
        gone = next((at for at, row in enumerate(table.rows) if row.key == table.key), None)
        results.gather(self._measured, self._spreads, self._unreadable)
        rows = results.table_rows(self.size.width < WIDE_COLUMNS)
        keys, selected = [row.key for row in rows], table.key or ""
        parents |= groups.parents(results.tops)
        while selected and selected not in keys:
            selected = parents.get(selected, "")
        if not selected and gone is not None:
            selected = keys[min(gone, len(keys) - 1)] if keys else ""  # what stands now where it stood
        own = [line.row.key for line in results.lines if not line.row.published]
        table.key = selected or next(iter(own or keys), None)
        table.show(results.heads(), rows)
        self._draw_heads()
        self._tell()
        self._draw_selected()

    @on(ResultTable.Shifted)
    def _draw_heads(self) -> None:
        self.query_one("#heads", TextLine).say(self.table.heading("screen.sort_column"))

    @property
    def selected(self) -> ResultRow | None:
        """The row under the cursor."""
        return self.results.by_key.get(self.table.key or "")

    @on(RowList.Highlighted)
    def _draw_selected(self) -> None:
        row, panel = self.selected, self.query_one(ResultPanel)
        panel.display = row is not None
        if row is not None:
            panel.show(row, axis_of(self.results.by_key.values()), self.console.ascii_only)

    # -- marks and the tree -----------------------------------------------------------------------------------

    def action_mark(self) -> None:
        """Mark the selected row, or take its mark away."""
        row = self.selected
        if row is None:
            self.notify("no run to mark; launch one from the Lab (key 1)", markup=False)
        elif row.published:
            self.notify("a published figure has no answers to compare; mark runs of your own", markup=False)
        else:
            self.results.toggle_mark(row)
            self._draw()

    def action_open(self) -> None:
        """Show what is under the selected row, or hide it and its like."""
        row = self.selected
        if row is None:
            return
        if self.results.toggle_open(row):
            self._draw()
        else:
            self.notify("nothing is under this row: one run, asked once", markup=False)

    # -- keys -------------------------------------------------------------------------------------------------

    def action_scroll_panel(self, lines: int) -> None:
        """Scroll what is said of the selected row."""
        self.query_one(ResultPanel).scroll_relative(y=lines, animate=False)

    def action_sort(self, step: int) -> None:
        """Sort by the column `step` to the right of the present one."""
        keys = [c.key for c in self.results.columns]
        if len(keys) > 1:
            self._sort_by(keys[(keys.index(self.results.column) + step) % len(keys)])

    def action_sort_column(self, number: int) -> None:
        """Sort by a column, by the present one the other way round."""
        self._sort_by(self.results.columns[number].key)

    def _sort_by(self, key: str) -> None:
        self.results.sort_by(key)
        self._draw()
        self.table.bring_into_view([c.key for c in self.results.columns].index(key))

    def action_reverse(self) -> None:
        """Turn the order round."""
        self.results.sort_by(self.results.column)
        self._draw()

    def action_published(self) -> None:
        """Show or hide the published rows."""
        self.results.shows_published = not self.results.shows_published
        self._draw()

    def _selected_run(self, purpose: str, model: bool = False) -> ResultRow | None:
        row = self.selected
        if row is None:
            self.notify(f"no run to {purpose}; launch one from the Lab (key 1)", markup=False)
        elif row.published:
            self.notify(f"a published figure has no run to {purpose}; choose a run of your own", markup=False)
        elif model and row.engine == IMPORTED:
            self.notify(f"imported predictions come without a model to {purpose}", markup=False)
        else:
            return row
        return None

    @on(RowList.Chosen)
    def action_details(self) -> None:
        """Everything known of the selected run."""
        row = self.selected
        if row is None:
            return
        self.app.push_screen(DetailsScreen(self._folder(row) if not row.published else None, row))

    def action_classify(self) -> None:
        """Classify with the selected run."""
        row = self._selected_run("classify with", model=True)
        if row is not None:
            self.console.classify_with(row.run)

    def _push_evaluate(self, summary: Summary) -> None:
        self.app.push_screen(EvaluateScreen(summary), self._evaluating)

    def action_evaluate(self) -> None:
        """Open the form that scores the selected run on other data."""
        row = self._selected_run("evaluate", model=True)
        if row is not None:
            self.in_background(partial(summarize, self._folder(row)), self._push_evaluate)

    def _evaluating(self, folder: RunFolder | None) -> None:
        if folder is not None:
            self.notify(clean(f"{folder.name} is launched; its row appears here when it has finished"), markup=False)

    def _folder(self, row: ResultRow) -> RunFolder:
        return RunFolder(self.console.home.runs / row.run)

    # -- other screens ----------------------------------------------------------------------------------------

    def action_compare(self) -> None:
        """Compare the marked rows."""
        chosen = self.results.executions(self.results.marked())
        if len(chosen) < 2:
            self.notify(
                "published figures have no answers to compare; mark rows of your own"
                if len(self.results.marked()) > 1
                else "mark two or more rows with space; v compares them then",
                markup=False,
            )
            return
        from labtui.console.screens.compare import CompareScreen

        executions, names, colours = map(list, zip(*chosen, strict=True))
        self.app.push_screen(CompareScreen([rows[0] for rows in executions], names, colours, executions))

    def action_repeats(self) -> None:
        """The repeats of the selected run."""
        row = self._selected_run("look into")
        if row is not None and row.level == "repeat":
            row = self.results.by_key[groups.parents(self.results.tops)[row.key]]
        if row is None:
            return
        if row.level == "group" or row.n < 2:
            self.notify(
                "a group has runs, no repeats: open it with o and choose a run"
                if row.level == "group"
                else "this run was asked once; prompting experiments repeat with prompt.repeats",
                markup=False,
            )
            return
        from labtui.console.screens.repeats import RepeatsScreen

        self.app.push_screen(RepeatsScreen(row.run, row.variant, short_name(row)))

    def action_items(self) -> None:
        """The test items: what several marked rows disagree on, or what one row got wrong."""
        row = None if self.results.marked() else self._selected_run("read the items of")
        chosen = self.results.answers(self.results.marked() or ([row] if row else []))
        if chosen:
            from labtui.console.screens.items import ItemsScreen

            rows, names, _ = map(list, zip(*chosen, strict=True))
            self.app.push_screen(ItemsScreen(rows, names, "disagree" if len(rows) > 1 else "wrong"))

    def action_plots(self) -> None:
        """Plots of the marked rows, or of all of one's own."""
        chosen = self.results.answers(self.results.marked() or [row for row in self.results.tops if not row.published])
        if not chosen:
            self.notify("no run to plot; launch one from the Lab (key 1)", markup=False)
            return
        from labtui.console.screens.plots import PlotsScreen

        self.app.push_screen(PlotsScreen(chosen))

    def action_export(self) -> None:
        """Write what is on the screen, or the marked runs' answers, to a file."""
        from labtui.console.screens.export import ExportScreen

        if not self.results.lines:
            self.notify("there is nothing to export; launch a run from the Lab (key 1)", markup=False)
            return
        rows = self.results.marked() or [row for row in (self.selected,) if row is not None]
        runs = dict.fromkeys(each.run for row in rows for each in groups.every([row]) if not each.published)
        self.app.push_screen(ExportScreen([line.row for line in self.results.lines], self.results.columns, list(runs)))
