"""Results: finished runs side by side, the published figures among them, and what is known of one of them."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import ClassVar

from rich.cells import cell_len
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from engines.errors import UserError
from engines.runs.folder import RunFolder
from engines.runs.summary import Summary, summarize
from engines.study.values import Row, RunMeasures, Spread
from labtui import format, narrate
from labtui.console.screens.base import ConsoleModal, ConsoleScreen, is_abandoned
from labtui.console.screens.launch import EvaluateScreen
from labtui.console.theme import colours_of, free_colour
from labtui.console.widgets.bars import KeyBar, Line
from labtui.console.widgets.figures import fit
from labtui.console.widgets.result_panel import WARN_MARK, ResultPanel, axis_of
from labtui.console.widgets.result_table import MARK_STYLES, Head, Pieces, ResultTable, TableRow
from labtui.console.widgets.rows import Rows
from labtui.results import groups
from labtui.results.columns import Column, columns_for, sort_rows
from labtui.results.rows import IMPORTED, Follower, ResultRow, published_rows, short_name
from labtui.sanitize import clean

REFRESH_EVERY_S = 2.0
DRAW_EVERY_S = 0.2  # while answers are read
WIDE_COLUMNS = 110  # below, a run is shown without the family of its experiment
NARROW_NAME, WIDE_NAME = 27, 60  # most cells of a name
EMPTY = "No run has finished with test scores yet. Launch one from the Lab (key 1); what finishes appears here."
PUBLISHED = " Key p shows the published figures of the founding study."
OPEN, CLOSED, BRANCH, LAST_BRANCH, MARK, MARK_INSIDE = "▾", "▸", "├", "└", "●", "○"


def _warned(row: ResultRow) -> set[str]:
    """The keys of the columns that bear a mark: what an untrained head answers has no accuracy to speak of."""
    return {column for column, _ in row.warnings} | ({"accuracy"} if row.untrained_head else set())


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
    ResultsScreen .said { height: auto; padding: 0 1; color: $text-muted; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[ResultRow] = []  # as read, without the published ones
        self._published_rows = published_rows()
        self._tops: list[ResultRow] = []  # the tree, with what was found in the answers
        self._by_key: dict[str, ResultRow] = {}  # every row of the tree, on the screen or not
        self._lines: list[groups.Line] = []  # the rows on the screen
        self._columns: list[Column] = []
        self._warned_columns: set[str] = set()
        self._published = True
        self._column = "accuracy"
        self._descending = True
        self._opened: set[str] = set()
        self._marks: dict[str, str] = {}  # keys of marked rows with their colours, in the order of marking
        self._follower: Follower | None = None
        self._read_once = False
        self._narrow = False
        self._asked: dict[str, ResultRow] = {}  # runs whose answers were asked for, as they were then
        self._measured: dict[str, RunMeasures] = {}
        self._unreadable: dict[str, str] = {}  # runs whose answers cannot be read, and why
        self._spreads: dict[str, Spread] = {}
        self._asked_spreads: set[str] = set()
        self._reading = False
        self._progress = (0, 0)
        self._draw_due = False

    def compose(self) -> ComposeResult:
        yield Static(classes="said", markup=False)
        yield Line(id="heads")
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
        if rows != self._rows or not self._read_once:
            self._rows, self._read_once = rows, True
            self._draw()
        self._read_on()

    def _read_on(self) -> None:
        """Have the answers read of runs that are new, then those of groups that are."""
        if self._reading:
            return
        runs = [row for row in self._rows if not row.variant and self._asked.get(row.run) != row]
        questions = (
            {}
            if runs
            else {
                key: rows
                for key, rows in groups.spread_questions(self._tops).items()
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

    def _read_answers(self, runs: list[str], questions: dict[str, list[Row]]) -> None:
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
        said = self.query_one(".said", Static)
        if str(said.content) != text:
            said.update(text)

    def _tell(self) -> None:
        """The first line: what is shown, what is marked, what is still to come."""
        if not self._read_once:
            return
        runs = len({row.run for row in self._rows})
        said = [f"{runs} finished run{'s' * (runs != 1)}"] if runs else [EMPTY + PUBLISHED * (not self._published)]
        if marked := len(self._marked()):
            said.append(f"{marked} marked" + (": mark another, and v compares them" if marked == 1 else ""))
        done, total = self._progress
        if self._reading and total:
            said.append(f"reading answers: {done} of {total} run{'s' * (total != 1)}")
        if self._unreadable:
            count = len(self._unreadable)
            said.append(f"the answers of {count} run{'s' * (count != 1)} cannot be read")
        self._say(" · ".join(said))

    def _gather(self) -> None:
        rows = [*self._rows, *(self._published_rows if self._published else [])]
        tops = groups.gather(rows, self._measured, self._spreads, self._unreadable)
        self._columns = columns_for(tops)
        if self._column not in [c.key for c in self._columns]:
            self._column, self._descending = "accuracy", True
        self._tops = sort_rows(tops, self._column, self._descending)
        everything = {row.key for row in groups.every(self._tops) if row.children}
        self._lines = groups.lines(self._tops, self._opened & everything)
        self._by_key = {row.key: row for row in groups.every(self._tops)}

    def _draw(self) -> None:
        """Bring the table up to date; the cursor stays on its row, or goes to the one that now hides it."""
        self._draw_due = False
        table, parents = self.table, groups.parents(self._tops)
        gone = next((at for at, row in enumerate(table.rows) if row.key == table.key), None)
        self._gather()
        self._narrow = self.size.width < WIDE_COLUMNS
        self._warned_columns = {column for row in self._by_key.values() for column in _warned(row)}
        heads = [
            Head(c.header + ((" ↓" if self._descending else " ↑") if c.key == self._column else ""), c.right, c.least)
            for c in self._columns
        ]
        rows = [TableRow(line.row.key, self._cells(line)) for line in self._lines]
        keys, selected = [row.key for row in rows], table.key or ""
        parents |= groups.parents(self._tops)
        while selected and selected not in keys:
            selected = parents.get(selected, "")
        if not selected and gone is not None:
            selected = keys[min(gone, len(keys) - 1)] if keys else ""  # what stands now where it stood
        own = [line.row.key for line in self._lines if not line.row.published]
        table.key = selected or next(iter(own or keys), None)
        table.show(heads, rows)
        self._draw_heads()
        self._tell()
        self._draw_selected()

    @on(ResultTable.Shifted)
    def _draw_heads(self) -> None:
        self.query_one("#heads", Line).say(self.table.heading("screen.sort_column"))

    def _cells(self, line: groups.Line) -> tuple[Pieces, ...]:
        row = line.row
        style = "faint" if row.published else ""
        warned = _warned(row)
        cells = [self._name_cell(line, style)]
        for c in self._columns[1:]:
            untrained = c.key == "varied" and row.untrained_head
            mark = f" {WARN_MARK}" if c.key in warned else "  " if c.key in self._warned_columns else ""
            cells.append(((c.text(row), "warn" if untrained else style), (mark, "warn")))
        return tuple(cells)

    def _name_cell(self, line: groups.Line, style: str) -> Pieces:
        row = line.row
        glyph = (OPEN if row.key in self._opened else CLOSED) if row.children else " "
        if line.depth:
            glyph = "  " * line.depth + (LAST_BRANCH if line.last else BRANCH) + (glyph if row.children else "")
        name = groups.line_name(line, short=self._narrow)
        if self._narrow and row.engine == IMPORTED:
            name = name.replace(f"{IMPORTED}: ", "imp. ", 1)
        most = (NARROW_NAME if self._narrow else WIDE_NAME) - cell_len(glyph) - 1
        return (glyph, style), self._mark(row), (name if cell_len(name) <= most else fit(name, most), style)

    def _mark(self, row: ResultRow) -> tuple[str, str]:
        if row.key in self._marks:
            return MARK, MARK_STYLES[self._marks[row.key]]
        inside = [] if row.key in self._opened else [r.key for r in groups.every(row.children) if r.key in self._marks]
        return (MARK_INSIDE, MARK_STYLES[self._marks[inside[0]]]) if inside else (" ", "")

    @property
    def selected(self) -> ResultRow | None:
        """The row under the cursor."""
        return self._by_key.get(self.table.key or "")

    @on(Rows.Highlighted)
    def _draw_selected(self) -> None:
        row, panel = self.selected, self.query_one(ResultPanel)
        panel.display = row is not None
        if row is not None:
            panel.show(row, axis_of(self._by_key.values()), self.console.ascii_only)

    # -- marks and the tree -----------------------------------------------------------------------------------

    def _marked(self) -> list[ResultRow]:
        return [self._by_key[key] for key in self._marks if key in self._by_key]

    def action_mark(self) -> None:
        """Mark the selected row, or take its mark away."""
        row = self.selected
        if row is None:
            self.notify("no run to mark; launch one from the Lab (key 1)", markup=False)
        elif row.published:
            self.notify("a published figure has no answers to compare; mark runs of your own", markup=False)
        else:
            if row.key in self._marks:
                del self._marks[row.key]
            else:
                self._marks[row.key] = free_colour(row.key, self._marks.values())
            self._draw()

    def action_open(self) -> None:
        """Show what is under the selected row, or hide it and its like."""
        row = self.selected
        if row is None:
            return
        key = row.key if row.children else groups.parents(self._tops).get(row.key, "")
        if not key:
            self.notify("nothing is under this row: one run, asked once", markup=False)
            return
        self._opened ^= {key}
        self._draw()

    # -- keys -------------------------------------------------------------------------------------------------

    def action_scroll_panel(self, lines: int) -> None:
        """Scroll what is said of the selected row."""
        self.query_one(ResultPanel).scroll_relative(y=lines, animate=False)

    def action_sort(self, step: int) -> None:
        """Sort by the column `step` to the right of the present one."""
        keys = [c.key for c in self._columns]
        if keys:
            self._sort_by(keys[(keys.index(self._column) + step) % len(keys)])

    def action_sort_column(self, number: int) -> None:
        """Sort by a column, by the present one the other way round."""
        if self._columns[number].key == self._column:
            self.action_reverse()
        else:
            self._sort_by(self._columns[number].key)

    def _sort_by(self, key: str) -> None:
        self._column = key
        self._descending = next(c.right for c in self._columns if c.key == key)
        self._draw()
        self.table.bring_into_view([c.key for c in self._columns].index(key))

    def action_reverse(self) -> None:
        """Turn the order round."""
        self._descending = not self._descending
        self._draw()

    def action_published(self) -> None:
        """Show or hide the published rows."""
        self._published = not self._published
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

    @on(Rows.Chosen)
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

    def _answers(self, rows: Sequence[ResultRow]) -> list[tuple[Row, str, str]]:
        """What stands for the rows, each set of answers once, what it is called, and its colour."""
        colours = self._marks if self._marks.keys() >= {row.key for row in rows} else colours_of(r.key for r in rows)
        found: dict[tuple[str, str, int], tuple[Row, str, str]] = {}
        for row in rows:
            if answers := groups.answers_of(row):
                found.setdefault(
                    (answers["run"], answers["variant"], answers["repeat"]),
                    (answers, groups.answers_name(row), colours[row.key]),
                )
        return list(found.values())

    def action_compare(self) -> None:
        """Compare the marked rows."""
        chosen = self._answers(self._marked())
        if len(chosen) < 2:
            self.notify(
                "the marked rows stand for the same answers; mark another one"
                if len(self._marked()) > 1
                else "mark two or more rows with space; v compares them then",
                markup=False,
            )
            return
        from labtui.console.screens.compare import CompareScreen

        rows, names, colours = map(list, zip(*chosen, strict=True))
        self.app.push_screen(CompareScreen(rows, names, colours))

    def action_repeats(self) -> None:
        """The repeats of the selected run."""
        row = self._selected_run("look into")
        if row is not None and row.level == "repeat":
            row = self._by_key[groups.parents(self._tops)[row.key]]
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
        row = None if self._marked() else self._selected_run("read the items of")
        chosen = self._answers(self._marked() or ([row] if row else []))
        if chosen:
            from labtui.console.screens.items import ItemsScreen

            rows, names, _ = map(list, zip(*chosen, strict=True))
            self.app.push_screen(ItemsScreen(rows, names, "disagree" if len(rows) > 1 else "wrong"))

    def action_plots(self) -> None:
        """Plots of the marked rows, or of all of one's own."""
        chosen = self._answers(self._marked() or [row for row in self._tops if not row.published])
        if not chosen:
            self.notify("no run to plot; launch one from the Lab (key 1)", markup=False)
            return
        from labtui.console.screens.plots import PlotsScreen

        self.app.push_screen(PlotsScreen(chosen))

    def action_export(self) -> None:
        """Write what is on the screen, or the marked runs' answers, to a file."""
        from labtui.console.screens.export import ExportScreen

        if not self._lines:
            self.notify("there is nothing to export; launch a run from the Lab (key 1)", markup=False)
            return
        rows = self._marked() or [row for row in (self.selected,) if row is not None]
        runs = dict.fromkeys(each.run for row in rows for each in groups.every([row]) if not each.published)
        self.app.push_screen(ExportScreen([line.row for line in self._lines], self._columns, list(runs)))


class DetailsScreen(ConsoleModal[None]):
    """Everything known of one row, to scroll through."""

    BINDINGS = [
        Binding("escape,q", "dismiss", "Back"),
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("down,j", "scroll(1)", "Down", show=False),
    ]
    DEFAULT_CSS = """
    DetailsScreen { align: center middle; }
    DetailsScreen > Vertical { width: 100; max-width: 96%; height: 90%; border: round $primary; background: $surface;
                               padding: 0 1; }
    DetailsScreen Static { width: 1fr; }
    """

    def __init__(self, folder: RunFolder | None, row: ResultRow) -> None:
        super().__init__()
        self._folder = folder
        self._row = row

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_subtitle = "up and down scroll, esc goes back"
            with VerticalScroll():
                yield Static("reading …" if self._folder else self._published(), markup=False)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        if self._folder is not None:
            folder = self._folder
            self.in_background(lambda: narrate.describe(summarize(folder)), self._show_lines, self._show)

    def _published(self) -> str:
        row = self._row
        low, high = row.interval or (None, None)
        return (
            f"published: {row.title}\nmodel     {row.model}\n"
            f"accuracy  {format.score(row.accuracy)} on {format.count(row.items)} items, "
            f"95 % {format.interval(low, high)}\n\n{row.note}\nSource: {row.source}\n\n"
            "Not measured by this program."
        )

    def _show_lines(self, lines: Iterable[str]) -> None:
        self._show("\n".join(map(clean, lines)))

    def _show(self, text: str) -> None:
        self.query_one(Static).update(text)

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)
