"""Helpers of the tests: engines that do what a test says, and conditions to wait on."""

import time
from collections.abc import Callable
from typing import TypeVar

from engines.runs import events as ev

T = TypeVar("T")


class Silent:
    """Notes that nobody reads."""

    def note(self, text: str, level: str = "info") -> None:
        pass

    def fact(self, fact: ev.Fact) -> None:
        pass


def wait_until(condition: Callable[[], object], timeout_s: float = 20.0, what: str = "") -> None:
    """Return as soon as `condition()` is true; fail after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what or condition}")
        time.sleep(0.02)


def known(value: T | None) -> T:
    """The value of a field that may be None, and is not here."""
    assert value is not None
    return value
