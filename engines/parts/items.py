"""Labelled items: what their classes are called, what they are known by, and their record in a run."""

import hashlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from engines.parts.files import Source
from engines.runs.folder import RunFolder, write_atomic

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
