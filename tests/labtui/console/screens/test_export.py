from collections.abc import Callable
from pathlib import Path

import pytest
from textual.widgets import Input, Static

from engines.importing import importer
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from labtui.console.screens.export import ExportScreen
from labtui.results.columns import known_columns
from labtui.results.rows import collect_rows
from tests.labtui.console.screens.conftest import Host, until
from tests.support import Silent

Finished = Callable[..., RunFolder]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def imported(home: Home, tmp_path: Path, name: str) -> RunFolder:
    path = tmp_path / f"{name}.csv"
    path.write_text("label,prediction\n1,1\n0,1\n")
    return importer.import_file(home, path, Silent())[0]


def screen_of(home: Home, runs: list[str]) -> ExportScreen:
    rows = collect_rows(home)
    return ExportScreen(rows, known_columns(rows), runs)


def text(screen: ExportScreen, where: str) -> str:
    return str(screen.query_one(where, Static).render())


async def test_enter_writes_the_table_into_the_current_directory_and_names_the_file(
    home: Home, tmp_path: Path, here: Path
) -> None:
    imported(home, tmp_path, "theirs")
    host = Host(home)
    async with host.run_test(size=(80, 24)) as pilot:
        screen = screen_of(home, [])
        await host.push_screen(screen)
        assert "answers" not in text(screen, "#formats") and str(here.name) in text(screen, ".message")
        await pilot.press("down", "down", "down")
        assert screen.query_one(Input).value == "results.tex"
        await pilot.press("enter")
        await until(pilot, lambda: host.screen is not screen)
        assert "\\toprule" in (here / "results.tex").read_text()
        assert any(str(here / "results.tex") in sentence for sentence in host.said)


async def test_a_file_that_exists_is_written_over_only_after_a_second_enter(
    home: Home, tmp_path: Path, here: Path
) -> None:
    imported(home, tmp_path, "theirs")
    (here / "results.csv").write_text("mine")
    host = Host(home)
    async with host.run_test(size=(80, 24)) as pilot:
        screen = screen_of(home, [])
        await host.push_screen(screen)
        await pilot.press("enter")
        await until(pilot, lambda: "exists; enter again writes over it" in text(screen, ".message"))
        assert (here / "results.csv").read_text() == "mine"
        await pilot.press("down", "up", "enter")
        await until(pilot, lambda: host.screen is not screen)
        assert (here / "results.csv").read_text().startswith("run,accuracy")


async def test_several_runs_need_a_place_for_their_names(home: Home, tmp_path: Path, here: Path) -> None:
    runs = [imported(home, tmp_path, name).name for name in ("one", "two")]
    host = Host(home)
    async with host.run_test(size=(140, 40)) as pilot:
        screen = screen_of(home, runs)
        await host.push_screen(screen)
        await pilot.press("down", "down", "down", "down")
        line = screen.query_one(Input)
        assert line.value == "RUN.csv" and "of 2 runs" in text(screen, "#formats")
        line.value = "all.csv"
        await pilot.press("enter")
        assert "2 runs need 2 files" in text(screen, ".message") and list(here.iterdir()) == []
        line.value = "answers-RUN.csv"
        await pilot.press("enter")
        await until(pilot, lambda: host.screen is not screen)
        assert sorted(path.name for path in here.iterdir()) == sorted(f"answers-{run}.csv" for run in runs)


async def test_what_cannot_be_written_is_said_and_the_name_can_be_mended(
    home: Home, tmp_path: Path, here: Path
) -> None:
    folder = imported(home, tmp_path, "theirs")
    folder.predictions.unlink()
    host = Host(home)
    async with host.run_test(size=(80, 24)) as pilot:
        screen = screen_of(home, [folder.name])
        await host.push_screen(screen)
        await pilot.press("down", "down", "down", "down", "enter")
        await until(pilot, lambda: "holds no predictions.jsonl" in text(screen, ".message"))
        assert host.screen is screen and list(here.iterdir()) == []
        await pilot.press("escape")
        await until(pilot, lambda: host.screen is not screen)
