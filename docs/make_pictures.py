"""The pictures of the README: `python -m docs.make_pictures`, over the home folder of a finished quickstart into which
the founding study's own Gemma executions were imported (`labtui import gemma_zero_shot_runs.csv --name study-gemma`).

Drives the real program without a terminal and saves Textual's own SVG export of each screen to docs/pictures/. It
starts one more run, so that the lab shows a model in training.
"""

import asyncio
from pathlib import Path
from typing import cast

from textual.pilot import Pilot
from textual.widgets import TextArea

from engines import catalog
from engines.runs.home import Home
from engines.runs.summary import FINISHED, find_run, list_runs, summarize
from labtui import actions
from labtui.console.app import LabApp
from labtui.console.screens.classify import ClassifyScreen
from labtui.console.screens.results import ResultsScreen

PICTURES = Path(__file__).parent / "pictures"
EXPERIMENT = "quickstart/distilbert-loop"
SIZES = {"": (140, 40), "-80x24": (80, 24)}
# picture: the rows it is about, marked where there are several, and the key that opens it
SHOWN = {
    "items": (["quickstart/distilbert-frozen"], "i"),
    "repeats": (["study-gemma"], "t"),
    "compare": (["quickstart/mistral-qlora", "quickstart/bag-of-words", "quickstart/distilbert-frozen"], "v"),
}
REVIEW = (
    "The first hour drags and the jokes are not nearly as funny as the trailer promised, but the last act is "
    "superb: two great performances and an ending that stayed with me for days."
)


async def take(home: Home, run: str, size: tuple[int, int], suffix: str) -> None:
    app = LabApp(home, highlight=[run])
    async with app.run_test(size=size) as pilot:

        async def shoot(name: str) -> None:
            await pilot.pause(1.0)
            app.save_screenshot(f"{name}{suffix}.svg", path=str(PICTURES))

        while summarize(find_run(home, run)).done < 300:
            await pilot.pause(0.5)
        await shoot("lab")
        app.open_launch(EXPERIMENT)
        await shoot("launch")
        await pilot.press("escape", "2")
        await pilot.pause(3.0)
        await shoot("results")
        for name in SHOWN:
            if await reach(pilot, name):
                await shoot(name)
            await pilot.press("escape")
        await pilot.press("3")
        await classify(pilot, home)
        await shoot("classify")


async def reach(pilot: Pilot[None], name: str) -> bool:
    """Open one of the reading screens; whether the home has what it shows."""
    screen = cast(ResultsScreen, pilot.app.screen)
    keys = {line.row.experiment: line.row.key for line in reversed(screen.results.lines) if not line.row.published}
    rows, key = SHOWN[name]
    if any(wanted not in keys for wanted in rows):
        return False
    for wanted in rows:
        screen.table.key = keys[wanted]
        await pilot.pause(0.2)
        if len(rows) > 1:
            await pilot.press("space")
    await pilot.press(key)
    await pilot.pause(2.0)
    return True


async def classify(pilot: Pilot[None], home: Home) -> None:
    """Ask the finished runs twice for one review: the first answers wait for the models to load."""
    await pilot.pause(1.0)
    screen = cast(ClassifyScreen, pilot.app.screen)
    newest = {s.experiment: s.name for s in map(summarize, reversed(list_runs(home))) if s.state == FINISHED}
    screen.choose(list(newest.values()))
    screen.query_one(TextArea).text = REVIEW
    for seconds in (12.0, 2.0):
        await pilot.press("ctrl+s")
        await pilot.pause(seconds)


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    home = Home()
    for suffix, size in SIZES.items():
        run = actions.launch(home, catalog.read(EXPERIMENT)).name
        asyncio.run(take(home, run, size, suffix))
        actions.wait(find_run(home, run), 120)


if __name__ == "__main__":
    main()
