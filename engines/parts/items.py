"""Labelled items: what their classes are called, what they are known by, and their record in a run."""

import hashlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engines.parts.files import DataError, Source
from engines.runs.folder import RunFolder, write_atomic

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLASSES_MAX = 100
_POLARITY = {"neg": "negative", "negative": "negative", "pos": "positive", "positive": "positive"}
_WHOLE = re.compile(r"[+-]?\d+(\.0+)?")


@dataclass(frozen=True)
class Example:
    """One labelled review."""

    text: str  # cleaned, not truncated
    label: int  # index into Splits.labels
    row: int  # 0-based, in the whole source as read
    hash: str  # sha256 of `text`; the n-th copy in the source ends in "#n"


@dataclass
class ItemTexts:
    """Where the lines of an `items.jsonl` stand; the texts stay on the disk."""

    hashes: "NDArray[Any]"  # (items,) bytes
    starts: list[int]  # offset of each line
    words: "NDArray[Any]"  # (items,)
    numbers: "NDArray[Any]"  # (items,), -1 where it is not known


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


def examples_of(source: Source, classes: Sequence[int | None], rows: Iterable[int]) -> list[Example]:
    """The given rows of a source with the hashes of their texts; `classes` has the class of every row."""
    seen: Counter[str] = Counter()
    examples = []
    for row in rows:
        text, label = source.texts[row], classes[row]
        assert label is not None
        hashed = hashlib.sha256(text.encode()).hexdigest()
        seen[hashed] += 1
        examples.append(Example(text, label, row, f"{hashed}#{seen[hashed]}" if seen[hashed] > 1 else hashed))
    return examples


def write_items(folder: RunFolder, examples: Sequence[Example], labels: Sequence[str]) -> None:
    """Record the test items of a run as `items.jsonl`: one line `hash`, `row`, `text`, `label` (its name) an item.

    Runs on the same items share one file in the home's `items/`, named by the sha256 of its content.
    """
    lines = (
        json.dumps({"hash": e.hash, "row": e.row, "text": e.text, "label": labels[e.label]}, ensure_ascii=False)
        for e in examples
    )
    content = "".join(f"{line}\n" for line in lines).encode()
    shared = folder.home.items / f"{hashlib.sha256(content).hexdigest()}.jsonl"
    if not shared.exists():
        write_atomic(shared, content)
    folder.items.unlink(missing_ok=True)
    try:
        os.link(shared, folder.items)
    except OSError:
        shutil.copyfile(shared, folder.items)


def index_items(file: Any) -> ItemTexts:
    """Go once through the lines of an `items.jsonl`."""
    import numpy as np

    hashes, starts, words, numbers, offset = [], [], [], [], 0
    for line in file:
        with suppress(ValueError, KeyError, TypeError, AttributeError):  # a torn line
            item = json.loads(line)
            count, number = len(item["text"].split()), item.get("row")
            hashes.append(item["hash"].encode())
            starts.append(offset)
            words.append(count)
            numbers.append(-1 if number is None else number)
        offset += len(line)
    return ItemTexts(np.array(hashes, np.bytes_), starts, np.array(words, np.int32), np.array(numbers, np.int64))


def read_items(folder: RunFolder, starts: Sequence[int | None]) -> list[dict[str, Any]]:
    """The lines of `items.jsonl` that start there; empty for None."""
    found: list[dict[str, Any]] = [{} for _ in starts]
    if any(start is not None for start in starts):
        with open(folder.items, "rb") as file:
            for place, start in enumerate(starts):
                if start is not None:
                    file.seek(start)
                    found[place] = json.loads(file.readline())
    return found
