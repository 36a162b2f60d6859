"""What classes are called: words and numbers of a source as labels."""

import re
from collections.abc import Sequence
from typing import Any

from engines.data.files import Source
from engines.errors import DataError

CLASSES_MAX = 100


_POLARITY = {"neg": "negative", "negative": "negative", "pos": "positive", "positive": "positive"}


_WHOLE = re.compile(r"[+-]?\d+(\.0+)?")


def unified_name(value: Any) -> str:
    """What a class is called that a source writes as `value`: neg, Negative, ... are negative; others as written."""
    word = str(value).strip()
    return _POLARITY.get(word.lower(), word)


def whole_number(value: Any) -> int | None:
    """The whole number that a label is, `1`, `1.0` or `"1"`; None where it is none."""
    if isinstance(value, str):
        return int(value.partition(".")[0]) if _WHOLE.fullmatch(value.strip()) else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return int(value) if isinstance(value, int) else None


def first_rows(source: Source, option: str, choices: Sequence[str] = ()) -> dict[Any, int]:
    """The labels of a source, each with the row in which it first stands; `choices` are labels too, at -1 where no
    row has them. `option` is what names the column of the labels, for the remedy.

    Raises `DataError` where a label is empty (official splits of a hub may come without), or no word and no number,
    and where there are too many of them.
    """
    column, first = source.label_column, dict[Any, int]()
    for row, value in enumerate(source.labels):
        if value is None and source.parts:
            continue
        if value is None or value != value or isinstance(value, str) and not value.strip():  # NaN, None, ""
            raise DataError(
                f'{source.place(row)}: the label in column "{column}" is empty; fill it in or delete the row'
            )
        if isinstance(value, list | dict):
            raise DataError(
                f'{source.place(row)}: column "{column}" holds {value!r}, not a label; '
                f"set {option} to a column of words or whole numbers"
            )
        first.setdefault(value, row)
        if len(first) > 10 * CLASSES_MAX:
            break
    for choice in choices:
        first.setdefault(choice, -1)
    if len(first) > CLASSES_MAX:
        shown = ", ".join(repr(str(value)[:30]) for value in list(first)[:3])
        raise DataError(
            f'{source.name}: column "{column}" holds more than {CLASSES_MAX} different labels '
            f"({shown}, ...); set {option} to the column of the classes"
        )
    return first
