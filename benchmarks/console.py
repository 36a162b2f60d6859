"""What the console costs over a slow line: `python -m benchmarks.console [--paints 5] [--watch 20]`.

In a real pseudo-terminal of 140x40: seconds to the first useful paint with 200 runs in the home folder (warm, median),
then bytes per second and share of a core while one live run logs 50 steps per second in the charts.
"""

import argparse
import codecs
import fcntl
import os
import pty
import re
import select
import statistics
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable

import psutil
import pyte

from benchmarks import harness
from benchmarks.live_run import STEPS_PER_S
from engines import catalog
from engines.reporter import Reporter
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.scores import Scores


def fabricate(home: Home, count: int) -> None:
    """`count` finished runs of 400 steps."""
    document = catalog.read("quickstart/distilbert-loop").document()
    for n in range(count):
        folder = RunFolder.create(home, document)
        report = Reporter(folder)
        report.started("cpu", n, "", {})
        for step in range(1, 401):
            report.step(step, 400, step / 400, 1 / step, 1e-4)
        report.evaluated("test", Scores(accuracy=0.9), ["negative", "positive"], [[450, 50, 0], [50, 450, 0]])
        report.finished()
        report.close()


class Terminal:
    """A program in a pseudo-terminal, its screen, the bytes it wrote and the processor time it took."""

    def __init__(self, argv: list[str], rows: int = 40, columns: int = 140) -> None:
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.bytes = 0
        self.began = time.monotonic()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLUMNS=str(columns), LINES=str(rows))
            os.execv(argv[0], argv)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = psutil.Process(self.pid)

    def pump(self, seconds: float) -> None:
        """Read what the program draws, for at most `seconds`."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return
        data = os.read(self.fd, 1 << 16)
        self.bytes += len(data)
        if b"\x1b[c" in data:  # the program asks what terminal this is
            os.write(self.fd, b"\x1b[?62;22c")
        data = re.sub(rb"\x1b\[[<>=][0-9;]*[a-zA-Z]|\x1b\[\?[0-9;]*\$p|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)", b"", data)
        self.stream.feed(data)

    def until(self, condition: Callable[[str], object], seconds: float = 30) -> float:
        """Seconds since the start at which the screen's text met `condition`."""
        deadline = time.monotonic() + seconds
        while not condition("\n".join(self.screen.display)):
            if time.monotonic() > deadline:
                raise SystemExit("the screen never showed it:\n" + "\n".join(self.screen.display))
            self.pump(0.02)
        return time.monotonic() - self.began

    def watch(self, seconds: float) -> tuple[float, float, float]:
        """Bytes per second, percent of a core and resident MB over `seconds`."""
        times, began, before = self.process.cpu_times(), time.monotonic(), self.bytes
        while time.monotonic() - began < seconds:
            self.pump(0.05)
        elapsed, after = time.monotonic() - began, self.process.cpu_times()
        cpu = (after.user + after.system - times.user - times.system) / elapsed
        return (self.bytes - before) / elapsed, 100 * cpu, self.process.memory_info().rss / 1e6

    def send(self, keys: str) -> None:
        os.write(self.fd, codecs.decode(keys, "unicode_escape").encode("latin-1"))

    def close(self) -> None:
        self.send("q")
        deadline = time.monotonic() + 5
        while self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                self.process.kill()
            try:
                self.pump(0.05)
            except OSError:
                break
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--paints", type=int, default=5)
    parser.add_argument("--watch", type=float, default=20.0, help="seconds to watch the live run")
    arguments = parser.parse_args()
    command = [sys.executable, "-m", "labtui"]
    with harness.home() as home:
        os.environ["LABTUI_HOME"] = str(home.path)
        fabricate(home, arguments.runs)
        paints = []
        for _ in range(arguments.paints + 1):  # the first warms the caches
            terminal = Terminal(command)
            paints.append(terminal.until(lambda text: "quickstart" in text and "finished" in text))
            terminal.close()
        live = RunFolder.create(home, catalog.read("quickstart/distilbert-loop").document())
        live_run = [sys.executable, "-m", "benchmarks.live_run", str(live.path), str(arguments.watch + 30)]
        worker = subprocess.Popen(live_run)
        try:
            terminal = Terminal(command)
            terminal.until(lambda text: "running" in text and re.search(r"step +[\d,]+ ?/", text))
            terminal.watch(3)
            bytes_per_s, cpu_percent, resident_mb = terminal.watch(arguments.watch)
            terminal.close()
        finally:
            worker.terminate()
            worker.wait()
    paint = statistics.median(paints[1:])
    figures = {
        "first_paint_s": {"median": round(paint, 3), "all": [round(p, 3) for p in paints]},
        "watching": {
            "bytes_per_s": round(bytes_per_s),
            "cpu_percent": round(cpu_percent, 1),
            "resident_mb": round(resident_mb),
        },
    }
    rows = [
        [f"first useful paint, {arguments.runs} runs", f"{paint:.2f} s", "0.5 s"],
        [f"watching {STEPS_PER_S} steps/s, to the terminal", f"{bytes_per_s / 1000:.1f} kB/s", "4 kB/s"],
        [f"watching {STEPS_PER_S} steps/s, processor", f"{cpu_percent:.1f} % of a core", "10 %"],
        ["memory of the console", f"{resident_mb:.0f} MB", "–"],
    ]
    harness.write("console", "What the console costs", figures, harness.table(["figure", "measured", "limit"], rows))


if __name__ == "__main__":
    main()
