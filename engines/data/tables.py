"""Tables in files, of whatever format, read into columns whose rows know their place.

What is in a file is told by its content; a suffix only decides where the content fits several formats. What a column
means is no matter of this module; the formats stand in `engines.data.formats`, one per file.
"""

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from engines.data import formats
from engines.data.table import HEAD_BYTES, TOLD_BY_CONTENT, WHOLE_BYTES, Content, Header, Reading, Table
from engines.errors import DataError
from engines.reporter import Notes
from engines.settings import nearest

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet", ".txt", ".arrow", ".xlsx", ".data", ".label")
"""What files of a known format are mostly called: enough to tell a file that is missing from a name on the hub."""
GZIP = b"\x1f\x8b"
SAMPLE_BYTES = 1 << 20  # of larger files of lines
BINARY_BYTES_MAX = 1 << 30  # larger files without lines are in no sample


def read_table(
    path: Path,
    notes: Notes,
    *,
    setting: str = "data.source",
    header: Header = lambda rows: True,
    reading: Reading = TOLD_BY_CONTENT,
) -> Table:
    """Read a file whole; a column of Parquet only when its values are asked for.

    `setting` is what the user has to mend where the file cannot be used. `header` tells of the rows of separated text
    whether the first of them names the columns. Raises `DataError` naming file, line and remedy.
    """
    if reading.sample and path.is_file() and path.stat().st_size > WHOLE_BYTES:
        size_bytes = path.stat().st_size
        content = sample(path.name, size_bytes, partial(_read_file, path), notes, header, reading)
    else:
        content = Content(path.name, read_bytes(path, setting), notes, header, reading)
    return read_content(content, setting)


class NoSampleError(Exception):
    """A source so large, and of such a kind, that no part of it can be read on its own."""


def sample(
    name: str, size_bytes: int, read: Callable[[int], bytes], notes: Notes, header: Header, reading: Reading
) -> Content:
    """The beginning of a large file; `read` gives so many of its first bytes, -1 for all of them.

    A file of lines ends behind a whole one. One without lines is given whole, and its reader takes few rows of it.
    Raises `NoSampleError` where it is too large for that.
    """
    packed = read(SAMPLE_BYTES)
    data = packed
    if packed.startswith(GZIP):
        try:
            data = zlib.decompressobj(31).decompress(packed, SAMPLE_BYTES)
        except zlib.error as error:
            raise DataError(f"{name}: damaged gzip file ({error}); copy or compress it again") from None
        name = name.removesuffix(".gz")
    content = Content(name, data, notes, header, reading, cut=True)
    whole = b"\0" in data[:HEAD_BYTES] or content.suffix == ".xlsx"  # nothing of lines, or UTF-16
    if not whole:
        return replace(content, data=data[: _record_end(data, formats.name_of(content)) + 1] or data)
    if packed.startswith(GZIP) or content.suffix == ".xlsx" or size_bytes > BINARY_BYTES_MAX:
        raise NoSampleError
    return Content(name, read(-1), notes, header, reading)


def _record_end(data: bytes, format_name: str) -> int:
    """Where the last whole row ends: a line, an object of an array, or a line behind which no quote is open."""
    last = end = data.rfind(b"\n")
    if format_name == "json_rows":
        return data.rfind(b"}") if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"[" else last
    if format_name != "delimited":
        return last
    quotes = data.count(b'"', 0, end)
    while quotes % 2 and end > 0:
        before = data.rfind(b"\n", 0, end)
        quotes -= data.count(b'"', before, end)
        end = before
    return end if end > 0 else last


def read_content(content: Content, setting: str = "data.source") -> Table:
    """The table in a file that is read already; errors as in `read_table`."""
    if content.data.startswith(GZIP) or content.suffix == ".gz":
        content = replace(content, name=content.name.removesuffix(".gz"), data=_unpacked(content.data, content.name))
    if not content.data.strip():
        raise DataError(f"{content.name} is empty; check {setting}")
    table, count = formats.of(content).read(content)
    if not count:
        what = "a header and no rows" if table.columns else "no rows"
        raise DataError(f"{content.name} holds {what}; check {setting}")
    _check_names(table)
    return replace(table, layout=formats.name_of(content), sampled=content.cut or table.sampled)


def head_of(path: Path) -> bytes:
    """The first bytes of a file, decompressed; `DataError` where it cannot be read."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); check its permissions") from None
    if not head.startswith(GZIP):
        return head
    try:
        return zlib.decompressobj(31).decompress(head, HEAD_BYTES)
    except zlib.error as error:
        raise DataError(f"{path}: damaged gzip file ({error}); copy or compress it again") from None


def read_bytes(path: Path, setting: str) -> bytes:
    """What a file holds; `DataError`, naming `setting`, where there is nothing to read."""
    if not path.exists():
        raise DataError(missing(path, setting))
    if path.is_dir():
        raise DataError(f"{path} is a folder; set {setting} to one file in it")
    if not path.is_file():
        raise DataError(f"{path} is no regular file; set {setting} to a file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); check its permissions") from None
    if not content:
        raise DataError(f"{path} is empty; check {setting}")
    return content


def _read_file(path: Path, most_bytes: int) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(most_bytes)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); check its permissions") from None


NO_URLS = "URLs are not read; download it first, then name the file"


def is_url(name: str) -> bool:
    """Whether a source is named by a URL, also one that went through `Path`, which takes a slash away."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", name) is not None


def missing(path: Path, setting: str) -> str:
    """That a file is not there, with the nearest name beside it."""
    if is_url(str(path)):
        return f"{path}: {NO_URLS}"
    folder = path.parent
    if not folder.is_dir():
        return f"{path}: no such file, the folder {folder} does not exist; check {setting}"
    return f"{path}: no such file{nearest(path.name, [p.name for p in folder.iterdir()])}; check {setting}"


def _unpacked(data: bytes, name: str) -> bytes:
    try:
        return gzip.decompress(data)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{name}: damaged gzip file ({error}); copy or compress it again") from None


def _check_names(table: Table) -> None:
    """Columns of one name: which of them is meant cannot be known."""
    if not table.header_place:
        return
    for column, times in Counter(table.columns).items():
        if column and times > 1:
            raise DataError(
                f'{table.header_place}: the column "{column}" stands there {times} times; name every column once'
            )
