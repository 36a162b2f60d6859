"""The console as a person uses it: a real engine from launch to classify, and a console that is killed."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pyte

from engines.runs import events as ev
from engines.runs.event_files import EventReader
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.summary import FINISHED, list_runs, summarize
from labtui.console.app import LabApp
from labtui.console.screens.classify import ClassifyScreen
from labtui.console.screens.launch import LaunchScreen
from labtui.console.screens.results import ResultsScreen
from labtui.console.widgets.run_table import ExperimentList
from tests.labtui.console.screens.test_lab import is_watched, runs_of, screen_text, until
from tests.labtui.console.test_terminal import Console
from tests.support import wait_until


async def test_a_real_engine_is_launched_watched_compared_and_asked(home: Home) -> None:
    app = LabApp(home)
    async with app.run_test(size=(140, 40)) as pilot:
        experiments = app.lab.query_one("#experiments", ExperimentList)
        await until(pilot, lambda: "quickstart/bag-of-words" in experiments.views)
        experiments.key = "quickstart/bag-of-words"
        experiments.focus()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, LaunchScreen))
        await until(pilot, lambda: "starts at once" in screen_text(app))
        assert "labtui run quickstart/bag-of-words --device cpu" in screen_text(app)
        await pilot.press("ctrl+s")

        await until(pilot, lambda: len(app.lab.runs) == 1)
        (run,) = list_runs(home)
        assert runs_of(app).key == run.name
        await until(pilot, lambda: is_watched(app, run) and "✓ finished" in screen_text(app), timeout_s=60)
        accuracy = summarize(run).accuracy
        assert accuracy is not None and accuracy > 0.75  # two balanced classes
        texts = ("finished after", f"{accuracy:.3f}", "true, answered")  # it has no curves, but scores and a matrix
        await until(pilot, lambda: all(text in screen_text(app) for text in texts))

        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.screen, ResultsScreen) and "1 finished run" in screen_text(app))
        results = app.screen
        assert isinstance(results, ResultsScreen) and results.selected and results.selected.run == run.name
        await until(pilot, lambda: f"{run.name[-4:]} · 1,000 test items" in screen_text(app))

        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, ClassifyScreen) and app.screen.models.selected == [run.name])
        classify = app.screen
        assert isinstance(classify, ClassifyScreen)
        for text, label in (
            ("wonderful, moving and beautifully acted", "positive"),
            ("dull, tedious and badly acted", "negative"),
        ):
            classify.area.text = text
            await pilot.press("ctrl+s")
            verdict = re.compile(rf"{run.name[-4:]} +{label} +[█░]+ +(\d+\.\d) %.* tokens .*cpu, warm", re.DOTALL)
            await until(pilot, lambda: verdict.search(screen_text(app)), timeout_s=60)  # noqa: B023
            shown = verdict.search(screen_text(app))
            assert shown and 50 < float(shown[1]) <= 100


def _display(console: Console) -> list[str]:
    console.read()
    screen = pyte.Screen(140, 40)
    pyte.ByteStream(screen).feed(console.output)
    return list(screen.display)


def _loss_reaches_across(display: list[str]) -> bool:
    """Whether something is drawn in every column of the loss chart, the first of the lines with an axis."""
    axis = next((y for y, line in enumerate(display) if "└" in line), None)
    if axis is None:
        return False
    first = display[axis].index("└") + 1
    width = len(display[axis][first:].split(" ")[0])
    drawn = {x for line in display[:axis] for x, char in enumerate(line) if "\u2800" < char <= "\u28ff"}
    return set(range(first, first + width)) <= drawn


def test_a_run_outlives_a_killed_console_and_another_shows_its_full_curve(
    home: Home, tmp_path: Path, scripted: Callable[..., RunFolder]
) -> None:
    config = tmp_path / "configs" / "quickstart" / "a-outlives.toml"  # the first of the list
    config.parent.mkdir(parents=True)
    config.write_text('engine = "scripted"\nsteps = 150\npause_s = 0.02\n')
    killed, reopened = Console(), None
    try:
        wait_until(lambda: killed.shows(b"outlives"))
        os.write(killed.fd, b"n")
        wait_until(lambda: (killed.read(), list_runs(home))[1], what="the key n launches it")
        (run,) = list_runs(home)
        wait_until(lambda: (killed.read(), summarize(run).done > 5)[1], what="the run is in its stride")
        os.kill(killed.pid, signal.SIGKILL)
        wait_until(killed.ended)
        assert summarize(run).done < 150
        reopened = Console()
        wait_until(lambda: "finished after" in "\n".join(_display(reopened)), what="the reopened console follows it")
        wait_until(lambda: _loss_reaches_across(_display(reopened)), what="the curve has no gap")
    finally:
        for console in filter(None, (killed, reopened)):
            console.close()
    assert summarize(run).state == FINISHED
    records = EventReader(run.events).read()
    assert [r.event.step for r in records if isinstance(r.event, ev.Step)] == list(range(1, 151))
