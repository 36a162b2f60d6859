import sys
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engines import catalog
from labtui.console.screens.data import DataScreen
from labtui.console.screens.launch import LaunchScreen
from tests.labtui.console.screens.conftest import Host, until


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """A file, and the experiment "mine/looked" on it."""
    path = tmp_path / "reviews.csv"
    path.write_text("text,label\n" + "".join(f"opinion [{n}] of its own,{n % 2}\n" for n in range(40)))
    config = catalog.user_configs() / "mine" / "looked.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'engine = "bag_of_words"\n[data]\nsource = "{path}"\n')
    return path


async def opened(host: Host, pilot: Pilot[None]) -> DataScreen:
    await host.push_screen(LaunchScreen("mine/looked"))
    await pilot.press("ctrl+t")
    await until(pilot, lambda: isinstance(host.screen, DataScreen))
    assert isinstance(host.screen, DataScreen)
    return host.screen


def shown(screen: DataScreen, part: str) -> str:
    return str(screen.query_one(f".{part}").render())


async def test_what_is_in_the_data_is_a_key_away_from_the_form(host: Host, reviews: Path) -> None:
    async with host.run_test(size=(120, 40)) as pilot:
        screen = await opened(host, pilot)
        await until(pilot, lambda: "classes" in shown(screen, "seen"), timeout_s=60)
        text = shown(screen, "seen")
        assert "2: negative 20 (50.0 %), positive 20 (50.0 %)" in text and "opinion [" in text
        assert "train       32: negative" in text and shown(screen, "problem") == ""
        await pilot.press("escape")
        assert isinstance(host.screen, LaunchScreen)


async def test_data_that_cannot_be_used_are_said_on_the_page(host: Host, reviews: Path) -> None:
    reviews.unlink()
    async with host.run_test(size=(120, 40)) as pilot:
        screen = await opened(host, pilot)
        await until(pilot, lambda: "reviews.csv: no such file" in shown(screen, "problem"), timeout_s=60)
        assert shown(screen, "seen") == "" and not host.reported


async def test_a_page_that_is_left_ends_the_look(host: Host, reviews: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = reviews.parent / "python"
    program.write_text(f"#!/bin/sh\necho $$ > {reviews.parent}/pid\nexec sleep 100\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    pid = reviews.parent / "pid"
    async with host.run_test(size=(120, 40)) as pilot:
        await opened(host, pilot)
        await until(pilot, lambda: pid.exists() and pid.read_text().strip())
        await pilot.press("escape")
        await until(pilot, lambda: not Path(f"/proc/{pid.read_text().strip()}").exists())
        assert not host.reported
