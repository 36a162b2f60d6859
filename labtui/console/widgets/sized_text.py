"""A figure that is drawn to its size."""

from collections.abc import Callable, Hashable
from itertools import zip_longest

from rich.text import Span, Text
from textual.geometry import Region, Size
from textual.widget import Widget


class SizedText(Widget):
    """A text that is made for the size it is shown in; with `height: auto` it is as high as the text is then. Only
    lines that differ are painted again."""

    DEFAULT_CSS = "SizedText { height: auto; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._says: Hashable = None
        self._draw: Callable[[int, int], Text] = lambda width, height: Text()
        self._painted: list[tuple[str, list[Span]]] = []

    def show(self, says: Hashable, draw: Callable[[int, int], Text]) -> None:
        """Show `draw(width, height)`; `says` is equal exactly where the same would be drawn."""
        if says == self._says:
            return
        self._says, self._draw = says, draw
        before = self._painted
        after = _lines(self.render()) if before else []
        if not before or (self.styles.is_auto_height and len(before) != len(after)):
            self.refresh(layout=True)
        elif changed := [y for y, (old, new) in enumerate(zip_longest(before, after)) if old != new]:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        text = self._draw(width, viewport.height)
        return text.plain.count("\n") + 1 if text else 0

    def render(self) -> Text:
        text = self._draw(*self.content_size)
        self._painted = _lines(text)
        return text


def _lines(text: Text) -> list[tuple[str, list[Span]]]:
    return [(line.plain, line.spans) for line in text.split("\n", allow_blank=True)]
