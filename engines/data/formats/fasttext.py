"""fastText's training files: `__label__CLASS the text`, a line each."""

import re

from engines.data.table import Content, Table
from engines.errors import DataError

MARK = "__label__"
_LINE = re.compile(rf"{MARK}(\S+)\s+(.*\S)\s*")


def detects(head: bytes, content: Content) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(MARK.encode())


def read(content: Content) -> tuple[Table, int]:
    labels, texts, lines = [], [], []
    for number, line in enumerate(content.text().split("\n"), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise DataError(f"{content.name} line {number}: not `{MARK}CLASS text`; write every line so")
        if match[2].startswith(MARK):
            raise DataError(
                f"{content.name} line {number}: several labels on one text; one class per text is what is "
                "trained here, keep one label per line"
            )
        labels.append(match[1])
        texts.append(match[2])
        lines.append(number)
    columns: list[list[str]] = [labels, texts]
    table = Table(content.name, ["label", "text"], columns.__getitem__, lines, content.name, text_at=1, label_at=0)
    return table, len(lines)
