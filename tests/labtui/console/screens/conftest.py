"""A host for one screen, and waiting for what it does."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot

from engines.errors import UserError
from engines.runs.home import Home
from labtui.console.screens.base import Background


class NoAnswers:
    """Stands for the analyst in a home whose runs have scores but no answers."""

    def measure_all(self, runs: list[str], progress: Callable[[int, int], object]) -> Iterator[Any]:
        for run in runs:
            yield UserError(f"{run} has no answers")


class Host(Background, App[None]):
    """An app that has a home and remembers what the screens ask of it."""

    def __init__(self, home: Home, ascii_only: bool = False) -> None:
        super().__init__()
        self.home = home
        self.ascii_only = ascii_only
        self.analyst: Any = NoAnswers()
        self.said: list[str] = []  # to the user, in notifications
        self.reported: list[BaseException] = []
        self.classified_with: list[str] = []
        self.dismissed: list[Any] = []

    def notify(self, message: str, **more: Any) -> None:
        self.said.append(message)
        super().notify(message, **more)

    def complain(self, sentence: str) -> None:
        self.notify(sentence)

    def report(self, error: BaseException) -> None:
        self.reported.append(error)

    def classify_with(self, run: str) -> None:
        self.classified_with.append(run)


@pytest.fixture
def host(home: Home) -> Host:
    return Host(home)


async def until(pilot: Pilot[None], condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Let the app run until `condition()` is true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s"
        await pilot.pause(0.01)
    await pilot.pause()
