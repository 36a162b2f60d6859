import math
import os
import random
import time
from unittest.mock import patch

import pytest
from rich.color import Color as RichColor
from rich.color import ColorSystem
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.widget import Widget

from labtui.console.widgets.chart import _FAINT_16, PALETTE, Chart


class ChartApp(App[None]):
    """One chart of a given size."""

    def __init__(self, chart: Chart, width: int = 40, height: int = 12) -> None:
        super().__init__()
        self.chart = chart
        chart.styles.width, chart.styles.height = width, height

    def compose(self) -> ComposeResult:
        yield self.chart


def lines(chart: Chart) -> list[str]:
    return [chart.content_strip(y).text for y in range(chart.content_size.height)]


def loss_chart(**settings: object) -> Chart:
    chart = Chart(**{"x_total": 100, **settings})  # type: ignore[arg-type]
    chart.add_series("train", PALETTE[0])
    return chart


async def test_the_legend_shows_the_newest_value_and_the_axis_its_total() -> None:
    chart = loss_chart(smoothing=0.6)
    async with ChartApp(chart, width=50).run_test(size=(60, 20)) as pilot:
        chart.extend("train", [1, 2], [2.0, 0.6931])
        await pilot.pause()
        assert lines(chart)[0].startswith("── train 0.6931")
        assert lines(chart)[0].endswith("smooth 0.6")
        assert lines(chart)[-1].endswith("100")


async def test_values_before_mounting_are_kept() -> None:
    chart = loss_chart()
    chart.extend("train", range(50), [1.0] * 50)
    async with ChartApp(chart).run_test(size=(60, 20)):
        assert "1.000" in lines(chart)[0]


async def test_an_empty_chart_says_what_it_waits_for() -> None:
    chart = loss_chart(placeholder="after the first epoch")
    async with ChartApp(chart).run_test(size=(60, 20)) as pilot:
        assert any("after the first epoch" in line for line in lines(chart))
        chart.extend("train", [1], [1.0])
        await pilot.pause()
        assert not any("after the first epoch" in line for line in lines(chart))


async def test_nan_is_a_gap_with_a_mark_and_named_in_the_legend() -> None:
    chart = loss_chart()
    async with ChartApp(chart).run_test(size=(60, 20)) as pilot:
        chart.extend("train", [0, 20, 50], [1.0, 1.0, math.nan])
        await pilot.pause()
        assert "train NaN" in lines(chart)[0]
        chart.extend("train", [80, 100], [1.0, 1.0])
        await pilot.pause()
        left = chart.content_size.width - chart.plot.width
        bottom = lines(chart)[-2]
        assert bottom[left + chart.plot.column_of(50)] == "✗"
        gap = slice(left + chart.plot.column_of(20) + 1, left + chart.plot.column_of(80))
        assert all(set(line[gap]) <= {" ", "✗"} for line in lines(chart)[1:-1])


async def test_one_new_point_repaints_few_cells() -> None:
    chart = loss_chart()
    async with ChartApp(chart).run_test(size=(60, 20)) as pilot:
        chart.extend("train", range(50), [2.0 - x / 50 for x in range(50)])
        await pilot.pause()
        repainted: list[Region] = []
        original = Widget.refresh

        def spy(self: Widget, *regions: Region, **settings: bool) -> Widget:
            repainted.extend(regions or [self.size.region])
            return original(self, *regions, **settings)

        with patch.object(Widget, "refresh", spy):
            chart.extend("train", [50], [1.0])
            await pilot.pause()
        assert 1 <= sum(region.area for region in repainted) <= 12


async def test_many_calls_before_the_next_paint_are_one_paint() -> None:
    chart = loss_chart()
    async with ChartApp(chart).run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        with patch.object(chart.plot, "update", wraps=chart.plot.update) as update:
            for x in range(50):
                chart.extend("train", [x], [1.0])
            await pilot.pause()
        assert update.call_count <= 2


async def test_what_is_on_the_screen_is_what_a_full_repaint_would_draw() -> None:
    source = random.Random("chart")
    chart = loss_chart(smoothing=0.8)
    chart.add_series("validation", PALETTE[1], "points")
    async with ChartApp(chart).run_test(size=(60, 20)) as pilot:
        for x in range(0, 90, 3):
            chart.extend("train", range(x, x + 3), [source.choice([source.random(), 30.0, math.nan]) for _ in "abc"])
            chart.extend("validation", [x], [source.random()])
            await pilot.pause()
        shown = lines(chart)
        chart.notify_style_update()  # forgets all that was composed
        assert lines(chart) == shown


async def test_the_log_axis_takes_values_of_zero_and_below() -> None:
    chart = loss_chart()
    async with ChartApp(chart).run_test(size=(60, 20)) as pilot:
        chart.extend("train", [10, 20, 30, 40], [1e-3, 0.0, -1.0, 10.0])
        chart.log_y = True
        await pilot.pause()
        assert lines(chart)[0].endswith("log")
        assert "▾" in lines(chart)[-2]
        assert "10┤" in lines(chart)[1]


async def test_a_hundred_thousand_points_are_shown_within_half_a_second() -> None:
    chart = loss_chart(x_total=100_000, smoothing=0.6)
    values = [math.sin(x / 5000) for x in range(100_000)]
    async with ChartApp(chart).run_test(size=(60, 20)) as pilot:
        started = time.process_time()
        chart.extend("train", range(100_000), values)
        await pilot.pause()
        assert time.process_time() - started < 0.5


async def test_the_cursor_shows_values_where_it_stands() -> None:
    chart = loss_chart(ascii_only=True)
    async with ChartApp(chart, width=106).run_test(size=(120, 20)) as pilot:
        chart.extend("train", range(60), [float(x) for x in range(60)])
        chart.focus()
        await pilot.press("left", "left")
        assert chart.cursor == 57
        assert lines(chart)[0].startswith("step 57  ** train 57.00")
        await pilot.press("right", "right", "right")
        assert chart.cursor == 59
        await pilot.press("home")
        assert chart.cursor == 0
        await pilot.press("escape")
        assert chart.cursor is None
        assert lines(chart)[0].startswith("** train 59.00")


async def test_ascii_mode_draws_ascii_alone() -> None:
    chart = loss_chart(ascii_only=True, smoothing=0.5)
    chart.add_series("validation", PALETTE[1], "points")
    async with ChartApp(chart).run_test(size=(60, 20)) as pilot:
        chart.extend("train", range(4), [1.0, 2.0, None, 3.0])
        chart.extend("validation", [2], [1.0])
        await pilot.pause()
        assert "".join(lines(chart)).isascii()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 2), (8, 3), (21, 4), (30, 1), (200, 60)])
async def test_any_size_draws(width: int, height: int) -> None:
    chart = loss_chart()
    async with ChartApp(chart, width, height).run_test(size=(200, 60)) as pilot:
        chart.extend("train", range(50), [float(x) for x in range(50)])
        await pilot.pause()
        assert [len(line) for line in lines(chart)] == [width] * height


async def test_a_resized_chart_keeps_its_points() -> None:
    chart = loss_chart()
    async with ChartApp(chart).run_test(size=(60, 20)) as pilot:
        chart.extend("train", range(101), [float(x) for x in range(101)])
        chart.styles.width, chart.styles.height = 55, 7
        await pilot.pause()
        chart.styles.width = 30
        await pilot.pause()
        left = chart.content_size.width - chart.plot.width
        assert [len(line) for line in lines(chart)] == [30] * 7
        assert all(any(line[column] != " " for line in lines(chart)[1:-1]) for column in range(left, 30))


async def test_focus_and_theme_keep_the_picture() -> None:
    chart = loss_chart()
    async with ChartApp(chart).run_test(size=(60, 20)) as pilot:
        chart.extend("train", range(50), [1.0] * 50)
        await pilot.pause()
        before = lines(chart)
        chart.focus()
        pilot.app.theme = "textual-light"
        await pilot.pause()
        assert lines(chart) == before


async def test_one_row_is_a_sparkline_with_its_value() -> None:
    chart = loss_chart()
    async with ChartApp(chart, 40, 1).run_test(size=(60, 20)) as pilot:
        chart.extend("train", range(100), [x / 100 for x in range(100)])
        await pilot.pause()
        assert lines(chart)[0].startswith("train")
        assert "0.9900" in lines(chart)[0]
        assert any(0x2800 < ord(char) < 0x2900 for char in lines(chart)[0])


async def test_a_bordered_chart_keeps_its_content_inside() -> None:
    chart = loss_chart()
    chart.styles.border = ("round", "white")
    async with ChartApp(chart).run_test(size=(60, 20)) as pilot:
        chart.extend("train", [1], [1.0])
        await pilot.pause()
        assert len(lines(chart)) == 10
        assert {len(line) for line in lines(chart)} == {38}


async def test_foreign_series_names_are_cleaned_and_show_no_markup() -> None:
    chart = Chart(x_total=10)
    chart.add_series("[b]x[/b]\x1b[31m", PALETTE[0])
    async with ChartApp(chart).run_test(size=(60, 20)) as pilot:
        chart.extend("[b]x[/b]\x1b[31m", [1], [1.0])
        await pilot.pause()
        assert lines(chart)[0].startswith("── [b]x[/b] 1.000")


def test_the_palette_stays_distinct_on_sixteen_colours() -> None:
    numbers = [RichColor.parse(colour).downgrade(ColorSystem.STANDARD).number for colour in (*PALETTE, _FAINT_16)]
    assert len(set(numbers)) == len(numbers)
    assert not {1, 9, 0, 7, 15} & set(numbers)


async def test_without_colour_styles_still_tell_series_apart() -> None:
    with patch.dict(os.environ, {"NO_COLOR": "1"}):
        chart = loss_chart()
        chart.add_series("other", PALETTE[1], "dotted")
        async with ChartApp(chart).run_test(size=(60, 20)) as pilot:
            chart.extend("train", [0, 100], [1.0, 1.0])
            chart.extend("other", [0, 100], [2.0, 2.0])
            await pilot.pause()
            drawn = [
                sum(bin(ord(c) - 0x2800).count("1") for c in line if 0x2800 < ord(c) < 0x2900) for line in lines(chart)
            ]
            dots = sorted(number for number in drawn if number)
            assert len(dots) == 2 and dots[0] < dots[1] / 2
