import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from labtui import format as fmt


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (fmt.bytes_text(0), "0 B"),
        (fmt.bytes_text(1023), "1023 B"),
        (fmt.bytes_text(11.2 * 2**30), "11.2 GiB"),
        (fmt.bytes_text(2**20 - 1), "1.0 MiB"),
        (fmt.duration(7.9), "0:07"),
        (fmt.duration(860), "14:20"),
        (fmt.duration(3723), "1:02:03"),
        (fmt.duration(86_400 * 2 + 61), "2 d 00:01:01"),
        (fmt.duration(-3), "0:00"),
        (fmt.count(2500), "2,500"),
        (fmt.score(0.96), "0.960"),
        (fmt.interval(0.951, 0.967), "0.951–0.967"),
        (fmt.interval(0.951, 0.967, ascii_only=True), "0.951-0.967"),
        (fmt.rate(31, "items"), "31.0 items/s"),
        (fmt.rate(9800, "items"), "9,800 items/s"),
        (fmt.rate(999.96, "items"), "1,000 items/s"),
        (fmt.learning_rate(2e-4), "2e-4"),
        (fmt.learning_rate(1.25e-5), "1.25e-5"),
        (fmt.learning_rate(0), "0"),
        (fmt.percent(0.46), "46 %"),
        (fmt.percent(0.001), "<1 %"),
        (fmt.percent(0), "0 %"),
        (fmt.value(0.69314), "0.6931"),
        (fmt.value(123.456), "123.5"),
        (fmt.value(math.nan), "NaN"),
        (fmt.compact(0.1 + 0.2), "0.3"),
        (fmt.compact(1200), "1.2k"),
        (fmt.compact(999.9), "1k"),
        (fmt.compact(2e-4), "2e-4"),
        (fmt.compact(1.5e-5), "15e-6"),
        (fmt.compact(-0.125), "-0.125"),
    ],
)
def test_numbers_read_as_documented(text: str, expected: str) -> None:
    assert text == expected


@pytest.mark.parametrize(
    "function",
    [fmt.bytes_text, fmt.duration, fmt.count, fmt.score, fmt.learning_rate, fmt.percent, fmt.value, fmt.compact],
)
def test_a_missing_number_is_a_dash(function: object) -> None:
    assert function(None) == "–"  # type: ignore[operator]
    assert fmt.rate(None, "items") == fmt.interval(None, 1.0) == "–"
    assert fmt.interval(0.5, None, ascii_only=True) == "-"


@given(st.floats(min_value=1e-12, max_value=1e14))
@example(9.95e-9)
def test_axis_labels_are_short_and_near(number: float) -> None:
    text = fmt.compact(number)
    assert len(text) <= 5
    scale = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}.get(text[-1], 1)
    assert float(text.rstrip("kMGT")) * scale == pytest.approx(number, rel=0.06 if number > 1e-8 else 0.5)


@given(st.floats(allow_nan=False))
def test_values_fit_their_column(number: float) -> None:
    assert len(fmt.value(number)) <= (9 if abs(number) >= 1e100 or 0 < abs(number) <= 1e-99 else 8)
