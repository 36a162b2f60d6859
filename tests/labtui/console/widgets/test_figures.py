import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from engines.study.values import Bin
from labtui.console.widgets.figures import (
    Whisker,
    beside,
    common_start,
    confusion,
    dot_strip,
    dot_whisker,
    fit,
    own_names,
    paired_table,
    reliability,
)

BINS: list[Bin] = [
    {"low": 0.8, "high": 0.9, "items": 40, "confidence": 0.85, "accuracy": 0.6},
    {"low": 0.9, "high": 1.0, "items": 1_200, "confidence": 0.98, "accuracy": 0.98},
    {"low": 0.5, "high": 0.6, "items": 3, "confidence": 0.55, "accuracy": 0.0},
]
names = st.text(max_size=60)


def lines_of(text: Text) -> list[str]:
    return text.plain.split("\n")


def widest(text: Text) -> int:
    return max(map(cell_len, lines_of(text)))


# -- names ------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(names, st.integers(0, 40), st.booleans())
def test_a_fitted_name_has_exactly_the_cells_asked_for(name: str, width: int, ascii_only: bool) -> None:
    fitted = fit(name, width, ascii_only)
    assert cell_len(fitted) == width
    assert fitted.isascii() or not ascii_only


def test_a_long_name_keeps_its_start_and_its_end() -> None:
    assert fit("distilbert-loop 4934", 14) == "distilber…4934"
    assert fit("a", 3) == "a  "
    assert fit("\x1b[31mred\n", 4) == "red "


def test_a_family_is_left_out_only_where_all_names_have_it() -> None:
    assert own_names(["quickstart/a 1", "quickstart/b 2"]) == ["a 1", "b 2"]
    assert own_names(["quickstart/a", "encoders/b"]) == ["quickstart/a", "encoders/b"]
    assert own_names(["quickstart/a", "b"]) == ["quickstart/a", "b"]
    assert own_names(["a", "b"]) == ["a", "b"]


def test_the_common_start_of_names_is_said_once() -> None:
    assert common_start(["gemma 1a2b plain", "gemma 1a2b question"]) == ("gemma 1a2b", ["plain", "question"])
    assert common_start(["gemma 1a2b", "gemma 1a2b before"]) == ("", ["gemma 1a2b", "gemma 1a2b before"])
    assert common_start(["one"]) == ("", ["one"])
    assert common_start(["a b", "c b"]) == ("", ["a b", "c b"])
    assert common_start(["imported: x 1", "imported: y 1"]) == ("imported", ["x 1", "y 1"])


# -- the strip of dots ------------------------------------------------------------------------------------------


def test_a_strip_has_dots_from_the_smallest_to_the_largest_and_the_mean_between() -> None:
    assert dot_strip([0.2, 0.8], 11, 0.0, 1.0) == "  •──┃──•  "
    assert dot_strip([0.2, 0.5, 0.8], 11, 0.0, 1.0) == "  •──◆──•  "
    assert dot_strip([0.2, 0.2, 0.8], 11, 0.0, 1.0) == "  ●─┃───•  "
    assert dot_strip([0.2, 0.2, 0.8], 11, 0.0, 1.0, ascii_only=True) == "  @-|---o  "


def test_a_strip_of_one_value_is_a_dot_without_a_mean() -> None:
    assert dot_strip([0.5], 5, 0.0, 1.0) == "  •  "
    assert dot_strip([0.5, math.nan], 5, 0.0, 1.0) == "  •  "
    assert dot_strip([], 5, 0.0, 1.0) == dot_strip([math.nan], 5, 0.0, 1.0) == "     "
    assert dot_strip([0.5], 5, 0.5, 0.5) == "  •  "


@settings(max_examples=40)
@given(st.lists(st.floats(-1, 2), max_size=9), st.integers(0, 40), st.booleans())
def test_a_strip_has_exactly_its_width(values: list[float], width: int, ascii_only: bool) -> None:
    strip = dot_strip(values, width, 0.0, 1.0, ascii_only)
    assert cell_len(strip) == len(strip) == width
    assert strip.isascii() or not ascii_only


# -- dots with whiskers -----------------------------------------------------------------------------------------


def test_whiskers_share_one_axis_with_the_figures_beside_them() -> None:
    text = dot_whisker([Whisker("a", 0.93, 0.92, 0.94, "#4ea1ff"), Whisker("bb", 0.87, 0.85, 0.89)], 80)
    first, second, axis, labels = lines_of(text)
    assert first.startswith("a  ") and first.endswith("0.930 0.920–0.940") and second.endswith("0.870 0.850–0.890")
    assert second.index("┤") < first.index("├") < first.index("●") < first.index("┤")
    assert [label for label in labels.split()] == ["0.86", "0.88", "0.90", "0.92", "0.94"]
    assert axis.index("┴") == labels.index("0.86") + 2
    assert second.index("●") < axis.index("┴", axis.index("┴") + 1)  # 0.87 stands left of the tick of 0.88
    assert any(span.style == "#4ea1ff" for span in text.spans)


def test_a_figure_without_an_interval_is_a_dot_alone() -> None:
    first, *_ = lines_of(dot_whisker([Whisker("a", 0.9), Whisker("b", 0.8, 0.7, 0.9)], 60))
    assert "●" in first and "├" not in first and first.rstrip().endswith("0.900 –")


def test_other_repeats_are_small_dots_on_the_axis_of_all() -> None:
    first, *_ = lines_of(dot_whisker([Whisker("a", 0.62, 0.60, 0.64, others=[0.49, 0.60])], 70))
    assert first.index("•") < first.index("●") and first.count("•") == 2
    assert "." in lines_of(dot_whisker([Whisker("a", 0.62, others=[0.49])], 70, ascii_only=True))[0][:50]


def test_guessing_is_marked_where_the_axis_reaches_it_and_not_drawn_out_to_it_at_any_price() -> None:
    near = lines_of(dot_whisker([Whisker("a", 0.55, 0.53, 0.57), Whisker("b", 0.65, 0.6, 0.7)], 80, chance=0.5))
    assert near[0].index("┊") == near[1].index("┊") < near[0].index("├") and "0.5 guessing" in near[-1]
    far = dot_whisker([Whisker("a", 0.95, 0.94, 0.96)], 80, chance=0.5)
    assert "┊" not in far.plain and "guessing" not in far.plain


@settings(max_examples=40)
@given(
    st.lists(st.tuples(names, st.floats(0, 1), st.floats(0, 0.2)), min_size=1, max_size=5),
    st.integers(40, 140),
    st.sampled_from([None, 0.5]),
    st.booleans(),
)
def test_whiskers_keep_to_their_width(
    rows: list[tuple[str, float, float]], width: int, chance: float | None, ascii_only: bool
) -> None:
    whiskers = [Whisker(name, value, max(0, value - half), min(1, value + half)) for name, value, half in rows]
    text = dot_whisker(whiskers, width, chance=chance, ascii_only=ascii_only)
    assert widest(text) <= width and len(lines_of(text)) == len(rows) + 2
    assert text.plain.isascii() or not ascii_only
    assert all(line.count("o" if ascii_only else "●") >= 1 for line in lines_of(text)[: len(rows)])


def test_nothing_is_drawn_of_nothing() -> None:
    assert not dot_whisker([], 80)
    assert not reliability([], 60, 16)
    assert not confusion(["a"], [], 60, 16)


# -- reliability ------------------------------------------------------------------------------------------------


def test_a_bin_stands_at_its_confidence_and_accuracy_and_is_joined_to_the_diagonal() -> None:
    lines = lines_of(reliability(BINS, 60, 16))
    assert len(lines) == 16
    dots = {line.index("●"): y for y, line in enumerate(lines) if "●" in line}
    assert len(dots) == 2
    (too_sure, low), (fine, high) = sorted(dots.items())
    assert high == 0 and lines[0].startswith("  1.0│")
    assert all(lines[y][too_sure] == "│" for y in range(low - 1, 4, -1))  # up to where 0.85 is
    assert lines[low + 1][too_sure] != "│" and lines[1][fine] != "│"


def test_small_bins_are_hollow_and_do_not_stretch_the_axis() -> None:
    lines = lines_of(reliability(BINS, 60, 16))
    assert lines[11].startswith("  0.5│") and "▾" in lines[11]  # 3 items, none right
    hollow = reliability([{**BINS[0], "items": 3}], 60, 16).plain
    assert "○" in hollow and "●" not in hollow


def test_the_sizes_of_the_bins_stand_below() -> None:
    *_, bars, sizes = lines_of(reliability(BINS, 60, 16))
    assert sizes.split() == ["items", "3", "40", "1,200"]
    assert "█" in bars and "▁" in bars


def test_diagrams_side_by_side_have_the_same_axes() -> None:
    alone = lines_of(reliability(BINS[1:2], 60, 16))
    same = lines_of(reliability(BINS[1:2], 60, 16, axes_of=BINS))
    whole = lines_of(reliability(BINS, 60, 16))
    assert same[12:14] == whole[12:14] != alone[12:14]


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 14), st.floats(0, 1), st.floats(0, 1), st.integers(1, 10**6)), max_size=15),
    st.integers(1, 90),
    st.integers(1, 30),
    st.booleans(),
)
def test_reliability_keeps_to_its_size(
    rows: list[tuple[int, float, float, int]], width: int, height: int, ascii_only: bool
) -> None:
    bins: list[Bin] = [
        {"low": k / 15, "high": (k + 1) / 15, "items": n, "confidence": (k + within) / 15, "accuracy": accuracy}
        for k, within, accuracy, n in rows
    ]
    text = reliability(bins, width, height, ascii_only=ascii_only)
    assert not text or (widest(text) <= width and len(lines_of(text)) == height)
    assert text.plain.isascii() or not ascii_only


# -- the confusion heat map -------------------------------------------------------------------------------------


def test_a_cell_has_its_number_its_share_and_a_shade_for_the_share() -> None:
    lines = lines_of(confusion(["negative", "positive"], [[90, 10, 0], [50, 50, 0]], 60, 16))
    assert len(lines) == 11
    assert lines[1].split() == ["negative", "positive"]
    assert lines[3].split() == ["negative", "▓▓▓▓▓▓▓▓", "90", "▓▓▓▓▓▓▓▓", "░░░░░░░░", "10", "░░░░░░░░"]
    assert lines[4].split()[:5] == ["of", "100", "▓▓▓▓▓▓", "90.0", "%"]
    assert lines[8].split() == ["positive", *["▒▒▒▒▒▒▒▒", "50", "▒▒▒▒▒▒▒▒"] * 2]


def test_invalid_answers_have_a_column_only_where_there_are_any() -> None:
    assert "invalid" in confusion(["a", "b"], [[9, 0, 1], [0, 9, 0]], 70, 16).plain
    assert "invalid" not in confusion(["a", "b"], [[9, 1, 0], [0, 9, 0]], 70, 16).plain


def test_right_and_wrong_cells_have_their_colours() -> None:
    text = confusion(["a", "b"], [[9, 1, 0], [0, 0, 0]], 60, 16, right="#00ff00", wrong="#ff0000")
    styles = {text.plain[span.start : span.end].strip("▓░ "): span.style for span in text.spans}
    assert styles["9"] == "#00ff00" and styles["1"] == "#ff0000" and styles["0"] != "#ff0000"


def test_where_there_is_little_room_numbers_go_first_then_rows_and_columns_and_that_is_said() -> None:
    counts = [[18 if i == j else 2 for j in range(7)] for i in range(6)]
    text = confusion(["world", "sport", "[/i]", "d", "e", "f"], counts, 40, 9)
    assert len(lines_of(text)) == 8 and widest(text) <= 40
    assert lines_of(text)[1].split() == ["1", "2", "3", "4", "5", "6", "inv"] and "18" not in text.plain
    assert lines_of(text)[4] == " 3 [/i]      ░░░ ░░░ ▒▒▒ ░░░ ░░░ ░░░ ░░░"
    small = lines_of(confusion(["world", "sport", "[/i]", "d", "e", "f"], counts, 24, 6))
    assert small[-1].startswith("+3 more rows")
    assert small[1].split() == ["1", "2", "3", "4", "5"]


@settings(max_examples=40)
@given(st.integers(1, 8), st.integers(12, 120), st.integers(4, 40), st.booleans(), names)
def test_the_heat_map_keeps_to_its_width(classes: int, width: int, height: int, ascii_only: bool, name: str) -> None:
    counts = [[10**4 * (i == j) + j for j in range(classes + 1)] for i in range(classes)]
    text = confusion([name] * classes, counts, max(20, width), height, ascii_only=ascii_only)
    assert widest(text) <= max(20, width)
    assert text.plain.isascii() or not ascii_only


# -- texts beside each other and the paired table ---------------------------------------------------------------


def test_texts_stand_beside_each_other_line_by_line_and_keep_their_styles() -> None:
    joined = beside([Text("one\ntwo", style="bold"), Text("1\n2\n3")], 5)
    assert lines_of(joined) == ["one    1", "two    2", "       3"]
    assert any("bold" in str(span.style) and span.start == 0 for span in joined.spans)
    assert beside([], 5).plain == ""


@pytest.mark.parametrize("width", [60, 68, 80, 140])
def test_the_paired_table_names_both_and_marks_who_alone_was_right(width: int) -> None:
    text = paired_table(720, 149, 80, 51, ("first", "second"), width, colours=("#00ff00", "#ff0000"))
    lines = lines_of(text)
    assert widest(text) <= width
    assert "second" in lines[0] and lines[1].split() == ["│", "right", "│", "wrong"]
    assert lines[2].split() == ["first", "right", "│", "720", "72.0", "%", "│", "149", "14.9", "%"]
    assert lines[3].split() == ["first", "wrong", "│", "80", "8.0", "%", "│", "51", "5.1", "%"]
    styles = {text.plain[span.start : span.end].strip(): span.style for span in text.spans}
    assert styles["149   14.9 %"] == "bold #00ff00" and styles["80    8.0 %"] == "bold #ff0000"


def test_the_paired_table_of_no_items_has_no_shares() -> None:
    assert lines_of(paired_table(0, 0, 0, 0, ("a", "b"), 80, ascii_only=True))[2].split() == [
        "a",
        "right",
        "|",
        "0",
        "|",
        "0",
    ]
