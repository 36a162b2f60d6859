from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from engines.answers.variant import Variant
from engines.errors import UserError
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.scores import Scores
from engines.study.reader import ResultsReader
from labtui.console.screens.plots import PINNED, READING, PlotsScreen, RunList
from labtui.console.widgets.chart import PALETTE, Chart
from tests.labtui.console.screens.analysed import AnalysedHost
from tests.labtui.console.screens.conftest import until
from tests.labtui.console.shown import text_of
from tests.support.answered import answered, row

N = 200
TRUTH = ["negative", "positive"] * (N // 2)
OTHER = {"negative": "positive", "positive": "negative"}


def run(home: Home, wrong: int, **more: Any) -> RunFolder:
    """The first `wrong` of 200 items are wrong; every answer is 90 % sure."""
    return answered(home, TRUTH, [OTHER[label] if n < wrong else label for n, label in enumerate(TRUTH)], **more)


async def opened(host: AnalysedHost, pilot: Pilot[None], *runs: tuple[RunFolder, str]) -> PlotsScreen:
    screen = PlotsScreen([(row(folder), name, PALETTE[at % 6]) for at, (folder, name) in enumerate(runs)])
    await host.push_screen(screen)
    await until(pilot, lambda: "computing" not in text_of(screen))
    return screen


async def until_shown(pilot: Pilot[None], screen: PlotsScreen, *texts: str) -> str:
    await until(pilot, lambda: all(text in text_of(screen) for text in texts))
    return text_of(screen)


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_the_first_view_has_all_accuracies_on_one_axis(home: Home, size: tuple[int, int]) -> None:
    host = AnalysedHost(home)
    async with host.run_test(size=size) as pilot:
        untrained = run(home, 100, scores=Scores(untrained_head=True))
        screen = await opened(host, pilot, (run(home, 20), "quickstart/a"), (untrained, "quickstart/b [/i]"))
        text = await until_shown(pilot, screen, "0.900", "0.500")
        lines = text.split("\n")
        assert "2 runs" in lines[0] and "quickstart" not in text
        assert lines[2].index("●") > lines[3].index("●") and "0.5 guessing" in text
        assert "! b [/i]: UNTRAINED HEAD" in text  # beside the accuracy that it touches
        assert not screen.query_one(RunList).display
        await pilot.press("space")  # nothing to pin here
        await pilot.press("right", "down")  # and beside its diagrams
        text = await until_shown(pilot, screen, "run 2 of 2", "! b [/i]: UNTRAINED HEAD")
        assert PINNED not in text
        await pilot.press("up")
        await until(pilot, lambda: "UNTRAINED" not in text_of(screen))


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_a_pinned_diagram_stays_beside_the_one_selected_next(home: Home, size: tuple[int, int]) -> None:
    host = AnalysedHost(home)
    async with host.run_test(size=size) as pilot:
        screen = await opened(host, pilot, (run(home, 20), "a"), (run(home, 80), "b"), (run(home, 1, bare=True), "c"))
        await pilot.press("right")
        text = await until_shown(pilot, screen, "run 1 of 3", "90.0 % sure on average, right 90.0 %")
        assert "as sure as it should be" in text and "no probabilities" in text
        await pilot.press("space", "down")
        text = await until_shown(pilot, screen, "run 2 of 3", "■ a")
        assert "right 60.0 %" in " ".join(text.split()) and text.count("items  ") >= 2
        await pilot.press("down")
        text = await until_shown(pilot, screen, "answered without probabilities")
        assert "■ a" in text and "90.0 % sure" in text
        await pilot.press("up", "up", "space")
        await until(pilot, lambda: "run 1 of 3" in text_of(screen) and "■" not in text_of(screen))


async def test_the_heat_map_is_that_of_the_selected_run(home: Home) -> None:
    host = AnalysedHost(home)
    async with host.run_test(size=(80, 24)) as pilot:
        answers: list[str | None] = [None if n < 4 else label for n, label in enumerate(TRUTH)]
        screen = await opened(host, pilot, (run(home, 20), "a"), (answered(home, TRUTH, answers), "b"))
        await pilot.press("right", "right")
        text = await until_shown(pilot, screen, "predicted", "90.0 %", "accuracy 0.900 on 200 items")
        assert "invalid" not in text and "▓" in text and "░" in text
        await pilot.press("down")
        await until_shown(pilot, screen, "invalid", "4 answers that are no label count as wrong")


async def test_curves_lie_over_each_other_and_runs_without_one_are_named_with_the_reason(home: Home) -> None:
    class Once(ResultsReader):
        def measure(self, name: str) -> Any:
            measured = super().measure(name)
            if name == once.name:
                measured["validation"] = [{"step": None, "epoch": None, "loss": None, "accuracy": 0.75}]
            return measured

    first = run(home, 20, validated=[(1.0, 0.5), (2.0, 0.25)])
    second, never, once = run(home, 30, validated=[(1.0, 0.6), (2.0, 0.4), (3.0, 0.3)]), run(home, 1), run(home, 2)
    host = AnalysedHost(home)
    host.analyst = Once(home)
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, (first, "a"), (never, "b"), (second, "c"), (once, "d"))
        await pilot.press("left")
        text = await until_shown(pilot, screen, "validation loss (lower is better)", "0.2500 0.500")
        lines = text.split("\n")
        assert "no validation" in lines[2] and "once 0.750" in lines[4]
        said = " ".join(text.split())
        assert "1 not scored on a validation split (no validation), 1 scored on it after training only (once)" in said
        loss = screen.query_one("#loss", Chart)
        series = list(loss.plot.series.values())
        assert [(list(s.xs), list(s.ys), s.colour) for s in series] == [
            ([1, 2], [0.5, 0.25], PALETTE[0]),
            ([1, 2, 3], [0.6, 0.4, 0.3], PALETTE[2]),
        ]
        assert len({s.style for s in series}) == 2 and loss.x_total == 3  # told apart without colours
        assert list(screen.query_one("#accuracy", Chart).plot.series["2"].ys) == [0.5] * 3
        await pilot.press("space", "down")  # the pinned one, and the selected one, which has no curve
        await until(pilot, lambda: len(loss.plot.series) == 1)
        await pilot.press("down")
        await until(pilot, lambda: len(loss.plot.series) == 2)


async def test_two_rows_of_one_run_share_its_curve(home: Home) -> None:
    folder = run(home, 20, original=TRUTH, validated=[(1.0, 0.5), (2.0, 0.25)])
    host = AnalysedHost(home)
    async with host.run_test(size=(80, 24)) as pilot:
        screen = PlotsScreen([(row(folder), "tuned", PALETTE[0]), (row(folder, Variant.BEFORE), "before", PALETTE[1])])
        await host.push_screen(screen)
        await pilot.press("left")
        lines = (await until_shown(pilot, screen, "0.2500 0.500")).split("\n")
        assert [line.split()[-5:] for line in lines[1:3]] == [
            ["1", "●·", "tuned", "0.2500", "0.500"],
            ["1", "●·", "before", "0.2500", "0.500"],
        ]
        assert list(screen.query_one("#loss", Chart).plot.series) == ["1"]


async def test_a_run_that_cannot_be_read_is_named_with_the_reason_and_spoils_no_other(home: Home) -> None:
    class Torn(ResultsReader):
        def measure(self, name: str) -> Any:
            if name == bad.name:
                raise UserError("its predictions end in the middle of a line\x1b[2J; score it again")
            return super().measure(name)

    good, bad = run(home, 20), run(home, 20)
    host = AnalysedHost(home)
    host.analyst = Torn(home)
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, (good, "good"), (bad, "bad"))
        await until_shown(pilot, screen, "0.900", "bad: its predictions end in the middle of a line; score it again")
        for _ in range(3):
            await pilot.press("right", "down")
            await until_shown(pilot, screen, "run 2 of 2", "its predictions end in the middle of a line")
            await pilot.press("up")
        await pilot.press("escape")
        assert host.screen is not screen


async def test_the_views_turn_in_a_circle_both_ways(home: Home) -> None:
    host = AnalysedHost(home)
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, (run(home, 20), "a"))
        seen = []
        for key in ("right", "tab", "right", "right", "left", "shift+tab"):
            await pilot.press(key)
            seen.append(READING.index(str(screen.query_one(".reading", Static).content)))
        assert seen == [1, 2, 3, 0, 3, 2]


async def test_what_says_the_same_is_not_painted_again(home: Home) -> None:
    host = AnalysedHost(home)
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, (run(home, 20), "a"), (run(home, 30), "b"))
        await pilot.press("right")
        await until_shown(pilot, screen, "run 1 of 2")
        painted: list[object] = []
        blocks: Any = screen.query_one(".blocks")
        blocks.refresh = lambda *regions, **more: painted.append(regions)
        await pilot.press("up")  # there is none above
        assert painted == []
        await pilot.press("down")
        await until(pilot, lambda: painted)


async def test_every_view_bears_a_tiny_terminal(home: Home) -> None:
    host = AnalysedHost(home)
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot, (run(home, 20), "a"), (run(home, 30), "b"))
        for width, height in ((12, 5), (80, 24)):
            await pilot.resize_terminal(width, height)
            await until(pilot, lambda width=width: host.size.width == width)  # type: ignore[misc]
            for _ in range(4):
                await pilot.press("right", "space", "down", "up")
        assert "0.900" in text_of(screen)


async def test_with_ascii_alone_the_figures_are_drawn_of_it(home: Home) -> None:
    host = AnalysedHost(home, ascii_only=True)
    async with host.run_test(size=(80, 24)) as pilot:
        folder = run(home, 20, validated=[(1.0, 0.5), (2.0, 0.25)])
        screen = await opened(host, pilot, (folder, "a"))
        assert str(screen.query_one(".whiskers").render()).isascii()
        for text in ("sure", "predicted"):
            await pilot.press("right")
            await until_shown(pilot, screen, text)
            assert str(screen.query_one(".blocks").render()).isascii()
        await pilot.press("right")
        await until_shown(pilot, screen, "o: 1")
