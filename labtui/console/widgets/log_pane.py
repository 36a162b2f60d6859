"""The log of a run: lines with their time of day, wrapped, the newest at the bottom."""

import textwrap
import time
from collections import deque
from collections.abc import Iterable
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType

from labtui.console.views import LogLine
from labtui.console.widgets.cells import cells_of
from labtui.console.widgets.painted import Painted

KEPT_LINES = 2000
_TIME_WIDTH = 10


class LogPane(Painted, can_focus=True):
    """Follows the end unless scrolled up. Only cells that changed are repainted."""

    DEFAULT_CSS = """
    LogPane {
        height: 1fr;
        & > .log--time { color: $foreground 60%; }
        & > .log--faint { color: $foreground 60%; }
        & > .log--warning { color: $warning; }
        & > .log--error { color: $error; text-style: bold; }
    }
    """
    PART = "log"
    STYLES: ClassVar[tuple[str, ...]] = ("time", "faint", "warning", "error")
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"log--{name}" for name in STYLES}
    PLACE = "In the log"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_lines(-1)", "Up", show=False),
        Binding("down,j", "scroll_lines(1)", "Down", show=False),
        Binding("pageup", "scroll_pages(-1)", "Page up", show=False),
        Binding("pagedown", "scroll_pages(1)", "Page down", show=False),
        Binding("home,g", "scroll_lines(-1000000)", "Start of the log", show=False),
        Binding("end,G", "scroll_lines(1000000)", "End of the log", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: deque[LogLine] = deque(maxlen=KEPT_LINES)
        self._wrapped: deque[tuple[tuple[str, str], ...]] = deque(maxlen=2 * KEPT_LINES)
        self._above_end = 0  # lines between the last one shown and the end

    @property
    def text(self) -> str:
        """All lines as they were given."""
        return "\n".join(line.text for line in self._lines)

    def clear(self) -> None:
        """Remove all lines."""
        self._lines.clear()
        self._wrapped.clear()
        self._above_end = 0
        self._show()

    def extend(self, lines: Iterable[LogLine]) -> None:
        """Append cleaned lines."""
        added = 0
        for line in lines:
            self._lines.append(line)
            added += self._wrap(line)
        if added:
            self._above_end += added if self._above_end else 0
            self._show()

    def _wrap(self, line: LogLine) -> int:
        room = max(10, self.size.width - _TIME_WIDTH - 1)
        at = time.strftime("%H:%M:%S", time.localtime(line.time))
        indented = line.text.startswith(" ")
        parts = [line.text] if cell_len(line.text) <= room or indented else textwrap.wrap(line.text, room) or [""]
        for index, part in enumerate(parts):
            head = f" {at} " if index == 0 else " " * _TIME_WIDTH
            self._wrapped.append(((head, "time"), (part, line.level if line.level in self.STYLES else "")))
        return len(parts)

    def _show(self) -> None:
        width, height = self.size
        if not width or not height:
            return
        self._above_end = max(0, min(self._above_end, len(self._wrapped) - height))
        stop = len(self._wrapped) - self._above_end
        shown = [cells_of(self._wrapped[i], width) for i in range(max(0, stop - height), stop)]
        shown += [cells_of((), width)] * (height - len(shown))
        self.paint(shown)

    def on_resize(self, event: events.Resize) -> None:
        self.forget()
        self._wrapped.clear()
        for line in self._lines:
            self._wrap(line)
        self._show()

    def action_scroll_lines(self, lines: int) -> None:
        """Scroll; at the end the log is followed again."""
        self._above_end -= lines
        self._show()

    def action_scroll_pages(self, pages: int) -> None:
        self.action_scroll_lines(pages * max(1, self.size.height - 1))

    def on_mouse_scroll_down(self) -> None:
        self.action_scroll_lines(3)

    def on_mouse_scroll_up(self) -> None:
        self.action_scroll_lines(-3)
