"""Figures made of text: numbers in, strings and Rich texts out; nothing is read or written.

Every figure can be read without colour, and with `ascii_only` it has nothing but ASCII in it. Names come in as they
are and are cleaned here. Texts do not wrap: their lines are at most as wide as asked.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.cells import cell_len
from rich.text import Text

from engines.study.values import Bin
from labtui import format
from labtui.console.terminal import to_ascii
from labtui.console.widgets.ticks import linear_ticks, nice_step
from labtui.sanitize import clean

FAINT = "dim"
FEW_ITEMS = 20  # in a bin: its accuracy is then uncertain by 20 points and more
_LONGEST_NAME = 34
_SHADES = ((0.05, " ", " "), (0.35, "░", "."), (0.65, "▒", "*"), (math.inf, "▓", "#"))  # of a share below
_BARS, _BARS_ASCII = "▁▂▃▄▅▆▇█", ".:-=+*%#"


def fit(name: str, width: int, ascii_only: bool = False) -> str:
    """A name in exactly `width` cells: padded, or with its middle left out, because names differ at their ends."""
    name = to_ascii(clean(name)) if ascii_only else clean(name)
    dots = "~" if ascii_only else "…"
    if cell_len(name) > width:
        head, tail = name[: max(0, width - 1 - width // 3)], name[len(name) - width // 3 :] if width > 2 else ""
        while cell_len(head) + cell_len(tail) + 1 > width and (head or tail):  # wide characters
            head, tail = (head[:-1], tail) if head else (head, tail[1:])
        name = (head + dots + tail)[: max(0, width)]
    return name + " " * (width - cell_len(name))


def own_names(names: Sequence[str]) -> list[str]:
    """Clean names without the family, `quickstart/`, that all of them begin with."""
    cleaned = [clean(name) for name in names]
    families = {name.partition("/")[0] if "/" in name else None for name in cleaned}
    return [name.partition("/")[2] for name in cleaned] if len(families) == 1 and None not in families else cleaned


def common_start(names: Sequence[str]) -> tuple[str, list[str]]:
    """The words with which all names begin, and the rest of each, of which none is empty."""
    words = [name.split() for name in names]
    shortest = min(map(len, words), default=0)
    same = next((n for n in range(shortest) if len({tuple(w[: n + 1]) for w in words}) > 1), shortest)
    if len(names) < 2 or not same or same == shortest:
        return "", list(names)
    return " ".join(words[0][:same]).rstrip(":"), [" ".join(w[same:]) for w in words]


def _place(value: float, low: float, high: float, width: int) -> int:
    """The cell of `value` on an axis of `width` cells; ends are taken for values beyond them."""
    if width < 2 or not high > low:
        return max(0, width - 1) // 2
    return min(width - 1, max(0, math.floor((value - low) / (high - low) * (width - 1) + 0.5)))


def dot_strip(values: Sequence[float], width: int, low: float, high: float, ascii_only: bool = False) -> str:
    """Values as dots on an axis from `low` to `high`, in exactly `width` cells: `  •──┃─•••─●  `.

    The line reaches from the smallest to the largest value, `┃` stands at the mean (`◆` where a dot is there too), `●`
    for values that share a cell. NaN is left out; a value beyond the axis is drawn at its end. With `ascii_only` the
    signs are `- | # o @`, in the order line, mean, mean on a dot, dot, several dots.
    """
    line, mean_sign, both, one, several = "-|#o@" if ascii_only else "─┃◆•●"
    known = [value for value in values if not math.isnan(value)]
    cells = [" "] * width
    if not known or width < 1:
        return "".join(cells)
    places = [_place(value, low, high, width) for value in known]
    cells[min(places) : max(places) + 1] = line * (max(places) - min(places) + 1)
    for place in places:
        cells[place] = several if places.count(place) > 1 else one
    if len(known) > 1:
        mean = _place(sum(known) / len(known), low, high, width)
        cells[mean] = both if mean in places else mean_sign
    return "".join(cells)


@dataclass(frozen=True, slots=True)
class Whisker:
    """A figure with its interval, None where there is none; `colour` as Rich writes it, empty for none. `others` are
    figures of the same model asked again, drawn as small dots."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    colour: str = ""
    others: Sequence[float] = ()


def dot_whisker(rows: Sequence[Whisker], width: int, *, chance: float | None = None, ascii_only: bool = False) -> Text:
    """Fractions with their intervals on one common axis, one line per row, the axis and its labels below.

    `chance` is drawn as a dotted line where the axis reaches it; the axis is drawn out to it when that costs the rows
    less than half of their width.
    """
    text = Text(no_wrap=True)
    if not rows:
        return text
    figures = [f"{format.score(r.value)} {format.interval(r.low, r.high, ascii_only=ascii_only)}" for r in rows]
    figure_width = max(map(cell_len, figures))
    name_width = min(max(cell_len(clean(r.name)) for r in rows), _LONGEST_NAME, max(6, width // 3))
    room = width - name_width - 2
    if room - figure_width < 16:
        figures = [format.score(r.value) for r in rows]
        figure_width = max(map(cell_len, figures))
    room = max(2, room - figure_width)
    low = min(min(r.value, r.low if r.low is not None else r.value, *r.others) for r in rows)
    high = max(max(r.value, r.high if r.high is not None else r.value, *r.others) for r in rows)
    if chance is not None and low - chance < high - low:
        low, high = min(low, chance), max(high, chance)
    low, high, ticks = _axis(low, high, max(1, min(8, room // 7)))
    at_chance = _place(chance, low, high, room) if chance is not None and low <= chance <= high else None
    first, line, last, dot, dotted, small = "|-|o:." if ascii_only else "├─┤●┊•"
    for row, figure in zip(rows, figures, strict=True):
        cells = [(" ", "")] * room
        if at_chance is not None:
            cells[at_chance] = (dotted, FAINT)
        if row.low is not None and row.high is not None:
            start, stop = _place(row.low, low, high, room), _place(row.high, low, high, room)
            cells[start : stop + 1] = [(line, row.colour)] * (stop - start + 1)
            cells[start], cells[stop] = (first, row.colour), (last, row.colour)
        for other in row.others:
            cells[_place(other, low, high, room)] = (small, row.colour)
        cells[_place(row.value, low, high, room)] = (dot, f"bold {row.colour}".strip())
        text.append(fit(row.name, name_width, ascii_only) + " ", row.colour)
        _append(text, cells)
        text.append(f" {figure[:5]}", "bold").append(f"{figure[5:]}\n")
    axis, labels = _ticks(ticks, low, high, room, ascii_only)
    indent = " " * (name_width + 1)
    text.append(f"{indent}{axis}\n{indent}{labels}", FAINT)
    if at_chance is not None:
        text.append(f" {dotted} {chance:g} guessing"[: figure_width + 1], FAINT)
    return text


def _append(text: Text, cells: Sequence[tuple[str, str]]) -> None:
    """Append characters with their styles."""
    for style, run in groupby(cells, lambda cell: cell[1]):
        text.append("".join(char for char, _ in run), style)


def _axis(low: float, high: float, steps: int) -> tuple[float, float, list[float]]:
    """Round ends within 0 to 1 around fractions, and the ticks between."""
    if high - low < 0.01:
        low, high = low - 0.005, high + 0.005
    fine, step = nice_step((high - low) / 10), nice_step((high - low) / steps)
    low = max(0.0, math.floor(low / fine + 1e-9) * fine)
    high = min(1.0, math.ceil(high / fine - 1e-9) * fine)
    ticks = linear_ticks(low, high, step)
    return low, high, ticks if len(ticks) > 1 else [low, high]


def _ticks(values: Sequence[float], low: float, high: float, width: int, ascii_only: bool) -> tuple[str, str]:
    """An axis of `width` cells with its ticks, and the line with their labels."""
    stub = "+" if ascii_only else "┴"
    axis = ["-" if ascii_only else "─"] * width
    labels = [" "] * width
    digits = max(1, *(len(f"{value:.10g}".partition(".")[2]) for value in values)) if values else 1
    end = -1
    for value in values:
        place, label = _place(value, low, high, width), f"{value:.{digits}f}"
        axis[place] = stub
        start = max(0, min(place - len(label) // 2, width - len(label)))
        if start > end and start + len(label) <= width:
            labels[start : start + len(label)] = label
            end = start + len(label)
    return "".join(axis), "".join(labels)


def reliability(
    bins: Sequence[Bin],
    width: int,
    height: int,
    *,
    colour: str = "",
    axes_of: Sequence[Bin] = (),
    ascii_only: bool = False,
) -> Text:
    """How often answers of one confidence were right, against that confidence, in `width` x `height` cells.

    The dotted diagonal is where both are equal; a line joins each bin to it. Below the axis stand the sizes of the
    bins, as bars and as numbers where these fit. A bin of fewer than `FEW_ITEMS` items is a hollow dot, or `▾` where
    it lies below the axis: such bins do not stretch it. Diagrams to be compared take all their bins as `axes_of`.
    """
    text = Text(no_wrap=True)
    rows, room = height - 4, width - 6
    if not bins or rows < 2 or room < 12:
        return text
    axes_of = axes_of or bins
    start = min(0.9, math.floor(min(b["confidence"] for b in axes_of) * 10 + 1e-9) / 10)
    enough = [b for b in axes_of if b["items"] >= FEW_ITEMS] or axes_of
    bottom = math.floor(min(start, *(b["accuracy"] for b in enough), 1.0) * 10 + 1e-9) / 10
    diagonal, gap, many, few, below, edge = ".|@ov|" if ascii_only else "·│●○▾│"

    def row_of(share: float) -> int:
        return rows - 1 - _place(share, bottom, 1.0, rows)

    grid = [[(" ", "")] * room for _ in range(rows)]
    for x in range(room):
        grid[row_of(start + (1 - start) * x / (room - 1))][x] = (diagonal, FAINT)
    for b in bins:
        x, y, line = _place(b["confidence"], start, 1.0, room), row_of(b["accuracy"]), row_of(b["confidence"])
        for between in range(min(y, line), max(y, line) + 1):
            grid[between][x] = (gap, colour)
    for b in bins:  # on top of every line
        sign = below if b["accuracy"] < bottom else many if b["items"] >= FEW_ITEMS else few
        grid[row_of(b["accuracy"])][_place(b["confidence"], start, 1.0, room)] = (sign, f"bold {colour}".strip())
    marked = {row_of(share): f"{share:.1f}" for share in (bottom, round((1 + bottom) / 2, 1), 1.0)}
    marked.setdefault(1, "right")
    for y, cells in enumerate(grid):
        text.append(f"{marked.get(y, ''):>5}{edge}", FAINT)
        _append(text, cells)
        text.append("\n")
    step = nice_step((1 - start) / max(1, min(5, room // 8)))
    axis, labels = _ticks(linear_ticks(start, 1.0, step), start, 1.0, room, ascii_only)
    text.append(f"     {'+' if ascii_only else '└'}{axis}\nsure  {labels}\n", FAINT)
    bars, sizes = [" "] * room, [" "] * room
    most, end = max(b["items"] for b in bins), -1
    ramp = _BARS_ASCII if ascii_only else _BARS
    for b in sorted(bins, key=lambda b: b["low"]):
        left, right = (
            math.floor(max(0.0, (edge_at - start) / (1 - start)) * room + 1e-9) for edge_at in (b["low"], b["high"])
        )
        right = max(left + 1, min(room, right) - (right - left > 3))
        sign = ramp[max(0, math.ceil(b["items"] / most * len(ramp)) - 1)] if b["items"] else " "
        bars[left:right] = sign * (min(room, right) - left)
        number = format.count(b["items"]) if right - left >= 5 else _short_count(b["items"])
        at = min(room - len(number), max(0, left + (right - left - len(number) + 1) // 2))
        if at > end:
            sizes[at : at + len(number)] = number
            end = at + len(number)
    text.append("      ").append("".join(bars)[:room], colour)
    text.append(f"\nitems {''.join(sizes)[:room]}", FAINT)
    return text


def _short_count(items: int) -> str:
    """A count in at most four characters."""
    return str(items) if items < 10_000 else f"{items / 1000:.0f}k"


def confusion(
    labels: Sequence[str],
    counts: Sequence[Sequence[int]],
    width: int,
    height: int,
    *,
    right: str = "",
    wrong: str = "",
    ascii_only: bool = False,
) -> Text:
    """A confusion matrix: one row per true class, one per predicted one, then invalid answers where there are any.

    A cell has the number, its share of the true class, and a shade for that share: from 5, 35 and 65 %. Cells of
    right answers take the colour `right`, the others `wrong`. Where `width` x `height` cells are too few, the numbers
    go first, and the classes are numbered; then rows and columns, and the last line says how many.
    """
    text = Text(no_wrap=True)
    if not counts:
        return text
    heads = [*labels]
    if any(row[len(labels)] for row in counts if len(row) > len(labels)):
        heads.append("invalid")
    totals = [f"of {format.count(sum(row))}" for row in counts]
    name_width = max(8, min(16, width // 4, max(cell_len(clean(name)) for name in (*heads, *totals))))
    room = width - name_width - 1
    cell = max(8, min(20, room // len(heads) - 1))
    shown = max(1, min(len(heads), room // (cell + 1)))
    lines = next((n for n in (4, 2) if 2 + (n + 1) * len(counts) <= height), 1)
    if shown < len(heads):
        return _dense_confusion(labels, heads, counts, width, height, right, wrong, ascii_only)
    text.append(f"{fit('true', name_width)} predicted\n{' ' * name_width}", FAINT)
    for head in heads[:shown]:
        name = fit(head, min(cell, cell_len(clean(head))), ascii_only)
        text.append(" " * (1 + (cell - cell_len(name)) // 2) + name + " " * ((cell - cell_len(name) + 1) // 2))
    for i, row in enumerate(counts):
        total = sum(row)
        shares = [count / total if total else 0.0 for count in row[:shown]]
        gap = "\n" if lines > 1 and i else ""
        for y in range(lines):
            text.append("\n" + (gap if not y else ""))
            if y == (lines - 1) // 2:
                text.append(fit(labels[i], name_width, ascii_only))
            else:
                text.append(fit(totals[i] if y == (lines + 1) // 2 else "", name_width, ascii_only), FAINT)
            for j, (count, share) in enumerate(zip(row, shares, strict=False)):
                shade = next(signs[ascii_only] for below, *signs in _SHADES if share < below)
                exact = f"{100 * share:.1f} %"
                written = {
                    4: ("", format.count(count), exact, ""),
                    2: (format.count(count), exact),
                    1: (f"{100 * share:.0f} %",),
                }[lines][y]
                text.append(" ").append(
                    f" {written} ".center(cell, shade) if written else shade * cell,
                    right if i == j else wrong if share >= 0.05 else FAINT,
                )
    return text


def _dense_confusion(
    labels: Sequence[str],
    heads: Sequence[str],
    counts: Sequence[Sequence[int]],
    width: int,
    height: int,
    right: str,
    wrong: str,
    ascii_only: bool,
) -> Text:
    """A confusion matrix of shades alone, two or three cells each, its columns headed by the numbers of the classes."""
    text = Text(no_wrap=True)
    text.append(fit("true  predicted, by number", width, ascii_only).rstrip() + "\n", FAINT)
    cell = 3 if 12 + 4 * len(heads) <= width else 2
    name_width = max(8, min(20, width - (cell + 1) * len(heads)))
    columns = max(1, min(len(heads), (width - name_width) // (cell + 1)))
    rows = min(len(counts), max(1, height - 3))
    text.append(
        " " * name_width + "".join(f" {'inv'[:cell] if n == len(labels) else n + 1:>{cell}}" for n in range(columns)),
        FAINT,
    )
    for i, row in enumerate(counts[:rows]):
        total = sum(row)
        text.append("\n" + fit(f"{i + 1:>2} {clean(labels[i])}", name_width, ascii_only))
        for j, count in enumerate(row[:columns]):
            share = count / total if total else 0.0
            shade = next(signs[ascii_only] for below, *signs in _SHADES if share < below)
            text.append(" ").append(shade * cell, right if i == j else wrong)
    more = [
        f"+{count} more {what}"
        for count, what in ((len(counts) - rows, "rows"), (len(heads) - columns, "columns"))
        if count
    ]
    if more:
        text.append("\n" + fit(", ".join(more), width, ascii_only).rstrip(), FAINT)
    return text


def beside(texts: Sequence[Text], width: int, gap: int = 2) -> Text:
    """Texts next to each other, each in `width` cells, `gap` blanks between them."""
    columns = [text.split("\n", allow_blank=True) for text in texts]
    joined = Text(no_wrap=True)
    for y in range(max(map(len, columns), default=0)):
        for x, lines in enumerate(columns):
            line = lines[y] if y < len(lines) else Text()
            line.truncate(width, pad=x < len(columns) - 1)
            joined.append(" " * gap if x else "").append_text(line)
        joined.append("\n")
    joined.rstrip()
    return joined


def paired_table(
    both_right: int,
    a_only: int,
    b_only: int,
    both_wrong: int,
    names: tuple[str, str],
    width: int,
    *,
    colours: tuple[str, str] = ("", ""),
    ascii_only: bool = False,
) -> Text:
    """How often two models were right on the same items: a row for the first being right or wrong, a column for the
    second. The two cells that tell them apart, one alone being right, are in that one's colour."""
    total = both_right + a_only + b_only + both_wrong
    column = max(18, min(24, width // 5))
    name_width = max(1, min(cell_len(clean(names[0])), width - 2 * (column + 3) - 6))
    a, first = fit(names[0], name_width, ascii_only), " " * (name_width + 6)
    b = fit(names[1], min(cell_len(clean(names[1])), 2 * column), ascii_only)
    bar, text = f" {'|' if ascii_only else '│'} ", Text(no_wrap=True)
    text.append(first + bar, FAINT).append(f"{b.center(2 * column + 3).rstrip()}\n{first}", colours[1])
    for verdict in ("right", "wrong"):
        text.append(bar, FAINT).append(verdict.rjust(column), colours[1])
    rows = (
        ("right", (both_right, FAINT), (a_only, f"bold {colours[0]}")),
        ("wrong", (b_only, f"bold {colours[1]}"), (both_wrong, FAINT)),
    )
    for verdict, *cells in rows:
        text.append("\n").append(f"{a} {verdict}", colours[0])
        for count, style in cells:
            share = f"{100 * count / total:.1f} %" if total else ""
            text.append(bar, FAINT).append(f"{format.count(count)} {share:>8}".rjust(column), style.strip())
    return text
