"""Asks before a run is stopped: what is done to it cannot be undone."""

from time import monotonic
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from labtui.console.screens.base import ConsoleModal
from labtui.console.views import RunView

REPEATS_WITHIN_S = 0.3
"""A key that comes so soon after another one is held down, not pressed."""


class StopScreen(ConsoleModal[bool]):
    """Names the run and what is done to it; dismissed with whether to do it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "confirm", "Do it"),
        Binding("escape", "dismiss(False)", "Leave it running"),
    ]
    DEFAULT_CSS = """
    StopScreen { align: center middle; }
    StopScreen > Vertical { width: 64; max-width: 96%; height: auto; max-height: 100%; padding: 0 2;
                            border: round $warning; background: $surface; }
    StopScreen Static { height: auto; }
    StopScreen .run { text-style: bold; }
    """

    def __init__(self, run: RunView, effect: str) -> None:
        """`effect` goes on from "enter": "sends SIGTERM to its processes"."""
        super().__init__()
        self._run, self._effect = run, effect
        self._pressed = monotonic()

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "Stop a run"
            yield Static(f"{self._run.experiment} {self._run.short}", classes="run", markup=False)
            yield Static(f"enter {self._effect}\nesc leaves it running", markup=False)

    def action_confirm(self) -> None:
        """Do it, unless the key is only held down."""
        before, self._pressed = self._pressed, monotonic()
        if self._pressed - before >= REPEATS_WITHIN_S:
            self.dismiss(True)
