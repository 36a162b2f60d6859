"""A live line chart that repaints only the cells that changed."""

import math
from collections.abc import Callable, Iterable
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.geometry import Region, Size
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from labtui.console.widgets.cells import Cells, cells_of, changes, strip_of
from labtui.console.widgets.plot import MARK, NOT_DRAWABLE, LineStyle, Plot, Series
from labtui.format import MISSING, compact
from labtui.format import value as value_text_default
from labtui.sanitize import clean

PALETTE = ("#4ea1ff", "#ffb000", "#e05fd0", "#3ddc84", "#22b8cf", "#d75f00")
"""Series colours that stay six different ones on a terminal of 16 colours; red is left to marks and failures."""

_FAINT_16 = "#6b7078"
_GUTTER = 6
_TILES = 8


class _Tile(Widget):
    """A strip of columns of a chart. Textual rewrites a changed line from the left edge of its widget on; narrow
    widgets keep what it rewrites short, which saves a third to a half of the bytes of a live update."""

    DEFAULT_CSS = "_Tile { width: 1fr; height: 1fr; }"

    def __init__(self, chart: "Chart") -> None:
        super().__init__()
        self.chart = chart

    def columns(self) -> tuple[int, int]:
        """First column of the chart's content shown here, and the one after the last."""
        start = self.region.x - self.chart.content_region.x
        return start, start + self.size.width

    def render_line(self, y: int) -> Strip:
        return self.chart.content_strip(y).crop(*self.columns())


class Chart(Widget, can_focus=True):
    """Several series on common axes: a legend with the latest values, the plot, the x axis.

    One row high it is a sparkline: name, latest value, curve. Points come by `extend`, as often as one likes; what they
    changed is drawn once, when the message queue comes to it. All methods belong to the app's thread.
    """

    DEFAULT_CSS = """
    Chart {
        height: 1fr;
        width: 1fr;
        layout: horizontal;
        overflow: hidden;
        & > .chart--axis { color: $foreground 60%; }
        & > .chart--name { color: $foreground 80%; }
        & > .chart--value { color: $foreground; text-style: bold; }
        & > .chart--mark { color: $error; text-style: bold; }
        & > .chart--cursor { color: $foreground 60%; }
    }
    Chart:focus > .chart--axis { color: $foreground; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--axis",
        "chart--name",
        "chart--value",
        "chart--mark",
        "chart--cursor",
    }
    PLACE = "In the chart"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move_cursor(-1)", "Cursor left", show=False),
        Binding("right", "move_cursor(1)", "Cursor right", show=False),
        Binding("home", "move_cursor(-100000)", "Cursor to the start", show=False),
        Binding("end", "move_cursor(100000)", "Cursor to the newest", show=False),
        Binding("escape", "drop_cursor", "Cursor off", show=False),
    ]

    cursor: reactive[float | None] = reactive(None, repaint=False)
    """The x whose values the legend shows; None for the newest of each series."""

    def __init__(
        self,
        *,
        x_total: float | None = None,
        x_name: str = "step",
        y_limits: tuple[float | None, float | None] = (None, None),
        value_text: Callable[[float | None], str] = value_text_default,
        log_y: bool = False,
        smoothing: float = 0.0,
        ascii_only: bool = False,
        placeholder: str = "no values yet",
        live: bool = True,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """See `Plot` for `x_total`, `y_limits`, `log_y` and `smoothing`. `value_text` writes the values of the legend,
        `placeholder` stands in the plot while there are none. A chart that is not `live` is one tile: cheaper to draw
        whole, dearer to add to."""
        super().__init__(name=name, id=id, classes=classes)
        self.x_name = x_name
        self._value_text = value_text
        self._placeholder = placeholder
        self._ascii_only = ascii_only
        self._plot = Plot(x_total=x_total, y_limits=y_limits, log_y=log_y, smoothing=smoothing, ascii_only=ascii_only)
        self._content: list[Cells] = []
        self._composed_size = Size(0, 0)
        self._value_width = 6
        self._axis_labels: dict[int, str] = {}
        self._axis_line: Cells = []
        self._flush_asked = False
        self._styles_by_name: dict[str, Style] = {}
        self._layer_styles: dict[int | None, str] = {}
        self._strips: dict[int, Strip] = {}
        self._tiles = [_Tile(self) for _ in range(_TILES if live else 1)]

    def compose(self) -> ComposeResult:
        yield from self._tiles

    # What screens set.

    @property
    def plot(self) -> Plot:
        """The data and the raster; change it through the chart."""
        return self._plot

    @property
    def x_total(self) -> float:
        """Where the x axis ends; set None when the total is unknown."""
        return self._plot.x_max

    @x_total.setter
    def x_total(self, x_total: float | None) -> None:
        self._plot.set_x_total(x_total)
        self._ask_flush()

    @property
    def log_y(self) -> bool:
        """Whether the y axis is logarithmic; values of zero and below are then marked at the bottom."""
        return self._plot.log_y

    @log_y.setter
    def log_y(self, log_y: bool) -> None:
        self._plot.configure(log_y=log_y)
        self._ask_flush()

    @property
    def smoothing(self) -> float:
        """Factor of the moving average in front of the raw trace, 0 (none) to 0.99; ValueError outside."""
        return self._plot.smoothing

    @smoothing.setter
    def smoothing(self, smoothing: float) -> None:
        self._plot.configure(smoothing=smoothing)
        self._ask_flush()

    @property
    def ascii_only(self) -> bool:
        """Draw with ASCII characters alone."""
        return self._ascii_only

    @ascii_only.setter
    def ascii_only(self, ascii_only: bool) -> None:
        self._ascii_only = ascii_only
        self._plot.configure(ascii_only=ascii_only)
        self._ask_flush()

    def add_series(self, name: str, colour: str, style: LineStyle = "line") -> None:
        """Add an empty curve in front of the others; `colour` is any Textual colour. See `Plot.add_series`."""
        Color.parse(colour)
        self._plot.add_series(clean(name), colour, style)
        self._repaint()

    def extend(self, series: str, xs: Iterable[float], ys: Iterable[float | None]) -> None:
        """Append points; see `Plot.extend`."""
        self._plot.extend(clean(series), xs, ys)
        self._ask_flush()

    def clear(self) -> None:
        """Remove all series."""
        self._plot.clear()
        self.cursor = None
        self._repaint()

    # Keeping the screen up to date.

    def _ask_flush(self) -> None:
        if self.is_mounted and not self._flush_asked:
            self._flush_asked = True
            self.call_next(self._flush)

    def _flush(self) -> None:
        self._flush_asked = False
        if not self._styles_by_name or self._composed_size != self.content_size:
            self._repaint()
            return
        rows = self._plot.update()
        if rows is None:
            self._lay_out()
            self._refresh_rows(range(self.content_size.height))
        else:
            top = self._frame()[1]
            self._refresh_rows([0, *(top + row for row in rows)])

    def _repaint(self) -> None:
        """Draw everything anew, colours included."""
        self._styles_by_name = {}
        for tile in self._tiles:
            tile.refresh()

    def _refresh_rows(self, rows: Iterable[int]) -> None:
        """Compose these rows of the content and repaint the cells that are new."""
        spans = []
        for row in set(rows).intersection(range(len(self._content))):
            cells = self._compose_row(row)
            spans += [(row, start, stop) for start, stop in changes(self._content[row], cells)]
            self._content[row] = cells
            self._strips.pop(row, None)
        for tile in self._tiles:
            left, right = tile.columns()
            regions = [
                Region(max(start, left) - left, row, min(stop, right) - max(start, left), 1)
                for row, start, stop in spans
                if start < right and stop > left
            ]
            if regions:
                tile.refresh(*regions)

    def _frame(self) -> tuple[int, int, int]:
        """Cells left of the plot, above it and below it."""
        width, height = self.content_size
        if height <= 1:
            return min(width // 2, 22), 0, 0
        return (_GUTTER if width >= 20 else 0), 1, (1 if height >= 5 else 0)

    def _lay_out(self) -> None:
        """Lay out what stands around the plot: labels and the x axis."""
        plot = self._plot
        width, height = self.content_size
        left, _, below = self._frame()
        self._axis_labels = {tick.cell: compact(tick.value) for tick in plot.y_ticks()} if height > 1 else {}
        corner, line, stub = ("+", "-", "+") if self._ascii_only else ("└", "─", "┴")
        axis = [line] * plot.width
        end = 0
        for tick in plot.x_ticks() if below else ():
            text = compact(tick.value)
            start = min(tick.cell - len(text) // 2, plot.width - len(text))
            if start > end:
                axis[start : start + len(text)] = text
                end = start + len(text)
            elif tick.cell > end:
                axis[tick.cell] = stub
        if left:
            axis = [" "] * (left - 1) + [corner] + axis
        self._axis_line = cells_of([("".join(axis), "axis")], width)

    def _make_styles(self) -> None:
        base = self.rich_style
        background = self.background_colors[1]
        styles = {"": base}
        for part in ("axis", "name", "value", "mark", "cursor"):
            styles[part] = base + self.get_component_rich_style(f"chart--{part}")
        few_colours = self.app.console.color_system not in ("256", "truecolor")
        layers: dict[int | None, str] = {None: "", MARK: "mark", NOT_DRAWABLE: "mark"}
        for index, series in enumerate(self._plot.series.values()):
            colour = Color.parse(series.colour)
            faint = Color.parse(_FAINT_16) if few_colours else colour.blend(background, 0.55)
            styles[f"series{index}"] = base + Style(color=colour.rich_color)
            styles[f"faint{index}"] = (
                base + Style(color=faint.rich_color)
                if colour.ansi is None
                else base + Style(color=colour.rich_color, dim=True)
            )
            layers[2 * index], layers[2 * index + 1] = f"series{index}", f"faint{index}"
        self._styles_by_name, self._layer_styles = styles, layers

    def _legend_cells(self, width: int) -> Cells:
        plot = self._plot
        pieces: list[tuple[str, str]] = []
        if self.cursor is not None:
            pieces.append((f"{self.x_name} {self.cursor:,.0f}  ", "cursor"))
        for index, series in enumerate(plot.series.values()):
            text, style = self._value_of(series)
            self._value_width = max(self._value_width, len(text))
            if self.content_size.height == 1:
                room = max(0, width - self._value_width - 2)
                pieces += [(f"{series.name[:room]:<{room}} ", f"series{index}")]
                pieces += [(f"{text:>{self._value_width}} ", style)]
                break
            colour = f"faint{index}" if series.style == "faint" else f"series{index}"
            pieces += [(f"{plot.sample(series)} ", colour), (f"{series.name} ", "name")]
            pieces.append((f"{text:<{self._value_width}}  ", style))
        cells = cells_of(pieces, width)
        notes = ["log"] * plot.log_y + [f"smooth {plot.smoothing:g}"] * bool(plot.smoothing)
        note = "  ".join(notes)
        used = sum(len(text) for text, _ in pieces)
        if note and self.content_size.height > 1 and used + len(note) <= width:
            cells[width - len(note) :] = [(char, "axis") for char in note]
        return cells

    def _value_of(self, series: Series) -> tuple[str, str]:
        number = series.latest if self.cursor is None else series.at(self.cursor)
        if number is None:
            return MISSING if not self._ascii_only else "-", "axis"
        if not math.isfinite(number):
            return "NaN" if math.isnan(number) else "inf" if number > 0 else "-inf", "mark"
        return self._value_text(number), "value"

    def content_strip(self, y: int) -> Strip:
        """One row of the content as it was composed last; nothing is computed from points here."""
        width, height = self.content_size
        left, top, below = self._frame()
        if not self._styles_by_name or self._composed_size != self.content_size:
            self._composed_size = self.content_size
            self._plot.resize(width - left, height - top - below)
            self._plot.update()
            self._make_styles()
            self._lay_out()
            self._content = [self._compose_row(row) for row in range(height)]
            self._strips.clear()
        if y >= height:
            return Strip.blank(width, self._styles_by_name[""])
        if y not in self._strips:
            self._strips[y] = strip_of(self._content[y], self._styles_by_name)
        return self._strips[y]

    def _compose_row(self, y: int) -> Cells:
        left, top, _ = self._frame()
        width = self.content_size.width
        if y < top:
            return self._legend_cells(width)
        if y - top >= self._plot.height:
            return self._axis_line
        row = y - top
        plot = self._plot
        if self.content_size.height == 1:
            head = self._legend_cells(left)
        else:
            label = self._axis_labels.get(row, "")
            edge = ("+" if label else "|") if self._ascii_only else ("┤" if label else "│")
            head = cells_of([(f"{label:>{left - 1}}{edge}", "axis")], left) if left else []
        if plot.is_empty():
            text = self._placeholder if row == plot.height // 2 else ""
            return head + cells_of([(f"{text:^{plot.width}}", "axis")], plot.width)
        names = self._layer_styles
        cells = [(cell.char, names[cell.layer]) for cell in plot.row(row)]
        if self.cursor is not None:
            column = plot.column_of(self.cursor)
            if cells[column][0] == " ":
                cells[column] = ("|" if self._ascii_only else "│", "cursor")
        return head + cells

    def notify_style_update(self) -> None:
        """Colours are computed once: forget them when the theme or the focus changes them."""
        super().notify_style_update()
        self._repaint()

    def on_resize(self, event: events.Resize) -> None:
        self._repaint()

    # The cursor.

    def validate_cursor(self, cursor: float | None) -> float | None:
        """Keep the cursor on the axis."""
        return None if cursor is None else min(max(0.0, cursor), self._plot.x_max)

    def watch_cursor(self) -> None:
        if self._styles_by_name:
            self._refresh_rows(range(self.content_size.height))

    def action_move_cursor(self, columns: int) -> None:
        """Move the cursor by cells of the plot, starting from the newest point, never past it."""
        plot = self._plot
        if plot.is_empty() or plot.width < 1:
            return
        newest = max(series.xs[-1] for series in plot.series.values() if series.xs)
        column = plot.column_of(newest if self.cursor is None else self.cursor)
        column = max(0, column + columns)
        self.cursor = newest if column >= plot.column_of(newest) else math.floor(plot.x_of(column) - 1e-9)

    def action_drop_cursor(self) -> None:
        """Show the newest values again."""
        self.cursor = None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape is the chart's only while it shows a cursor."""
        return action != "drop_cursor" or self.cursor is not None
