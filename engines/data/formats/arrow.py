"""Arrow: files and streams, as `datasets` keeps them on the disk."""

import io
import json
from typing import Any

from engines.data.table import Content, Table
from engines.errors import DataError

FILE, STREAM = b"ARROW1", b"\xff\xff\xff\xff"


def detects(head: bytes, content: Content) -> bool:
    return head.startswith((FILE, STREAM)) and not head.startswith(STREAM * 4)


def read(content: Content) -> tuple[Table, int]:
    import pyarrow
    from pyarrow import ipc

    name = content.name
    try:
        buffer = io.BytesIO(content.data)
        reader = ipc.open_file(buffer) if content.data.startswith(FILE) else ipc.open_stream(buffer)
        rows = reader.read_all()
        rows.validate(full=True)  # offsets that point outside end the whole process where they are followed
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{name} is no readable Arrow file ({str(error).splitlines()[0]}); copy it again, or write it anew"
        ) from None
    columns = list(rows.schema.names)
    rows = rows.slice(0, content.most_rows)

    def values(position: int) -> list[Any]:
        column: list[Any] = rows.column(position).to_pylist()
        return column

    names = class_names(rows.schema.metadata or {}, columns)
    return Table(
        name, columns, values, header_place=name, class_names=names, sampled=content.most_rows is not None
    ), rows.num_rows


def class_names(metadata: dict[bytes, bytes], columns: list[str]) -> dict[int, tuple[str, ...]]:
    """The names of numbered classes that `datasets` leaves in a schema, by the position of the column."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {})
        return {
            at: tuple(map(str, features[column]["names"]))
            for at, column in enumerate(columns)
            if isinstance(features.get(column), dict) and features[column].get("_type") == "ClassLabel"
        }
    except (ValueError, AttributeError, KeyError, TypeError):
        return {}
