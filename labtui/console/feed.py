"""What the screens show, read from disk by one thread.

The thread polls (inotify does not see another machine's writes): the selected run five times in two seconds, living
runs every second, ended ones every other second at the price of one stat. It never touches a widget. What it found
waits in a mailbox that the app empties when told; a stalled terminal therefore makes no queue grow.
"""

import os
import threading
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

from engines import catalog
from engines.errors import UserError
from engines.runs import events as ev
from engines.runs.event_files import EventReader, read_last
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.reading import open_regular
from engines.runs.summary import DAMAGED, LOST, Summary, list_runs, open_summary, read_end, unreadable
from labtui.console.curves import Curves
from labtui.console.views import ExperimentView, Live, LogLine, Mail, RunView, after_resuming, log_lines
from labtui.devices import DeviceSampler
from labtui.narrate import loss
from labtui.sanitize import clean

SELECTED_EVERY_S, ALIVE_EVERY_S, ENDED_EVERY_S = 0.4, 1.0, 2.0
LIST_EVERY_S, DEVICES_EVERY_S, EXPERIMENTS_EVERY_S = 1.0, 2.0, 5.0
CHUNK_BYTES = 1 << 17  # a lock is held and the interpreter busy while one is decoded
FIRST_LOADED, LOADED_A_TURN = 40, 10
FIRST_PAINT_WITHIN_S = 1.0
LOG_LINES = 1000  # kept of one batch; a longer history shows its end
WORKER_LOG_LINES = 6


class _ListedRun:
    """A run in the list. An ended one is read from the end of its file alone and costs one stat from then on."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.view = RunView.unread(folder)
        self.due = 0.0
        self.reread()

    def reread(self) -> None:
        """Forget what was read: at the start, or when the file was replaced. `view` stays until all is read anew."""
        self.summary = open_summary(self.folder)
        self._reader: EventReader | None = None
        self._size = self._mtime_ns = -1
        self._unread_bytes = 0
        self.look_again()

    def look_again(self) -> None:
        """Look at once, also where the run has ended and its file has not changed: it may be launched again."""
        self.due, self._looks_again = 0.0, True

    def refresh(self) -> bool:
        """Bring `view` up to date; True while more of the file waits to be read."""
        try:
            status = os.stat(self.folder.events)
            size, mtime_ns = status.st_size, status.st_mtime_ns
        except OSError:  # if it is there, the reader tells what is wrong with it
            size = mtime_ns = 0
        before, (self._size, self._mtime_ns) = (self._size, self._mtime_ns), (size, mtime_ns)
        changed = (size, mtime_ns) != before
        if not changed and not self._unread_bytes and not self.view.alive and not self._looks_again:
            return False
        self._looks_again = False
        if changed and self._reader is None:
            self._open(known_bytes=before[0])
        if changed or self._unread_bytes:
            self._read()
        if self.summary.settle().state in (LOST, DAMAGED) and not self._unread_bytes:
            self._read()  # an end written between reading and probing the lock is not a loss
            self.summary.settle()
        if self._unread_bytes:
            if changed or not self.view.state:
                self.view = RunView.of(self._end_of_story())
            return True
        if isinstance(self.summary.end, ev.Ended):
            self._reader = None
        self.view = RunView.of(self.summary)
        return False

    def _open(self, known_bytes: int) -> None:
        if 0 < known_bytes < self._size and self.summary.end is not None:  # launched again: it goes on from there
            self._reader, self._unread_bytes = EventReader(self.folder.events, known_bytes), self._size - known_bytes
            return
        size, mtime_ns = self._size, self._mtime_ns
        self.reread()
        self._looks_again, self._size, self._mtime_ns = False, size, mtime_ns
        if end := self._read_end():
            self.summary.apply([end])
        else:
            self._reader, self._unread_bytes = EventReader(self.folder.events), size

    def _end_of_story(self) -> Summary:
        """What the last events tell, while all of them are being read."""
        summary = open_summary(self.folder)
        summary.apply(read_last(self.folder.events))
        return summary.settle()

    def _read_end(self) -> ev.Record | None:
        """The record of the run's end, where that is all that a list needs."""
        return read_end(self.folder)

    def _read(self) -> None:
        if self._reader is None:
            return
        records = self.summary.read(self._reader, CHUNK_BYTES)
        if self._reader.restarted:
            self.reread()
            self._unread_bytes = 1  # all of it: the next look begins at the start
            return
        self._unread_bytes = 0 if self._reader.at_end else max(0, self._unread_bytes - CHUNK_BYTES)
        self._take_in(records)

    def _take_in(self, records: list[ev.Record]) -> None:
        """Keep of further records what the summary does not."""

    def fail(self, error: Exception) -> None:
        """Show the run as damaged: reading it ended in an error that nobody foresaw."""
        self.view = RunView.of(unreadable(self.folder, error))


class _FollowedRun(_ListedRun):
    """A run on the screen: all of its events, as curves and log too."""

    def reread(self) -> None:
        super().reread()
        self.curves = Curves()
        self.lines: list[LogLine] = []
        self.rewind()
        self._loss_reported = False
        self._damage_reported = ""

    def rewind(self) -> None:
        """Hand out everything again at the next `take`."""
        self.curves.rewind()
        self._lines_taken, self._lines_anew, self.news = 0, True, True

    def take(self) -> Live:
        """What is new since the last call."""
        points_anew, points = self.curves.take()
        lines, lines_anew = self.lines[self._lines_taken :], self._lines_anew
        self._lines_taken, self._lines_anew, self.news = len(self.lines), False, False
        return Live(self.view, self.curves.total, points, points_anew, lines, lines_anew)

    def refresh(self) -> bool:
        before = self.view
        more = super().refresh()
        if not more and self.view.state == LOST and not self._loss_reported:
            self._log(self._last_log_lines())
        self._loss_reported = self.view.state == LOST
        if not more and self.view.damage != self._damage_reported:
            self._damage_reported = self.view.damage
            self._log([LogLine(self.summary.changed or time.time(), f"damaged: {self.view.damage}", "error")])
        self.news = self.news or self.view != before
        return more

    def _read_end(self) -> ev.Record | None:
        return None

    def _take_in(self, records: list[ev.Record]) -> None:
        self.curves.apply(records)
        self._log([line for record in records for line in log_lines(record)])
        self.news = self.news or bool(records)

    def _log(self, lines: list[LogLine]) -> None:
        self.lines += lines
        surplus = max(0, len(self.lines) - LOG_LINES)
        del self.lines[:surplus]
        self._lines_taken = max(0, self._lines_taken - surplus)

    def _last_log_lines(self) -> list[LogLine]:
        """The end of the log of a worker that died without saying why."""
        at = self.summary.changed or time.time()
        try:
            with open_regular(self.folder.log) as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
                text = file.read(4096).decode("utf-8", "replace")
        except OSError:
            text = ""
        lines = clean(text, multiline=True).rstrip().splitlines()[-WORKER_LOG_LINES:]
        died = f"lost: the worker died without reporting an end{loss(self.summary)}"
        last = f"{died}; with R it {after_resuming(self.summary.checkpoint)}"
        return [*(LogLine(at, line, "faint") for line in lines), LogLine(at, last, "error")]


def _refreshed(run: _ListedRun) -> bool:
    """`run.refresh`, whatever is wrong with the run: the others are to be shown too."""
    try:
        return run.refresh()
    except Exception as error:
        run.fail(error)
        return False


class Feed:
    """The thread and its mailbox. `follow`, `rescan`, `collect`, `start` and `stop` belong to the app's thread.

    `notify()` is called in the feed's thread when the mailbox is no longer empty, once until `collect`;
    `report(error)` for an exception, after which the feed goes on.
    """

    def __init__(self, home: Home, notify: Callable[[], None], report: Callable[[Exception], None]) -> None:
        self.home = home
        self._notify, self._report = notify, report
        self._lock = threading.Lock()  # of everything below that both threads touch
        self._wake = threading.Event()
        self._collected = threading.Event()
        self._stopping = False
        self._mail, self._notified = Mail(), False
        self._followed: dict[str, _FollowedRun] = {}
        self._rescanned: set[str] = set()
        self._listed: dict[str, _ListedRun] = {}
        self._was_listed = False
        self._next = {"list": 0.0, "devices": 0.0, "experiments": 0.0}
        self._experiments: dict[str, tuple[Path, int, ExperimentView]] | None = None
        self._sampler: DeviceSampler | None = None
        self._thread = threading.Thread(target=self._loop, name="feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    def follow(self, *names: str) -> None:
        """Read the whole of these runs and keep up with them; the others of before are let go."""
        with self._lock:
            before = self._followed
            self._followed = {n: before.get(n) or _FollowedRun(RunFolder(self.home.runs / n)) for n in names}
            for run in self._followed.values():
                run.rewind()
        self._wake.set()

    def rescan(self, *names: str) -> None:
        """Look at once for new runs, and at these: something was launched, resumed or stopped."""
        with self._lock:
            self._rescanned.update(names)
            self._next["list"] = self._next["experiments"] = 0.0
        self._wake.set()

    def collect(self) -> Mail:
        """Empty the mailbox."""
        with self._lock:
            mail, self._mail, self._notified = self._mail, Mail(), False
            self._collected.set()
            mail.live = {name: run.take() for name, run in self._followed.items() if run.news}
        return mail

    # The thread.

    def _loop(self) -> None:
        reported = ""
        while not self._stopping:
            more = False
            try:
                more = self._poll(time.monotonic())
            except Exception as error:
                if repr(error) != reported:
                    reported = repr(error)
                    self._report(error)
            self._wake.wait(0.004 if more else SELECTED_EVERY_S)
            self._wake.clear()

    def _poll(self, now: float) -> bool:
        """Do what is due; True when there is more to do at once."""
        first = not self._was_listed
        self._list(now)
        if first:  # names are enough to paint; reading on would only slow the painting down
            self._notify_once()
            self._collected.wait(FIRST_PAINT_WITHIN_S)
        more = self._read_followed(now)
        more = self._read_listed(now) or more
        self._notify_once()
        if self._experiments is None or (not more and self._is_due("experiments", now, EXPERIMENTS_EVERY_S)):
            self._read_experiments()
        if not more and self._is_due("devices", now, DEVICES_EVERY_S):
            self._sampler = self._sampler or DeviceSampler()
            sample = self._sampler.sample()
            with self._lock:
                self._mail.sample = sample
        self._notify_once()
        return more

    def _is_due(self, what: str, now: float, every_s: float) -> bool:
        if now < self._next[what]:
            return False
        self._next[what] = now + every_s
        return True

    def _notify_once(self) -> None:
        with self._lock:
            news = any(run.news for run in self._followed.values()) or self._mail != Mail()
            notify, self._notified = news and not self._notified, self._notified or news
        if notify:
            self._notify()

    def _list(self, now: float) -> None:
        with self._lock:
            due = self._is_due("list", now, LIST_EVERY_S)
            rescanned, self._rescanned = self._rescanned, set()
            for name in rescanned:
                for runs in (self._listed, self._followed):
                    if name in runs:
                        runs[name].look_again()
        if not due:
            return
        folders = {folder.name: folder for folder in list_runs(self.home)}
        if folders.keys() == self._listed.keys() and self._was_listed:
            return
        self._was_listed = True
        new = {name: _ListedRun(folder) for name, folder in folders.items() if name not in self._listed}
        self._listed = {name: self._listed.get(name) or new[name] for name in folders}
        with self._lock:
            self._mail.names = list(folders)
            self._mail.runs.update({name: run.view for name, run in new.items()})

    def _read_listed(self, now: float) -> bool:
        """Look at the runs that are due; True while some wait to be read."""
        room, more = (LOADED_A_TURN if any(run.view.state for run in self._listed.values()) else FIRST_LOADED), False
        for name, run in self._listed.items():
            if now < run.due:
                continue
            before = run.view
            if not before.state:
                if not room:
                    more = True
                    continue
                room -= 1
            unread = _refreshed(run)
            more = more or unread
            run.due = now if unread else now + (ALIVE_EVERY_S if run.view.alive else ENDED_EVERY_S)
            if run.view != before:
                with self._lock:
                    self._mail.runs[name] = run.view
        return more

    def _read_followed(self, now: float) -> bool:
        more = False
        with self._lock:
            for run in self._followed.values():
                if now >= run.due:
                    unread = _refreshed(run)
                    run.due = now if unread else now + (0 if run.view.alive else ALIVE_EVERY_S)
                    more = more or unread
        return more

    def _read_experiments(self) -> None:
        """Read the configs that are new or changed; the first time only their heads, for the first paint."""
        known, check = self._experiments or {}, self._experiments is not None
        experiments: dict[str, tuple[Path, int, ExperimentView]] = {}
        for name, path in catalog.experiments().items():
            try:
                version = path.stat().st_mtime_ns if check else 0
            except OSError:
                continue
            old = known.get(name)
            same = old is not None and old[:2] == (path, version)
            experiments[name] = old if old and same else (path, version, _checked(name) if check else _head(name, path))
        if experiments != self._experiments:
            self._experiments = experiments
            with self._lock:
                self._mail.experiments = [view for _, _, view in experiments.values()]


def _head(name: str, path: Path) -> ExperimentView:
    """What the file says of itself, unchecked: checking imports every engine's module, which takes a while."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        document = {}
    family, title = (document.get(key) for key in ("family", "title"))
    return ExperimentView(clean(name), clean(str(family or _family(name))), clean(str(title or "")))


def _checked(name: str) -> ExperimentView:
    try:
        experiment = catalog.read(name)
    except UserError as error:
        return ExperimentView(clean(name), clean(_family(name)), error=clean(str(error)))
    return ExperimentView(clean(name), clean(experiment.family), clean(experiment.title), experiment.engine)


def _family(name: str) -> str:
    return name.rpartition("/")[0] or "experiments"
