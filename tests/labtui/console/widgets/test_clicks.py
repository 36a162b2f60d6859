"""The mouse picks the line that is under it, in every list, with and without a border, scrolled or not."""

from collections.abc import Callable
from typing import Any

import pytest
from textual.app import App, ComposeResult

from labtui.console.screens.compare import PairList
from labtui.console.screens.plots import Entry, RunList
from labtui.console.views import ExperimentView, LogLine, RunView
from labtui.console.widgets.item_list import ItemList
from labtui.console.widgets.log_pane import LogPane
from labtui.console.widgets.painted import Painted
from labtui.console.widgets.result_table import Head, ResultTable, TableRow
from labtui.console.widgets.row_list import CURSOR
from labtui.console.widgets.run_table import ExperimentList, RunTable
from tests.labtui.console.screens.test_items import answer, item
from tests.labtui.console.shown import text_of

NAMES = [f"name{n:02}" for n in range(30)]


def _experiments(widget: Any) -> None:
    widget.show([ExperimentView(f"{name[:5]}/{name}", name[:5]) for name in NAMES])


def _runs(widget: Any) -> None:
    widget.show(NAMES, {name: RunView(name, "3f2a", name, "finished") for name in NAMES})


def _results(widget: Any) -> None:
    widget.show([Head("run", False)], [TableRow(name, (((name, ""),),)) for name in NAMES])


def _plots(widget: Any) -> None:
    widget.update()


def _pairs(widget: Any) -> None:
    pairs = [{"a": 0, "b": b, "difference": {"value": 0.1}, "p_holm": 0.5, "verdict": ""} for b in range(1, 30)]
    widget.show({"names": NAMES, "pairs": pairs})


def _items(widget: Any) -> None:
    shown = [item(n, answer("positive"), start=name) for n, name in enumerate(NAMES)]
    widget.start({"total": 30, "offset": 0, "items": shown}, 0, ["negative", "positive"])


ROW: Any = {"run": "r", "variant": "", "repeat": 0}
LISTS: dict[str, tuple[Callable[[], Painted], Callable[[Any], None]]] = {
    "experiments": (ExperimentList, _experiments),
    "runs": (RunTable, _runs),
    "results": (ResultTable, _results),
    "plots": (lambda: RunList([Entry(ROW, name, "#ffffff") for name in NAMES], False), _plots),
    "pairs": (lambda: PairList(["#ffffff"] * len(NAMES)), _pairs),
    "items": (ItemList, _items),
}


class OneList(App[None]):
    """An app with one list, in the middle of the screen and with a border where one is wanted."""

    def __init__(self, widget: Painted, border: str) -> None:
        super().__init__()
        self.widget, self.border = widget, border

    def compose(self) -> ComposeResult:
        self.widget.styles.height = 12
        self.widget.styles.margin = (2, 3)
        if self.border == "top":
            self.widget.styles.border_top = ("solid", "red")
        elif self.border == "round, padded":
            self.widget.styles.border = ("round", "red")
            self.widget.styles.padding = 1
        yield self.widget


@pytest.mark.parametrize(
    ("border", "scrolled"), [("none", False), ("none", True), ("top", False), ("top", True), ("round, padded", True)]
)
@pytest.mark.parametrize("name", LISTS)
async def test_a_click_puts_the_cursor_on_the_line_under_the_mouse(name: str, border: str, scrolled: bool) -> None:
    make, fill = LISTS[name]
    widget = make()
    app = OneList(widget, border)
    async with app.run_test(size=(90, 20)) as pilot:
        fill(widget)
        widget.focus()
        await pilot.press(*(["end", *["up"] * 3] if scrolled else []))
        clicked = 0
        for y in (2, 3, 4, 7, 8, 12, 13, 15):
            seen = text_of(app.screen).split("\n")
            (before,) = (line for line, text in enumerate(seen) if CURSOR in text)
            await pilot.click(offset=(20, y))
            after = text_of(app.screen).split("\n")
            is_row = "name" in seen[y] and any(f"{name[4:]} " in f"{seen[y]} " for name in NAMES)
            (cursor,) = (line for line, text in enumerate(after) if CURSOR in text)
            assert cursor == (y if is_row else before), seen[y]
            assert after[y].replace(CURSOR, " ") == seen[y].replace(CURSOR, " "), "nothing has scrolled"
            clicked += is_row
        assert clicked >= 2


@pytest.mark.parametrize("border", ["none", "top"])
async def test_a_click_below_the_last_row_chooses_none(border: str) -> None:
    widget = ItemList()
    app = OneList(widget, border)
    async with app.run_test(size=(90, 20)) as pilot:
        shown = [item(n, answer("positive")) for n in range(3)]
        widget.start({"total": 3, "offset": 0, "items": shown}, 0, ["negative", "positive"])
        await pilot.click(offset=(20, 12))
        assert widget.index == 0


async def test_a_click_into_the_log_gives_it_the_keys_and_moves_nothing() -> None:
    widget = LogPane()
    app = OneList(widget, "top")
    async with app.run_test(size=(90, 20)) as pilot:
        widget.extend([LogLine(0.0, f"line {n}") for n in range(50)])
        await pilot.pause()
        before = text_of(app.screen)
        await pilot.click(offset=(20, 6))
        assert text_of(app.screen) == before and app.focused is widget
        await pilot.press("up")
        assert "line 48" in text_of(app.screen) and "line 49" not in text_of(app.screen)
