"""Starting a detached worker, telling whether it lives, and the three rungs of stopping it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from engines.errors import AlreadyRunningError
from engines.runs import locks, order, queue
from engines.runs.event_files import read_last
from engines.runs.folder import Launch, RunFolder
from engines.runs.reading import NotAFileError
from engines.runs.writing import PRIVATE, UMASK

MARK = "LABTUI_WORKER"  # in the environment of a worker and all its descendants: the folder it works in
LOCK_FD = "LABTUI_LOCK_FD"  # the inherited descriptor of alive.lock
_ROOT = Path(__file__).parent.parent.parent  # the working directory in which `-m` finds these very packages


def boot_id() -> str:
    """An id that changes at every boot, so that a pid of an earlier boot is never signalled."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def start_ticks(pid: int) -> int:
    """Start time of a process in clock ticks since boot; 0 when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0
    return int(stat.rpartition(b")")[2].split()[19])


def launch(folder: RunFolder, devices: list[str]) -> None:
    """Start the run's worker, detached; it waits its turn on one of `devices` by itself.

    The worker inherits the held `alive.lock`, so that the run counts as alive from this moment without a gap.
    Raises `AlreadyRunningError` when a worker lives, `HomeError` where this user should not write.
    """
    folder.home.check_writable()
    fd = locks.try_lock(folder.lock)
    if fd is None:
        raise AlreadyRunningError(f"{folder.name} is running already; `labtui stop {folder.name}` ends it")
    try:
        folder.clear_request("stop")
        argv = [sys.executable, "-m", "engines.worker", str(folder.path)]
        launch = _new_launch(folder, argv, devices)
        folder.write_launch(launch)
        queue.join(folder, launch)
        spawn(argv, folder.path, folder.log, fd)
    finally:
        os.close(fd)


def _new_launch(folder: RunFolder, argv: list[str], devices: list[str]) -> Launch:
    last = read_last(folder.events)
    return Launch(
        argv,
        socket.gethostname(),
        boot_id(),
        time.time(),
        devices,
        number=order.append(folder.home, folder.name),
        last_seq=last[-1].seq if last else -1,
    )


def spawn(argv: list[str], folder: Path, log: Path, lock_fd: int) -> None:
    """Start a detached process that holds `lock_fd` and writes to `log`; it outlives its parent and terminal.

    What it makes is for its user alone, but for what it makes under `users_umask`.
    """
    environment = {**os.environ, MARK: str(folder), LOCK_FD: str(lock_fd), "PYTHONUNBUFFERED": "1"}
    environment[UMASK] = f"{_umask():o}"
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads slow a shared machine down tenfold
    with open(log, "ab", opener=lambda name, flags: os.open(name, flags, PRIVATE)) as output:
        process = subprocess.Popen(
            argv,
            cwd=_ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=[lock_fd],
            umask=0o077,
        )
    threading.Thread(target=process.wait, name="reaper", daemon=True).start()


def _umask() -> int:
    """Of this process, without setting it, which would touch what other threads make meanwhile."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o077


def reexec(argv: list[str], alive_fd: int, kept_fds: Sequence[int] = ()) -> NoReturn:
    """Replace this program by a fresh one of the same pid that holds the same locks; all else is closed and freed.

    SIGTERM stays blocked until the new program unblocks it, so that none is lost in between. Raises `OSError` where
    the program cannot be started.
    """
    kept = {alive_fd, *kept_fds}
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > 2:
            with contextlib.suppress(OSError):  # the listing's own
                os.set_inheritable(fd, fd in kept)
    os.environ[LOCK_FD] = str(alive_fd)
    os.chdir(_ROOT)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
    try:
        os.execv(argv[0], argv)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def hold_alive(lock: Path) -> int:
    """Called first by a worker: the descriptor of its held lock, inherited from `launch` or taken now.

    Raises `AlreadyRunningError` when another worker holds it.
    """
    inherited = os.environ.pop(LOCK_FD, "")
    if inherited:
        with contextlib.suppress(OSError, ValueError):
            if os.path.samestat(os.fstat(int(inherited)), os.stat(lock)):
                return int(inherited)
    fd = locks.try_lock(lock)
    if fd is None:
        raise AlreadyRunningError(f"{lock.parent} has a living worker")
    return fd


def record_pid(folder: RunFolder) -> Launch:
    """Called by a worker: write its own pid into `launch.json` (making one when started by hand)."""
    launch = replace(
        folder.read_launch() or _new_launch(folder, sys.argv, ["cpu"]),
        pid=os.getpid(),
        pid_start_ticks=start_ticks(os.getpid()),
        host=socket.gethostname(),
        boot_id=boot_id(),
    )
    folder.write_launch(launch)
    return launch


def is_alive(folder: RunFolder) -> bool:
    """Whether the run has a living worker or a living child of one.

    Where the lock cannot be asked, as in a home of somebody else, whether the worker's process lives on this host.
    Raises `NotAFileError` where something else stands in the place of the lock.
    """
    try:
        return locks.is_locked(folder.lock)
    except NotAFileError:
        raise
    except OSError:
        return _worker_lives(folder.read_launch())


def _worker_lives(launch: Launch | None) -> bool:
    if launch is None or (launch.host, launch.boot_id) != (socket.gethostname(), boot_id()):
        return False
    return launch.pid_start_ticks != 0 and start_ticks(launch.pid) == launch.pid_start_ticks


def signal_tree(folder: RunFolder, number: int) -> int:
    """Send a signal to the worker and every descendant; the count of processes reached.

    Never reaches a reused pid: pid, start ticks and boot id are compared before and after the process is
    pinned by a pidfd. Descendants with sessions of their own are found by the mark in their environment.
    """
    reached = 0
    launch = folder.read_launch()
    known: dict[int, int] = {}
    if launch and launch.pid and launch.boot_id == boot_id() and launch.host == socket.gethostname():
        known[launch.pid] = launch.pid_start_ticks
    for pid in _marked(str(folder.path)):
        known.setdefault(pid, start_ticks(pid))
    for pid, ticks in known.items():
        if not ticks or start_ticks(pid) != ticks or pid == os.getpid():
            continue
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            continue
        try:
            if start_ticks(pid) == ticks:
                signal.pidfd_send_signal(pidfd, number)
                reached += 1
        except OSError:
            pass  # it ended by itself in between
        finally:
            os.close(pidfd)
    return reached


def _marked(folder: str) -> Iterator[int]:
    mark = os.fsencode(f"{MARK}={folder}")
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                environment = Path(f"/proc/{entry}/environ").read_bytes()
            except OSError:
                continue
            if mark in environment.split(b"\0"):
                yield int(entry)


def stop(folder: RunFolder, rung: str = "ask") -> str:
    """One rung of the ladder, as a sentence of what was done.

    "ask": save a checkpoint and stop at the next step; "terminate": SIGTERM to the whole process tree;
    "kill": SIGKILL.
    """
    if not is_alive(folder):
        return f"{folder.name} is not running"
    if rung == "ask":
        folder.request("stop")
        return f"asked {folder.name} to save a checkpoint and stop"
    number = {"terminate": signal.SIGTERM, "kill": signal.SIGKILL}[rung]
    count = signal_tree(folder, number)
    return f"sent {number.name} to {count} process{'es' if count != 1 else ''} of {folder.name}"
