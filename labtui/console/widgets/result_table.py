"""A table of results: the first column stays, the others are paged through sideways; it repaints what changed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message

from labtui.console.widgets.chart import PALETTE
from labtui.console.widgets.row_list import ListRow, RowList

GAP = "  "
MORE_LEFT, MORE_RIGHT = "←", "→"
MARK_STYLES = {colour: f"mark-{at}" for at, colour in enumerate(PALETTE)}
Pieces = tuple[tuple[str, str], ...]  # texts, each with the name of a style


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a column; `least`: cells that it is wide at least."""

    text: str
    right: bool
    least: int = 0


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of as many cells as there are heads."""

    key: str
    cells: tuple[Pieces, ...]


def _width(pieces: Pieces) -> int:
    return sum(cell_len(text) for text, _ in pieces)


class ResultTable(RowList, inherit_bindings=False):
    """RowList of cells under heads, which the screen shows in a line of its own above."""

    PLACE = "In the table"
    STYLES: ClassVar[tuple[str, ...]] = (*RowList.STYLES, *MARK_STYLES.values())
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"rows--{name}" for name in (*STYLES, "cursor")}
    DEFAULT_CSS = "\n".join(
        f"ResultTable > .rows--{name} {{ color: {colour}; }}" for colour, name in MARK_STYLES.items()
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "move(-1000000)", "First row", show=False),
        Binding("end", "move(1000000)", "Last row", show=False),
        Binding("left,h", "shift(-1)", "Columns further left", show=False),
        Binding("right,l", "shift(1)", "Columns further right", show=False),
    ]

    class Shifted(Message):
        """Other columns are in view, or others fit."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: Sequence[TableRow] = ()
        self.first = 1  # the column beside the first one
        self._heads: Sequence[Head] = ()
        self._widths: list[int] = []

    def show(self, heads: Sequence[Head], rows: Sequence[TableRow]) -> None:
        """Show these rows; the cursor stays on its key."""
        self._heads, self.rows = heads, rows
        self._widths = [
            max([cell_len(head.text), head.least, *(_width(row.cells[at]) for row in rows)])
            for at, head in enumerate(heads)
        ]
        self.first = min(self.first, self._furthest(self.size.width))
        self.update()

    def _line(self, cells: Iterable[Pieces], width: int) -> list[tuple[str, str]]:
        """Pieces of the columns in view, each text in its place. Of a column that does not fit, words are shown as far
        as they go; figures are left out."""
        pieces: list[tuple[str, str]] = [(" ", "")]  # the cursor's
        used = 1
        for at, cell in enumerate(cells):
            if at and at < self.first:
                continue
            after = used + (len(GAP) if at else 0) + self._widths[at]
            if used >= width or (at and after > width and self._heads[at].right):
                break
            blank = " " * (self._widths[at] - _width(cell))
            if at:
                pieces.append((GAP, ""))
            pieces += [(blank, ""), *cell] if self._heads[at].right else [*cell, (blank, "")]
            used = after
        return pieces

    def make_rows(self, width: int) -> Iterable[ListRow]:
        return [ListRow(row.key, tuple(self._line(row.cells, width))) for row in self.rows]

    def heading(self, action: str) -> Text:
        """The heads of the columns in view; a click runs `action(number of the column)`."""
        width = self.size.width
        text = Text(style="bold")
        for piece, number in self._line([((head.text, str(at)),) for at, head in enumerate(self._heads)], width):
            text.append(piece, Style.from_meta({"@click": f"{action}({number})"}) if number else None)
        text.truncate(width)
        if self.first > 1 and self._heads:
            text = self._put(text, self._widths[0] + 1, MORE_LEFT)
        return self._put(text, width - 1, MORE_RIGHT) if self.first < self._furthest(width) else text

    @staticmethod
    def _put(text: Text, at: int, sign: str) -> Text:
        text.pad_right(max(0, at + 1 - text.cell_len))
        return Text.assemble(text[:at], sign, text[at + 1 :])

    def _furthest(self, width: int) -> int:
        """The first column of the last page."""
        room = width - 1 - (self._widths[0] if self._widths else 0)
        at = len(self._widths)
        while at > 1 and room >= len(GAP) + self._widths[at - 1]:
            at -= 1
            room -= len(GAP) + self._widths[at]
        return max(1, min(at, len(self._widths) - 1))

    def bring_into_view(self, column: int) -> None:
        """Shift until this column can be seen as a whole."""
        first = self.first
        if 0 < column < first:
            first = column
        while first < column and sum(self._widths[at] + len(GAP) for at in range(first, column + 1)) > (
            self.size.width - 1 - self._widths[0]
        ):
            first += 1
        self._shift_to(first)

    def action_shift(self, columns: int) -> None:
        """Page sideways by columns."""
        self._shift_to(self.first + columns)

    def _shift_to(self, first: int) -> None:
        first = max(1, min(first, self._furthest(self.size.width)))
        if first != self.first:
            self.first = first
            self.update()
            self.post_message(self.Shifted())
