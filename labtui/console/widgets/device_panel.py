"""How busy the devices are, in one line for a header that repaints only changed cells."""

from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from labtui.console.widgets.cells import Cells, cells_of, changes, strip_of
from labtui.devices import GpuSample, Sample, short_device_name
from labtui.sanitize import clean

_NOT_AVAILABLE = "n/a"
_CROWDED = 0.9
Pieces = list[tuple[str, str]]


def _gib(size_bytes: int | None) -> str:
    return _NOT_AVAILABLE if size_bytes is None else f"{size_bytes / 2**30:.1f}"


def _reading(number: float | None, unit: str, digits: int) -> str:
    return f"{_NOT_AVAILABLE if number is None else f'{number:.0f}':>{digits}} {unit}"


def _memory_text(gpu: GpuSample) -> str:
    total = _gib(gpu.memory_total_bytes)
    return f"{_gib(gpu.memory_used_bytes):>{len(total)}}/{total} GiB"


def _memory_style(used: float | None, total: float | None) -> str:
    return "crowded" if used is not None and total and used / total > _CROWDED else ""


def _gpu_pieces(gpu: GpuSample, detail: int) -> Pieces:
    """One card in a line; each step of `detail` from 5 down drops one part."""
    pieces: Pieces = [(f"gpu{gpu.index} ", "name")]
    if detail >= 3:
        pieces.append((f"{clean(short_device_name(gpu.name))} ", "name"))
    pieces.append((_memory_text(gpu), _memory_style(gpu.memory_used_bytes, gpu.memory_total_bytes)))
    if detail >= 2:
        pieces.append((f" {_reading(gpu.utilisation_percent, '%', 3)}", ""))
    if detail >= 4:
        pieces.append((f" {_reading(gpu.temperature_c, '°C', 3)}", ""))
    if detail >= 5:
        pieces.append((f" {_reading(gpu.power_w, 'W', 3)}", ""))
    return pieces


def _host_pieces(sample: Sample) -> Pieces:
    host = sample.host
    used = host.memory_used_bytes / max(1, host.memory_total_bytes)
    return [
        ("ram ", "name"),
        (_reading(100 * used, "%", 3), _memory_style(host.memory_used_bytes, host.memory_total_bytes)),
        ("  cpu ", "name"),
        (_reading(host.cpu_percent, "%", 3), ""),
    ]


def strip_pieces(sample: Sample, width: int) -> Pieces:
    """The header line in at most `width` cells: power, temperature, names, load and whole cards go, in this order.

    Parts have fixed widths, so that a changing figure moves nothing beside it.
    """
    gap = ("  ", "")
    host = _host_pieces(sample)
    for shown in range(len(sample.gpus), -1, -1):
        rest = len(sample.gpus) - shown
        for detail in range(5, 0, -1):
            pieces: Pieces = []
            for gpu in sample.gpus[:shown]:
                pieces += [*_gpu_pieces(gpu, detail), gap]
            if rest:
                pieces += [(f"+{rest} gpu" if shown else f"{rest} gpu", "name"), gap]
            pieces += host
            if sum(len(text) for text, _ in pieces) <= width:
                return pieces
    return host


class DeviceStrip(Widget):
    """All readings in one line at the right edge, for a header."""

    DEFAULT_CSS = """
    DeviceStrip {
        height: 1;
        width: 1fr;
        & > .readings--name { color: $foreground 70%; }
        & > .readings--crowded { color: $warning; text-style: bold; }
    }
    """
    COMPONENT_CLASSES = {"readings--name", "readings--crowded"}

    def __init__(self) -> None:
        super().__init__()
        self._sample: Sample | None = None
        self._cells: Cells = []
        self._styles_by_name: dict[str, Style] = {}

    def _line_of_cells(self) -> Cells:
        if self._sample is None:
            return []
        width = self.size.width
        pieces = strip_pieces(self._sample, width)
        return cells_of([(" " * (width - sum(len(text) for text, _ in pieces)), ""), *pieces], width)

    def show(self, sample: Sample) -> None:
        """Show a new reading; only the cells that differ are repainted."""
        self._sample = sample
        if not self.is_mounted:
            return
        before, self._cells = self._cells, self._line_of_cells()
        regions = [Region(start, 0, stop - start, 1) for start, stop in changes(before, self._cells, join_within=4)]
        if regions:
            self.refresh(*regions)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles_by_name = {}

    def on_resize(self, event: events.Resize) -> None:
        self._cells = self._line_of_cells()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        if not self._styles_by_name:
            base = self.rich_style
            parts = {part: self.get_component_rich_style(f"readings--{part}") for part in ("name", "crowded")}
            self._styles_by_name = {"": base, **{part: base + style for part, style in parts.items()}}
        if not self._cells:
            return Strip.blank(self.size.width, self._styles_by_name[""])
        return strip_of(self._cells, self._styles_by_name)
