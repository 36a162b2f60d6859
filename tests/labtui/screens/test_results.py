from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from engines.runs.folder import RunFolder
from labtui import results
from labtui.screens import launch
from labtui.screens.results import DetailsScreen, ResultsScreen, confusion_text
from tests.labtui.screens.conftest import Host, until

Finished = Callable[..., RunFolder]


async def opened(host: Host, pilot: Pilot[None]) -> ResultsScreen:
    screen = ResultsScreen()
    await host.push_screen(screen)
    await until(pilot, lambda: screen._read_once)
    return screen


def names(screen: ResultsScreen) -> list[str]:
    return [str(screen.table.get_row_at(at)[0]) for at in range(screen.table.row_count)]


async def test_without_runs_the_screen_says_what_to_do(host: Host) -> None:
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        assert "Launch one from the Lab" in str(screen.query_one(".said").render())
        await pilot.press("c")
        assert host.classified_with == []


async def test_published_rows_are_dim_named_so_and_can_be_hidden(host: Host, finished: Finished) -> None:
    finished("quickstart/a", [[40, 10, 0], [5, 45, 0]])
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot)
        published = [at for at, name in enumerate(names(screen)) if name.startswith("published: ")]
        assert len(published) == 7
        assert all("dim" in str(screen.table.get_row_at(at)[1].style) for at in published)
        await pilot.press("p")
        assert names(screen) == [f"quickstart/a {screen._rows[0].run[-4:]}"]
        await pilot.press("p")
        assert len(names(screen)) == 8


async def test_keys_choose_the_column_and_turn_the_order_round(host: Host, finished: Finished) -> None:
    finished("a", [[40, 10, 0], [5, 45, 0]])
    finished("b", [[400, 0, 0], [0, 1, 0]])
    finished("c", [[1, 1, 0], [1, 2, 0]])
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        await pilot.press("p")
        assert [name[0] for name in names(screen)] == ["b", "a", "c"]
        await pilot.press("s")
        assert [name[0] for name in names(screen)] == ["c", "a", "b"]
        await pilot.press("greater_than_sign", "greater_than_sign")
        assert screen._column == "items" and [name[0] for name in names(screen)] == ["b", "a", "c"]
        await pilot.press(*["less_than_sign"] * 3)
        assert screen._column == "run" and [name[0] for name in names(screen)] == ["a", "b", "c"]
        for _ in results.columns(screen._shown):  # every column can be sorted by, also those out of sight
            await pilot.press("greater_than_sign")
        assert screen._column == "run"


async def test_the_cursor_stays_on_its_run_when_another_one_finishes(host: Host, finished: Finished) -> None:
    kept = finished("a", [[40, 10, 0], [5, 45, 0]])
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot)
        await pilot.press("p")
        finished("better", [[50, 0, 0], [0, 50, 0]])
        await pilot.press("r")
        await until(pilot, lambda: screen.table.row_count == 2)
        assert names(screen)[0].startswith("better")
        assert screen.selected is not None and screen.selected.run == kept.name


async def test_a_resized_table_shows_every_row_in_full(host: Host, finished: Finished) -> None:
    finished("quickstart/a-run-with-a-long-name", [[40, 10, 0], [5, 45, 0]])
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot)
        for width, name in ((80, " a-run-with"), (140, " quickstart/a-run-with")):
            await pilot.resize_terminal(width, 30)
            await until(pilot, lambda width=width: host.size.width == width)  # type: ignore[misc]
            lines = ["".join(segment.text for segment in screen.table.render_line(y)) for y in range(9)]
            assert sum(line.startswith(" published: ") for line in lines) == 7
            assert sum(line.startswith(name) and " 0.850 " in line for line in lines) == 1


async def test_the_confusion_matrix_follows_the_cursor(host: Host, finished: Finished) -> None:
    finished("a", [[400, 90, 10], [5, 495, 0]])
    finished("b", [[30, 20, 0], [0, 50, 0]])
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        await pilot.press("p")
        shown = str(screen.query_one(".matrix").render())
        assert "invalid" in shown and "80.0 %" in shown and "400" in shown
        await pilot.press("down")
        await until(pilot, lambda: "60.0 %" in str(screen.query_one(".matrix").render()))
        assert "invalid" not in str(screen.query_one(".matrix").render())


def test_the_matrix_shows_shares_of_the_true_class(home: Any, finished: Finished) -> None:
    finished("a", [[3, 1, 0], [0, 0, 0]])
    (row,) = results.collect(home)
    lines = confusion_text(row).plain.splitlines()
    assert lines[1].split() == ["negative", "3", "75.0", "%", "1", "25.0", "%"]
    assert lines[2].split() == ["positive", "0", "–", "0", "–"]


async def test_classify_and_evaluate_take_the_selected_run_but_no_published_figure(
    host: Host, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished("a", [[40, 10, 0], [5, 45, 0]])
    launched: list[Any] = []

    def evaluate(home: Any, folder: RunFolder, overrides: dict[str, Any], device: str) -> RunFolder:
        launched.append((folder.name, overrides, device))
        return folder

    monkeypatch.setattr(launch.actions, "evaluate", evaluate)
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot)
        assert screen.selected and screen.selected.run == run.name  # though a published figure is on top
        await pilot.press("ctrl+home", "c")
        assert host.classified_with == [] and screen.selected.published
        await pilot.press("p", "c")
        await until(pilot, lambda: host.classified_with == [run.name])
        await pilot.press("e")
        await until(pilot, lambda: isinstance(host.screen, launch.EvaluateScreen))
        form = host.screen
        assert isinstance(form, launch.EvaluateScreen)
        assert form.form.field("data.overlap").value == "refuse"  # its error names this setting
        form.form.field("data.source").editor.value = "reviews.csv"  # type: ignore[attr-defined]
        await until(pilot, lambda: form.form.overrides == {"data.source": "reviews.csv"})
        command = str(form.query_one(".command").render())
        assert command.startswith(f"labtui evaluate {run.name} --set data.source=reviews.csv --device ")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: bool(launched) and host.screen is screen)
        assert launched == [(run.name, {"data.source": "reviews.csv"}, "auto")]


async def test_details_show_settings_and_events_as_inert_text(host: Host, finished: Finished) -> None:
    finished("[@click=app.bell]x[/]\x1b[31m", [[40, 10, 0], [5, 45, 0]], model="[/i] model\x1b]0;t\x07")
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot)
        await pilot.press("p")
        assert names(screen)[0].startswith("[@click=app.bell]x[/]")
        title = screen.query_one(".selected")._border_title  # type: ignore[attr-defined]
        assert title.plain.startswith("[@click=app.bell]x[/]")
        assert "[/i] model" in str(screen.query_one(".about").render())
        await pilot.press("enter")
        await until(pilot, lambda: "settings" in str(host.screen.query("Static").first().render()))
        assert isinstance(host.screen, DetailsScreen)
        assert "\x1b" not in str(host.screen.query("Static").first().render())
        await pilot.press("escape")
        assert host.screen is screen
