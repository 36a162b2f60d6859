"""Details: everything known of one row of the results, to scroll through."""

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from engines.runs.folder import RunFolder
from engines.runs.summary import summarize
from labtui import format, narrate
from labtui.console.screens.base import ConsoleModal
from labtui.results.rows import ResultRow
from labtui.sanitize import clean


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
