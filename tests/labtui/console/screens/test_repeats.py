from typing import Any

import pytest
from textual.pilot import Pilot

from engines.answers.variant import Variant
from engines.errors import UserError
from engines.runs.home import Home
from engines.study.values import Measures, RepeatTable, Spread
from labtui.console.screens.items import ItemsScreen
from labtui.console.screens.repeats import NOTHING_REPEATED, RepeatsScreen, agreement_text, axis, spread_lines
from tests.labtui.console.screens.conftest import until
from tests.labtui.console.screens.test_items import FakeAnalyst, ItemsHost, title


def measures(repeat: int, confusion: list[list[int]], value: str) -> Measures:
    right, total = confusion[0][0] + confusion[1][1], sum(map(sum, confusion))
    share = right / total
    return {
        "row": {"run": "run", "variant": Variant.OWN, "repeat": repeat},
        "value": value,
        "items": total,
        "correct": right,
        "invalid": sum(row[2] for row in confusion),
        "accuracy": {"value": share, "low": share - 0.05, "high": share + 0.05},
        "accuracy_answered": None,
        "recall": {
            name: {"value": row[n] / sum(row), "low": None, "high": None}
            for n, (name, row) in enumerate(zip(("negative", "positive"), confusion, strict=True))
        },
        "precision": {"negative": 0.75, "positive": 0.5},
        "figures": {},
        "reliability": [],
        "confusion": confusion,
    }


def spread(**more: Any) -> Spread:
    found: Spread = {
        "rows": [],
        "accuracies": [0.85, 0.6],
        "mean": 0.725,
        "sd": 0.177,
        "lowest": 0.6,
        "highest": 0.85,
        "same_items": True,
        "interval": (0.66, 0.78),
        "interval_over": "items and repeats",
        "no_interval": "",
        "items_interval": (0.7, 0.74),
        "kappa": 0.02,
        "all_agree": 0.55,
        "flips": 45,
    }
    return {**found, **more}  # type: ignore[typeddict-item]


def table() -> RepeatTable:
    return {
        "run": "run",
        "variant": Variant.OWN,
        "varied": "template",
        "labels": ["negative", "positive"],
        "measures": [
            measures(0, [[40, 10, 0], [5, 45, 0]], "plain"),
            measures(1, [[30, 15, 5], [20, 30, 0]], "ques\x1b[31mtion [/i]"),
        ],
        "spread": spread(),
        "agreement": [[1.0, 0.55], [0.55, 1.0]],
        "cohen": [[1.0, 0.1], [0.1, 1.0]],
        "majority": measures(-1, [[28, 5, 17], [3, 28, 19]], "majority"),
    }


class RepeatsAnalyst(FakeAnalyst):
    found: Any = None

    def repeats(self, run: str, variant: str) -> RepeatTable:
        if isinstance(self.found, Exception):
            raise self.found
        found: RepeatTable = self.found
        return found


@pytest.fixture
def host(home: Home) -> ItemsHost:
    host = ItemsHost(home)
    host.analyst = RepeatsAnalyst()
    host.analyst.found = table()
    return host


async def opened(host: ItemsHost, pilot: Pilot[None]) -> RepeatsScreen:
    screen = RepeatsScreen("run", Variant.OWN, "gemma [/i] 1a2b")
    await host.push_screen(screen)
    await until(pilot, lambda: "computing" not in said(screen, ".title"))
    return screen


def said(screen: RepeatsScreen, place: str) -> str:
    return str(screen.query_one(place).render())


def cells(screen: RepeatsScreen, at: int) -> list[str]:
    return [str(cell).strip() for cell in screen.table.get_row_at(at)]


async def test_every_repeat_has_a_row_and_the_majority_its_own(host: ItemsHost) -> None:
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        assert "gemma [/i] 1a2b   2 repeats, the same 100 items" in said(screen, ".title")
        assert cells(screen, 0) == ["1", "plain", "0.850", "0.800–0.900", "0.800", "0.900", "0.750", "0.500", "0"]
        assert cells(screen, 1)[:3] == ["2", "question [/…", "0.600"]
        assert cells(screen, 2)[:3] == ["majority", "36 tied", "0.560"]
        assert sum(c.get_render_width(screen.table) for c in screen.table.ordered_columns) <= 80
        for fact in (
            "mean 0.725   0.600 to 0.850   standard deviation 0.177   varied: template",
            "0.660–0.780",
            "no more than by chance",
            "All 2 agree on 55.0 % of the items; 45 of 100 flip",
        ):
            assert fact in said(screen, ".spread")


async def test_the_confusion_matrix_follows_the_cursor(host: ItemsHost) -> None:
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot)
        assert said(screen, ".confusion").startswith("repeat 1 plain\n")
        assert "invalid" not in said(screen, ".confusion")
        await pilot.press("down")
        await until(pilot, lambda: said(screen, ".confusion").startswith("repeat 2 question [/i]\n"))
        assert "invalid" in said(screen, ".confusion")
        await pilot.press("down")
        await until(pilot, lambda: "majority vote" in said(screen, ".confusion"))
        assert "tied" in said(screen, ".confusion")


async def test_the_items_that_flip_are_opened_with_all_repeats(host: ItemsHost) -> None:
    async with host.run_test(size=(80, 24)) as pilot:
        await opened(host, pilot)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(host.screen, ItemsScreen) and "computing" not in title(host.screen))
        shown = host.screen
        assert isinstance(shown, ItemsScreen) and title(shown).startswith("Items  the answers differ")
        assert [row["repeat"] for row in host.analyst.queries[-1]["rows"]] == [0, 1]
        assert str(shown.query_one(".names").render()).startswith("gemma [/i] 1a2b:  1 plain   2 question [/i]")


async def test_a_run_without_repeats_says_so_in_a_sentence(host: ItemsHost) -> None:
    host.analyst.found = {**table(), "measures": table()["measures"][:1]}
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        assert said(screen, ".spread") == NOTHING_REPEATED
        await pilot.press("i")
        assert host.screen is screen
        await pilot.press("escape")
        await until(pilot, lambda: host.screen is not screen)


async def test_an_error_is_a_sentence_on_the_screen(host: ItemsHost) -> None:
    host.analyst.found = UserError("no run \x1b[31mrun [/i]; `labtui list` shows the runs")
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        assert said(screen, ".spread") == "no run run [/i]; `labtui list` shows the runs"


async def test_a_resized_screen_keeps_the_row_under_the_cursor(host: ItemsHost) -> None:
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        await pilot.press("down")
        narrow = screen.table.virtual_size.width
        await pilot.resize_terminal(140, 40)
        await until(pilot, lambda: screen.table.virtual_size.width > narrow)
        assert screen.table.cursor_row == 1
        assert said(screen, ".confusion").startswith("repeat 2")


async def test_what_is_to_be_known_first_stands_above_the_spread(host: ItemsHost) -> None:
    host.analyst.warnings = [
        {"figure": "model", "text": "UNTRAINED HEAD [/i]", "variant": None},
        {"figure": "loss", "text": "of the tuned one", "variant": Variant.BEFORE},
    ]
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        assert said(screen, ".warnings") == "! UNTRAINED HEAD [/i]"


def test_the_spread_says_when_nothing_varied_and_when_the_items_were_others() -> None:
    assert "nothing varied between them" in spread_lines(spread(), "", 100)[0]
    others = spread(same_items=False, kappa=None, all_agree=None, flips=None, interval=None)
    assert spread_lines(others, "split", 100)[-1].startswith("The repeats were given different items")
    assert "|" in spread_lines(spread(), "seed", 100, ascii_only=True)[2]


def test_the_spread_says_what_the_interval_is_over_or_why_there_is_none() -> None:
    assert spread_lines(spread(), "seed", 100)[1] == "95 % of the mean 0.660–0.780, over other items and other repeats"
    items = spread(interval_over="items")
    assert spread_lines(items, "", 100)[1] == "95 % of the mean 0.660–0.780, over other items by the same 2 repeats"
    none = spread(interval=None, interval_over="", no_interval="2 repeats are too few")
    assert spread_lines(none, "seed", 100)[1] == "The mean has no interval: 2 repeats are too few."


def test_the_axis_encloses_the_values() -> None:
    assert axis([0.494, 0.622]) == (0.48, 0.63)
    assert axis([0.0, 1.0]) == (0.0, 1.0)


def test_the_agreement_has_shares_below_and_kappas_above_the_diagonal_in_blocks_that_fit() -> None:
    shares = [[1.0, 0.9, 0.8], [0.9, 1.0, 0.7], [0.8, 0.7, 1.0]]
    kappas: list[list[float | None]] = [[1.0, 0.5, None], [0.5, 1.0, -0.1], [None, -0.1, 1.0]]
    lines = agreement_text(shares, kappas, 80).plain.splitlines()
    assert [line.split() for line in lines] == [
        ["1", "2", "3"],
        ["1", "·", "0.50", "–"],
        ["2", "90.0", "%", "·", "-0.10"],
        ["3", "80.0", "%", "70.0", "%", "·"],
    ]
    blocks = agreement_text(shares, kappas, 20).plain
    assert len(blocks.split("\n\n")) == 2 and max(map(len, blocks.splitlines())) <= 20
