"""Texts in a CSV that a spreadsheet opens: it takes a cell that begins like a formula for one, and runs it.

Such a cell gets an apostrophe before it, as does one that begins with an apostrophe and then like a formula, so that
taking one apostrophe off gives every text back.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from engines.data.table import Table

BOM = b"\xef\xbb\xbf"
"""Without it Excel takes UTF-8 for an encoding of its country."""
_LIKE_A_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED = re.compile(r"'+[=+\-@\t\r]")


def escaped(value: Any) -> Any:
    """The value of a cell, a text so that no spreadsheet takes it for a formula; all else as it is."""
    return f"'{value}" if isinstance(value, str) and _LIKE_A_FORMULA.match(value) else value


def unescaped(value: Any) -> Any:
    """What `escaped` was given."""
    return value[1:] if isinstance(value, str) and _ESCAPED.match(value) else value


def is_export(head: bytes, columns: Sequence[str]) -> bool:
    """Whether a CSV that begins with the bytes `head` is an export for spreadsheets: marked as UTF-8, hashes first."""
    return head.startswith(BOM) and columns[0] == "hash"


def as_exported(table: Table) -> Table:
    """A table read from an export for spreadsheets, its texts as they were before."""
    return replace(table, values=lambda at: [unescaped(value) for value in table.values(at)])
