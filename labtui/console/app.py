"""The console: screens, global keys, theme, and what reaches them from the background."""

import asyncio
import contextlib
import gc
import os
import threading
import time
import traceback
from collections.abc import Callable, Collection, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.filter import LineFilter
from textual.message import Message
from textual.screen import ModalScreen, Screen

from engines.runs.credentials import redacted
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.writing import PRIVATE
from labtui.console.analyst import Analyst
from labtui.console.feed import Feed
from labtui.console.screens.base import Background, Console
from labtui.console.screens.lab import LabScreen
from labtui.console.terminal import TERMINATED_CODE, AsciiFilter, Rescue, wants_ascii
from labtui.console.theme import THEME
from labtui.console.views import ExperimentView, RunView
from labtui.console.widgets.bars import KeyBar, TopBar
from labtui.devices import Sample
from labtui.sanitize import clean

SCREENS = (
    "results",
    "launch",
    "classify",
    "compare",
    "repeats",
    "items",
    "plots",
    "stop",
)  # not needed for the first paint


def _results() -> Screen[Any]:
    from labtui.console.screens.results import ResultsScreen

    return ResultsScreen()


def _classify() -> Screen[Any]:
    from labtui.console.screens.classify import ClassifyScreen

    return ClassifyScreen()


def _commands() -> type[Provider]:
    from labtui.console.commands import LabCommands

    return LabCommands


class LabApp(Background, App[None]):
    """The lab console on one home folder. Reading and starting runs happens in threads; leaving stops none of them."""

    TITLE = "labtui"
    CSS_PATH = "app.tcss"
    COMMANDS = {_commands}
    ENABLE_COMMAND_PALETTE = True
    DEFAULT_MODE = "lab"
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "results": _results,
        "classify": _classify,
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "mode('lab')", "Lab", show=False, tooltip="Experiments, runs and the live view"),
        Binding("2", "mode('results')", "Results", show=False, tooltip="Compare finished runs"),
        Binding("3", "mode('classify')", "Classify", show=False, tooltip="Classify a review with finished runs"),
        Binding("question_mark", "help", "help", key_display="?", tooltip="The keys of this screen (F1 too)"),
        Binding("q", "quit", "leave", tooltip="Leave the console; runs go on by themselves (ctrl+q and ctrl+c too)"),
        Binding("f1", "help", show=False),  # where ? is typed as text
        Binding("ctrl+q", "quit", show=False, priority=True),
        Binding("ctrl+c", "quit", show=False),  # a text area keeps it for copying
    ]

    class Arrived(Message):
        """The feed has mail."""

    def __init__(self, home: Home, *, start: str = "lab", highlight: Sequence[str] = ()) -> None:
        """`start`: "lab", "results" or "classify". `highlight`: names of runs that the user came to see; the view
        follows the one that runs, and when all have ended the results open."""
        for name in ("COLUMNS", "LINES"):
            os.environ.pop(name, None)  # where exported, they would hide every resize of the terminal
        super().__init__()
        self.home = home
        self.highlight = tuple(highlight)
        self.animation_level = "none"
        self.ascii_only = wants_ascii(os.environ)
        self.feed = Feed(home, self._has_mail, self.report)
        self.analyst = Analyst(home, self._write_down)  # to be asked from a thread
        self._start = start
        self._ascii_filters = [AsciiFilter()] if self.ascii_only else []
        self._rescue = Rescue()
        self.alive_runs = 0
        self._sample: Sample | None = None
        self._takes_mail = False
        self._previous_excepthook = threading.excepthook
        self.lab = LabScreen()  # is there from the start
        self.add_mode("lab", lambda: self.lab)
        self.register_theme(THEME)
        self.theme = "lab"

    @property
    def _background_screens(self) -> list[Screen[Any]]:
        """None behind a screen that covers them: Textual would repaint it for every change below it."""
        return super()._background_screens if self.screen.is_modal else []

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), *self._ascii_filters]

    # -- life -----------------------------------------------------------------------------------------------

    def on_load(self) -> None:
        gc.disable()  # until the first paint, which would spend a seventh of its time on it
        self.feed.start()

    async def on_mount(self) -> None:
        if not self.is_headless:
            in_loop = asyncio.get_running_loop().call_soon_threadsafe
            self._rescue.install(lambda: in_loop(partial(self.exit, return_code=TERMINATED_CODE)))
        threading.excepthook = self._thread_failed
        if self.ascii_only:
            self.add_class("-ascii")
        if self._start != "lab":
            await self.action_mode(self._start)

    def on_unmount(self) -> None:
        gc.unfreeze()
        gc.enable()
        self.feed.stop()
        self.analyst.close()
        threading.excepthook = self._previous_excepthook

    # -- from the background --------------------------------------------------------------------------------

    def take_mail(self) -> None:
        """From now on the Lab screen can show what arrives."""
        self._takes_mail = True
        self._deliver()
        self.call_after_refresh(self._get_ready)

    def _get_ready(self) -> None:
        """After the first paint: what would hold up a key later."""
        gc.freeze()  # a full collection took 60 ms with what the start made in it, 10 ms without
        gc.enable()
        self.in_background(lambda: [import_module(f"labtui.console.screens.{name}") for name in SCREENS])

    def _has_mail(self) -> None:
        if self._takes_mail:
            self.post_message(self.Arrived())

    def on_lab_app_arrived(self) -> None:
        self._deliver()

    def _deliver(self) -> None:
        mail = self.feed.collect()
        self.lab.show(mail)
        self.alive_runs = sum(run.alive for run in self.lab.runs)
        for screen in self.screen_stack:
            for bar in screen.query(KeyBar):
                bar.show_alive(self.alive_runs)
            if mail.sample:
                self._sample = mail.sample
                for top in screen.query(TopBar):
                    top.show(mail.sample)

    def complain(self, sentence: str) -> None:
        """Say what could not be done."""
        self.notify(clean(sentence), severity="error", markup=False, timeout=8)

    def report(self, error: BaseException) -> None:
        """An exception that nobody expected: into `<home>/console.log` and onto the screen. From any thread."""
        self._write_down("".join(traceback.format_exception(error)))
        self.call_later(self.complain, f"{type(error).__name__}: {error} (see {self.home.path / 'console.log'})")

    def _write_down(self, trace: str) -> None:
        def opener(name: str, flags: int) -> int:
            return os.open(name, flags, PRIVATE)

        path = self.home.path / "console.log"
        with contextlib.suppress(OSError), open(path, "a", encoding="utf-8", opener=opener) as log:
            log.write(time.strftime("%Y-%m-%d %H:%M:%S\n") + redacted(trace))

    def _thread_failed(self, failure: threading.ExceptHookArgs) -> None:
        if failure.exc_value is not None:
            self.report(failure.exc_value)

    def get_key_display(self, binding: Binding) -> str:
        """How a key is written; its sign for enter is not in every font."""
        return super().get_key_display(binding).replace("⏎", "enter")

    # -- screens --------------------------------------------------------------------------------------------

    @property
    def experiments(self) -> Collection[ExperimentView]:
        return self.lab.experiments

    @property
    def runs(self) -> Collection[RunView]:
        return self.lab.runs

    def _is_asked(self) -> bool:
        """Whether a form or a question is open: it is answered or left first. Other screens keep their place."""
        if len(self.screen_stack) == 1:
            return False
        from labtui.console.screens.launch import FormScreen

        return any(isinstance(screen, FormScreen | ModalScreen) for screen in self.screen_stack)

    async def action_mode(self, mode: str) -> None:
        """Go to the screen `mode`, from wherever one is."""
        if self._is_asked():
            return
        await self.switch_mode(mode)
        first = self.screen_stack[0]
        if not first.query(TopBar):
            top = TopBar(mode)
            await first.mount(top, before=0)
            if self._sample:
                top.show(self._sample)
        for bar in self.screen.query(KeyBar):
            bar.show_alive(self.alive_runs)

    def action_help(self) -> None:
        """The keys of the screen, read from its bindings."""
        from labtui.console.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen())

    async def action_quit(self) -> None:
        """Leave; runs go on."""
        self.exit()

    def show_run(self, run: str) -> None:
        """Show a run live."""
        self.call_next(self._go, "lab", lambda screen: screen.watch_run(run))

    def classify_with(self, run: str) -> None:
        """Open Classify with this run chosen."""
        self.call_next(self._go, "classify", lambda screen: screen.choose([run]))

    def classify_text(self, runs: list[str], text: str, true_label: str) -> None:
        """Open Classify with a text of a test set in place and its true label beside it, and these runs chosen."""
        self.call_next(self._go, "classify", lambda screen: screen.take(runs, text, true_label))

    async def _go(self, mode: str, then: Callable[[Any], object]) -> None:
        await self.action_mode(mode)
        if self.current_mode == mode:
            then(self.screen)

    def open_launch(self, experiment: str) -> None:
        """The form of an experiment; what it starts is shown live."""
        from labtui.console.screens.launch import LaunchScreen

        self.push_screen(LaunchScreen(experiment), self._launched)

    def _launched(self, folder: RunFolder | None) -> None:
        self.feed.rescan()
        if folder is not None:
            self.lab.watch_run(folder.name)


if TYPE_CHECKING:
    _: type[Console] = LabApp
