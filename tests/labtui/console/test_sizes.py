"""Every screen opens in a terminal of any size, and stands a change of it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from textual.screen import Screen

from engines import catalog
from engines.answers.variant import Variant
from engines.runs.home import Home
from engines.runs.summary import summarize
from engines.study.reader import ResultsReader
from labtui.console.app import LabApp
from labtui.console.screens.classify import ClassifyScreen
from labtui.console.screens.compare import CompareScreen
from labtui.console.screens.data import DataScreen
from labtui.console.screens.details import DetailsScreen
from labtui.console.screens.export import ExportScreen
from labtui.console.screens.help import HelpScreen
from labtui.console.screens.items import ItemsScreen
from labtui.console.screens.launch import EvaluateScreen, LaunchScreen, NameScreen
from labtui.console.screens.plots import PlotsScreen
from labtui.console.screens.repeats import RepeatsScreen
from labtui.console.screens.results import ResultsScreen
from labtui.console.screens.stop import StopScreen
from labtui.console.views import RunView
from labtui.console.widgets.chart import PALETTE
from labtui.results.rows import Follower
from tests.labtui.console.screens.conftest import until
from tests.labtui.console.shown import text_of
from tests.labtui.fabric import make_run, started, steps, validated
from tests.support.answered import answered, row, truth, wrong_on

SIZES = [(1, 1), (3, 12), (20, 6), (40, 12), (54, 20), (60, 20), (62, 20), (80, 24), (140, 40), (250, 70)]
TRUE = truth(40)


class InThisProcess(ResultsReader):
    """Answers as the analyst's process does."""

    def close(self) -> None:
        """There is no process to end."""


def _screens(home: Home) -> Iterator[Callable[[], Screen[Any]]]:
    """What opens each screen that lies on top of another one."""
    runs = [answered(home, TRUE, wrong_on(TRUE, range(n)), wrong_on(TRUE, range(n + 3))) for n in (4, 9)]
    rows, names = [row(run) for run in runs], ["encoders/first", "encoders/second"]
    finished = Follower(home).finished()
    quickstart = catalog.read("quickstart/distilbert-loop")
    yield HelpScreen
    yield lambda: LaunchScreen("quickstart/bag-of-words")
    yield lambda: LaunchScreen("quickstart/distilbert-loop")
    yield lambda: EvaluateScreen(summarize(runs[0]))
    yield lambda: NameScreen("name")
    yield lambda: StopScreen(RunView.unread(runs[0]), "sends SIGTERM to its whole process tree")
    yield lambda: DataScreen(quickstart.config.data, quickstart.document())
    yield lambda: CompareScreen(rows, names)
    yield lambda: RepeatsScreen(runs[0].name, Variant.OWN, names[0])
    yield lambda: ItemsScreen(rows, names, "disagree")
    yield lambda: PlotsScreen([(row, name, PALETTE[0]) for row, name in zip(rows, names, strict=True)])
    yield lambda: DetailsScreen(runs[0], finished[0])
    yield lambda: ExportScreen(finished, [], [run.name for run in runs])


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "{}x{}".format(*size))
async def test_every_screen_opens_and_takes_keys(home: Home, size: tuple[int, int]) -> None:
    screens = list(_screens(home))
    watched = make_run(home, *started(), *steps(1, 9), validated(9))
    app = LabApp(home)
    analyst: Any = InThisProcess(home)
    app.analyst = analyst

    async def used() -> None:
        """What is open stands at this size, and takes keys."""
        await app.workers.wait_for_complete()
        await pilot.press("down", "tab", "right")
        lines = text_of(app.screen).split("\n")
        assert len(lines) == size[1] and max(map(len, lines)) <= size[0]

    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: len(app.lab.runs) == 3 and app.lab.experiments)
        app.lab.watch_run(watched.name)
        await used()
        await pilot.press("escape", "ctrl+p")
        await used()
        await pilot.press("escape")
        for mode, kind in (("results", ResultsScreen), ("classify", ClassifyScreen)):
            await app.action_mode(mode)
            await until(pilot, lambda: isinstance(app.screen, kind))  # noqa: B023
            await used()
        for make in screens:
            depth = len(app.screen_stack)
            await app.push_screen(make())
            await used()
            while len(app.screen_stack) > depth:
                await app.pop_screen()
