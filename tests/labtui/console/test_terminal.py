import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.segment import Segment
from textual.color import Color

from labtui.console.terminal import AsciiFilter, to_ascii, wants_ascii
from tests.labtui.fabric import finished, make_run
from tests.support import wait_until

ROOT = Path(__file__).parents[3]
PROGRAM = """
import sys
from engines.runs.home import Home
from labtui.console.app import LabApp
app = LabApp(Home())
app.run()
sys.exit(app.return_code)
"""
LEAVES_ALTERNATE_SCREEN, SHOWS_CURSOR, LEAVES_MOUSE = b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1000l"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"LANG": "en_US.UTF-8"}, False),
        ({"LANG": "C.utf8"}, False),
        ({"LANG": "de_DE.ISO-8859-1"}, True),
        ({"LC_ALL": "C", "LANG": "en_US.UTF-8"}, True),
        ({"TERM": "linux"}, True),
        ({"LABTUI_ASCII": "1"}, True),
        ({"LABTUI_ASCII": "0", "LANG": "C"}, False),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True),
    ],
)
def test_ascii_is_for_those_who_ask_and_terminals_without_more(environment: dict[str, str], expected: bool) -> None:
    assert wants_ascii(environment) is expected


def test_ascii_keeps_the_number_of_cells() -> None:
    assert to_ascii("● ok – é電─┐") == "* ok - ???-+"
    [segment] = AsciiFilter().apply([Segment("✓")], Color(0, 0, 0))
    assert segment.text == "+"


class Console:
    """The console in a terminal of its own."""

    def __init__(self) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
            os.environ.update(TERM="xterm-256color", COLUMNS="80", LINES="24")  # of a former window: not believed
            os.execv(sys.executable, [sys.executable, "-c", PROGRAM])
        self.attributes = termios.tcgetattr(self.fd)
        self.output = b""
        self.code: int | None = None

    def read(self) -> bytes:
        """All that it has written by now."""
        while select.select([self.fd], [], [], 0.02)[0]:
            try:
                data = os.read(self.fd, 1 << 16)
            except OSError:
                break
            self.output += data
            if not data:
                break
        return self.output

    def shows(self, words: bytes) -> bool:
        return words in self.read()

    def ended(self) -> bool:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code is not None

    def close(self) -> None:
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture
def console(home: object) -> Iterator[Console]:
    make_run(home, finished(), experiment="seen-by-all")  # type: ignore[arg-type]
    found = Console()
    yield found
    found.close()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_console_and_gives_the_terminal_back(console: Console, number: int, code: int) -> None:
    wait_until(lambda: console.shows(b"seen-by-all"))
    assert termios.tcgetattr(console.fd) != console.attributes
    sent = len(console.output)
    os.kill(console.pid, number)
    wait_until(lambda: (console.read(), console.ended())[1])
    console.read()
    assert console.code == code
    farewell = console.output[sent:]
    assert all(sequence in farewell for sequence in (LEAVES_ALTERNATE_SCREEN, SHOWS_CURSOR, LEAVES_MOUSE))
    assert termios.tcgetattr(console.fd)[3] == console.attributes[3]


def test_a_stalled_terminal_does_not_keep_the_console_alive(console: Console) -> None:
    wait_until(lambda: console.shows(b"seen-by-all"))
    for size in range(60):  # every resize repaints everything, and nobody reads it
        fcntl.ioctl(console.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 60 + size % 2, 200 + size, 0, 0))
        time.sleep(0.02)
    os.kill(console.pid, signal.SIGTERM)
    wait_until(console.ended)
    assert console.code == 143
