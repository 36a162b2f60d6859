"""Export: the table on the screen, the answers of runs or their model cards, into files."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, Static

from engines.runs.folder import RunFolder
from engines.runs.home import Home
from labtui.console.screens.base import ConsoleModal
from labtui.console.screens.form import TextInput
from labtui.results import exports, tables
from labtui.results.columns import Column
from labtui.results.rows import ResultRow
from labtui.sanitize import clean

RUN = "RUN"  # in a file name: the name of each run
TABLE, ANSWERS, CARD = "the table on the screen", "answers item by item", "model card"


class ExportFormat(NamedTuple):
    """Something that can be written."""

    what: str
    words: str
    form: str  # key of `tables.TABLES` or `exports.ITEMS`
    suffix: str


TABLES = (
    ExportFormat(TABLE, "CSV", "csv", ".csv"),
    ExportFormat(TABLE, "JSON", "json", ".json"),
    ExportFormat(TABLE, "Markdown", "md", ".md"),
    ExportFormat(TABLE, "LaTeX (booktabs)", "latex", ".tex"),
)
OF_RUNS = (
    ExportFormat(ANSWERS, "CSV", "csv", ".csv"),
    ExportFormat(ANSWERS, "Parquet", "parquet", ".parquet"),
    ExportFormat(ANSWERS, "JSON", "json", ".json"),
    ExportFormat(CARD, "README.md for the hub", "card", ".md"),
)


class ExportScreen(ConsoleModal[None]):
    """Choose a format and a file name; `runs` are the names of the runs whose answers can be written too."""

    BINDINGS = [
        Binding("escape", "back", "Back"),
        Binding("up", "choose(-1)", "Format", priority=True),
        Binding("down", "choose(1)", "Format", priority=True, show=False),
    ]
    DEFAULT_CSS = """
    ExportScreen { align: center middle; }
    ExportScreen > Vertical { width: 76; max-width: 96%; height: auto; max-height: 96%; padding: 0 2;
                              border: round $primary; background: $surface; }
    ExportScreen Static { height: auto; }
    ExportScreen Input { background: $panel; margin: 1 0; }
    ExportScreen .message { color: $text-muted; }
    ExportScreen .message.-wrong { color: $text-error; }
    """

    def __init__(self, rows: Sequence[ResultRow], columns: Sequence[Column], runs: Sequence[str]) -> None:
        super().__init__()
        self._rows, self._columns = list(rows), list(columns)
        self._runs = [run for run in runs if run]
        self._formats = [*(TABLES if self._rows else ()), *(OF_RUNS if self._runs else ())]
        self._chosen = 0
        self._suggested = ""
        self._confirmed: tuple[ExportFormat, str] | None = None  # that enter again writes over
        self._writing = False

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "Export"
            box.border_subtitle = "up and down choose · enter writes · esc goes back"
            yield Static(id="formats", markup=False)
            yield TextInput(compact=True, select_on_focus=False)
            yield Static(classes="message", markup=False)

    def on_mount(self) -> None:
        self.query_one(TextInput).focus()
        self._show()
        self._say_where()

    def action_choose(self, by: int) -> None:
        """The next or the previous format; a file name that was not edited follows."""
        if self._formats:
            self._chosen = (self._chosen + by) % len(self._formats)
            self._show()
            self._say_where()

    def _show(self) -> None:
        if not self._formats:
            return
        text, what = Text(), ""
        for at, form in enumerate(self._formats):
            if form.what != what:
                what = form.what
                of = (
                    ""
                    if what == TABLE
                    else " of " + (clean(self._runs[0]) if len(self._runs) == 1 else f"{len(self._runs)} runs")
                )
                text.append(what[0].upper() + what[1:] + of + "\n", "bold")
            here = at == self._chosen
            text.append(f"{'›' if here else ' '} {form.words}\n", "reverse" if here else "")
        text.rstrip()
        self.query_one("#formats", Static).update(text)
        line, chosen = self.query_one(TextInput), self._formats[self._chosen]
        if line.value in ("", self._suggested):
            name = "results" if chosen.what == TABLE else self._runs[0] if len(self._runs) == 1 else RUN
            self._suggested = line.value = f"{name}{chosen.suffix}"
            line.cursor_position = len(line.value)

    def _say_where(self) -> None:
        if not self._formats:
            self._say("there is nothing to export yet")
            return
        several = self._formats[self._chosen].what != TABLE and len(self._runs) > 1
        self._say(f"in {clean(str(Path.cwd()))}" + f"; {RUN} stands for the name of each run" * several)

    def _say(self, text: str, wrong: bool = False) -> None:
        message = self.query_one(".message", Static)
        message.update(text)
        message.set_class(wrong, "-wrong")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        name = event.value.strip()
        if not self._formats or not name or self._writing:
            return
        form = self._formats[self._chosen]
        runs = [] if form.what == TABLE else self._runs
        if len(runs) > 1 and RUN not in name:
            self._say(f"{len(runs)} runs need {len(runs)} files: write {RUN} where the run's name is to stand", True)
            return
        paths = [
            Path(name.replace(RUN, run) if len(runs) > 1 else name).expanduser().absolute() for run in runs or [""]
        ]
        there = [path for path in paths if path.is_file()]
        if there and self._confirmed != (form, name):
            self._confirmed = (form, name)
            more = f" and {len(there) - 1} more" if len(there) > 1 else ""
            self._say(f"{clean(str(there[0]))}{more} exists; enter again writes over it", True)
            return
        home, rows, columns = self.console.home, self._rows, self._columns
        self._say("writing …")
        self._writing = True
        self.in_background(
            lambda: _save(home, form, rows, columns, runs, paths, bool(there)), self._written, self._not_written
        )

    def action_back(self) -> None:
        """Leave, unless a file is being written: whether that works is said here."""
        if not self._writing:
            self.dismiss()

    def _written(self, paths: list[Path]) -> None:
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        self.app.notify(f"wrote {clean(str(paths[0]))}{more}", markup=False, timeout=8)
        self.dismiss()

    def _not_written(self, sentence: str) -> None:
        self._writing = False
        self._say(sentence, True)


def _save(
    home: Home,
    form: ExportFormat,
    rows: Sequence[ResultRow],
    columns: Sequence[Column],
    runs: Sequence[str],
    paths: Sequence[Path],
    overwrite: bool,
) -> list[Path]:
    if form.what == TABLE:
        return [exports.save(paths[0], tables.TABLES[form.form](rows, columns).encode(), overwrite)]
    done = []
    for run, path in zip(runs, paths, strict=True):
        folder = RunFolder(home.runs / run)
        if form.what == CARD:
            content = exports.model_card(folder).encode()
        else:
            content = exports.ITEMS[form.form](exports.item_table(folder))
        done.append(exports.save(path, content, overwrite))
    return done
