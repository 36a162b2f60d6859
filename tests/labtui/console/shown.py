"""What stands on a screen, for tests to read."""

from typing import Any

from textual.screen import Screen
from textual.widget import Widget


def text_of(screen: Screen[Any]) -> str:
    """What a person sees, line by line; Textual gives it to nobody but its own drivers."""
    return "\n".join(strip.text for strip in screen._compositor.render_strips(screen.size))


def lines_of(widget: Widget) -> list[str]:
    """The lines of a widget that draws them itself."""
    return ["".join(segment.text for segment in widget.render_line(y)) for y in range(widget.size.height)]
