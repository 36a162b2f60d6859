"""Reviews in files: which columns of a table are the texts and the labels, and texts as engines read them."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.data.tables import FORMATS, Table, read_table
from engines.errors import DataError
from engines.reporter import Notes
from engines.settings import nearest

TEXT_NAMES = ("text", "review", "sentence")
LABEL_NAMES = ("label", "sentiment")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_BREAK = re.compile(r"<\s*/?\s*br\s*/?\s*>", re.IGNORECASE)


@dataclass
class Source:
    """All rows of a source in its own order. `labels` are as they stand there and None where a hub gives no label."""

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
    return name.startswith((".", "/", "~")) or name.lower().endswith((*FORMATS, ".gz"))


def absolute(name: str) -> str:
    """A file or folder named relative to this process's working directory, made absolute; other names as given.

    For whoever freezes settings: a worker runs in another directory.
    """
    if not name or not (looks_like_file(name) or Path(name).exists()):
        return name
    return str(Path(name).expanduser().absolute())


def read(path: Path, text: str, label: str, report: Notes, *, labelled: bool = True) -> Source:
    """Read a file whole and clean its texts. `text` and `label` name columns; where "", they are detected by name and
    a note says which.

    With `labelled` false the label column is not needed and not read. Raises `DataError`.
    """
    table = read_table(path, report, header=lambda rows: _has_header(rows, {text, label}))
    if table.header_place:
        text_at, label_at = choose(table.name, table.columns, text, label, report, labelled)
    else:
        text_at, label_at = _choose_by_content(table, text, label, labelled)
        chosen = f"column {text_at + 1} is the text" + (
            "" if label_at is None else f", column {label_at + 1} the label"
        )
        report.note(f"{table.name} has no header: {chosen}")
    source = Source(
        table.name,
        table.values(text_at),
        [] if label_at is None else table.values(label_at),
        table.columns[text_at],
        "" if label_at is None else table.columns[label_at],
        table.lines,
    )
    clean_all(source)
    return source


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
    """Positions of the text and the label column among named columns; a note says which were detected by name."""
    chosen = [_column(name, columns, "data.text", text, TEXT_NAMES)]
    if labelled:
        chosen.append(_column(name, columns, "data.label", label, LABEL_NAMES))
        if chosen[0] == chosen[1]:
            raise DataError(
                f'{name}: data.text and data.label are both column "{columns[chosen[0]]}"; '
                "set them to different columns"
            )
    detected = [
        f'{what} column "{columns[position]}"'
        for what, given, position in zip(("text", "label"), (text, label), chosen, strict=False)
        if not given
    ]
    if detected:
        report.note(f"{name}: {' and '.join(detected)} detected by name")
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


def _has_header(records: list[list[str]], given: set[str]) -> bool:
    """Whether the first row names columns: it holds a known name, or no cell of it looks like data."""
    first = [cell.strip() for cell in records[0]]
    if {cell.lower() for cell in first} & {*TEXT_NAMES, *LABEL_NAMES} or given & set(first) - {""}:
        return True
    if any(_NUMBER.fullmatch(cell) for cell in first):
        return False
    rest = [{record[at].strip() for record in records[1:]} for at in range(len(first))]
    return not any(cell in values for cell, values in zip(first, rest, strict=True))


def _choose_by_content(table: Table, text: str, label: str, labelled: bool) -> tuple[int, int | None]:
    """Without a header: the longest column is the text, the one with the fewest different values the label."""
    name, width = table.name, len(table.columns)
    for setting, given in (("data.text", text), ("data.label", label)):
        if given and not (given.isdecimal() and 1 <= int(given) <= width):
            raise DataError(
                f'{name} has no header, so {setting} = "{given}" names nothing; '
                f"give the number of a column, 1 to {width}"
            )
    label_at = int(label) - 1 if label else None
    if text:
        text_at = int(text) - 1
    else:
        candidates = [column for column in range(width) if column != label_at or width == 1]
        text_at = max(candidates, key=lambda column: sum(map(len, table.values(column))))
    if not labelled:
        return text_at, None
    if width == 1 or label_at == text_at:
        raise DataError(f"{name}: text and label would both be column {text_at + 1}; set data.text and data.label")
    if label_at is None:
        others = [column for column in range(width) if column != text_at]
        label_at = min(others, key=lambda column: len(set(table.values(column))))
    return text_at, label_at
