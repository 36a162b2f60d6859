"""A widget made of lines of cells, of which it paints again only those that changed."""

from collections import defaultdict
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from labtui.console.widgets.cells import Cells, changes, strip_of


class _Styles(dict[str, Style]):
    """Styles by name; what is no name is a colour, `#rrggbb`."""

    def __missing__(self, name: str) -> Style:
        self[name] = style = self[""] + Style(color=name)
        return style


class Painted(Widget):
    """Subclasses call `paint` with their lines; a piece of a line names one of `STYLES`, or a colour, `#rrggbb`."""

    PART: ClassVar[str]
    """How the component classes are called: PART--STYLE, and PART--cursor for the line of the cursor."""
    STYLES: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: list[Cells] = []
        self._shown_cursor = -1
        self._styles = _Styles()
        self._cursor_styles: dict[str, Style] = {}

    def paint(self, lines: list[Cells], cursor: int = -1) -> None:
        """Show these lines, the one of number `cursor` in the cursor's style."""
        moved = {cursor, self._shown_cursor}
        regions = []
        for y, line in enumerate(lines):
            if y >= len(self._shown) or (y in moved and len(moved) == 2):
                regions.append(Region(0, y, len(line), 1))
            else:
                regions += [Region(start, y, stop - start, 1) for start, stop in changes(self._shown[y], line)]
        self._shown, self._shown_cursor = lines, cursor
        if regions:
            self.refresh(*regions)

    def forget(self) -> None:
        """Let the next `paint` paint everything."""
        self._shown = []

    def on_click(self, event: events.Click) -> None:
        place = event.get_content_offset(self)  # `event.y` counts the border too
        if place is not None:
            self.line_clicked(place.y)

    def line_clicked(self, y: int) -> None:
        """The mouse was clicked on line `y` of those that `paint` shows."""

    def render_line(self, y: int) -> Strip:
        if not self._styles:
            base = self.rich_style
            self._styles = _Styles({"": base})
            for name in self.STYLES:
                self._styles[name] = base + self.get_component_rich_style(f"{self.PART}--{name}")
            if f"{self.PART}--cursor" in self.COMPONENT_CLASSES:
                cursor = base + self.get_component_rich_style(f"{self.PART}--cursor")
                self._cursor_styles = defaultdict(lambda: cursor)
        if y >= len(self._shown):
            return Strip.blank(self.size.width, self._styles[""])
        return strip_of(self._shown[y], self._cursor_styles if y == self._shown_cursor else self._styles)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles = _Styles()
