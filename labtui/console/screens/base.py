"""What every screen stands on: the console as screens see it, and the one way to work in the background."""

from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from textual.dom import DOMNode
from textual.message_pump import MessagePump
from textual.screen import ModalScreen, Screen, ScreenResultType
from textual.worker import get_current_worker

from engines.errors import UserError, sentence_of
from engines.runs.home import Home
from labtui.sanitize import clean

if TYPE_CHECKING:
    from labtui.console.analyst import Analyst
    from labtui.console.feed import Feed
    from labtui.console.views import ExperimentView, RunView

T = TypeVar("T")


class Console(Protocol):
    """The app, as its screens and commands use it."""

    ascii_only: bool
    """Whether the terminal is sent ASCII characters alone."""

    @property
    def home(self) -> Home: ...

    @property
    def analyst(self) -> "Analyst":
        """Answers questions about results; to be asked in the background."""

    @property
    def feed(self) -> "Feed": ...

    @property
    def highlight(self) -> tuple[str, ...]:
        """Names of the runs that the user came to see."""

    @property
    def experiments(self) -> "Collection[ExperimentView]": ...

    @property
    def runs(self) -> "Collection[RunView]":
        """All runs, newest first."""

    def take_mail(self) -> None:
        """From now on the Lab screen can show what the feed brings."""

    async def action_mode(self, mode: str) -> None:
        """Go to the screen "lab", "results" or "classify"."""

    def show_run(self, run: str) -> None:
        """Show a run live."""

    def open_launch(self, experiment: str) -> None:
        """Open the form of an experiment."""

    def classify_with(self, run: str) -> None:
        """Open Classify with this run chosen."""

    def classify_text(self, runs: list[str], text: str, true_label: str) -> None:
        """Open Classify with a text of a test set and its true label in place, and these runs chosen."""

    def complain(self, sentence: str) -> None:
        """Notify the user of what could not be done."""

    def report(self, error: BaseException) -> None:
        """Put an exception that nobody expected into `<home>/console.log` and onto the screen. From any thread."""


class Background(MessagePump):
    """What works in the background: a screen, or the app itself."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._busy_kinds: set[str] = set()
        self._waiting: dict[str, Callable[[], object]] = {}  # by kind: what starts the last of those put meanwhile

    def in_background(
        self,
        work: Callable[[], T],
        done: Callable[[T], object] = lambda result: None,
        failed: Callable[[str], object] | None = None,
        *,
        kind: str = "",
    ) -> None:
        """Run `work()` in a thread, then `done(result)` in the app's thread, unless this screen is closed by then.

        Of one `kind` one piece of work runs at a time; of those put meanwhile only the last is run, afterwards. Work
        without a kind starts at once. A `UserError` or `OSError` goes to `failed(sentence)`, or to the user where that
        is not given. Any other exception goes to `<home>/console.log` and the user, and then to `failed`.
        """

        console = cast(Console, self.app)

        def run() -> None:
            outcome: Callable[[], object]
            try:
                outcome = partial(done, work())
            except (UserError, OSError) as error:
                outcome = partial(failed or console.complain, clean(sentence_of(error)))
            except Exception as error:
                console.report(error)
                outcome = partial(failed or (lambda sentence: None), clean(f"{type(error).__name__}: {error}"))
            self.call_later(self._end_work, kind, outcome)

        start = partial(cast(DOMNode, self).run_worker, run, thread=True, exit_on_error=False)
        if kind in self._busy_kinds:
            self._waiting[kind] = start
            return
        if kind:
            self._busy_kinds.add(kind)
        start()

    def _end_work(self, kind: str, outcome: Callable[[], object]) -> None:
        self._busy_kinds.discard(kind)
        if not self.is_running:
            return
        if kind in self._waiting:
            self._busy_kinds.add(kind)
            self._waiting.pop(kind)()
        outcome()


def is_abandoned() -> bool:
    """For work in the background that takes long: whether nobody waits for its result any more."""
    return get_current_worker().is_cancelled


class _OnConsole(Background):
    @property
    def console(self) -> Console:
        """The app."""
        return cast(Console, self.app)


class ConsoleScreen(_OnConsole, Screen[ScreenResultType]):
    """A screen of the console."""


class ConsoleModal(_OnConsole, ModalScreen[ScreenResultType]):
    """A dialog of the console."""
