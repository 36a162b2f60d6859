"""The charts of the live view: the curves of one run, and the loss of another behind them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from textual.containers import Container

from labtui import format
from labtui.console.curves import VALIDATION_ACCURACY, VALIDATION_LOSS
from labtui.console.views import Live, RunView
from labtui.console.widgets.chart import PALETTE, Chart
from labtui.console.widgets.plot import LineStyle

GIB = 2.0**30
SMOOTHINGS = (0.0, 0.6, 0.9, 0.97)


@dataclass(frozen=True)
class SeriesSpec:
    """One series of a chart: its name there, the curve it shows, how, and by what its values are divided."""

    name: str
    curve: str
    colour: str
    style: LineStyle = "line"
    divisor: float = 1.0


@dataclass(frozen=True)
class ChartSpec:
    """One chart of the live view; one of a single series is named by its legend."""

    id: str
    title: str
    series: tuple[SeriesSpec, ...]
    y_limits: tuple[float | None, float | None] = (None, None)
    value_text: Callable[[float | None], str] = format.value
    smoothed: bool = False  # a quantity that jumps from step to step
    placeholder: str = "no values yet"


def _gib(number: float | None) -> str:
    return format.bytes_text(None if number is None else number * GIB)


CHART_SPECS = (
    ChartSpec(
        "loss",
        "loss",
        (SeriesSpec("train", "loss", PALETTE[0]), SeriesSpec("validation", VALIDATION_LOSS, PALETTE[1], "points")),
        smoothed=True,
    ),
    ChartSpec(
        "learning-rate",
        "",
        (SeriesSpec("learning rate", "learning_rate", PALETTE[2]),),
        (0.0, None),
        format.learning_rate,
    ),
    ChartSpec("grad-norm", "", (SeriesSpec("gradient norm", "grad_norm", PALETTE[5]),), (0.0, None), smoothed=True),
    ChartSpec(
        "memory",
        "memory of this run, GiB",
        (
            SeriesSpec("host memory", "host_memory_bytes", PALETTE[4], "line", GIB),
            SeriesSpec("reserved", "memory_reserved_bytes", PALETTE[2], "dashed", GIB),
            SeriesSpec("peak", "memory_peak_bytes", PALETTE[1], "dotted", GIB),
            SeriesSpec("allocated", "memory_allocated_bytes", PALETTE[3], "line", GIB),
        ),
        (0.0, None),
        _gib,
    ),
    ChartSpec(
        "accuracy",
        "",
        (SeriesSpec("validation accuracy", VALIDATION_ACCURACY, PALETTE[1], "points"),),
        (None, 1.0),
        format.score,
        placeholder="comes at the end of an epoch",
    ),
    ChartSpec("throughput", "", (SeriesSpec("items/s", "examples_per_s", PALETTE[3]),), (0.0, None), smoothed=True),
)


def overlay_name(run: RunView) -> str:
    """What a run is called where its loss lies behind another's."""
    return f"{run.experiment.rpartition('/')[2]} {run.short}"


class LiveCharts(Container):
    """Two columns of charts, or the main chart with the others as sparklines beneath it, or the main chart alone."""

    def __init__(self, ascii_only: bool, id: str | None = None) -> None:
        super().__init__(id=id)
        self.has_curves = False
        self.is_maximised = False
        self.overlay: str | None = None
        """Name of the run whose loss stays on the chart."""
        self._single = False
        self._main = 0
        self._smoothing = SMOOTHINGS[1]
        self._overlay_points: tuple[list[float], list[float]] = [], []
        self._overlay_name = ""
        self._charts = [
            Chart(
                id=spec.id,
                y_limits=spec.y_limits,
                value_text=spec.value_text,
                smoothing=(self._smoothing if spec.smoothed else 0.0),
                ascii_only=ascii_only,
                placeholder=spec.placeholder,
            )
            for spec in CHART_SPECS
        ]
        for chart, spec in zip(self._charts, CHART_SPECS, strict=True):
            chart.border_title = spec.title

    async def fill(self) -> None:
        """Mount the charts: after the first paint, for they are three quarters of the screen's widgets."""
        await self.mount(*self._charts)
        self.lay_out(self._single)

    @property
    def main(self) -> Chart:
        """The chart that is large on a small terminal."""
        return self._charts[self._main]

    # -- what is drawn ----------------------------------------------------------------------------------------

    def show(self, live: Live) -> None:
        """Draw what is new of the selected run."""
        if live.points_anew:
            self.has_curves = False
            for chart in self._charts:
                chart.clear()
            if self.overlay and self.overlay != live.run.name:
                self._draw_overlay(*self._overlay_points)
        self.has_curves = self.has_curves or "loss" in live.points
        memory = next(chart for chart in self._charts if chart.id == "memory")
        has_device_memory = "memory_allocated_bytes" in live.points or "allocated" in memory.plot.series
        for chart, spec in zip(self._charts, CHART_SPECS, strict=True):
            chart.x_total = live.total
            for series in spec.series:
                points = live.points.get(series.curve)
                if points is None or (series.curve == "host_memory_bytes" and has_device_memory):
                    continue
                if series.name not in chart.plot.series:
                    chart.add_series(series.name, series.colour, series.style)
                values = points[1] if series.divisor == 1.0 else [value / series.divisor for value in points[1]]
                chart.extend(series.name, points[0], values)

    def keep_overlay(self, run: RunView) -> None:
        """Keep the loss of the selected run behind those that are selected next."""
        loss = self._charts[0].plot.series.get("train")
        self.overlay, self._overlay_name = run.name, overlay_name(run)
        self._overlay_points = (list(loss.xs), list(loss.ys)) if loss else ([], [])

    def show_overlay(self, live: Live) -> None:
        """Draw what is new of the run whose loss is kept."""
        if live.points_anew:
            self._overlay_points = [], []
        steps, losses = live.points.get("loss", ((), ()))
        self._overlay_points[0].extend(steps)
        self._overlay_points[1].extend(losses)
        self._overlay_name = overlay_name(live.run)
        self._draw_overlay(steps, losses)

    def _draw_overlay(self, steps: Iterable[float], losses: Iterable[float]) -> None:
        chart = self._charts[0]
        if self._overlay_name not in chart.plot.series:
            chart.add_series(self._overlay_name, PALETTE[4], "dashed")
        chart.extend(self._overlay_name, steps, losses)

    # -- how it is laid out -----------------------------------------------------------------------------------

    def lay_out(self, single: bool) -> None:
        """`single`: one large chart with the others as sparklines beneath it."""
        self._single = single
        self.set_class(self.is_maximised, "-one")
        for index, chart in enumerate(self._charts):
            is_main = index == self._main
            chart.set_class(is_main and (single or self.is_maximised), "-main")
            chart.display = is_main or not self.is_maximised
        order = [self.main, *(chart for chart in self._charts if chart is not self.main)] if single else self._charts
        for index, chart in enumerate(order if self.children else ()):
            if self.children[index] is not chart:
                self.move_child(chart, before=index)

    def _focused(self) -> Chart | None:
        return next((chart for chart in self._charts if chart.has_focus), None)

    def step(self, charts: int) -> None:
        """Make the chart so many places further the main one."""
        self._main = (self._main + charts) % len(self._charts)
        self.lay_out(self._single)
        self.main.focus()

    def toggle_maximised(self) -> None:
        """Show the chart that has the focus alone, or all again."""
        focused = self._focused()
        if focused is not None:
            self._main = self._charts.index(focused)
        self.is_maximised = not self.is_maximised
        self.lay_out(self._single)
        if self.is_maximised:
            self.main.focus()

    def toggle_log_y(self) -> None:
        """Logarithmic or linear axis, of the chart that has the focus, else of the main one."""
        chart = self._focused() or self.main
        chart.log_y = not chart.log_y

    def smooth_on(self) -> None:
        """Take the next factor of smoothing, for every quantity that jumps from step to step."""
        self._smoothing = SMOOTHINGS[(SMOOTHINGS.index(self._smoothing) + 1) % len(SMOOTHINGS)]
        for chart, spec in zip(self._charts, CHART_SPECS, strict=True):
            if spec.smoothed:
                chart.smoothing = self._smoothing
