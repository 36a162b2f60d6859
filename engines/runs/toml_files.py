"""TOML files, which anybody may have written, read at one door."""

import tomllib
from pathlib import Path
from typing import Any

from engines.runs.reading import read_small


def read_toml(path: Path) -> dict[str, Any]:
    """The document in a TOML file. Raises `OSError`, or `ValueError` with the reason why it is none.

    The parser itself raises other errors too: on a number of thousands of digits, on thousands of nested arrays.
    """
    try:
        return tomllib.loads(read_small(path).decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
