"""Reading files that anybody may have left or damaged: only regular ones, never waiting, never without a bound."""

import os
import re
import stat
from pathlib import Path
from typing import Annotated, BinaryIO, TypeVar

import msgspec

from engines.errors import RunError

T = TypeVar("T")
SMALL_BYTES = 1 << 20  # of a config, a launch, a status

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A number of things, small enough for a float."""
Seconds = Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)]
"""Unix seconds until the year 9999, which is what a calendar takes."""

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}
_PLACE = re.compile(r"(.*) - at `\$\.?(.*)`", re.DOTALL)


class NotAFileError(OSError):
    """Something else stands in the place of a file."""


def open_regular(path: Path) -> BinaryIO:
    """A file opened for reading; errors as in `regular_fd`."""
    return os.fdopen(regular_fd(path), "rb")


def regular_fd(path: Path) -> int:
    """A descriptor of a file for reading. Raises `OSError` where it cannot be read.

    Of these `NotAFileError` where it is none: a pipe would block and a device has no end.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode):
            raise NotAFileError(0, f"is {_KINDS.get(stat.S_IFMT(mode), 'something else')}, not a file", str(path))
    except BaseException:
        os.close(fd)
        raise
    return fd


def read_small(path: Path) -> bytes:
    """The content of a file of at most `SMALL_BYTES`; raises `OSError` where it is larger, or no file."""
    with open_regular(path) as file:
        data = file.read(SMALL_BYTES + 1)
    if len(data) > SMALL_BYTES:
        raise OSError(0, f"has more than {SMALL_BYTES >> 20} MiB", str(path))
    return data


def read_json(path: Path, type: type[T]) -> T:
    """A small JSON file as a value of that type.

    Raises `OSError`, or `RunError` which names the file, the field and what is wrong with it.
    """
    data = read_small(path)
    try:
        return msgspec.json.decode(data, type=type)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: {wrong_with(error)}") from None


def wrong_with(error: Exception) -> str:
    """What a decoder objects to, the field first: "scores.accuracy: expected `float`, got `str`"."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    message = str(error)
    if isinstance(error, msgspec.ValidationError):
        match = _PLACE.fullmatch(message)
        place, message = (match[2], match[1]) if match else ("", message)
        message = message[:1].lower() + message[1:]
        return f"{place}: {message}" if place else message
    return f"not JSON: {message}" if isinstance(error, msgspec.DecodeError) else message
