"""The formats of data files, one per module: `detects(head, content)` and `read(content)`; the file name is its name.

`detects` is given the first bytes, decompressed, and says whether the content is of this format; `read` returns the
table and how many rows it has. A module is found by being here. `delimited` takes what no other does.
"""

import importlib
import pkgutil
from functools import cache
from typing import Protocol, cast

from engines.data.table import HEAD_BYTES, Content, Table

LAST = "delimited"


class Format(Protocol):
    """What a module of this package offers."""

    def detects(self, head: bytes, content: Content) -> bool: ...

    def read(self, content: Content) -> tuple[Table, int]: ...


@cache
def names() -> tuple[str, ...]:
    """All formats, in the order in which they are tried."""
    return (*sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != LAST), LAST)


def of(content: Content) -> Format:
    """The format of a file by its content."""
    return _module(name_of(content))


def name_of(content: Content) -> str:
    """The name of its module."""
    head = content.data[:HEAD_BYTES]
    return next(name for name in names() if _module(name).detects(head, content))


def _module(name: str) -> Format:
    return cast(Format, importlib.import_module(f"{__name__}.{name}"))
