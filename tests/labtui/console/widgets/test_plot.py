import math
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labtui.console.widgets.plot import (
    MARK,
    NOT_DRAWABLE,
    Plot,
)
from labtui.console.widgets.ticks import (
    linear_range,
    linear_ticks,
    log_range,
    log_ticks,
    nice_step,
)


def plot_of(*points: tuple[float, float | None], size: tuple[int, int] = (40, 10), **settings: object) -> Plot:
    plot = Plot(**{"x_total": 100, **settings})  # type: ignore[arg-type]
    plot.add_series("a", "red")
    plot.resize(*size)
    plot.update()
    plot.extend("a", [x for x, _ in points], [y for _, y in points])
    plot.update()
    return plot


def picture(plot: Plot) -> list[str]:
    return ["".join(cell.char for cell in plot.row(y)) for y in range(plot.height)]


def drawn_columns(plot: Plot) -> set[int]:
    rows = [plot.row(y) for y in range(plot.height)]
    return {x for row in rows for x, cell in enumerate(row) if cell.layer is not None and cell.layer >= 0}


def test_a_straight_line_is_drawn_from_corner_to_corner() -> None:
    plot = plot_of((0, 0), (100, 1), size=(5, 5), y_limits=(0, 1), ascii_only=True)
    assert picture(plot) == ["    *", "   * ", "  *  ", " *   ", "*    "]


def test_nan_and_none_are_a_gap_with_a_mark_never_a_line() -> None:
    for hole in (math.nan, None, math.inf, -math.inf):
        plot = plot_of((0, 1), (20, 1), (50, hole), (80, 1), (100, 1))
        columns = drawn_columns(plot)
        assert plot.column_of(10) in columns and plot.column_of(90) in columns
        assert not columns & set(range(plot.column_of(20) + 1, plot.column_of(80)))
        mark = plot.row(plot.height - 1)[plot.column_of(50)]
        assert (mark.char, mark.layer) == ("✗", MARK)


def test_without_the_hole_the_same_points_are_joined() -> None:
    plot = plot_of((0, 1), (20, 1), (80, 1), (100, 1))
    assert drawn_columns(plot) == set(range(plot.width))


def test_the_x_axis_stays_where_the_known_total_puts_it() -> None:
    plot = plot_of((1, 1.0))
    for x in range(2, 100):
        plot.extend("a", [x], [1.0])
        plot.update()
        assert plot.x_max == 100
    assert plot.x_ticks()[-1] == (39, 100)


def test_without_a_total_the_x_axis_grows_by_doubling() -> None:
    plot = plot_of((1, 1.0), x_total=None)
    ends = []
    for x in range(2, 1000):
        plot.extend("a", [x], [1.0])
        plot.update()
        ends.append(plot.x_max)
    assert sorted(set(ends)) == [64, 128, 256, 512, 1024]


def test_points_past_a_known_total_are_not_lost() -> None:
    plot = plot_of((50, 1.0), (130, 1.0))
    assert plot.x_max == 200
    assert plot.column_of(130) in drawn_columns(plot)


def test_the_y_range_moves_only_when_a_value_leaves_it() -> None:
    plot = plot_of((1, 1.0))
    before = plot.y_range
    plot.extend("a", range(2, 50), [before[0] + (before[1] - before[0]) * i / 50 for i in range(2, 50)])
    assert plot.update() is not None
    assert plot.y_range == before
    plot.extend("a", [60], [before[1] * 1.01])
    assert plot.update() is None
    assert plot.y_range[1] > before[1] * 1.05


def test_a_falling_loss_rescales_few_times() -> None:
    plot = plot_of((0, 2.5), x_total=5000)
    refits = 0
    for x in range(1, 5000):
        plot.extend("a", [x], [2.5 * math.exp(-x / 800)])
        refits += plot.update() is None
    assert refits <= 6


def test_natural_limits_hold_the_range_but_never_hide_a_value() -> None:
    plot = plot_of((10, 0.5), (20, 0.97), y_limits=(0, 1))
    assert plot.y_range[1] == 1
    plot = plot_of((10, 0.5), (20, 1.7), y_limits=(0, 1))
    assert plot.y_range[1] >= 1.7


def test_a_log_axis_marks_what_it_cannot_draw() -> None:
    plot = plot_of((0, 1), (20, 10), (40, 0), (60, -1), (80, 100), (100, 1000), log_y=True)
    low, high = plot.y_range
    assert 0 < low <= 1 and high >= 1000
    for x in (40, 60):
        assert plot.row(plot.height - 1)[plot.column_of(x)].layer == NOT_DRAWABLE
    assert not drawn_columns(plot) & set(range(plot.column_of(20) + 1, plot.column_of(80)))


def test_a_log_axis_with_nothing_positive_still_draws() -> None:
    plot = plot_of((10, 0), (20, -5), log_y=True)
    assert plot.row(plot.height - 1)[plot.column_of(10)].layer == NOT_DRAWABLE
    assert plot.y_ticks()


def test_toggling_the_log_axis_and_back_gives_the_same_picture() -> None:
    plot = plot_of(*[(x, 1 + math.sin(x / 9)) for x in range(100)])
    before = picture(plot)
    plot.configure(log_y=True)
    assert plot.update() is None
    assert picture(plot) != before
    plot.configure(log_y=False)
    plot.update()
    assert picture(plot) == before


def test_smoothing_is_debiased_and_stands_in_front_of_the_raw_trace() -> None:
    plot = plot_of(*[(x, 1.0 + (x % 2)) for x in range(100)], smoothing=0.9)
    series = plot.series["a"]
    assert series.smooth is not None
    assert series.smooth.first[0] == pytest.approx((0.9 * 1.0 + 2.0) / 1.9)
    assert series.smooth.last[-1] == pytest.approx(1.5, abs=0.06)
    layers = {cell.layer for y in range(plot.height) for cell in plot.row(y)}
    assert {0, 1} <= layers
    assert series.latest == 2.0


def test_smoothing_out_of_range_names_the_range() -> None:
    with pytest.raises(ValueError, match="0 to 0.99"):
        Plot(smoothing=1)
    with pytest.raises(ValueError, match="0 to 0.99"):
        Plot().configure(smoothing=-0.1)


def test_a_resumed_run_replaces_the_steps_that_were_lost() -> None:
    plot = plot_of(*[(x, 1.0) for x in range(60)])
    plot.extend("a", [40, 41], [5.0, 5.0])
    plot.update()
    series = plot.series["a"]
    assert list(series.xs) == [*range(40), 40, 41]
    assert series.latest == 5.0
    assert plot.column_of(55) not in drawn_columns(plot)


def test_points_are_markers_joined_by_dots() -> None:
    plot = Plot(x_total=100)
    plot.add_series("validation", "blue", "points")
    plot.resize(40, 10)
    plot.extend("validation", [20, 80], [1.0, 2.0])
    plot.update()
    marked = [cell.char for y in range(10) for cell in plot.row(y)]
    assert marked.count("●") == 2
    between = sum(bin(ord(char) - 0x2800).count("1") for char in marked if 0x2800 < ord(char) < 0x2900)
    assert 5 < between < 40


def test_the_front_series_owns_a_shared_cell() -> None:
    plot = plot_of((0, 1), (100, 1))
    plot.add_series("b", "blue")
    plot.extend("b", [0, 100], [1, 1])
    plot.update()
    assert {cell.layer for y in range(10) for cell in plot.row(y)} == {None, 2}


def test_values_are_found_at_the_cursor() -> None:
    series = plot_of((10, 1.0), (20, 2.0), (30, None)).series["a"]
    assert series.at(5) is None
    assert series.at(10) == series.at(19.9) == 1.0
    assert math.isnan(series.at(99) or 0)


def test_two_series_of_one_name_are_refused() -> None:
    plot = plot_of((0, 1))
    with pytest.raises(ValueError, match="another name"):
        plot.add_series("a", "red")
    with pytest.raises(ValueError):
        plot.extend("a", [1, 2], [1])


def test_a_hundred_thousand_points_are_drawn_at_once_and_one_more_costs_nothing() -> None:
    random_source = random.Random("plot")
    plot = plot_of(x_total=100_001, smoothing=0.6, size=(100, 30))
    values = [random_source.random() for _ in range(100_000)]
    started = time.process_time()
    plot.extend("a", range(100_000), values)
    plot.update()
    whole = time.process_time() - started
    started = time.process_time()
    plot.extend("a", [100_000], [0.5])
    plot.update()
    one_more = time.process_time() - started
    assert whole < 0.5
    assert one_more < whole / 10


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, 0.0, 1e-9])), min_size=1, max_size=60
    ),
    st.integers(1, 59),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0.0, 0.6]),
)
def test_points_drawn_one_by_one_look_like_points_drawn_at_once(
    values: list[float], cut: int, log_y: bool, ascii_only: bool, smoothing: float
) -> None:
    def build(pieces: list[list[tuple[int, float]]]) -> Plot:
        plot = Plot(x_total=60, log_y=log_y, ascii_only=ascii_only, smoothing=smoothing, y_limits=(-1e7, 1e7))
        plot.add_series("a", "red")
        plot.add_series("b", "blue", "points")
        plot.resize(13, 6)
        plot.update()
        for piece in pieces:
            for name in ("a", "b"):
                plot.extend(name, [x for x, _ in piece], [y for _, y in piece])
            plot.update()
        plot.y_range = (1e-10, 1e7) if log_y else (-1e7, 1e7)
        plot.redraw()
        return plot

    points = list(enumerate(values))
    singly = build([[point] for point in points])
    in_two = build([points[:cut], points[cut:]])
    at_once = build([points])
    assert picture(singly) == picture(in_two) == picture(at_once)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=80), st.sampled_from([0.0, 0.9]))
def test_drawing_only_what_is_new_leaves_nothing_stale(values: list[float], smoothing: float) -> None:
    plot = plot_of((0, 0.1), (1, 10.0), size=(20, 8), smoothing=smoothing)
    for x, y in enumerate(values, 2):
        plot.extend("a", [x], [y])
        plot.update()
    step_by_step = picture(plot)
    plot.redraw()
    assert picture(plot) == step_by_step


@given(st.floats(-1e9, 1e9), st.floats(1e-3, 1e6), st.integers(1, 6))
def test_linear_ranges_hold_their_values_and_have_ticks(low: float, spread: float, steps: int) -> None:
    high = low + spread
    start, stop = linear_range(low, high, steps, never_below_zero=low >= 0)
    assert start <= low + 1e-6 * spread and high - 1e-6 * spread <= stop
    ticks = linear_ticks(start, stop, nice_step((stop - start) / max(2, steps)))
    assert 1 <= len(ticks) <= 12


@given(st.floats(1e-12, 1e12), st.floats(1, 1e9), st.integers(1, 6))
def test_log_ranges_hold_their_values_and_have_ticks(low: float, ratio: float, count: int) -> None:
    start, stop = log_range(low, low * ratio)
    assert 0 < start <= low * (1 + 1e-6) and low * ratio * (1 - 1e-6) <= stop
    ticks = log_ticks(start, stop, count)
    assert 2 <= len(ticks) <= max(3, count + 1) and ticks == sorted(ticks)


def test_no_two_labels_share_a_row() -> None:
    for height in range(1, 40):
        for log_y in (False, True):
            plot = plot_of((0, 0.03), (100, 70), size=(40, height), log_y=log_y)
            rows = [tick.cell for tick in plot.y_ticks()]
            assert rows == sorted(set(rows))
            assert all(0 <= row < height for row in rows)


def test_a_first_value_of_zero_does_not_flatten_the_small_ones_that_follow() -> None:
    plot = Plot(x_total=100, y_limits=(0.0, None))
    plot.resize(40, 6)
    plot.add_series("learning rate", "blue")
    for step in range(1, 51):
        plot.extend("learning rate", [step], [(step - 1) * 1e-6])
        plot.update()
    low, high = plot.y_range
    assert low == 0.0 and 4.9e-5 <= high <= 1.5e-4
