import gc

import pytest
from textual.screen import ModalScreen, Screen

from engines.runs.home import Home
from labtui.console.app import LabApp
from tests.labtui.console.screens.conftest import until


class Question(ModalScreen[None]):
    pass


async def test_nothing_is_painted_for_changes_on_a_screen_that_is_covered(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = LabApp(home)
    painted: list[Screen[None]] = []
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.lab.is_mounted)
        paint = app._display

        def paint_and_count(screen: Screen[None], update: object) -> None:
            painted.append(screen)
            paint(screen, update)  # type: ignore[arg-type]

        monkeypatch.setattr(app, "_display", paint_and_count)
        monkeypatch.setattr(app, "_deliver", lambda: None)  # what a reading of the devices changes
        for covering, seen in ((Screen(), False), (Question(), True)):
            await app.push_screen(covering)
            await pilot.pause(0.2)
            painted.clear()
            app.lab._runs.refresh()
            await pilot.pause(0.2)
            assert bool(painted) is seen
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
