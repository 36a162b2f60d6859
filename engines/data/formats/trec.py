"""Lines that begin with their label, `COARSE:fine the text`, as the TREC questions ship."""

import re

from engines.data.table import Content, Table
from engines.errors import DataError

_LINE = re.compile(r"([A-Z]{2,}):(\w+)[ \t]+(\S.*)")
_HEAD = re.compile(rb"[A-Z]{2,}:\w+[ \t]+\S")
LOOKED_AT = 50  # lines by which the format is told


def detects(head: bytes, content: Content) -> bool:
    lines = [line for line in head.split(b"\n")[: LOOKED_AT + 1] if line.strip()][:LOOKED_AT]
    return len(lines) > 1 and sum(bool(_HEAD.match(line)) for line in lines) > 0.9 * len(lines)


def read(content: Content) -> tuple[Table, int]:
    rows, lines = [], []
    for number, line in enumerate(content.text().split("\n"), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise DataError(f"{content.name} line {number}: not `LABEL:sublabel text`; write every line so")
        rows.append((f"{match[1]}:{match[2]}", match[1], match[2], match[3]))
        lines.append(number)
    content.notes.note(
        f'{content.name}: labels in two steps; data.label = "coarse" takes the first, "fine" the second, "label" both'
    )
    columns = ["label", "coarse", "fine", "text"]
    table = Table(
        content.name, columns, lambda at: [row[at] for row in rows], lines, content.name, text_at=3, label_at=0
    )
    return table, len(lines)
