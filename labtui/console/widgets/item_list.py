"""A list of test items with what was answered to each, of which only the pages on the screen are asked for."""

import textwrap
from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from engines.study.values import Item, ItemAnswer, ItemPage
from labtui import format
from labtui.console.widgets.cells import cells_of
from labtui.console.widgets.painted import Painted
from labtui.console.widgets.row_list import CURSOR
from labtui.sanitize import clean

PAGE_ITEMS = 100
KEPT_PAGES = 20
TEXT_ROOM = 22  # cells that the answers leave to the text of a line
RIGHT, WRONG, INVALID = "✓", "✗", "?"
MARKS = f"{RIGHT} right  {WRONG} wrong  {INVALID} invalid"


def short_labels(labels: Sequence[str]) -> dict[str, str]:
    """Cleaned labels cut to their first three or more characters, so many that they stay apart."""
    cleaned = {label: clean(label) for label in labels}
    longest = max((len(label) for label in cleaned.values()), default=3)
    for width in range(3, longest):
        if len({label[:width] for label in cleaned.values()}) == len(set(cleaned.values())):
            return {label: short[:width] for label, short in cleaned.items()}
    return cleaned


def mark(answer: ItemAnswer, label: str) -> tuple[str, str]:
    """The sign of an answer to an item of this true label, and the style of it."""
    if answer["predicted"] is None:
        return INVALID, "warn"
    return (RIGHT, "good") if answer["predicted"] == label else (WRONG, "bad")


def answer_cells(item: Item, short: dict[str, str], room: int) -> list[tuple[str, str]]:
    """The answers in at most `room` cells: sign, label and probability; where there is no room for all, less."""
    answers = item["answers"]
    width = max([3, *map(cell_len, short.values())])
    full, named = width + 7, width + 2
    if len(answers) * (full + 2) - 2 <= room:
        form = full
    elif len(answers) * (named + 2) - 2 <= room:
        form = named
    else:
        form = 0
    pieces: list[tuple[str, str]] = []
    for n, answer in enumerate(answers):
        sign, style = mark(answer, item["label"])
        if not form:
            if n == room - 1 and len(answers) > room:
                return [*pieces, ("…", "faint")]
            pieces.append((sign, style))
            continue
        predicted = "" if answer["predicted"] is None else short.get(answer["predicted"], clean(answer["predicted"]))
        pieces += [("  " if n else "", ""), (f"{sign} {set_cell_size(predicted, width)}", style)]
        if form == full:
            known = answer["probability"]
            pieces.append((" " * 5 if known is None else f" {known:4.2f}", "faint"))
    return pieces


class ItemList(Painted, can_focus=True):
    """Some or many items, of which only the pages on the screen are asked for. Repaints only cells that change."""

    DEFAULT_CSS = """
    ItemList {
        & > .items--faint { color: $foreground 60%; }
        & > .items--good { color: $success; }
        & > .items--bad { color: $error; text-style: bold; }
        & > .items--warn { color: $warning; text-style: bold; }
        & > .items--cursor { color: $foreground; background: $panel; text-style: bold; }
    }
    ItemList:focus > .items--cursor { color: $background; background: $primary; text-style: bold; }
    """
    PART = "items"
    STYLES: ClassVar[tuple[str, ...]] = ("faint", "good", "bad", "warn")
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"items--{name}" for name in (*STYLES, "cursor")}
    PLACE = "In the list of items"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("left", "page(-1)", "A screen up", show=False),
        Binding("right", "page(1)", "A screen down", show=False),
        Binding("home,g", "move(-1000000000)", "First", show=False),
        Binding("end,G", "move(1000000000)", "Last", show=False),
    ]

    class Moved(Message):
        """Another item is under the cursor."""

    class Lacking(Message):
        """Items on the screen are not there yet: those from `offset` on are wanted."""

        def __init__(self, offset: int) -> None:
            super().__init__()
            self.offset = offset

    def __init__(self) -> None:
        super().__init__()
        self.total = 0
        self.index = 0
        self._pages: dict[int, list[Item]] = {}
        self._placeholder = ""
        self._short: dict[str, str] = {}
        self._top = 0

    @property
    def item(self) -> Item | None:
        """The item under the cursor, where it is known."""
        return self._item(self.index) if self.index < self.total else None

    def _item(self, index: int) -> Item | None:
        page = self._pages.get(index // PAGE_ITEMS, [])
        return page[index % PAGE_ITEMS] if index % PAGE_ITEMS < len(page) else None

    def start(self, page: ItemPage | None, index: int, labels: Sequence[str], placeholder: str = "") -> None:
        """Show another selection, of which one page is known, with the cursor on `index`. `placeholder` stands in an
        empty list; `labels` are all that may occur."""
        self.total = page["total"] if page else 0
        self.index = max(0, min(index, self.total - 1))
        self._pages = {page["offset"] // PAGE_ITEMS: page["items"]} if page else {}
        self._placeholder, self._short = placeholder, short_labels(labels)
        self._top = max(0, self.index - self._height // 2)
        self._show()
        self.post_message(self.Moved())

    def name_labels(self, labels: Sequence[str]) -> None:
        """Say which labels there are, now that they are known."""
        self._short = short_labels(labels)
        self._show()

    def add(self, page: ItemPage) -> None:
        """Take in another page of the same selection."""
        known = self.item is not None
        self._pages[page["offset"] // PAGE_ITEMS] = page["items"]
        here = self.index // PAGE_ITEMS
        while len(self._pages) > KEPT_PAGES:
            del self._pages[max(self._pages, key=lambda number: abs(number - here))]
        self._show()
        if not known:
            self.post_message(self.Moved())

    @property
    def _height(self) -> int:
        return max(1, self.size.height - 1)  # below the heads of the columns

    def _line(self, index: int, answers_width: int) -> list[tuple[str, str]]:
        item = self._item(index)
        if item is None:
            return [("  …", "faint")]
        label = self._short.get(item["label"], clean(item["label"]))
        pieces = [("  ", ""), (set_cell_size(label, self._label_width), ""), ("  ", "")]
        answers = answer_cells(item, self._short, self._room)
        used = sum(cell_len(text) for text, _ in answers)
        words = format.count(item["words"]) if item["words"] else format.MISSING
        start = clean(item["start"])
        return [
            *pieces,
            *answers,
            (" " * (answers_width - used), ""),
            (f"{words:>7}", "faint"),
            ("  ", ""),
            (start, "") if start else ("(imported without text)", "faint"),
        ]

    @property
    def _label_width(self) -> int:
        return max([4, *map(cell_len, self._short.values())])

    @property
    def _room(self) -> int:
        """Cells for the answers."""
        return max(8, self.size.width - self._label_width - 13 - TEXT_ROOM)

    def _show(self) -> None:
        width, height = self.size
        if not width or not height:
            return
        if not self._top <= self.index < self._top + self._height:
            # a third of the lines beyond the cursor: the list is painted anew once in so many steps
            third = self._height // 3
            self._top = self.index - (third if self.index < self._top else self._height - 1 - third)
        self._top = max(0, min(self._top, self.total - self._height))
        seen = range(self._top, min(self.total, self._top + self._height))
        known = [item for index in seen if (item := self._item(index))]
        answers = max(
            (sum(cell_len(text) for text, _ in answer_cells(item, self._short, self._room)) for item in known),
            default=0,
        )
        answers = max(6, answers)
        head = "answer" if not known or len(known[0]["answers"]) == 1 else "answers"
        heads = f"  {set_cell_size('true', self._label_width)}  {set_cell_size(head, answers)}  words  text"
        lines = [cells_of([(heads, "faint")], width)]
        lines += [cells_of(self._line(index, answers), width) for index in seen]
        if not self.total:
            parts = [part for line in self._placeholder.split("\n") for part in textwrap.wrap(line, max(10, width - 4))]
            lines = [cells_of([(f"  {part}", "faint")], width) for part in parts[:height]]
        lines += [cells_of((), width)] * (height - len(lines))
        cursor = self.index - self._top + 1 if self.total else -1
        if cursor >= 0:
            lines[cursor][0] = (CURSOR, "")  # seen without colours too
        self.paint(lines, cursor)
        lacking = next((index for index in seen if self._item(index) is None), None)
        if lacking is not None:
            self.post_message(self.Lacking(lacking // PAGE_ITEMS * PAGE_ITEMS))

    def on_resize(self, event: events.Resize) -> None:
        self.forget()
        self._show()

    def action_move(self, items: int) -> None:
        """Move the cursor, to the ends at most."""
        index = max(0, min(self.index + items, self.total - 1))
        if index != self.index:
            self.index = index
            self._show()
            self.post_message(self.Moved())

    def action_page(self, pages: int) -> None:
        """Move the cursor by heights of the list."""
        self.action_move(pages * max(1, self._height - 1))

    def line_clicked(self, y: int) -> None:
        index = self._top + y - 1  # below the heads
        if y and index < self.total:
            self.action_move(index - self.index)

    def on_mouse_scroll_down(self) -> None:
        self.action_move(3)

    def on_mouse_scroll_up(self) -> None:
        self.action_move(-3)
