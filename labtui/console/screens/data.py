"""Data: what the lab sees of the reviews that a form names, before anything is launched."""

from collections.abc import Callable
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from engines.data.settings import Data
from engines.errors import UserError
from engines.inputs.values import Description
from engines.settings import flatten
from labtui import inputs
from labtui.console.screens.base import ConsoleModal, is_abandoned
from labtui.sanitize import clean, plain

MAX_LENGTH = 512  # tokens, of experiments that read texts whole


class DataScreen(ConsoleModal[None]):
    """One page over the form; what it shows is found by a process of its own, which ends with the page."""

    BINDINGS = [Binding("escape,q", "dismiss", "Back")]
    DEFAULT_CSS = """
    DataScreen { align: center middle; }
    DataScreen > Vertical { width: 120; max-width: 96%; height: auto; max-height: 94%; border: round $primary;
                            background: $surface; padding: 0 1; }
    DataScreen VerticalScroll { height: auto; }
    DataScreen Static { width: 1fr; height: auto; }
    DataScreen .problem { color: $text-error; }
    """

    def __init__(self, data: Data, settings: dict[str, Any]) -> None:
        """`settings` are those of the experiment, nested: they say the model, and how many tokens it reads."""
        super().__init__()
        self._data = data
        model = settings.get("model", {})
        self._model = str(model.get("name", "")), str(model.get("revision", ""))
        lengths = (value for name, value in flatten(settings) if name.rpartition(".")[2] == "max_length")
        self._max_length = int(next(lengths, MAX_LENGTH))

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = clean(f"Data: {self._data.source}")
            box.border_subtitle = "esc goes back"
            with VerticalScroll():
                yield Static(classes="problem", markup=False)
                yield Static("reading …", classes="seen", markup=False)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        home, data, (model, revision), max_length = self.console.home, self._data, self._model, self._max_length

        def look() -> Description:
            return inputs.describe(home, data, model, revision, max_length, _give_up_when(is_abandoned))

        self.in_background(look, self._show, self._refuse)

    def _show(self, description: Description) -> None:
        self.query_one(".problem", Static).update(plain("\n".join(description["problems"]), multiline=True))
        self.query_one(".seen", Static).update("\n".join(inputs.lines(description)))

    def _refuse(self, sentence: str) -> None:
        self.query_one(".problem", Static).update(sentence)
        self.query_one(".seen", Static).update("")


def _give_up_when(abandoned: Callable[[], bool]) -> Callable[[], None]:
    def give_up() -> None:
        if abandoned():
            raise UserError("nobody waits for it any more")

    return give_up
