"""What model cards share, whoever writes them: Markdown tables in which nothing foreign is markup."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engines.runs.writing import sha256
from engines.settings import flatten

_MARKUP = "\\`*_{}[]<>#|~"


def cell(text: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    return "".join(f"\\{c}" if c in _MARKUP else c for c in " ".join(text.splitlines()))


def code(text: str) -> str:
    """Text to stand between backticks."""
    return " ".join(text.splitlines()).replace("`", "'")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: Collection[str] = ()) -> list[str]:
    """The lines of a table of texts; columns named in `numbers` are set to the right."""
    rule = "|" + "|".join("---:" if name in numbers else "---" for name in header) + "|"
    return [_line(header), rule, *(_line([cell(text) for text in row]) for row in rows)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def files(named: Mapping[str, Path]) -> list[str]:
    """A table of the hashes of files, those left out that cannot be read."""
    return table(
        ("file", "sha256"), [(name, sha256_hex) for name, path in named.items() if (sha256_hex := digest(path))]
    )


def settings(values: Mapping[str, Any]) -> list[str]:
    """A table of settings by their dotted names."""
    return table(("setting", "value"), [(name, str(value)) for name, value in flatten(values)])


def digest(path: Path) -> str:
    """The SHA-256 of a file in hex; empty where it cannot be read."""
    try:
        return sha256(path)
    except OSError:
        return ""
