"""Lines of single-cell characters: what the widgets that repaint only what changed are made of."""

from collections.abc import Iterable, Mapping

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

Cells = list[tuple[str, str]]


def cells_of(pieces: Iterable[tuple[str, str]], width: int) -> Cells:
    """Pieces of clean text, each with the name of a style, as exactly `width` cells of (text, style name).

    The second cell of a wide character holds an empty text; combining marks stay with their character.
    """
    cells: Cells = []
    for text, style in pieces:
        for char in text:
            size = cell_len(char)
            if size == 0:
                if cells:
                    cells[-1] = (cells[-1][0] + char, cells[-1][1])
            elif len(cells) + size > width:
                return cells + [(" ", "")] * (width - len(cells))
            else:
                cells += [(char, style if char != " " else ""), ("", style)][:size]
    return cells + [(" ", "")] * (width - len(cells))


def changes(old: Cells, new: Cells, join_within: int = 8) -> list[tuple[int, int]]:
    """Runs of changed columns, (first, one after the last); runs closer than `join_within` are one run. All of `new`
    when the widths differ."""
    if len(old) != len(new):
        return [(0, len(new))]
    runs: list[tuple[int, int]] = []
    for column, (before, after) in enumerate(zip(old, new, strict=True)):
        if before == after:
            continue
        if runs and column - runs[-1][1] < join_within:
            runs[-1] = (runs[-1][0], column + 1)
        else:
            runs.append((column, column + 1))
    return runs


def strip_of(cells: Cells, styles: Mapping[str, Style]) -> Strip:
    """Draw a line with as few changes of style as it takes: blanks take the style of what stands before them."""
    segments: list[Segment] = []
    text, current = "", ""
    for char, style in cells:
        if style != current and char not in (" ", ""):
            if text:
                segments.append(Segment(text, styles[current]))
                text = ""
            current = style
        text += char
    segments.append(Segment(text, styles[current]))
    return Strip(segments, len(cells))
