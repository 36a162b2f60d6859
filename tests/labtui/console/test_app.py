import gc

import pytest
from textual.geometry import Region
from textual.screen import ModalScreen, Screen
from textual.strip import Strip
from textual.widgets import Static

from engines.runs.home import Home
from labtui.console.app import LabApp
from labtui.console.views import Mail
from labtui.console.widgets.run_table import RunTable
from tests.labtui.console.screens.conftest import until


class Question(ModalScreen[None]):
    pass


async def test_textual_asks_the_app_which_covered_screens_it_repaints_and_hears_none_but_below_a_question(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a release of Textual names or uses `App._background_screens` in another way, every reading of the devices
    repaints the whole terminal, and this fails."""
    paintings: list[Region] = []

    class Counted(Static):
        def render_lines(self, crop: Region) -> list[Strip]:
            paintings.append(crop)
            return super().render_lines(crop)

    app = LabApp(home)
    monkeypatch.setattr(app.feed, "collect", Mail)  # nothing else changes meanwhile
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.lab.is_mounted)
        runs = app.lab.query_one("#runs", RunTable)
        for covering, is_repainted in ((Screen(), False), (Question(), True)):
            await app.push_screen(covering)
            await covering.mount(Counted("above"))
            await until(pilot, lambda: paintings)
            await pilot.pause(0.2)
            paintings.clear()
            runs.refresh()
            await pilot.pause(0.2)
            assert bool(paintings) is is_repainted
            await app.pop_screen()


async def test_a_question_is_answered_before_another_screen_is_gone_to(home: Home) -> None:
    app = LabApp(home)
    async with app.run_test() as pilot:
        await app.push_screen(Question())
        await pilot.press("2")
        assert app.current_mode == "lab"
        await app.pop_screen()
        covering: Screen[None] = Screen()
        await app.push_screen(covering)
        await pilot.press("2")
        await until(pilot, lambda: app.current_mode == "results")
        await pilot.press("1")
        await until(pilot, lambda: app.current_mode == "lab")
        assert app.screen is covering


async def test_collections_pass_over_what_the_start_made(home: Home) -> None:
    app = LabApp(home)
    async with app.run_test() as pilot:
        await until(pilot, gc.isenabled)
        assert gc.get_freeze_count() > 10_000
    assert gc.get_freeze_count() == 0
