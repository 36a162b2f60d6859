"""How busy the devices are: one line for a header, or a panel with bars. Both repaint only changed cells."""

from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from labtui.devices import GpuSample, Sample, short_name
from labtui.sanitize import clean
from labtui.widgets.cells import Cells, cells_of, changes, strip_of

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
        pieces.append((f"{clean(short_name(gpu.name))} ", "name"))
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


def panel_lines(sample: Sample, width: int, *, ascii_only: bool = False) -> list[Pieces]:
    """One line with a memory bar for each card, then the host; without cards, the reason."""
    lines: list[Pieces] = []
    titles = [f"gpu{gpu.index} {clean(short_name(gpu.name))}" for gpu in sample.gpus]
    room = min(18, max(map(len, [*titles, "cpu"])))
    for gpu, title in zip(sample.gpus, titles, strict=True):
        used, total = gpu.memory_used_bytes, gpu.memory_total_bytes
        readings = (
            f"{_reading(gpu.utilisation_percent, '%', 3)} {_reading(gpu.temperature_c, '°C', 3)}"
            f" {_reading(gpu.power_w, 'W', 3)}"
        )
        if gpu.power_limit_w is not None:
            readings += f" of {gpu.power_limit_w:.0f}"
        fraction = None if used is None or not total else used / total
        text, style = f"{_memory_text(gpu)} {readings}", _memory_style(used, total)
        lines.append(_bar_line(title[:room].ljust(room), fraction, text, style, width, ascii_only))
    if sample.gpu_reason:
        lines.append([("gpu ", "name"), (sample.gpu_reason, "")])
    host = sample.host
    used_fraction = host.memory_used_bytes / max(1, host.memory_total_bytes)
    text = f"{_gib(host.memory_used_bytes)}/{_gib(host.memory_total_bytes)} GiB"
    style = _memory_style(host.memory_used_bytes, host.memory_total_bytes)
    lines.append(_bar_line("ram".ljust(room), used_fraction, text, style, width, ascii_only))
    load = _reading(host.cpu_percent, "%", 3)
    lines.append(_bar_line("cpu".ljust(room), host.cpu_percent / 100, load, "", width, ascii_only))
    return lines


def _bar_line(title: str, fraction: float | None, text: str, style: str, width: int, ascii_only: bool) -> Pieces:
    full, empty = ("#", "-") if ascii_only else ("█", "░")
    bar_width = min(20, width - len(title) - 2 - len(text))
    if fraction is None or bar_width < 4:
        return [(f"{title} ", "name"), (text, style)]
    filled = min(bar_width, max(0, round(fraction * bar_width)))
    bar = [(full * filled, style or "bar"), (empty * (bar_width - filled), "name")]
    return [(f"{title} ", "name"), *bar, (f" {text}", style)]


class _Readings(Widget):
    """What both forms share: lines of cells, compared with those on the screen."""

    DEFAULT_CSS = """
    _Readings {
        & > .readings--name { color: $foreground 70%; }
        & > .readings--bar { color: $primary; }
        & > .readings--crowded { color: $warning; text-style: bold; }
    }
    """
    COMPONENT_CLASSES = {"readings--name", "readings--bar", "readings--crowded"}

    def __init__(
        self, *, ascii_only: bool = False, name: str | None = None, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.ascii_only = ascii_only
        self._sample: Sample | None = None
        self._lines: list[Cells] = []
        self._styles_by_name: dict[str, Style] = {}

    def pieces(self, sample: Sample, width: int) -> list[Pieces]:
        """What stands in each line of a widget `width` cells wide."""
        raise NotImplementedError

    def _compose_lines(self) -> list[Cells]:
        if self._sample is None:
            return []
        width = self.content_size.width
        return [cells_of(pieces, width) for pieces in self.pieces(self._sample, width)]

    def show(self, sample: Sample) -> None:
        """Show a new reading; only the cells that differ are repainted."""
        self._sample = sample
        if not self.is_mounted:
            return
        before, self._lines = self._lines, self._compose_lines()
        if len(before) != len(self._lines):
            self.refresh(layout=True)
            return
        offset = self.gutter.top_left
        regions = [
            Region(start, y, stop - start, 1).translate(offset)
            for y, (old, new) in enumerate(zip(before, self._lines, strict=True))
            for start, stop in changes(old, new, join_within=4)
        ]
        if regions:
            self.refresh(*regions)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles_by_name = {}

    def on_resize(self, event: events.Resize) -> None:
        self._lines = self._compose_lines()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        if not self._styles_by_name:
            base = self.rich_style
            parts = {part: self.get_component_rich_style(f"readings--{part}") for part in ("name", "bar", "crowded")}
            self._styles_by_name = {"": base, **{part: base + style for part, style in parts.items()}}
        if y >= len(self._lines):
            return Strip.blank(self.content_size.width, self._styles_by_name[""])
        return strip_of(self._lines[y], self._styles_by_name)


class DeviceStrip(_Readings):
    """All readings in one line, for a header."""

    DEFAULT_CSS = "DeviceStrip { height: 1; width: 1fr; }"

    def pieces(self, sample: Sample, width: int) -> list[Pieces]:
        """The parts that fit, at the right edge."""
        pieces = strip_pieces(sample, width)
        return [[(" " * (width - sum(len(text) for text, _ in pieces)), ""), *pieces]]


class DevicePanel(_Readings):
    """One line with a bar for each card, the host's memory and its processors."""

    DEFAULT_CSS = "DevicePanel { height: auto; width: 1fr; }"

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        """As many lines as there are readings."""
        return len(self.pieces(self._sample, width)) if self._sample else 3

    def pieces(self, sample: Sample, width: int) -> list[Pieces]:
        """Every reading, with bars where there is room."""
        return panel_lines(sample, width, ascii_only=self.ascii_only)
