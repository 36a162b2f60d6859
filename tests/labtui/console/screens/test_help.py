from collections.abc import Callable

from textual.binding import Binding

from engines.runs.folder import RunFolder
from engines.runs.home import Home
from labtui.console.app import LabApp
from labtui.console.screens.form import TextInput
from labtui.console.screens.help import CONCEPTS, HelpScreen, key_groups
from labtui.console.screens.launch import LaunchScreen
from labtui.console.screens.results import ResultsScreen
from tests.labtui.console.screens.conftest import Host, until
from tests.labtui.console.shown import text_of


async def test_help_lists_the_keys_of_the_screen_below_and_the_ideas(
    host: Host, finished: Callable[..., RunFolder]
) -> None:
    finished("a", [[9, 1, 0], [0, 10, 0]])
    async with host.run_test(size=(120, 50)) as pilot:
        results = ResultsScreen()
        await host.push_screen(results)
        await until(pilot, lambda: "1 finished run" in text_of(results))
        groups = dict(key_groups(results, host))
        keys = dict(groups["This screen"])
        for binding in ResultsScreen.BINDINGS:
            if isinstance(binding, Binding) and binding.show:
                assert binding.tooltip in keys.values()
        assert keys["c"] == "Classify a review with the selected run"
        await host.push_screen(HelpScreen())
        await pilot.pause()
        shown = host.export_screenshot().replace("&#160;", " ")
        assert "Turn the order round" in shown
        assert all(head in shown for head, _ in CONCEPTS)
        await pilot.press("escape")
        assert host.screen is results


async def test_groups_are_named_in_words_and_hold_no_keys_of_the_widgets_below_ours(home: Home) -> None:
    app = LabApp(home)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.lab.experiments)
        assert "In the list of experiments" in dict(key_groups(app.screen, app))
        app.open_launch("quickstart/bag-of-words")
        await until(pilot, lambda: isinstance(app.screen, LaunchScreen) and isinstance(app.focused, TextInput))
        groups = dict(key_groups(app.screen, app))
        assert dict(groups["In the form"])["↑"] == "Previous field"
        assert set(groups) == {"This screen", "In the form", "Everywhere"}
        await pilot.press("f1")  # a question mark would be typed
        assert isinstance(app.screen, HelpScreen)
