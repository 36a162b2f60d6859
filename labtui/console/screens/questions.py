"""Questions of a screen to the analyst, asked in threads."""

from collections.abc import Callable
from typing import Any

from textual.screen import Screen

from engines.errors import UserError


class Questions:
    """Puts questions to the analyst in threads. Of one kind one is asked at a time, and of those put meanwhile only
    the last: what the user has moved on from is never asked."""

    def __init__(self, screen: Screen[Any]) -> None:
        self._screen = screen
        self._busy: set[str] = set()
        self._next: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {}

    def ask(self, kind: str, question: Callable[[], Any], done: Callable[[Any], object]) -> None:
        """`done(answer)` in the app, with the exception where there is no answer, unless the screen is left."""
        self._next[kind] = question, done
        if kind not in self._busy:
            self._start(kind)

    def _start(self, kind: str) -> None:
        app: Any = self._screen.app
        question, done = self._next.pop(kind)
        self._busy.add(kind)

        def answer() -> Any:
            try:
                return question()
            except (UserError, OSError) as error:
                return error
            except Exception as error:
                app.report(error)
                return error

        app.in_background(answer, lambda answer: self._answered(kind, done, answer))

    def _answered(self, kind: str, done: Callable[[Any], object], answer: Any) -> None:
        self._busy.discard(kind)
        if not self._screen.is_running:
            return
        if kind in self._next:
            self._start(kind)
        done(answer)
