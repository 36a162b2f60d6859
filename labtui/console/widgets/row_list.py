"""A list of one-line rows that repaints only the cells that changed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from labtui.console.widgets.cells import cells_of
from labtui.console.widgets.painted import Painted

CURSOR = "›"


@dataclass(frozen=True, slots=True)
class ListRow:
    """One line: pieces of clean text, each with the name of a style; the first cell is the cursor's.

    A heading has no key and is passed over.
    """

    key: str | None
    pieces: tuple[tuple[str, str], ...]


class RowList(Painted, can_focus=True):
    """RowList with a cursor that stays on its key when rows come, go and move.

    Subclasses give the rows, as wide as asked, in `make_rows`, and call `update` when they have changed.
    """

    DEFAULT_CSS = """
    RowList {
        height: 1fr;
        & > .rows--name { color: $foreground; }
        & > .rows--faint { color: $foreground 60%; }
        & > .rows--heading { color: $foreground 70%; text-style: bold; }
        & > .rows--running { color: $primary; text-style: bold; }
        & > .rows--good { color: $success; }
        & > .rows--bad { color: $error; }
        & > .rows--warn { color: $warning; }
        & > .rows--cursor { color: $foreground; background: $panel; text-style: bold; }
    }
    RowList:focus > .rows--cursor { color: $background; background: $primary; text-style: bold; }
    """
    PART = "rows"
    STYLES: ClassVar[tuple[str, ...]] = ("name", "faint", "heading", "running", "good", "bad", "warn")
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"rows--{name}" for name in (*STYLES, "cursor")}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "move(-1000000)", "First", show=False),
        Binding("end,G", "move(1000000)", "Last", show=False),
    ]

    class Highlighted(Message):
        """The user moved the cursor onto another key."""

        def __init__(self, rows: "RowList", key: str) -> None:
            super().__init__()
            self.rows, self.key = rows, key

        @property
        def control(self) -> "RowList":
            return self.rows

    class Chosen(Highlighted):
        """Enter, or a click on the row of the cursor."""

    def __init__(self, *, placeholder: str = "", id: str | None = None) -> None:
        """`placeholder` stands in the list while it is empty; it says what to do next."""
        super().__init__(id=id)
        self._placeholder = placeholder
        self._rows: list[ListRow] = []
        self._key: str | None = None
        self._top = 0

    def make_rows(self, width: int) -> Iterable[ListRow]:
        """The rows in at most `width` cells."""
        raise NotImplementedError

    @property
    def key(self) -> str | None:
        """The key under the cursor."""
        return self._key

    @key.setter
    def key(self, key: str | None) -> None:
        if key != self._key:
            self._key = key
            self._show()

    def update(self) -> None:
        """Ask for the rows anew and repaint what differs."""
        if not self.size.width:
            return
        self._rows = list(self.make_rows(self.size.width))
        keys = [row.key for row in self._rows if row.key is not None]
        if self._key not in keys and keys:
            index = max(0, min(self._shown_cursor, len(self._rows) - 1))
            near = [row.key for row in self._rows[index:] if row.key is not None]
            self._key = near[0] if near else keys[-1]
        elif not keys:
            self._key = None
        self._show()

    def _cursor(self) -> int:
        return next((i for i, row in enumerate(self._rows) if row.key is not None and row.key == self._key), -1)

    def _show(self) -> None:
        width, height = self.size
        cursor = self._cursor()
        top = self._top
        if cursor >= 0:
            above = 1 if cursor > 0 and self._rows[cursor - 1].key is None else 0
            top = min(max(top, cursor - height + 1), max(0, cursor - above))
        self._top = max(0, min(top, len(self._rows) - height))
        lines = [cells_of(row.pieces, width) for row in self._rows[self._top : self._top + height]]
        if not lines and self._placeholder:
            words = self._placeholder.split("\n")
            lines = [cells_of([(f" {line}", "faint")], width) for line in words]
        lines += [cells_of((), width)] * (height - len(lines))
        shown_cursor = cursor - self._top if cursor >= 0 else -1
        if cursor >= 0:
            lines[shown_cursor][0] = (CURSOR, "")  # seen without colours too
        self.paint(lines, shown_cursor)

    def on_resize(self, event: events.Resize) -> None:
        self.forget()
        self.update()

    def _select(self, index: int) -> None:
        key = self._rows[index].key
        if key is not None and key != self._key:
            self.key = key
            self.post_message(self.Highlighted(self, key))

    def action_move(self, rows: int) -> None:
        """Move the cursor by rows, over headings, to the ends at most."""
        places = [i for i, row in enumerate(self._rows) if row.key is not None]
        if places:
            here = places.index(self._cursor()) if self._cursor() in places else 0
            self._select(places[max(0, min(len(places) - 1, here + rows))])

    def action_page(self, pages: int) -> None:
        """Move the cursor by heights of the list."""
        self.action_move(pages * max(1, self.size.height - 1))

    def action_choose(self) -> None:
        """What enter does."""
        if self._key is not None:
            self.post_message(self.Chosen(self, self._key))

    def line_clicked(self, y: int) -> None:
        index = self._top + y
        if index >= len(self._rows) or self._rows[index].key is None:
            return
        if self._rows[index].key == self._key:
            self.action_choose()
        else:
            self._select(index)

    def on_mouse_scroll_down(self) -> None:
        self.action_move(3)

    def on_mouse_scroll_up(self) -> None:
        self.action_move(-3)
