"""Open-file-description locks: held by a worker while it lives, and by whoever has a device.

Unlike a pid, such a lock dies with its last holder, on `kill -9` too; unlike `flock`, it can be probed without
being taken, and forked children (data loaders, which hold device memory) keep it.
"""

import contextlib
import fcntl
import os
import struct
from pathlib import Path

from engines.runs.reading import regular_fd

_LAYOUT = "hhqqi4x"  # struct flock on Linux, 64 bit
_WHOLE_FILE = struct.pack(_LAYOUT, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


def try_lock(path: Path) -> int | None:
    """Take the lock and return its descriptor (inheritable only if passed on), or None when it is held."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _WHOLE_FILE)
    except (BlockingIOError, PermissionError):
        os.close(fd)
        return None
    except BaseException:
        os.close(fd)
        raise
    return fd


def wait_for(fd: int) -> None:
    """Take the lock of an open file as soon as nobody else holds it; closing the descriptor gives it back.

    Where the file system knows no locks it is not taken.
    """
    with contextlib.suppress(OSError):
        fcntl.fcntl(fd, fcntl.F_OFD_SETLKW, _WHOLE_FILE)


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock. Takes nothing, and needs no right to write; a missing file is not locked.

    Raises `OSError` where the file cannot be read or the file system tells of no locks.
    """
    try:
        fd = regular_fd(path)
    except FileNotFoundError:
        return False
    try:
        answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _WHOLE_FILE)
    finally:
        os.close(fd)
    kind = struct.unpack(_LAYOUT, answer)[0]
    return bool(kind != fcntl.F_UNLCK)
