"""The order in which runs were made and launched, by a list that grows: no clock, which can be set back, is asked."""

import os

from engines.runs import locks
from engines.runs.home import Home
from engines.runs.reading import open_regular
from engines.runs.writing import PRIVATE

MOST_BYTES = 1 << 24


def append(home: Home, name: str) -> int:
    """Put a run at the end of the list; a number that is larger than all before. A run may stand there several times.

    Raises `OSError` where the home takes no file.
    """
    fd = os.open(home.launches, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, PRIVATE)
    try:
        locks.wait_for(fd)
        end = os.lseek(fd, 0, os.SEEK_END)
        torn = end > 0 and os.pread(fd, 1, end - 1) != b"\n"
        os.write(fd, b"\n" * torn + os.fsencode(name) + b"\n")
        return end + 1
    finally:
        os.close(fd)


def places(home: Home) -> dict[str, int]:
    """Where each run stands in the list, at its first time; one that is not in it is older than all that are."""
    try:
        with open_regular(home.launches) as file:
            lines = file.read(MOST_BYTES).split(b"\n")
    except OSError:
        return {}
    found: dict[str, int] = {}
    for place, line in enumerate(lines):
        found.setdefault(os.fsdecode(line), place)
    return found
