"""Results: finished runs side by side, the published figures among them, and the confusion matrix of one."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import DataTable, Static

from engines.runs.folder import RunFolder
from engines.runs.summary import Summary, summarize
from engines.settings import UserError
from labtui import format, narrate, results
from labtui.results import ResultRow
from labtui.sanitize import clean, plain
from labtui.screens.launch import EvaluateScreen
from labtui.widgets.bars import KeyBar

REFRESH_EVERY_S = 2.0
LABEL_WIDTH = 14
WIDE_COLUMNS = 110  # below, a run is shown without the family of its experiment
FAINT = "dim italic"
EMPTY = "No run has finished with test scores yet. Launch one from the Lab (key 1); what finishes appears here."


def confusion_text(row: ResultRow) -> Text:
    """The confusion matrix of a row as a table of counts with their share of the true class."""
    text = Text(no_wrap=True)
    if not row.confusion:
        text.append("no confusion matrix is published for it", FAINT)
        return text
    # the invalid column stands last, and only where there is something in it
    shown = len(row.labels) + (1 if row.invalid else 0)
    heads = [*map(_short, row.labels), "invalid"][:shown]
    width = max(15, *(len(h) + 2 for h in heads))
    first = max(6, *(len(_short(label)) for label in row.labels)) + 2
    text.append("true".ljust(first) + "".join(h.rjust(width) for h in heads) + "   (columns: predicted)\n", "dim")
    for i, (label, counts) in enumerate(zip(row.labels, row.confusion, strict=False)):
        text.append(_short(label).ljust(first))
        total = sum(counts)
        for j, count in enumerate(counts[:shown]):
            share = f"{100 * count / total:5.1f} %" if total else f"{format.MISSING:>7}"
            text.append(f"{format.count(count):>{width - 8}} {share}", "bold" if i == j else "" if count else "dim")
        text.append("\n")
    text.rstrip()
    return text


def _short(label: str) -> str:
    label = clean(label)
    return label if len(label) <= LABEL_WIDTH else label[: LABEL_WIDTH - 1] + "…"


class ResultsScreen(Screen[None]):
    """The table of finished runs."""

    TITLE = "Results"
    BINDINGS = [
        Binding("enter", "details", "Details", key_display="enter", priority=True,
                tooltip="Settings, scores and events of the selected run"),
        Binding("c", "classify", "Classify", tooltip="Classify a review with the selected run"),
        Binding("e", "evaluate", "Evaluate", tooltip="Score the selected run on other data, as a new run"),
        Binding("greater_than_sign", "sort(1)", "Sort by", key_display="< >",
                tooltip="Sort by the next column (>) or the one before (<); a click on a header sorts too"),
        Binding("less_than_sign", "sort(-1)", show=False),
        Binding("s", "reverse", "Reverse", tooltip="Turn the order round"),
        Binding("p", "published", "Published", tooltip="Show or hide the published figures of the original study"),
        Binding("r", "refresh", "Refresh", tooltip="Read the run folders now"),
    ]
    DEFAULT_CSS = """
    ResultsScreen DataTable { height: 1fr; }
    ResultsScreen DataTable > .datatable--fixed { background: $surface; }
    ResultsScreen .said { height: auto; padding: 0 1; color: $text-muted; }
    ResultsScreen .selected { height: auto; max-height: 12; min-height: 5; padding: 0 1;
                              border-top: solid $panel-lighten-2; border-title-color: $text-accent; }
    ResultsScreen .selected Static { height: auto; width: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[ResultRow] = []  # as read, without the published ones
        self._shown: list[ResultRow] = []
        self._published = True
        self._column = "accuracy"
        self._descending = True
        self._follower: results.Follower | None = None
        self._read_once = False
        self._narrow = False

    def compose(self) -> ComposeResult:
        yield Static(classes="said", markup=False)
        yield DataTable(cursor_type="row", fixed_columns=1, zebra_stripes=False)
        with VerticalScroll(classes="selected", can_focus=False):
            yield Static(classes="matrix", markup=False)
            yield Static(classes="about", markup=False)
        yield KeyBar()

    @property
    def table(self) -> DataTable[Text]:
        return self.query_one(DataTable)

    def on_mount(self) -> None:
        self._follower = results.Follower(self.app.home)  # type: ignore[attr-defined]
        self._timer = self.set_interval(REFRESH_EVERY_S, self.action_refresh)
        self.table.focus()
        self.action_refresh()

    def on_screen_suspend(self) -> None:
        self._timer.pause()

    def on_screen_resume(self) -> None:
        self._timer.resume()
        self.action_refresh()

    # -- reading and drawing --------------------------------------------------------------------------------

    @work(thread=True, exclusive=True, group="read")
    def action_refresh(self) -> None:
        """Read the run folders, in a thread."""
        assert self._follower is not None
        try:
            rows = self._follower.scored()
        except OSError as error:
            self.call_later(self._say, clean(f"the runs cannot be read: {error}"))
        else:
            self.call_later(self._take, rows)

    def _take(self, rows: list[ResultRow]) -> None:
        if rows != self._rows or not self._read_once:
            self._rows, self._read_once = rows, True
            self._draw()

    def on_resize(self, event: events.Resize) -> None:
        if self._read_once and (event.size.width < WIDE_COLUMNS) != self._narrow:
            self._draw()

    def _say(self, text: str) -> None:
        said = self.query_one(".said", Static)
        said.update(text)
        said.display = bool(text)

    def _draw(self) -> None:
        """Fill the table anew, keeping the cursor on its run."""
        selected = self.selected.key if self.selected else None
        rows = [*self._rows, *(results.published_rows() if self._published else [])]
        shown = results.columns(rows)
        if self._column not in [c.key for c in shown]:
            self._column, self._descending = "accuracy", True
        self._shown = results.sort(rows, self._column, self._descending)
        table = self.table
        self._narrow = narrow = self.size.width < WIDE_COLUMNS
        columns = [[results.short_name(row) if narrow and c is results.RUN else c.text(row) for row in self._shown]
                   for c in shown]
        with self.prevent(DataTable.RowHighlighted):
            table.clear(columns=True)
            for c, cells in zip(shown, columns, strict=True):
                arrow = (" ↓" if self._descending else " ↑") if c.key == self._column else ""
                header = Text(c.header + arrow, justify="right" if c.right else "left")
                # a width of our own: the table measures late and would draw its first lines too narrow
                table.add_column(header, key=c.key, width=max(header.cell_len, *map(cell_len, cells)))
            for row, texts in zip(self._shown, zip(*columns, strict=True), strict=True):
                style = FAINT if row.published else ""
                table.add_row(*(Text(text, style=style, justify="right" if c.right else "left")
                                for text, c in zip(texts, shown, strict=True)), key=row.key)
            keys = [row.key for row in self._shown]
            own = next((i for i, row in enumerate(self._shown) if not row.published), 0)
            table.move_cursor(row=keys.index(selected) if selected in keys else own)
        self._say("" if self._rows else EMPTY)
        self._draw_selected()

    @property
    def selected(self) -> ResultRow | None:
        """The row under the cursor."""
        at = self.table.cursor_row
        return self._shown[at] if 0 <= at < len(self._shown) else None

    @on(DataTable.RowHighlighted)
    def _draw_selected(self) -> None:
        row = self.selected
        panel = self.query_one(".selected")
        panel.display = row is not None
        if row is None:
            return
        panel.border_title = plain(f"{results.name_of(row)} · {format.count(row.items)} test items")
        self.query_one(".matrix", Static).update(confusion_text(row))
        about = f"{row.note}\nSource: {row.source}" if row.published else f"{row.title} · {row.model}"
        self.query_one(".about", Static).update(plain(about, "dim"))

    # -- keys -------------------------------------------------------------------------------------------------

    def action_sort(self, step: int) -> None:
        """Sort by the column `step` to the right of the present one."""
        keys = [c.key for c in results.columns(self._shown)]
        if keys:
            self._sort_by(keys[(keys.index(self._column) + step) % len(keys)])

    @on(DataTable.HeaderSelected)
    def _header(self, event: DataTable.HeaderSelected) -> None:
        if event.column_key.value == self._column:
            self.action_reverse()
        else:
            self._sort_by(str(event.column_key.value))

    def _sort_by(self, key: str) -> None:
        self._column = key
        self._descending = next(c.right for c in results.columns(self._shown) if c.key == key)
        self._draw()
        self._bring_into_view(key)

    def _bring_into_view(self, key: str) -> None:
        table, left = self.table, 0
        for at, column in enumerate(table.ordered_columns):
            width = column.get_render_width(table)
            if column.key.value == key:
                fixed = table.ordered_columns[0].get_render_width(table)
                seen = range(int(table.scroll_x) + fixed, int(table.scroll_x) + table.size.width - width + 1)
                if at and left not in seen:
                    table.scroll_to(x=max(0, left - fixed), animate=False)
                return
            left += width

    def action_reverse(self) -> None:
        """Turn the order round."""
        self._descending = not self._descending
        self._draw()

    def action_published(self) -> None:
        """Show or hide the published rows."""
        self._published = not self._published
        self._draw()

    def _selected_run(self, purpose: str) -> ResultRow | None:
        row = self.selected
        if row is None:
            self.notify(f"no run to {purpose}; launch one from the Lab (key 1)", markup=False)
        elif row.published:
            self.notify(f"a published figure has no run to {purpose}; choose a run of your own", markup=False)
        else:
            return row
        return None

    def action_details(self) -> None:
        """Everything known of the selected run."""
        row = self.selected
        if row is None:
            return
        self.app.push_screen(DetailsScreen(self._folder(row) if not row.published else None, row))

    def action_classify(self) -> None:
        """Classify with the selected run."""
        row = self._selected_run("classify with")
        if row is not None:
            self.app.classify_with(row.run)  # type: ignore[attr-defined]

    @work(thread=True)
    def _open_evaluate(self, folder: RunFolder) -> None:
        try:
            summary = summarize(folder)
        except (UserError, OSError) as error:
            self.call_later(self.notify, clean(str(error)), severity="error", markup=False)
        else:
            self.call_later(self._push_evaluate, summary)

    def _push_evaluate(self, summary: Summary) -> None:
        self.app.push_screen(EvaluateScreen(summary), self._evaluating)

    def action_evaluate(self) -> None:
        """Open the form that scores the selected run on other data."""
        row = self._selected_run("evaluate")
        if row is not None:
            self._open_evaluate(self._folder(row))

    def _evaluating(self, folder: RunFolder | None) -> None:
        if folder is not None:
            self.notify(clean(f"{folder.name} is launched; its row appears here when it has finished"), markup=False)

    def _folder(self, row: ResultRow) -> RunFolder:
        return RunFolder(self.app.home.runs / row.run)  # type: ignore[attr-defined]


class DetailsScreen(ModalScreen[None]):
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
            self._read(self._folder)

    def _published(self) -> str:
        row = self._row
        low, high = row.interval or (None, None)
        return (f"published: {row.title}\nmodel     {row.model}\n"
                f"accuracy  {format.score(row.accuracy)} on {format.count(row.items)} items, "
                f"95 % {format.interval(low, high)}\n\n{row.note}\nSource: {row.source}\n\n"
                "Not measured by this program.")

    @work(thread=True)
    def _read(self, folder: RunFolder) -> None:
        try:
            lines: Sequence[str] = [clean(line) for line in narrate.describe(summarize(folder))]
        except (UserError, OSError) as error:
            lines = [clean(str(error))]
        self.call_later(self._show, "\n".join(lines))

    def _show(self, text: str) -> None:
        self.query_one(Static).update(text)

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)
