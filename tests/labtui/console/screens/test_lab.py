import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot

from engines.catalog import Experiment
from engines.errors import RunError
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from labtui.console.app import LabApp
from labtui.console.screens.lab import LabScreen
from labtui.console.screens.launch import LaunchScreen
from labtui.console.screens.stop import StopScreen
from labtui.console.widgets.chart import Chart
from labtui.console.widgets.log_pane import LogPane
from labtui.console.widgets.run_panel import RunTitle
from labtui.console.widgets.run_table import ExperimentList, RunTable
from tests.labtui.console.shown import lines_of, text_of
from tests.labtui.fabric import append, finished, living, make_run, started, steps, validated

WIDE, SMALL = (140, 40), (80, 24)
NASTY = "\x1b]52;c;QQ==\x07[/i] [@click=app.quit]x[/] \x1b[31m\x9b2Jy"
CLEANED = "[/i] [@click=app.quit]x[/] y"


async def until(pilot: Pilot[Any], condition: Callable[[], object], timeout_s: float = 15.0) -> None:
    """Let the app go on until the condition holds."""
    for _ in range(int(timeout_s / 0.02)):
        if condition():
            return
        await pilot.pause(0.02)
    raise AssertionError(f"not within {timeout_s:g} s:\n{screen_text(pilot.app)}")


def screen_text(app: App[Any]) -> str:
    return text_of(app.screen)


def runs_of(app: LabApp) -> RunTable:
    return app.lab.query_one("#runs", RunTable)


def is_watched(app: LabApp, run: RunFolder) -> bool:
    """Whether the title over the charts is that of the run."""
    return f" {run.name[-4:]}" in str(app.lab.query_one(RunTitle).render())


def xs(app: LabApp, chart: str, series: str) -> list[float]:
    found = app.lab.query_one(f"#{chart}", Chart).plot.series.get(series)
    return list(found.xs) if found else []


def lab_app(home: Home, **more: Any) -> LabApp:
    return LabApp(home, **more)


async def test_an_empty_home_says_what_to_do_and_enter_opens_the_form(home: Home) -> None:
    app = lab_app(home)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, lambda: "bag-of-words" in screen_text(app))
        assert "no runs yet" in screen_text(app) and "press enter" in screen_text(app)
        await until(pilot, lambda: app.focused is not None and app.focused.id == "experiments")
        await pilot.press("enter")
        await until(pilot, lambda: type(app.screen).__name__ == "LaunchScreen")


async def test_runs_are_listed_with_their_states_and_the_living_one_is_watched(home: Home) -> None:
    make_run(home, *started(), finished(0.913), experiment="a")
    make_run(home, *started(), ev.Failed("OutOfMemoryError", "no memory"), experiment="b")
    make_run(home, *started(), *steps(1, 3), experiment="c")
    run = make_run(home, *started(), *steps(1, 25), experiment="d")
    make_run(home, *started(), ev.Stopped(), experiment="e")
    app = lab_app(home)
    with living(run):
        async with app.run_test(size=WIDE, notifications=True) as pilot:
            await until(
                pilot,
                lambda: all(
                    word in screen_text(app)
                    for word in (
                        "✓ finished",
                        "0.913",
                        "✗ failed",
                        "out of memory",
                        "▲ lost",
                        "● running",
                        "■ stopped",
                    )
                ),
            )
            await until(pilot, lambda: "step 25/100" in screen_text(app))
            await until(pilot, lambda: "(1 run goes on)" in screen_text(app))


async def test_header_and_list_say_the_same_share_and_time_to_go_of_the_whole_run(home: Home) -> None:
    seq, began = 0, 1_790_000_000.0

    def at(seconds: float, *told: ev.Event) -> None:
        nonlocal seq
        with open(run.events, "ab") as file:
            for event in told:
                file.write(ev.encode(event, seq, began + seconds))
                seq += 1

    run = make_run(home, data={"validation": 0, "test": 100}, training={"epochs": 1})
    at(0, *started(), ev.Phase("train", 100, "steps"))
    for step in range(1, 51):
        at(10.0 * step, *steps(step, step))
    app = lab_app(home)
    with living(run):
        async with app.run_test(size=WIDE, notifications=True) as pilot:
            await until(pilot, lambda: screen_text(app).count("43 %") == 2)
            assert screen_text(app).count("10:50") == 2, "50 steps, and a test of a share of them"
            at(1000, *steps(100, 100), ev.Phase("test", 100, "texts"))
            at(1010, ev.Progress("test", 10, 100, 1.0))
            await until(pilot, lambda: screen_text(app).count("92 %") == 2)
            assert screen_text(app).count("1:30") == 2 and "80.0 items/s" not in screen_text(app)


async def test_curves_follow_a_live_run_mark_its_nan_and_drop_what_a_resume_does_again(home: Home) -> None:
    run = make_run(home, *started(), *steps(1, 6))
    app = lab_app(home)
    with living(run):
        async with app.run_test(size=WIDE, notifications=True) as pilot:
            await until(pilot, lambda: xs(app, "loss", "train") == [1, 2, 3, 4, 5, 6])
            assert app.lab.query_one("#loss", Chart).x_total == 100
            append(run, ev.Step(7, 100, 0.07, math.nan, 1e-4), validated(7, 0.875), ev.Checkpoint(7, "c", 1 << 20))
            await until(pilot, lambda: xs(app, "accuracy", "validation accuracy") == [7])
            await until(pilot, lambda: "checkpoint at step 7 complete (1.0 MiB)" in screen_text(app))
            assert xs(app, "loss", "train")[-1] == 7 and "NaN" in screen_text(app)
            append(run, ev.Resumed(3), *steps(4, 5))
            await until(pilot, lambda: xs(app, "loss", "train") == [1, 2, 3, 4, 5])
            assert xs(app, "accuracy", "validation accuracy") == []


async def test_the_keys_of_charts_come_to_the_footer_with_the_first_curve(home: Home) -> None:
    run = make_run(home, *started())
    app = lab_app(home)
    with living(run):
        async with app.run_test(size=WIDE, notifications=True) as pilot:
            await until(pilot, lambda: "x Stop" in screen_text(app))
            assert "l Log-Y" not in screen_text(app)
            append(run, *steps(1, 3))
            await until(pilot, lambda: "l Log-Y" in screen_text(app))


async def test_a_run_without_steps_shows_progress_then_scores_instead_of_empty_axes(home: Home) -> None:
    run = make_run(home, *started(), ev.Phase("features", 4000, "reviews"), ev.Progress("features", 1000, 4000, 99.0))
    app = lab_app(home)
    with living(run):
        async with app.run_test(size=WIDE, notifications=True) as pilot:
            await until(pilot, lambda: "1,000 of 4,000 reviews" in screen_text(app) and "━━━" in screen_text(app))
            assert not app.lab.query_one("#charts").display
            append(run, finished(0.85))
            await until(pilot, lambda: "true, answered" in screen_text(app) and "100 items of test" in screen_text(app))


async def test_a_failed_run_says_what_failed_and_what_helps(home: Home) -> None:
    make_run(home, *started(), ev.Failed("OutOfMemoryError", "tried 2 GiB", "Traceback\n  here\n", "lower the batch"))
    app = lab_app(home)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, lambda: "hint: lower the batch" in screen_text(app))
        text = screen_text(app)
        assert "OutOfMemoryError: tried 2 GiB" in text and "here" in text and "Resume" in text and "Stop" not in text


@pytest.mark.parametrize("size", [WIDE, SMALL])
async def test_foreign_text_with_markup_and_escapes_is_inert_everywhere(home: Home, size: tuple[int, int]) -> None:
    labels = (f"neg{NASTY}", "pos[/b]")
    run = make_run(
        home,
        *started(),
        ev.Note(NASTY),
        ev.Phase(NASTY, 10, NASTY),
        validated(None, 0.5, labels),
        ev.Failed(f"Error{NASTY}", NASTY, NASTY, NASTY, model=NASTY),
        experiment=NASTY,
        title=NASTY,
    )
    app = lab_app(home)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: f"hint: {CLEANED}" in screen_text(app) or CLEANED in app.lab.query_one(LogPane).text)
        await pilot.press("ctrl+p", *"watch")
        await until(pilot, lambda: "Watch [/i]" in screen_text(app))
        await pilot.press("escape", "b")
        for _ in range(3):
            await pilot.pause()
            assert not set("\x1b\x07\x9b") & set(screen_text(app))
            await pilot.press("tab")
        assert run.name in runs_of(app).views


async def test_a_small_terminal_shows_one_chart_sparklines_and_a_drawer(home: Home) -> None:
    make_run(home, *started(), *steps(1, 9), validated(9), finished(), experiment="first")
    app = lab_app(home)
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, lambda: xs(app, "loss", "train"))
        loss, rate = app.lab.query_one("#loss", Chart), app.lab.query_one("#learning-rate", Chart)
        await until(pilot, lambda: loss.size.height > 4 and rate.size.height == 1)
        assert "learning rate" in screen_text(app) and not app.lab.query_one("#left").display
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: rate.size.height > 4 and loss.size.height == 1)
        await pilot.press("b")
        await until(pilot, lambda: "✓ finished" in screen_text(app) and "experiments" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: not app.lab.query_one("#left").display)


async def test_growing_and_shrinking_the_terminal_changes_the_layout_and_keeps_the_curves(home: Home) -> None:
    make_run(home, *started(), *steps(1, 9), finished())
    app = lab_app(home)
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, lambda: xs(app, "loss", "train"))
        await pilot.resize_terminal(*WIDE)
        await until(pilot, lambda: app.lab.query_one("#learning-rate", Chart).size.height > 2)
        assert app.lab.query_one("#left").display and len(xs(app, "loss", "train")) == 9
        await pilot.resize_terminal(60, 15)
        await until(pilot, lambda: not app.lab.query_one("#left").display)
        assert "loss" in screen_text(app)


async def test_moving_through_the_runs_shows_each_and_the_filter_narrows_them(home: Home) -> None:
    for n in range(3):
        make_run(home, *started(), *steps(1, 3 + n), finished(), experiment=f"kind-{n}")
    app = lab_app(home)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, lambda: len(runs_of(app).views) == 3 and runs_of(app).key)
        await pilot.press("end")
        last = RunFolder(home.runs / str(runs_of(app).key))
        await until(pilot, lambda: is_watched(app, last))
        await pilot.press("slash", *"kind-1")
        await until(pilot, lambda: "kind-1" in screen_text(app) and "kind-2" not in _runs_text(app))
        assert app.lab.query_one("#filter").region.height == 1  # what is typed can be seen
        assert "runs  1 of 3" in screen_text(app)
        await pilot.press(*"0")
        await until(pilot, lambda: "no run has these words" in screen_text(app) and "runs  0 of 3" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: "kind-2" in _runs_text(app) and "of 3" not in screen_text(app))


def _runs_text(app: LabApp) -> str:
    return "\n".join(lines_of(runs_of(app)))


async def test_keys_scale_smooth_and_maximise_the_charts(home: Home) -> None:
    make_run(home, *started(), *steps(1, 30), finished())
    app = lab_app(home)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        loss, memory = app.lab.query_one("#loss", Chart), app.lab.query_one("#memory", Chart)
        await until(pilot, lambda: xs(app, "loss", "train") and loss.is_mounted)
        await pilot.press("l", "s", "f")
        await until(pilot, lambda: loss.log_y and loss.smoothing == 0.9 and not memory.display)
        await pilot.press("escape")
        await until(pilot, lambda: memory.display)
        await pilot.press("o")
        await pilot.press("i")
        await until(pilot, lambda: "true, answered" in screen_text(app))


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The runs that were stopped, each with the rung."""
    done: list[tuple[str, str]] = []

    def stop(folder: RunFolder, rung: str) -> str:
        done.append((folder.name, rung))
        return f"did {rung}"

    monkeypatch.setattr("labtui.actions.stop", stop)
    return done


async def test_each_rung_of_the_stop_ladder_is_asked_about_and_done_on_enter(
    home: Home, monkeypatch: pytest.MonkeyPatch, stops: list[tuple[str, str]]
) -> None:
    monkeypatch.setattr("labtui.console.screens.stop.REPEATS_WITHIN_S", 0.0)
    run = make_run(home, *started(), *steps(1, 3))
    app = lab_app(home)
    with living(run):
        async with app.run_test(size=WIDE, notifications=True) as pilot:
            await until(pilot, lambda: "x Stop" in screen_text(app))
            rungs = (("ask", "asks it to stop"), ("terminate", "SIGTERM"), ("kill", "SIGKILL"), ("kill", "SIGKILL"))
            for at, (rung, effect) in enumerate(rungs):
                for answer in ("escape", "enter"):
                    await pilot.press("x")
                    await until(pilot, lambda: isinstance(app.screen, StopScreen))
                    dialog = screen_text(app)
                    assert f"encoders/loop {run.name[-4:]}" in dialog and effect in dialog
                    assert len(stops) == at
                    await pilot.press(answer)
                    await until(pilot, lambda: app.screen is app.lab)
                await until(pilot, lambda: len(stops) == at + 1)  # noqa: B023
                assert stops[-1] == (run.name, rung)


async def test_keys_that_are_held_down_stop_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch, stops: list[tuple[str, str]]
) -> None:
    run = make_run(home, *started(), *steps(1, 3))
    app = lab_app(home)
    with living(run):
        async with app.run_test(size=WIDE, notifications=True) as pilot:
            await until(pilot, lambda: "x Stop" in screen_text(app))
            monkeypatch.setattr("labtui.console.screens.stop.REPEATS_WITHIN_S", 60.0)
            await pilot.press("x", "x", "enter", "enter", "enter")
            assert isinstance(app.screen, StopScreen) and not stops
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is app.lab)
            assert not stops


async def test_x_stops_the_run_under_the_cursor_of_the_list_and_nothing_from_elsewhere(
    home: Home, monkeypatch: pytest.MonkeyPatch, stops: list[tuple[str, str]]
) -> None:
    monkeypatch.setattr("labtui.console.screens.stop.REPEATS_WITHIN_S", 0.0)
    runs = [make_run(home, *started(), *steps(1, 3), experiment=f"e-{n}") for n in range(4)]
    app = lab_app(home)
    with contextlib.ExitStack() as workers:
        for run in runs:
            workers.enter_context(living(run))
        async with app.run_test(size=WIDE, notifications=True) as pilot:
            await until(pilot, lambda: _runs_text(app).count("running") == 4)
            line = next(y for y, text in enumerate(screen_text(app).split("\n")) if "e-1" in text)
            await pilot.click(offset=(20, line))
            await pilot.press("x")
            await until(pilot, lambda: isinstance(app.screen, StopScreen))
            assert f"e-1 {runs[1].name[-4:]}" in screen_text(app)
            await pilot.press("enter")
            await until(pilot, lambda: stops == [(runs[1].name, "ask")])
            await until(pilot, lambda: app.screen is app.lab)
            app.lab.query_one(LogPane).focus()
            await until(pilot, lambda: "x Stop" not in screen_text(app))
            await pilot.press("x")
            assert app.screen is app.lab and len(stops) == 1


async def test_an_action_that_cannot_be_done_is_explained(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(home: Home, folder: RunFolder) -> RunFolder:
        raise RunError("[no] checkpoint")

    monkeypatch.setattr("labtui.actions.resume", refuse)
    make_run(home, *started(), *steps(1, 3))
    app = lab_app(home)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, lambda: "R Resume" in screen_text(app))
        await pilot.press("R")
        await until(pilot, lambda: "[no] checkpoint" in screen_text(app))


async def test_an_exception_in_the_background_reaches_the_screen_and_the_log_file(home: Home) -> None:
    app = lab_app(home)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, lambda: "no runs yet" in screen_text(app))

        def fail() -> None:
            raise ZeroDivisionError("in the background")

        app.in_background(fail)
        await until(pilot, lambda: "in the background" in screen_text(app))
    assert "ZeroDivisionError: in the background" in (home.path / "console.log").read_text()


async def test_a_launched_run_is_selected_and_watched(home: Home, scripted: Callable[..., RunFolder]) -> None:
    make_run(home, finished())
    app = lab_app(home)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, lambda: len(runs_of(app).views) == 1)
        run = scripted(steps=400, pause_s=0.02)
        app.open_launch("quickstart/bag-of-words")
        await until(pilot, lambda: isinstance(app.screen, LaunchScreen) and "labtui run" in screen_text(app))
        app.screen.dismiss(run)
        await until(pilot, lambda: len(xs(app, "loss", "train")) > 5)
        assert runs_of(app).key == run.name


async def test_the_study_of_quickstart_is_followed_run_by_run_and_ends_in_the_results(home: Home) -> None:
    first = make_run(home, *started(), *steps(1, 3), experiment="one")
    second = make_run(home, ev.Queued(["cpu"], 1), experiment="two")
    app = lab_app(home, highlight=[first.name, second.name])
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        with living(second):
            with living(first):
                await until(pilot, lambda: is_watched(app, first))
                append(first, finished())
                append(second, *started()[1:], *steps(1, 2))
                await until(pilot, lambda: is_watched(app, second))
            append(second, finished())
        await until(pilot, lambda: app.current_mode == "results")
        await pilot.press("1")
        await until(pilot, lambda: isinstance(app.screen, LabScreen))


async def test_ascii_only_sends_no_other_character(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABTUI_ASCII", "1")
    make_run(home, *started(), ev.Note("naïve 電影"), *steps(1, 30), validated(30), finished(0.9))
    app = lab_app(home)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, lambda: "+ finished" in screen_text(app) and xs(app, "loss", "train"))
        await until(pilot, lambda: "na?ve ????" in screen_text(app))
        assert screen_text(app).isascii()


async def test_n_starts_the_experiment_under_the_cursor_and_a_broken_one_says_why_not(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = tmp_path / "configs" / "quickstart"
    configs.mkdir(parents=True)
    (configs / "aaa.toml").write_text('engine = "bag_of_word"')
    run = make_run(home, *started(), *steps(1, 3), experiment="launched")
    hidden = run.path.rename(tmp_path / run.name)

    def launch(home: Home, experiment: Experiment) -> RunFolder:
        assert experiment.name == "quickstart/bag-of-words"
        hidden.rename(run.path)
        return run

    monkeypatch.setattr("labtui.actions.launch", launch)
    app = lab_app(home)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        experiments = app.lab.query_one("#experiments", ExperimentList)
        await until(pilot, lambda: "✗" in screen_text(app) and experiments.has_focus)
        await pilot.press("home", "enter")
        await until(pilot, lambda: "no such engine" in screen_text(app))
        while experiments.key != "quickstart/bag-of-words":
            await pilot.press("down")
        await pilot.press("n")
        await until(pilot, lambda: is_watched(app, run))
        await until(pilot, lambda: xs(app, "loss", "train") == [1, 2, 3])
