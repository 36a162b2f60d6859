"""JSON: one object per line, or one array of objects, whatever the file is called."""

import json
import re
from typing import Any

from engines.data.table import Content, Table
from engines.errors import DataError
from engines.settings import nearest

_GAP = re.compile(r"[,\s]*")


def detects(head: bytes, content: Content) -> bool:
    start = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if content.suffix in (".jsonl", ".json", ".ndjson"):
        return True
    if start[:1] == b"[":
        return start[1:].lstrip()[:1] in (b"{", b"]")
    return start[:1] == b"{" and start[1:].lstrip()[:1] in (b'"', b"}")


def read(content: Content) -> tuple[Table, int]:
    name, text = content.name, content.text()
    array = text.lstrip()[:1] == "["
    rows, places = _array(text, name, content.cut) if array else _lines(text, name)
    columns = list(rows[0]) if rows else []

    def place(at: int) -> str:
        return f"{name} object {at + 1}" if array else f"{name} line {places[at]}"

    def values(position: int) -> list[Any]:
        key = columns[position]
        for at, row in enumerate(rows):
            if key not in row:
                raise DataError(f'{place(at)}: the key "{key}" is missing{nearest(key, row)}; add it or delete the row')
        return [row[key] for row in rows]

    return Table(name, columns, values, places, name, rows), len(rows)


def _array(text: str, name: str, cut: bool) -> tuple[list[dict[str, Any]], list[int]]:
    """The objects of an array; they have no lines of their own. Of one that is cut, those that stand there whole."""
    rows = (cut and _first_objects(text)) or _parsed(text, name)
    if not isinstance(rows, list):
        raise DataError(f'{name} is no array of objects; write [{{"text": ..., "label": ...}}, ...]')
    for at, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise DataError(
                f'{name} object {at} is {str(row)[:40]!r}, not an object; write {{"text": ..., "label": ...}}'
            )
    return rows, []


def _first_objects(text: str) -> list[Any]:
    decoder, objects = json.JSONDecoder(), list[Any]()
    at = text.index("[") + 1
    while True:
        try:
            value, at = decoder.raw_decode(text, _GAP.match(text, at).end())  # type: ignore[union-attr]
        except (ValueError, RecursionError):
            return objects
        objects.append(value)


def _lines(text: str, name: str) -> tuple[list[dict[str, Any]], list[int]]:
    """The objects of JSON lines and the line of each."""
    rows: list[dict[str, Any]] = []
    places = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        if not rows and number == 1 and line.strip() == "{":
            raise DataError(
                f"{name} is one object over several lines; write one object per line, or an array of objects"
            )
        row = _parsed(line, f"{name} line {number}")
        if not isinstance(row, dict):
            raise DataError(f'{name} line {number}: not an object; write lines like {{"text": ..., "label": ...}}')
        rows.append(row)
        places.append(number)
    return rows, places


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise DataError(f"{place}: JSON nested too deeply to be a row of data; check data.source") from None
    except ValueError as error:
        raise DataError(f"{place}: not JSON ({error}); write one object per line") from None
