import re

import pytest

from labtui.results.report_plots import Plots


@pytest.fixture
def plots() -> Plots:
    return Plots()


def test_a_plot_takes_the_colours_of_the_page_and_text_as_it_is_written(plots: Plots) -> None:
    svg = plots.accuracies([("a $x_1$ <b>", 0.9, 0.8, 0.95, False), ("p", 0.5, None, None, True)])
    assert "currentColor" in svg and "var(--accent)" in svg and "#010203" not in svg
    assert "a $x_1$ &lt;b&gt;" in svg


def test_two_plots_of_one_page_share_no_name(plots: Plots) -> None:
    first, second = (plots.confusion("a", ["n", "p"], [[4, 1, 0], [0, 5, 0]]) for _ in range(2))
    names = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (first, second)]
    assert names[0] and not names[0] & names[1]
    for svg, own in zip((first, second), names, strict=True):
        assert set(re.findall(r"url\(#([^)]+)\)", svg)) | set(re.findall(r'href="#([^"]+)"', svg)) <= own


def test_invalid_answers_have_a_column_only_where_there_are_some(plots: Plots) -> None:
    assert "invalid" not in plots.confusion("a", ["n", "p"], [[4, 1, 0], [0, 5, 0]])
    assert "invalid" in plots.confusion("a", ["n", "p"], [[4, 1, 2], [0, 5, 0]])


def test_a_class_without_items_and_a_single_bin_are_drawn(plots: Plots) -> None:
    assert "0 n, 0 p" in plots.confusion("a", ["n", "p"], [[0, 0, 0], [1, 5, 0]])
    bins = [{"low": 0.5, "high": 0.6, "items": 3, "confidence": 0.55, "accuracy": 1 / 3}]
    assert "3 items" in plots.reliability("a", bins)  # type: ignore[arg-type]
