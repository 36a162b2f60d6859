"""The arithmetic of a live line chart, without Textual: bins, the fit of the axes and the raster of characters.

A `Plot` keeps every point of its series and, for each column of dots, the first, last, lowest and highest value in
it. A new point touches one column, so that drawing costs what is new, not what is there. Only a change of size, of
the x range, of the smoothing or of the scale bins everything again.
"""

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from labtui.console.widgets.ticks import linear_range, linear_ticks, log_range, log_ticks, nice_step

LineStyle = Literal["line", "dashed", "dotted", "faint", "points"]

MARK = -1
NOT_DRAWABLE = -2
_FIRST_X_TOTAL = 64.0
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_ASCII = {"line": "*", "dashed": "+", "dotted": ":", "faint": ".", "points": ":"}
_SAMPLES = {"line": "──", "dashed": "╌╌", "dotted": "··", "faint": "··", "points": "●·"}
_ASCII_SAMPLES = {"line": "**", "dashed": "++", "dotted": "::", "faint": "..", "points": "o:"}
# (period, dots drawn of it); a faint trace is told from a line by its colour alone, so both are unbroken.
_PATTERNS = {"dashed": (6, 4), "dotted": (3, 1), "points": (3, 1)}
_NAN = math.nan


class Cell(NamedTuple):
    """One character of the raster. `layer` is 2 * series index, + 1 for its raw trace behind the smoothed one; MARK for
    a value that is not a number; NOT_DRAWABLE for one that a logarithmic axis has no place for; None when empty."""

    char: str
    layer: int | None


class Tick(NamedTuple):
    """A labelled place on an axis, in cells from the top or from the left."""

    cell: int
    value: float


_EMPTY = Cell(" ", None)


class _Bins:
    """One trace reduced to columns of dots; NaN where a column holds no value."""

    def __init__(self, columns: int) -> None:
        blank = array("d", [_NAN]) * columns
        self.first, self.last, self.low, self.high = blank[:], blank[:], blank[:], blank[:]
        self.detached = bytearray(columns)

    def add(self, column: int, y: float, after_gap: bool) -> None:
        low = self.low[column]
        if low != low:
            self.first[column] = self.last[column] = self.low[column] = self.high[column] = y
            self.detached[column] = after_gap
            return
        self.last[column] = y
        if y < low:
            self.low[column] = y
        elif y > self.high[column]:
            self.high[column] = y

    def put(self, column: int, y: float, after_gap: bool) -> None:
        """Keep the newest value alone: a smoothed trace stays a thin line."""
        if self.low[column] != self.low[column]:
            self.detached[column] = after_gap
        self.first[column] = self.last[column] = self.low[column] = self.high[column] = y


@dataclass
class Series:
    """One curve: its points as they came, and its bins. `colour` is only carried along."""

    name: str
    colour: str
    style: LineStyle
    xs: "array[float]" = field(default_factory=lambda: array("d"))
    ys: "array[float]" = field(default_factory=lambda: array("d"))
    raw: _Bins = field(default_factory=lambda: _Bins(0))
    smooth: _Bins | None = None
    marks: dict[int, int] = field(default_factory=dict)
    average: float = 0.0
    weight: float = 0.0
    after_gap: bool = False
    last_column: int = -1

    @property
    def latest(self) -> float | None:
        """The newest value, NaN included; None before the first."""
        return self.ys[-1] if self.ys else None

    def at(self, x: float) -> float | None:
        """The newest value not after `x`, None before the first."""
        index = bisect_right(self.xs, x)
        return self.ys[index - 1] if index else None


class Plot:
    """Series on common axes, drawn into `width` x `height` cells of 2 x 4 braille dots (one dot in ASCII mode).

    The x axis runs from 0 to `x_total` and stays there; without a total, or when a point lies beyond it, it grows by
    doubling. The y axis is refitted only when a value leaves it; `y_limits` are the natural ends of the quantity
    (accuracy: 0 and 1), which no refit passes.
    """

    def __init__(
        self,
        *,
        x_total: float | None = None,
        y_limits: tuple[float | None, float | None] = (None, None),
        log_y: bool = False,
        smoothing: float = 0.0,
        ascii_only: bool = False,
    ) -> None:
        self.series: dict[str, Series] = {}
        self.y_limits = y_limits
        self.width = self.height = 0
        self.y_range: tuple[float, float] = (0.0, 1.0)
        self._known_total = x_total
        self._log_y, self._smoothing, self._ascii = log_y, self._checked(smoothing), ascii_only
        self._rows: list[list[Cell]] = []
        self._x_max = x_total or _FIRST_X_TOTAL
        self._dirty: tuple[int, int] | None = None
        self._seen = (math.inf, -math.inf)
        self._fitted = self._fitted_to_zero = False
        self._stale = True

    # What can be changed; each change draws everything anew at the next `update`.

    @staticmethod
    def _checked(smoothing: float) -> float:
        if not 0 <= smoothing <= 0.99:
            raise ValueError(f"smoothing = {smoothing} is outside 0 to 0.99; 0 draws the raw values alone")
        return smoothing

    def configure(
        self, *, log_y: bool | None = None, smoothing: float | None = None, ascii_only: bool | None = None
    ) -> None:
        """Set the scale, the factor of the moving average (0 to 0.99, 0 for none) or the character set."""
        if smoothing is not None:
            self._smoothing = self._checked(smoothing)
        self._log_y = self._log_y if log_y is None else log_y
        self._ascii = self._ascii if ascii_only is None else ascii_only
        self._stale = True

    def set_x_total(self, x_total: float | None) -> None:
        """Set where the x axis ends; None if unknown."""
        if x_total != self._known_total:
            self._known_total, self._x_max, self._stale = x_total, x_total or _FIRST_X_TOTAL, True

    def resize(self, width: int, height: int) -> None:
        """Set the size of the raster in cells."""
        if (width, height) != (self.width, self.height):
            self.width, self.height, self._stale = max(0, width), max(0, height), True

    def add_series(self, name: str, colour: str, style: LineStyle = "line") -> None:
        """Add an empty curve in front of the others. Styles: `line`, `dashed`, `dotted`, `faint` (a trace in the
        background colour mix) and `points` (a marker at each value, joined by dots, never smoothed)."""
        if name in self.series:
            raise ValueError(f"a series named {name!r} is already on this chart; choose another name")
        self.series[name] = Series(name, colour, style)
        self._stale = True

    def clear(self) -> None:
        """Remove all series and points; size and settings stay."""
        self.series.clear()
        self._x_max = self._known_total or _FIRST_X_TOTAL
        self._stale = True

    def extend(self, name: str, xs: Iterable[float], ys: Iterable[float | None]) -> None:
        """Append points in the order of x; None, NaN and infinite values are gaps with a mark.

        A point not after the newest one replaces what was there from its x on: a resumed run overwrites the steps
        that were lost. Raises KeyError for an unknown series and ValueError when lengths differ.
        """
        series = self.series[name]
        start = len(series.xs)
        newest = series.xs[-1] if start else -math.inf
        for x, y in zip(xs, ys, strict=True):
            if x <= newest:
                keep = bisect_left(series.xs, x)
                del series.xs[keep:], series.ys[keep:]
                self._stale = True
            series.xs.append(x)
            series.ys.append(_NAN if y is None else y)
            newest = x
        if newest > self._x_max:
            while self._x_max < newest:
                self._x_max *= 2
            self._stale = True
        if not self._stale:
            self._bin(series, start)

    # What can be read.

    @property
    def x_max(self) -> float:
        """Where the x axis ends now."""
        return self._x_max

    @property
    def smoothing(self) -> float:
        """The factor of the moving average."""
        return self._smoothing

    @property
    def log_y(self) -> bool:
        """Whether the y axis is logarithmic."""
        return self._log_y

    def row(self, row: int) -> list[Cell]:
        """The cells of one row as of the last `update`."""
        return self._rows[row]

    def sample(self, series: Series) -> str:
        """Two characters that show in a legend how a series is drawn."""
        return (_ASCII_SAMPLES if self._ascii else _SAMPLES)[series.style]

    def column_of(self, x: float) -> int:
        """The cell column of `x`."""
        return self._dot_column(x) // self._dots_x

    def x_of(self, column: int) -> float:
        """The right edge of a cell column, in x."""
        return (column + 1) * self._x_max / max(1, self.width)

    def is_empty(self) -> bool:
        """Whether no series holds a point yet."""
        return not any(series.xs for series in self.series.values())

    def y_ticks(self) -> list[Tick]:
        """Labelled rows, from the top, no two in one row."""
        if self.height < 1:
            return []
        low, high = self.y_range
        count = self._y_tick_count()
        if self._log_y:
            values = log_ticks(low, high, count)
        elif count < 3:
            values = [low, high]
        else:
            values = linear_ticks(low, high, nice_step((high - low) / count * 0.999))
        ticks: dict[int, Tick] = {}
        for value in sorted(values, key=lambda value: value not in (low, high)):
            row = min(self.height - 1, max(0, _nearest(self._dot_row(value)) // self._dots_y))
            if not any(near in ticks for near in ((row,) if self.height < 4 else (row - 1, row, row + 1))):
                ticks[row] = Tick(row, value)
        return [ticks[row] for row in sorted(ticks)]

    def x_ticks(self) -> list[Tick]:
        """Labelled columns; 0 is left out, the end of the axis is always there."""
        if self.width < 1:
            return []
        step = nice_step(self._x_max / max(1, self.width // 10))
        inner = (index * step for index in range(1, int(self._x_max / step) + 1))
        ticks = [Tick(self.column_of(x), x) for x in inner if self._x_max - x > 0.6 * step]
        return [*ticks, Tick(self.width - 1, self._x_max)]

    # Drawing.

    @property
    def _dots_x(self) -> int:
        return 1 if self._ascii else 2

    @property
    def _dots_y(self) -> int:
        return 1 if self._ascii else 4

    def _dot_column(self, x: float) -> int:
        columns = self.width * self._dots_x
        return min(columns - 1, max(0, int(x * columns / self._x_max)))

    def _dot_row(self, y: float) -> float:
        low, high = self.y_range
        if self._log_y:
            low, high, y = math.log10(low), math.log10(high), math.log10(y)
        return (high - y) / (high - low) * (self.height * self._dots_y - 1)

    def _y_tick_count(self) -> int:
        return max(1, min(5, (self.height - 1) // 3))

    def update(self) -> list[int] | None:
        """Bring the raster up to date. Returns the rows that changed; None when the axes may have changed too."""
        if self.width < 1 or self.height < 1:
            self._stale = True
            return None
        if self._stale:
            self._rebuild()
            return None
        if self._dirty is None:
            return []
        if not self._fits():
            self._fit()
            self.redraw()
            self._dirty = None
            return None
        start, stop = self._dirty
        self._dirty = None
        return self._draw(start // self._dots_x, stop // self._dots_x + 1)

    def redraw(self) -> None:
        """Draw every cell anew on the axes as they are."""
        self._draw(0, self.width)

    def _rebuild(self) -> None:
        columns = self.width * self._dots_x
        self._stale = False
        self._fitted = self._fitted_to_zero = False
        self._seen = (math.inf, -math.inf)
        for series in self.series.values():
            series.raw = _Bins(columns)
            series.smooth = _Bins(columns) if self._smoothing and series.style in ("line", "dashed", "dotted") else None
            series.marks = {}
            series.average = series.weight = 0.0
            series.after_gap, series.last_column = False, -1
            self._bin(series, 0)
        self._fit()
        self._dirty = None
        self._rows = [[_EMPTY] * self.width for _ in range(self.height)]
        self.redraw()

    def _bin(self, series: Series, start: int) -> None:
        """Put the points from index `start` on into their columns and note which columns must be drawn again."""
        xs, ys = series.xs, series.ys
        if start >= len(xs):
            return
        columns = self.width * self._dots_x
        scale, last = columns / self._x_max, columns - 1
        add_raw, add_smooth = series.raw.add, series.smooth.put if series.smooth else None
        beta, average, weight, after_gap = self._smoothing, series.average, series.weight, series.after_gap
        log_y, inf = self._log_y, math.inf
        low, high = self._seen
        first_dirty = series.last_column
        if series.smooth is not None and first_dirty > 0:
            # The newest smoothed value moves within its column, and with it the line from the column before.
            first_dirty -= 1
            while first_dirty > 0 and series.smooth.low[first_dirty] != series.smooth.low[first_dirty]:
                first_dirty -= 1
        for index in range(start, len(xs)):
            y = ys[index]
            column = int(xs[index] * scale)
            column = last if column > last else max(column, 0)
            if not -inf < y < inf or (log_y and y <= 0):
                series.marks[column // self._dots_x] = NOT_DRAWABLE if -inf < y <= 0 else MARK
                after_gap = True
                continue
            low = y if y < low else low
            high = y if y > high else high
            add_raw(column, y, after_gap)
            if add_smooth is not None:
                average = beta * average + (1 - beta) * y
                weight = beta * weight + (1 - beta)
                add_smooth(column, average / weight, after_gap)
            after_gap = False
        series.average, series.weight, series.after_gap = average, weight, after_gap
        self._seen = (low, high)
        series.last_column = column
        if first_dirty < 0:
            first_dirty = self._dot_column(xs[start])
        dirty = self._dirty or (first_dirty, column)
        self._dirty = (min(first_dirty, dirty[0]), max(column, dirty[1]))

    def _fits(self) -> bool:
        low, high = self._seen
        if self._fitted_to_zero and low < high:
            self._fitted = False  # a range around the 0 that a warm-up starts from says nothing of its scale
        return low > high or (self._fitted and self.y_range[0] <= low and high <= self.y_range[1])

    def _fit(self) -> None:
        """Choose a y range that holds all values seen, with room where values have just left the old one."""
        low, high = self._seen
        if low > high:
            self.y_range = (0.1, 1.0) if self._log_y else (0.0, 1.0)
            return
        if self._log_y:
            if self._fitted:
                low = min(self.y_range[0], low / 1.5 if low < self.y_range[0] else low)
                high = max(self.y_range[1], high * 1.5 if high > self.y_range[1] else high)
            self.y_range = log_range(low, high)
        else:
            if self._fitted:
                old_low, old_high = self.y_range
                room = 0.3 * (max(high, old_high) - min(low, old_low))
                low = low - room if low < old_low else old_low
                high = high + room if high > old_high else old_high
            floor, ceiling = self.y_limits
            low, high = linear_range(low, high, self._y_tick_count(), never_below_zero=self._seen[0] >= 0)
            self.y_range = (low if floor is None else max(low, floor), high if ceiling is None else min(high, ceiling))
            if self.y_range[0] > self._seen[0] or self.y_range[1] < self._seen[1]:
                self.y_range = low, high
        self._fitted = True
        self._fitted_to_zero = self._seen == (0.0, 0.0)

    def _draw(self, start: int, stop: int) -> list[int]:
        """Draw the cell columns `start` to `stop` of all series; return the rows that look different."""
        start, stop = max(0, start), min(self.width, stop)
        fresh: dict[tuple[int, int], Cell] = {}
        every = list(enumerate(self.series.values()))
        for index, series in every:
            if series.smooth is not None or series.style == "faint":
                self._draw_trace(fresh, 2 * index + 1, series.raw, "faint", start, stop)
        for index, series in every:
            if series.smooth is not None:
                self._draw_trace(fresh, 2 * index, series.smooth, series.style, start, stop)
            elif series.style != "faint":
                self._draw_trace(fresh, 2 * index, series.raw, series.style, start, stop)
        for index, series in every:
            if series.style == "points":
                self._draw_markers(fresh, 2 * index, series.raw, start, stop)
        bottom = self.height - 1
        for _, series in every:
            for column, kind in series.marks.items():
                if start <= column < stop:
                    glyphs = "xv" if self._ascii else "✗▾"
                    fresh[bottom, column] = Cell(glyphs[kind == NOT_DRAWABLE], kind)
        changed = []
        for y, row in enumerate(self._rows):
            cells = [fresh.get((y, x), _EMPTY) for x in range(start, stop)]
            if cells != row[start:stop]:
                row[start:stop] = cells
                changed.append(y)
        return changed

    def _draw_trace(
        self, fresh: dict[tuple[int, int], Cell], layer: int, bins: _Bins, style: LineStyle, start: int, stop: int
    ) -> None:
        """Draw one trace over what is in `fresh`: a cell shows the dots of the frontmost trace alone."""
        dots_x, dots_y = self._dots_x, self._dots_y
        period, drawn = _PATTERNS.get(style, (1, 1)) if not self._ascii else (1, 1)
        masks: dict[tuple[int, int], int] = {}
        for x, top, bottom in self._runs(bins, start * dots_x, stop * dots_x, style == "points"):
            steep = bottom - top > 1
            for y in range(top, bottom + 1):
                if (y if steep else x) % period < drawn:
                    place = (y // dots_y, x // dots_x)
                    masks[place] = masks.get(place, 0) | _DOTS[y % dots_y][x % dots_x]
        for place, mask in masks.items():
            fresh[place] = Cell(_ASCII[style] if self._ascii else chr(0x2800 + mask), layer)

    def _runs(self, bins: _Bins, start: int, stop: int, joins_only: bool) -> Iterator[tuple[int, int, int]]:
        """Vertical runs of dots (column, top, bottom) of a trace within the dot columns `start` to `stop`."""
        lows, highs, first, last = bins.low, bins.high, bins.first, bins.last
        limit = len(lows)
        previous = start - 1
        while previous >= 0 and lows[previous] != lows[previous]:
            previous -= 1
        rows = self.height * self._dots_y - 1

        def row_of(y: float) -> float:
            return min(rows, max(0.0, self._dot_row(y)))

        column = start
        while column < limit:
            low = lows[column]
            if low == low:
                if column < stop and not joins_only:
                    yield column, _nearest(row_of(highs[column])), _nearest(row_of(low))
                if previous >= 0 and not bins.detached[column]:
                    yield from _join(previous, row_of(last[previous]), column, row_of(first[column]), start, stop)
                previous = column
                if column >= stop:
                    return
            elif column >= stop and previous < 0:
                return
            column += 1

    def _draw_markers(self, fresh: dict[tuple[int, int], Cell], layer: int, bins: _Bins, start: int, stop: int) -> None:
        for column in range(start * self._dots_x, stop * self._dots_x):
            y = bins.last[column]
            if y == y:
                row = min(self.height - 1, max(0, _nearest(self._dot_row(y)) // self._dots_y))
                fresh[row, column // self._dots_x] = Cell("o" if self._ascii else "●", layer)


def _nearest(row: float) -> int:
    """Halves go down the screen; `round` sends them to even rows, which bends straight lines."""
    return math.floor(row + 0.5)


def _join(x0: int, y0: float, x1: int, y1: float, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """A straight line of touching dots between two places, as runs in the columns `start` to `stop`."""
    slope = (y1 - y0) / (x1 - x0)
    for x in range(max(x0, start), min(x1 + 1, stop)):
        enter = _nearest(y0 + slope * max(0.0, x - x0 - 0.5))
        leave = _nearest(y0 + slope * min(float(x1 - x0), x - x0 + 0.5))
        if x > x0 and enter != leave:
            enter += 1 if leave > enter else -1
        yield x, min(enter, leave), max(enter, leave)
