"""What the console must know of its terminal: whether it draws more than ASCII, and how to give it back."""

import contextlib
import os
import select
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping
from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

# Synchronised output, mouse, bracketed paste, resize reports, keyboard protocol and focus reports off; alternate
# screen left; cursor shown; colours reset.
RESTORE = (
    b"\x1b[?2026l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l\x1b[?2004l\x1b[?2048l"
    b"\x1b[<u\x1b[?1004l\x1b[?1049l\x1b[?25h\x1b[0m"
)
EXIT_WITHIN_S = 2.0
RESTORE_WITHIN_S = 0.2  # where the terminal is full of what was written last
HANGUP_CODE, TERMINATED_CODE = 128 + signal.SIGHUP, 128 + signal.SIGTERM


def wants_ascii(environment: Mapping[str, str]) -> bool:
    """Whether the terminal is to get ASCII only: as `LABTUI_ASCII` says (1, 0), a Linux console, no UTF-8 locale."""
    if asked := environment.get("LABTUI_ASCII", ""):
        return asked != "0"
    if environment.get("TERM") == "linux":
        return True
    if environment.get("LANG") in ("C", "POSIX") and environment.get("LC_CTYPE") == "C.UTF-8":
        return not environment.get("LC_ALL")  # Python sets this LC_CTYPE by itself where LANG says C
    locale = next((environment[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(name)), "")
    return bool(locale) and "utf8" not in locale.lower().replace("-", "")


_ASCII = str.maketrans(
    {
        "›": ">",
        "●": "*",
        "◌": "o",
        "✓": "+",
        "✗": "x",
        "■": "#",
        "▲": "!",
        "◆": "*",
        "○": "o",
        "·": ".",
        "•": "*",
        "…": "~",
        "–": "-",
        "—": "-",
        "−": "-",
        "→": ">",
        "←": "<",
        "↑": "^",
        "↓": "v",
        "±": "~",
        "×": "x",
        "°": " ",
        "’": "'",
        "‘": "'",
        "“": '"',
        "”": '"',
        "━": "=",
        "█": "#",
        "░": "-",
        "▒": "-",
        "▓": "#",
        "▔": "-",
        "▁": "_",
        "▎": "|",
        "▊": "|",
        "▌": "|",
        "▐": "|",
        "▀": "-",
        "▄": "_",
        "⏵": ">",
        "▶": ">",
        "▼": "v",
        "▸": ">",
        "▾": "v",
        **dict.fromkeys("▂▃", "_"),  # a scrollbar ends in parts of a block
        **dict.fromkeys("▅▆▇", "#"),
        **dict.fromkeys("▏▍▋▉▕", "|"),
        **dict.fromkeys("─╌╍┄┅┈┉═", "-"),
        **dict.fromkeys("│┃╎╏║┆┇┊┋", "|"),
        **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╯╰╔╗╚╝╠╣╦╩╬┏┓┗┛┣┫┳┻╋", "+"),
    }
)


@lru_cache(4096)
def to_ascii(text: str) -> str:
    """Text in as many cells, without anything but ASCII."""
    if text.isascii():
        return text
    text = text.translate(_ASCII)
    return "".join(char if char.isascii() else "?" * cell_len(char) for char in text)


class AsciiFilter(LineFilter):
    """Lets only ASCII reach the terminal."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(to_ascii(s.text), s.style, s.control) if not s.control else s for s in segments]


class Rescue:
    """Gives the terminal back whatever ends the program: SIGTERM leaves in order, SIGHUP at once.

    Construct it before the app takes the terminal. `leave()` is called in the main thread, possibly between any two
    of its steps; if the program is still there after `EXIT_WITHIN_S` seconds (a stalled terminal blocks its event
    loop), it is ended without it.
    """

    def __init__(self) -> None:
        self._attributes = None
        with contextlib.suppress(termios.error, ValueError, OSError, AttributeError):
            self._attributes = termios.tcgetattr(sys.__stdin__.fileno())  # type: ignore[union-attr]

    def install(self, leave: Callable[[], object]) -> None:
        """Take over both signals; main thread only."""

        def terminated(*_: object) -> None:
            timer = threading.Timer(EXIT_WITHIN_S, self.abandon, [TERMINATED_CODE])
            timer.daemon = True
            timer.start()
            leave()

        signal.signal(signal.SIGTERM, terminated)
        signal.signal(signal.SIGHUP, lambda *_: self.abandon(HANGUP_CODE))

    def abandon(self, code: int) -> None:
        """Restore the terminal as far as it takes it, and end the process without another step."""
        signal.signal(signal.SIGTTOU, signal.SIG_IGN) if threading.current_thread() is threading.main_thread() else None
        with contextlib.suppress(OSError, ValueError, AttributeError):
            fd = sys.__stderr__.fileno()  # type: ignore[union-attr]
            os.set_blocking(fd, False)
            left, until = RESTORE, time.monotonic() + RESTORE_WITHIN_S
            while left and select.select([], [fd], [], max(0.0, until - time.monotonic()))[1]:
                left = left[os.write(fd, left) :]
            os.set_blocking(fd, True)  # the flag belongs to the terminal, which the shell goes on using
        if self._attributes is not None:
            with contextlib.suppress(termios.error, OSError):
                termios.tcsetattr(sys.__stdin__.fileno(), termios.TCSANOW, self._attributes)  # type: ignore[union-attr]
        os._exit(code)
