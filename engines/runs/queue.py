"""Waiting for a device without a scheduler: tickets give the order, file locks the device.

A launched run leaves a ticket, an empty file; tickets sort by the number of the launch (`engines.runs.order`), and
`launch.json` says which devices the run accepts. A run whose ticket has no living earlier rival for a free device takes
that device's lock, removes its ticket and starts. Locks die with their process; the ticket of a dead run is removed by
whoever meets it.
"""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engines.errors import RunError
from engines.runs import locks
from engines.runs.folder import Launch, RunFolder
from engines.runs.home import Home

POLL_S = 0.2
_LEASE = "LABTUI_DEVICE_LEASE"  # the lock's descriptor and the device, kept for a worker that replaces itself


@dataclass(frozen=True)
class DeviceLease:
    """A device that belongs to this process for as long as the descriptor stays open."""

    device: str
    lock_fd: int


def _ticket(folder: RunFolder, launch: Launch) -> Path:
    # tickets of earlier versions begin with microseconds, and go first
    place = f"1{launch.number:016d}" if launch.number else f"{int(launch.launched * 1e6):017d}"
    return folder.home.queue / f"{place}-{folder.name}"


def device_lock(home: Home, device: str) -> Path:
    return home.queue / f"{re.sub(r'[^A-Za-z0-9-]', '_', device)}.lock"


def join(folder: RunFolder, launch: Launch) -> None:
    """Leave the ticket. `alive.lock` must be held and `launch.json` written: the ticket of a dead run is removed."""
    mine = _ticket(folder, launch)
    for ticket in mine.parent.iterdir():
        if ticket.name.partition("-")[2] == folder.name:  # of a worker killed while it waited: we would wait for it
            ticket.unlink(missing_ok=True)
    mine.touch(mode=0o600)


def leave(folder: RunFolder, launch: Launch) -> None:
    """Take the ticket away, for as long as the run could not use a device; its place stays that of its launch."""
    _ticket(folder, launch).unlink(missing_ok=True)


def rivals(folder: RunFolder, launch: Launch) -> list[set[str]]:
    """The devices accepted by each living run that was launched earlier and still waits, in order."""
    mine = _ticket(folder, launch)
    earlier = []
    for ticket in sorted(p for p in mine.parent.iterdir() if p.name < mine.name and p.suffix != ".lock"):
        run = RunFolder(folder.home.runs / ticket.name.partition("-")[2])
        if not locks.is_locked(run.lock):
            ticket.unlink(missing_ok=True)
            continue
        if rival := run.read_launch():
            earlier.append(set(rival.devices))
    return earlier


def runs_ahead(home: Home, devices: list[str]) -> int:
    """How many runs go first if a run that accepts `devices` were launched now; 0: it starts at once."""
    wanted = set(devices)
    now = Launch([], "", "", time.time(), devices, number=10**15)  # leaves no ticket, only asks who is before it
    earlier = [r for r in rivals(RunFolder(home.runs / "launch"), now) if r & wanted]
    free = [d for d in devices if not locks.is_locked(device_lock(home, d)) and not any(d in r for r in earlier)]
    return 0 if free else len(earlier) + 1


def keep_lease(lease: DeviceLease) -> None:
    """Tell the program that replaces this process which device it has, if the descriptor stays open."""
    os.environ[_LEASE] = f"{lease.lock_fd} {lease.device}"


def kept_lease(home: Home) -> DeviceLease | None:
    """The lease that this process had before its program was replaced; None in a new process."""
    fd, _, device = os.environ.pop(_LEASE, "").partition(" ")
    if not device:
        return None
    if not os.path.samestat(os.fstat(int(fd)), os.stat(device_lock(home, device))):
        raise RunError(f"descriptor {fd} does not hold the lock of {device}; resume the run to queue it again")
    os.set_inheritable(int(fd), False)
    return DeviceLease(device, int(fd))


def wait_for_device(folder: RunFolder, launch: Launch, waiting: Callable[[int], None]) -> DeviceLease:
    """Block until one of the launch's devices belongs to this process.

    `waiting(ahead)` is called at every poll with the number of runs that go first; it may raise to give up.
    """
    mine = _ticket(folder, launch)
    if not mine.exists():
        join(folder, launch)
    try:
        while True:
            earlier = [r for r in rivals(folder, launch) if r & set(launch.devices)]
            for device in launch.devices:
                if any(device in r for r in earlier):
                    continue
                fd = locks.try_lock(device_lock(folder.home, device))
                if fd is not None:
                    return DeviceLease(device, fd)
            waiting(len(earlier) + 1)
            time.sleep(POLL_S)
    finally:
        mine.unlink(missing_ok=True)
