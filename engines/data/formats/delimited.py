"""Text with a separator between columns: CSV, TSV, and the like under any name."""

import csv
import io
from collections import Counter
from collections.abc import Sequence

from engines.data.table import Content, Table
from engines.errors import DataError
from engines.reporter import Notes

SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars"}
"""In the order in which they are preferred: texts hold commas, seldom tabs."""
BY_SUFFIX = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
LOOKED_AT = 200  # lines by which the separator is told
_FIELD_CHARACTERS_MAX = 2**31 - 1


def detects(head: bytes, content: Content) -> bool:
    return True


def read(content: Content) -> tuple[Table, int]:
    name, text = content.name, content.text()
    if "\0" in text[:4096]:
        raise DataError(f"{name} is no text, and of no known format; use CSV, TSV, JSON lines or Parquet")
    text, skipped, declared = _without_declaration(text)
    if declared:
        content.notes.note(f"{name}: columns are separated by {SEPARATORS.get(declared, repr(declared))}, as it says")
    separator = content.reading.separator or declared or _separator(text, content)
    rows, lines = _split(text, separator, name, content.notes)
    lines = [line + skipped for line in lines]
    if not rows:
        return Table(name, [], lambda at: []), 0
    rows = _squared(rows, lines, name, separator)
    if content.header(rows):
        place = f"{name} line {lines[0]}"
        columns, rows, lines = [cell.strip() for cell in rows[0]], rows[1:], lines[1:]
    else:
        place = ""
        columns = [str(number) for number in range(1, len(rows[0]) + 1)]
    return Table(name, columns, lambda at: [row[at] for row in rows], lines, place), len(rows)


def _without_declaration(text: str) -> tuple[str, int, str]:
    """The text without Excel's line `sep=;`, how many lines that takes, and the separator that it names."""
    first, _, rest = text.partition("\n")
    first = first.strip().strip('"')
    if first.lower().startswith("sep=") and len(first) <= 5:
        return rest, 1, first[4:] or "\t"
    return text, 0, ""


def _separator(text: str, content: Content) -> str:
    """What separates the columns: what the suffix says if the first line holds it, else what most lines agree on."""
    lines = [line for line in text.split("\n", LOOKED_AT)[:LOOKED_AT] if line.strip()]
    usual = BY_SUFFIX.get(content.suffix, "")
    counts = {separator: [line.count(separator) for line in lines] for separator in SEPARATORS}
    present = [separator for separator, per_line in counts.items() if per_line and per_line[0]]
    agreeing = {separator: Counter(counts[separator]).most_common(1)[0] for separator in present}
    steady = [s for s, (count, times) in agreeing.items() if count and times > 0.9 * len(lines)]
    if usual in present and not ("\t" in steady and len(set(counts["\t"])) == 1):  # texts hold commas, seldom tabs
        return usual
    chosen = next(iter(steady), "") or max(present, key=lambda s: counts[s][0], default="")
    if chosen and chosen != usual:
        content.notes.note(
            f"{content.name}: columns are separated by {SEPARATORS[chosen]}; data.separator names another"
        )
    return chosen or usual or "\t"


def _squared(rows: list[list[str]], lines: Sequence[int], name: str, separator: str) -> list[list[str]]:
    """The rows, all as wide as the first; `DataError`, with the remedy of the case, where one is not."""
    width = len(rows[0])
    named = max((at for at, cell in enumerate(rows[0], 1) if cell.strip()), default=width)
    odd = [at for at, row in enumerate(rows) if len(row) != width]
    if len(odd) > 1 and len(odd) == len(rows) - 1 and all(len(rows[at]) == width + 1 for at in odd):
        raise DataError(
            f"{name} line {lines[0]}: {width} columns are named, and every row has {width + 1}, as pandas writes a "
            "table with its index; write it with index=False, or name the further column in the first line"
        )
    squared = []
    for row, line in zip(rows, lines, strict=True):
        if named <= len(row) < width:  # only columns without a name are missing
            row = row + [""] * (width - len(row))
        if len(row) < width:
            lacking = rows[0][len(row)].strip()
            column = f'the column "{lacking}" is' if width - len(row) == 1 else f'columns from "{lacking}" on are'
            raise DataError(
                f"{name} line {line}: {len(row)} columns where the first line has {width}, {column} missing; "
                "fill the row up or delete it"
            )
        if len(row) > width:
            quoted = any('"' in cell for cell in row)
            raise DataError(
                f"{name} line {line}: {len(row)} columns where the first line has {width}; "
                + (
                    "a quote inside a text ends it early: double the quotes inside texts"
                    if quoted
                    else f"put a text that holds {SEPARATORS.get(separator, repr(separator))} in double quotes"
                )
            )
        squared.append(row)
    return squared


def _split(content: str, delimiter: str, name: str, notes: Notes) -> tuple[list[list[str]], list[int]]:
    """Rows of a CSV text and the line each begins on; blank lines are skipped.

    Tab-separated files are often written without any quoting: there, quotes are taken for plain characters
    when every line has the same number of tabs and reading them as quotes would join lines or fail.
    """
    limit = csv.field_size_limit(_FIELD_CHARACTERS_MAX)
    try:
        broken = ""
        records, lines, line = [], [], 1
        reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
        try:
            for record in reader:
                if record:
                    records.append(record)
                    lines.append(line)
                line = reader.line_num + 1
        except csv.Error:
            opened = _quote_opened(content, line, delimiter)
            broken = f"{name} line {opened}: the quote that opens here is never closed; double the quotes inside a text"
        if delimiter == "\t" and '"' in content:
            plain = [(number, row) for number, row in enumerate(content.split("\n"), 1) if row.strip()]
            if len({row.count("\t") for _, row in plain}) == 1 and (broken or len(plain) != len(records)):
                notes.note(f"{name}: quotes are read as plain characters")
                return [row.rstrip("\r").split("\t") for _, row in plain], [number for number, _ in plain]
        if broken:
            raise DataError(broken)
        return records, lines
    finally:
        csv.field_size_limit(limit)


def _quote_opened(content: str, line: int, delimiter: str) -> int:
    """The line of the quote at which the record that begins on `line` breaks."""
    rest = "".join(list(io.StringIO(content, newline=""))[line - 1 :])
    position = 0
    while position < len(rest):
        if rest[position] != '"':
            ends = [end for end in (rest.find(delimiter, position), rest.find("\n", position)) if end >= 0]
            position = min(ends, default=len(rest)) + 1
            continue
        opened, position = position, position + 1
        while (position := rest.find('"', position)) >= 0 and rest[position + 1 : position + 2] == '"':
            position += 2
        if position < 0 or rest[position + 1 : position + 2] not in (delimiter, "\n", "\r", ""):
            return line + rest.count("\n", 0, opened)
        position += 2
    return line
