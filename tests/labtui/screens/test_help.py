from collections.abc import Callable

from engines.runs.folder import RunFolder
from labtui.screens.help import CONCEPTS, HelpScreen, key_groups
from labtui.screens.results import ResultsScreen
from tests.labtui.screens.conftest import Host, until


async def test_help_lists_the_keys_of_the_screen_below_and_the_ideas(
    host: Host, finished: Callable[..., RunFolder]
) -> None:
    finished("a", [[9, 1, 0], [0, 10, 0]])
    async with host.run_test(size=(120, 50)) as pilot:
        results = ResultsScreen()
        await host.push_screen(results)
        await until(pilot, lambda: results._read_once)
        groups = dict(key_groups(results, host))  # type: ignore[arg-type]
        keys = dict(groups["This screen"])
        for binding in ResultsScreen.BINDINGS:
            if binding.show:
                assert binding.tooltip in keys.values()
        assert keys["c"] == "Classify a review with the selected run"
        await host.push_screen(HelpScreen())
        await pilot.pause()
        shown = host.export_screenshot().replace("&#160;", " ")
        assert "Turn the order round" in shown
        assert all(head in shown for head, _ in CONCEPTS)
        await pilot.press("escape")
        assert host.screen is results
