"""Excel workbooks (.xlsx): the first sheet, its first row the names of the columns."""

import io
import warnings

from engines.data.table import Content, Table
from engines.errors import DataError


def detects(head: bytes, content: Content) -> bool:
    return content.suffix == ".xlsx" or head.startswith(b"PK\x03\x04") and b"xl/" in content.data


def read(content: Content) -> tuple[Table, int]:
    name = content.name
    try:
        import openpyxl
    except ImportError:
        raise DataError(
            f"{name} is an Excel workbook, which needs openpyxl; pip install 'labtui[excel]', or save it as CSV"
        ) from None
    try:
        with warnings.catch_warnings(action="ignore"):  # of what the library does not read: styles, print areas
            workbook = openpyxl.load_workbook(io.BytesIO(content.data), read_only=True, data_only=True)
            sheet = workbook.worksheets[0]
            rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    except Exception as error:  # of zip, of XML and of whatever openpyxl makes of it: they have no base in common
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{name} is no readable workbook ({reason}); save it again, or as CSV") from None
    if len(workbook.worksheets) > 1:
        content.notes.note(f'{name}: of {len(workbook.worksheets)} sheets the first, "{sheet.title}", is read')
    numbered = [(number, row) for number, row in enumerate(rows, 1) if any(cell is not None for cell in row)]
    if not numbered:
        return Table(name, [], lambda at: []), 0
    width = len(numbered[0][1])
    columns = ["" if cell is None else str(cell).strip() for cell in numbered[0][1]]
    body = [row + [None] * (width - len(row)) for _, row in numbered[1:]]
    lines = [number for number, _ in numbered[1:]]
    return Table(name, columns, lambda at: [row[at] for row in body], lines, f"{name} line 1"), len(body)
