from unittest.mock import patch

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.widget import Widget

from labtui.console.widgets.device_panel import DeviceStrip, strip_pieces
from labtui.devices import GpuSample, HostSample, Sample

GIB = 2**30


def sample(cards: int = 1, *, used_gib: float = 61.2, load: float | None = 87.0, cpu_percent: float = 35.0) -> Sample:
    gpus = tuple(
        GpuSample(
            n, f"GPU-{n}", "NVIDIA H100 80GB HBM3", int(used_gib * GIB), int(79.6 * GIB), load, 64.0, 412.0, 700.0
        )
        for n in range(cards)
    )
    return Sample(
        0.0, gpus, None if cards else "no NVIDIA driver on this machine", HostSample(cpu_percent, 41 * GIB, 100 * GIB)
    )


def text(pieces: list[tuple[str, str]]) -> str:
    return "".join(piece for piece, _ in pieces)


class StripApp(App[None]):
    """A strip with a border, which must not move what is repainted."""

    CSS = "DeviceStrip { border: round white; height: 3; }"

    def compose(self) -> ComposeResult:
        yield DeviceStrip()


def test_the_strip_shows_every_reading_where_it_fits() -> None:
    assert text(strip_pieces(sample(), 120)) == "gpu0 H100 61.2/79.6 GiB  87 %  64 °C 412 W  ram  41 %  cpu  35 %"


@pytest.mark.parametrize("cards", [0, 1, 2, 4, 8])
@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 120, 200])
def test_the_strip_fits_any_width_by_dropping_parts(cards: int, width: int) -> None:
    line = text(strip_pieces(sample(cards), width))
    assert len(line) <= max(width, len("ram  41 %  cpu  35 %"))
    assert "ram" in line


def test_cards_that_do_not_fit_are_counted() -> None:
    assert "+" in text(strip_pieces(sample(8), 80)) and " gpu" in text(strip_pieces(sample(8), 80))


def test_what_the_driver_does_not_tell_is_not_available() -> None:
    bare = GpuSample(0, "GPU-0", "A30", None, None, None, None, None, None)
    line = text(strip_pieces(Sample(0.0, (bare,), None, sample().host), 120))
    assert "n/a/n/a GiB n/a % n/a °C n/a W" in line


def test_crowded_memory_changes_its_style() -> None:
    assert "crowded" in {style for _, style in strip_pieces(sample(used_gib=75), 120)}
    assert "crowded" not in {style for _, style in strip_pieces(sample(), 120)}


async def test_a_new_sample_repaints_only_the_digits_that_differ() -> None:
    async with StripApp().run_test(size=(100, 10)) as pilot:
        strip = pilot.app.query_one(DeviceStrip)
        strip.show(sample())
        await pilot.pause()
        assert strip.render_line(0).text.rstrip().endswith("cpu  35 %")
        repainted: list[Region] = []
        original = Widget.refresh

        def spy(self: Widget, *regions: Region, **settings: bool) -> Widget:
            repainted.extend(regions or [self.size.region])
            return original(self, *regions, **settings)

        with patch.object(Widget, "refresh", spy):
            strip.show(sample(load=88.0))
            strip.show(sample(load=88.0))
        assert repainted == [Region(strip.render_line(0).text.index("88 %") + 1, 0, 1, 1)]
        assert "88 %" in strip.render_line(0).text


async def test_a_sample_before_mounting_is_shown() -> None:
    class Early(App[None]):
        def compose(self) -> ComposeResult:
            strip = DeviceStrip()
            strip.show(sample())
            yield strip

    async with Early().run_test(size=(80, 5)) as pilot:
        await pilot.pause()
        assert "61.2/79.6 GiB" in pilot.app.query_one(DeviceStrip).render_line(0).text
