"""Where models lie that are named by a prefix, such as `tiny:distilbert`: on this machine, found without the hub.

Imports nothing heavy: the console asks for a model's sizes too.
"""

from collections.abc import Callable
from pathlib import Path

from engines.models import tiny

SOURCES: dict[str, Callable[[str], Path]] = {
    tiny.PREFIX: tiny.resolve,
}
"""From a prefix to what gives the folder of a whole name, or raises `ModelError`."""


def folder(name: str) -> Path | None:
    """The folder of a model whose name begins with the prefix of a source, None of another. Raises `ModelError`."""
    return next((source(name) for prefix, source in SOURCES.items() if name.startswith(prefix)), None)
