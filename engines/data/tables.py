"""Tables in files: CSV, TSV, JSON lines and Parquet, also compressed, read into columns whose rows know their place.

What a column means is no matter of this module. A format is a function and its line in `FORMATS`.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from engines.errors import DataError
from engines.reporter import Notes
from engines.settings import nearest

_FIELD_CHARACTERS_MAX = 2**31 - 1


@dataclass(frozen=True)
class Table:
    """The rows of one file, at least one."""

    name: str  # of the file
    columns: list[str]  # as the file names them, spaces around taken off; without a header "1", "2", ...
    values: Callable[[int], list[Any]]  # of the column at a position, from 0, a value a row; may raise `DataError`
    lines: Sequence[int] = ()  # 1-based line on which each row begins; empty: the file has none (Parquet)
    header_place: str = ""  # file and line of the header, for a sentence; empty without one
    objects: Sequence[dict[str, Any]] = ()  # the rows of JSON lines as they stand, all their keys included


Header = Callable[[list[list[str]]], bool]
"""Whether the first of these rows names the columns."""


@dataclass(frozen=True)
class Content:
    """What a reader of one format gets: a file as it stands on the disk, decompressed."""

    name: str  # of the file
    data: bytes  # at least one
    notes: Notes
    header: Header

    def text(self) -> str:
        """UTF-8 text without a byte order mark; `DataError` with line and byte where it is none."""
        return _decode(self.data, self.name)


def read_table(
    path: Path,
    notes: Notes,
    *,
    setting: str = "data.source",
    header: Header = lambda rows: True,
) -> Table:
    """Read a file whole; a column of Parquet only when its values are asked for.

    `setting` is what the user has to mend where the file cannot be used. `header` tells of the rows of a CSV or TSV
    file whether the first of them names the columns. Raises `DataError` naming file, line and remedy.
    """
    data, suffix = _read_bytes(path, setting)
    table, count = FORMATS[suffix](Content(path.name, data, notes, header))
    if not count:
        what = "a header and no rows" if table.columns and suffix in (".csv", ".tsv") else "no rows"
        raise DataError(f"{path.name} holds {what}; check {setting}")
    return table


def _read_bytes(path: Path, setting: str) -> tuple[bytes, str]:
    """What a file holds, decompressed, and its suffix, one of `FORMATS`."""
    if not path.exists():
        raise DataError(_missing(path, setting))
    zipped = path.suffix.lower() == ".gz"
    suffix = Path(path.stem if zipped else path.name).suffix.lower()
    if path.is_dir():
        raise DataError(f"{path} is a folder; set {setting} to one file in it")
    if suffix not in FORMATS:
        raise DataError(
            f'{path}: files ending in "{suffix or path.name}" cannot be read; '
            f"use one of {', '.join(FORMATS)}, or these with .gz"
        )
    try:
        content = path.read_bytes()
        if zipped:
            content = gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: damaged gzip file ({error}); copy or compress it again") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); check its permissions") from None
    if not content:
        raise DataError(f"{path} is empty; check {setting}")
    return content, suffix


def _missing(path: Path, setting: str) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"{path}: no such file, the folder {folder} does not exist; check {setting}"
    return f"{path}: no such file{nearest(path.name, [p.name for p in folder.iterdir()])}; check {setting}"


def _decode(content: bytes, name: str) -> str:
    """UTF-8 text without a byte order mark; `DataError` with line and byte where it is none."""
    try:
        return content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
        line = 1 + content.count(b"\n", 0, error.start)
        raise DataError(
            f"{name} line {line}: byte {error.start} (0x{content[error.start]:02x}) is not UTF-8; convert the file, "
            f"for example with: iconv -f {'UTF-16' if wide else 'WINDOWS-1252'} -t UTF-8 {name}"
        ) from None


def _parquet(content: Content) -> tuple[Table, int]:
    import pyarrow
    from pyarrow import parquet

    name = content.name

    def unreadable(error: Exception) -> DataError:
        return DataError(f"{name} is no readable Parquet file ({str(error).splitlines()[0]}); write it again")

    def values(position: int) -> list[Any]:
        try:
            column: list[Any] = file.read(columns=[columns[position]]).column(0).to_pylist()
        except pyarrow.ArrowException as error:
            raise unreadable(error) from None
        return column

    try:
        file = parquet.ParquetFile(io.BytesIO(content.data))
    except pyarrow.ArrowException as error:
        raise unreadable(error) from None
    columns = list(file.schema_arrow.names)
    return Table(name, columns, values, header_place=name), file.metadata.num_rows


def _json_lines(content: Content) -> tuple[Table, int]:
    name = content.name
    rows, lines = _objects(content.text(), name)
    columns = list(rows[0]) if rows else []

    def values(position: int) -> list[Any]:
        key = columns[position]
        for line, row in zip(lines, rows, strict=True):
            if key not in row:
                raise DataError(
                    f'{name} line {line}: the key "{key}" is missing{nearest(key, row)}; add it or delete the line'
                )
        return [row[key] for row in rows]

    return Table(name, columns, values, lines, name, rows), len(rows)


def _separated(content: Content, separator: str) -> tuple[Table, int]:
    name = content.name
    rows, lines = _records(content.text(), separator, name, content.notes)
    if rows and content.header(rows):
        place = f"{name} line {lines[0]}"
        columns, rows, lines = [cell.strip() for cell in rows[0]], rows[1:], lines[1:]
    else:
        place = ""
        columns = [str(number) for number in range(1, len(rows[0]) + 1)] if rows else []
    return Table(name, columns, lambda at: [row[at] for row in rows], lines, place), len(rows)


def _objects(content: str, name: str) -> tuple[list[dict[str, Any]], list[int]]:
    """The objects of a JSON lines text and the line of each; `DataError` at a line that is none."""
    rows: list[dict[str, Any]] = []
    lines = []
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{name} line {number}: not JSON ({error}); write one object a line") from None
        if not isinstance(row, dict):
            raise DataError(f'{name} line {number}: not an object; write lines like {{"text": ..., "label": ...}}')
        rows.append(row)
        lines.append(number)
    return rows, lines


def _records(content: str, delimiter: str, name: str, notes: Notes) -> tuple[list[list[str]], list[int]]:
    """The rows of a CSV text, all of one width, and the line on which each begins; a header is the first of them.

    A `delimiter` that the first line lacks gives way to what that line is separated by.
    """
    first_line = content.partition("\n")[0]
    if delimiter not in first_line:
        delimiter = max(",;\t", key=first_line.count)
        if delimiter in first_line:
            notes.note(f"{name}: columns are separated by {'tabs' if delimiter == chr(9) else repr(delimiter)}")
    rows, lines = _split(content, delimiter, name, notes)
    width = len(rows[0]) if rows else 0
    for row, line in zip(rows, lines, strict=True):
        if len(row) != width:
            raise DataError(
                f"{name} line {line}: {len(row)} columns where the first line has {width}; "
                "put a text that holds the separator in double quotes"
            )
    return rows, lines


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


FORMATS: dict[str, Callable[[Content], tuple[Table, int]]] = {
    ".csv": partial(_separated, separator=","),
    ".tsv": partial(_separated, separator="\t"),
    ".jsonl": _json_lines,
    ".parquet": _parquet,
}
"""What is read, by suffix: a table and how many rows it has. `.gz` behind a suffix is taken off before."""
