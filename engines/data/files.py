"""Reviews in files: CSV, TSV, JSON lines and Parquet, also compressed, checked line by line."""

import csv
import gzip
import html
import io
import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.errors import DataError
from engines.reporter import Notes
from engines.settings import nearest

TEXT_NAMES = ("text", "review", "sentence")
LABEL_NAMES = ("label", "sentiment")
SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
_FIELD_CHARACTERS_MAX = 2**31 - 1
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_BREAK = re.compile(r"<\s*/?\s*br\s*/?\s*>", re.IGNORECASE)


@dataclass
class Source:
    """All rows of a source in its own order. `labels` are as found and None where a hub gives no label."""

    name: str
    texts: list[str]  # cleaned
    labels: list[Any]  # int, float or str; empty when no labels were asked for
    text_column: str = ""
    label_column: str = ""
    lines: Sequence[int] = ()  # 1-based line of each row, as an editor counts them; empty: only row numbers exist
    parts: list[str] = field(default_factory=list)  # official split of each row; empty: the source has none
    class_names: tuple[str, ...] = ()  # names that the source itself gives to integer labels

    def place(self, row: int) -> str:
        """File and line of a row, for a sentence."""
        return f"{self.name} {self.number(row)}"

    def number(self, row: int) -> str:
        return f"line {self.lines[row]}" if self.lines else f"row {row + 1}"


def clean(text: str) -> str:
    """The text as engines read it: entities decoded, `<br />` and runs of white space made one space."""
    if "&" in text:
        text = html.unescape(text)
    if "<" in text:
        text = _BREAK.sub(" ", text)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, from a JSON escape: no tokenizer takes it
        text = text.encode(errors="replace").decode()
    return " ".join(text.split())


def looks_like_file(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.lower().endswith((*SUFFIXES, ".gz"))


def absolute(name: str) -> str:
    """A file or folder named relative to this process's working directory, made absolute; other names as given.

    For whoever freezes settings: a worker runs in another directory.
    """
    if not name or not (looks_like_file(name) or Path(name).exists()):
        return name
    return str(Path(name).expanduser().absolute())


def read(path: Path, text: str, label: str, report: Notes, *, labelled: bool = True) -> Source:
    """Read a file whole and clean its texts. `text` and `label` name columns, "" finds them by name and says so.

    With `labelled` false the label column is not needed and not read. Raises `DataError`.
    """
    content, suffix = read_bytes(path)
    name = path.name
    if suffix == ".parquet":
        found = _read_parquet(content, name, text, label, report, labelled)
    elif suffix == ".jsonl":
        found = _read_jsonl(decode(content, name), name, text, label, report, labelled)
    else:
        found = _read_csv(decode(content, name), suffix == ".tsv", name, text, label, report, labelled)
    if not found.texts:
        raise DataError(f"{name} holds no rows; check data.source")
    clean_all(found)
    return found


def read_bytes(path: Path, setting: str = "data.source") -> tuple[bytes, str]:
    """What a file holds, decompressed, and its suffix, one of `SUFFIXES`.

    Raises `DataError`; `setting` is what the user has to mend then.
    """
    if not path.exists():
        raise DataError(_missing(path, setting))
    zipped = path.suffix.lower() == ".gz"
    suffix = Path(path.stem if zipped else path.name).suffix.lower()
    if path.is_dir():
        raise DataError(f"{path} is a folder; set {setting} to one file in it")
    if suffix not in SUFFIXES:
        raise DataError(
            f'{path}: files ending in "{suffix or path.name}" cannot be read; '
            f"use one of {', '.join(SUFFIXES)}, or these with .gz"
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


def clean_all(source: Source) -> None:
    """Clean the texts of a source in place; `DataError` where one is empty or no text."""
    empty = []
    for row, text in enumerate(source.texts):
        if text is not None and not isinstance(text, str):
            raise DataError(
                f'{source.place(row)}: column "{source.text_column}" holds {text!r}, not text; '
                "set data.text to the column of the reviews"
            )
        source.texts[row] = clean(text or "")
        if not source.texts[row]:
            empty.append(row)
    if empty:
        shown = ", ".join(source.number(row) for row in empty[:5]) + (", ..." if len(empty) > 5 else "")
        texts = "1 text is" if len(empty) == 1 else f"{len(empty):,} texts are"
        raise DataError(
            f'{source.name}: {texts} empty in column "{source.text_column}" ({shown}); '
            "delete these rows or fill them in"
        )


def choose(
    name: str, columns: Sequence[str], text: str, label: str, report: Notes, labelled: bool
) -> tuple[int, int | None]:
    """Positions of the text and the label column among named columns; what was found by name is said."""
    chosen = [_column(name, columns, "data.text", text, TEXT_NAMES)]
    if labelled:
        chosen.append(_column(name, columns, "data.label", label, LABEL_NAMES))
        if chosen[0] == chosen[1]:
            raise DataError(
                f'{name}: data.text and data.label are both column "{columns[chosen[0]]}"; '
                "set them to different columns"
            )
    said = [
        f'{what} column "{columns[position]}"'
        for what, given, position in zip(("text", "label"), (text, label), chosen, strict=False)
        if not given
    ]
    if said:
        report.note(f"{name}: {' and '.join(said)} found by name")
    return chosen[0], chosen[1] if labelled else None


def _column(name: str, columns: Sequence[str], setting: str, given: str, usual: tuple[str, ...]) -> int:
    known = ", ".join(columns)
    if given:
        if given in columns:
            return columns.index(given)
        if given.isdecimal() and 1 <= int(given) <= len(columns):
            return int(given) - 1
        raise DataError(
            f'{name}: {setting} = "{given}": no such column{nearest(given, columns)}; the columns are {known}'
        )
    lower = [column.strip().lower() for column in columns]
    for word in usual:
        if word in lower:
            return lower.index(word)
    raise DataError(f"{name}: no column is called {' or '.join(usual)}; set {setting} to one of {known}")


def decode(content: bytes, name: str) -> str:
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


def _read_parquet(content: bytes, name: str, text: str, label: str, report: Notes, labelled: bool) -> Source:
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(io.BytesIO(content))
        columns = list(file.schema_arrow.names)
        at, label_at = choose(name, columns, text, label, report, labelled)
        wanted = [columns[at]] + ([columns[label_at]] if label_at is not None else [])
        table = file.read(columns=wanted)
    except pyarrow.ArrowException as error:
        raise DataError(f"{name} is no readable Parquet file ({str(error).splitlines()[0]}); write it again") from None
    labels = table.column(wanted[1]).to_pylist() if labelled else []
    return Source(name, table.column(wanted[0]).to_pylist(), labels, wanted[0], wanted[-1] if labelled else "")


def objects(content: str, name: str) -> tuple[list[dict[str, Any]], list[int]]:
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


def _read_jsonl(content: str, name: str, text: str, label: str, report: Notes, labelled: bool) -> Source:
    rows, lines = objects(content, name)
    if not rows:
        return Source(name, [], [])
    columns = list(rows[0])
    at, label_at = choose(name, columns, text, label, report, labelled)
    wanted = [columns[at]] + ([columns[label_at]] if label_at is not None else [])
    for number, row in zip(lines, rows, strict=True):
        for key in wanted:
            if key not in row:
                raise DataError(
                    f'{name} line {number}: the key "{key}" is missing{nearest(key, row)}; add it or delete the line'
                )
    labels = [row[wanted[1]] for row in rows] if labelled else []
    return Source(name, [row[wanted[0]] for row in rows], labels, wanted[0], wanted[-1] if labelled else "", lines)


def records(content: str, tabs: bool, name: str, report: Notes) -> tuple[list[list[str]], list[int]]:
    """The rows of a CSV text, all of one width, and the line on which each begins; a header is the first of them.

    The separator is a tab or a comma, or what the first line is separated by instead. Raises `DataError`.
    """
    first_line = content.partition("\n")[0]
    delimiter = "\t" if tabs else ","
    if delimiter not in first_line:
        delimiter = max(",;\t", key=first_line.count)
        if delimiter in first_line:
            report.note(f"{name}: columns are separated by {'tabs' if delimiter == chr(9) else repr(delimiter)}")
    found, lines = _records(content, delimiter, name, report)
    width = len(found[0]) if found else 0
    for record, line in zip(found, lines, strict=True):
        if len(record) != width:
            raise DataError(
                f"{name} line {line}: {len(record)} columns where the first line has {width}; "
                "put a text that holds the separator in double quotes"
            )
    return found, lines


def _read_csv(content: str, tabs: bool, name: str, text: str, label: str, report: Notes, labelled: bool) -> Source:
    found, lines = records(content, tabs, name, report)
    if not found:
        return Source(name, [], [])
    width = len(found[0])
    if _has_header(found, {text, label}):
        columns = [column.strip() for column in found.pop(0)]
        lines.pop(0)
        at, label_at = choose(name, columns, text, label, report, labelled)
    else:
        for setting, given in (("data.text", text), ("data.label", label)):
            if given and not (given.isdecimal() and 1 <= int(given) <= width):
                raise DataError(
                    f'{name} has no header, so {setting} = "{given}" names nothing; '
                    f"give the number of a column, 1 to {width}"
                )
        at, label_at = _choose_by_content(found, text, label, labelled, name)
        columns = [str(number) for number in range(1, width + 1)]
        said = f"column {at + 1} is the text" + (f", column {label_at + 1} the label" if label_at is not None else "")
        report.note(f"{name} has no header: {said}")
    texts = [record[at] for record in found]
    labels = [record[label_at] for record in found] if label_at is not None else []
    return Source(name, texts, labels, columns[at], columns[label_at] if label_at is not None else "", lines)


def _records(content: str, delimiter: str, name: str, report: Notes) -> tuple[list[list[str]], list[int]]:
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
                report.note(f"{name}: quotes are read as plain characters")
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


def _has_header(records: list[list[str]], given: set[str]) -> bool:
    """Whether the first row names columns: it holds a known name, or no cell of it looks like data."""
    first = [cell.strip() for cell in records[0]]
    if {cell.lower() for cell in first} & {*TEXT_NAMES, *LABEL_NAMES} or given & set(first) - {""}:
        return True
    if any(_NUMBER.fullmatch(cell) for cell in first):
        return False
    rest = [{record[at].strip() for record in records[1:]} for at in range(len(first))]
    return not any(cell in values for cell, values in zip(first, rest, strict=True))


def _choose_by_content(
    records: list[list[str]], text: str, label: str, labelled: bool, name: str
) -> tuple[int, int | None]:
    """Without a header: the longest column is the text, the one with the fewest different values the label."""
    width = len(records[0])
    label_at = int(label) - 1 if label else None
    at = (
        int(text) - 1
        if text
        else max(
            (column for column in range(width) if column != label_at or width == 1),
            key=lambda column: sum(len(record[column]) for record in records),
        )
    )
    if not labelled:
        return at, None
    if width == 1 or label_at == at:
        raise DataError(f"{name}: text and label would both be column {at + 1}; set data.text and data.label")
    if label_at is None:
        others = [column for column in range(width) if column != at]
        label_at = min(others, key=lambda column: len({record[column] for record in records}))
    return at, label_at
