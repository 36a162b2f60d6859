"""Parquet."""

import io
from typing import Any

from engines.data.table import Content, Table
from engines.errors import DataError

MAGIC = b"PAR1"


def detects(head: bytes, content: Content) -> bool:
    return head.startswith(MAGIC) or content.suffix == ".parquet"


def read(content: Content) -> tuple[Table, int]:
    import pyarrow
    from pyarrow import parquet

    name = content.name
    faults = (pyarrow.ArrowException, OSError, ValueError, IndexError, OverflowError, MemoryError)

    def unreadable(error: BaseException) -> DataError:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return DataError(f"{name} is no readable Parquet file ({reason}); copy it again, or write it anew")

    def values(position: int) -> list[Any]:
        try:
            if content.most_rows:
                first = next(file.iter_batches(content.most_rows, columns=[columns[position]]))
                return list(first.column(0).to_pylist())
            column: list[Any] = file.read(columns=[columns[position]]).column(0).to_pylist()
        except faults as error:
            raise unreadable(error) from None
        return column

    try:
        file = parquet.ParquetFile(io.BytesIO(content.data))
        columns = list(file.schema_arrow.names)
        rows = file.metadata.num_rows
    except faults as error:
        raise unreadable(error) from None
    return Table(name, columns, values, header_place=name, sampled=content.most_rows is not None), rows
