"""Labelled items: what their classes are called, what they are known by, and their record in a run."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from engines.data.files import Source
from engines.runs.folder import RunFolder
from engines.runs.reading import open_regular
from engines.runs.writing import write_atomic

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Example:
    """One labelled review."""

    text: str  # cleaned, not truncated
    label: int  # index into Splits.labels
    row: int  # 0-based, in the whole source as read
    hash: str  # sha256 of `text`; the n-th copy in the source ends in "#n"


def base_hash(example: Example) -> str:
    """The hash of an item's text, whichever copy it is."""
    return example.hash.partition("#")[0]


class StoredItem(msgspec.Struct, frozen=True, gc=False):
    """A line of `items.jsonl`."""

    hash: str
    label: str = ""  # its name
    row: int | None = None  # as in `Example`; None where it is not known
    text: str = ""  # empty where it is not known


_decode = msgspec.json.Decoder(StoredItem).decode


def decode_item(line: bytes) -> StoredItem:
    """The item of one line of `items.jsonl`; raises `ValueError` where it is none."""
    try:
        return _decode(line)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None


@dataclass
class ItemTexts:
    """Where the lines of an `items.jsonl` stand; the texts stay on the disk."""

    hashes: "NDArray[Any]"  # (items,) bytes
    starts: list[int]  # offset of each line
    words: "NDArray[Any]"  # (items,)
    numbers: "NDArray[Any]"  # (items,), -1 where it is not known


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
    """Record the test items of a run as `items.jsonl`: one line `hash`, `row`, `text`, `label` (its name) per item.

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
        write_atomic(folder.items, content)


def index_items(file: Any) -> ItemTexts:
    """Go once through the lines of an `items.jsonl`."""
    import numpy as np

    hashes, starts, words, numbers, offset = [], [], [], [], 0
    for line in file:
        with suppress(ValueError):  # a torn line
            item = decode_item(line)
            hashes.append(item.hash.encode())
            starts.append(offset)
            words.append(len(item.text.split()))
            numbers.append(-1 if item.row is None else item.row)
        offset += len(line)
    return ItemTexts(np.array(hashes, np.bytes_), starts, np.array(words, np.int32), np.array(numbers, np.int64))


def read_items(folder: RunFolder, starts: Sequence[int | None]) -> list[StoredItem | None]:
    """The lines of `items.jsonl` that start there; None for None."""
    items: list[StoredItem | None] = [None for _ in starts]
    if any(start is not None for start in starts):
        with open_regular(folder.items) as file:
            for place, start in enumerate(starts):
                if start is not None:
                    file.seek(start)
                    items[place] = decode_item(file.readline())
    return items
