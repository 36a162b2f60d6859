"""Reviews in files: which columns of a table are the texts and the labels, and texts as engines read them."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.data import layouts, trees
from engines.data.table import TOLD_BY_CONTENT, Reading, Table
from engines.data.tables import SUFFIXES
from engines.errors import DataError
from engines.reporter import Notes
from engines.runs import events as ev
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
    files: Sequence[str] = ()  # the file of each row, where each has one of its own
    columns: Sequence[str] = ()  # all that the source has
    layout: str = ""  # how it is laid out: the name of its format, or of the layout of its files
    sampled: bool = False  # only some rows of a large source, see `Reading.sample`

    def place(self, row: int) -> str:
        """File and line of a row, for a sentence."""
        return f"{self.name} {self.number(row)}"

    def number(self, row: int) -> str:
        if self.files:
            return self.files[row]
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
    return name.startswith((".", "/", "~")) or name.lower().endswith((*SUFFIXES, ".gz", *trees.ARCHIVES))


def absolute(name: str) -> str:
    """A file or folder named relative to this process's working directory, made absolute; other names as given.

    For whoever freezes settings: a worker runs in another directory.
    """
    if not name or not (looks_like_file(name) or Path(name).exists()):
        return name
    return str(Path(name).expanduser().absolute())


def read(
    path: Path,
    text: str,
    label: str,
    report: Notes,
    *,
    labelled: bool = True,
    reading: Reading = TOLD_BY_CONTENT,
    drop_empty: bool = False,
) -> Source:
    """Read a file, a folder or an archive whole and clean its texts.

    `text` and `label` name columns; where "", they are detected by name and a note says which. Several text columns,
    separated by commas, are read as one text. With `labelled` false the label column is not needed and not read, with
    `drop_empty` rows without a text are left out. Raises `DataError`.
    """
    table = layouts.read(path, report, header=lambda rows: _has_header(rows, {text, label}), reading=reading)
    label_at: int | None
    if labelled and not text and not label and (pair := _two_columns(table)):
        text_at, label_at = [pair[0]], pair[1]
        report.note(
            f'{table.name}: column "{table.columns[pair[0]]}" is taken for the text and "{table.columns[pair[1]]}" for '
            "the label, by what stands in them; data.text and data.label name others"
        )
    elif table.header_place:
        text_at, label_at = choose(table, text, label, report, labelled)
    else:
        at, label_at = _choose_by_content(table, text, label, labelled)
        text_at = [at]
        chosen = f"column {at + 1} is the text" + ("" if label_at is None else f", column {label_at + 1} the label")
        report.note(f"{table.name} has no header: {chosen}")
    source = Source(
        table.name,
        joined([table.values(at) for at in text_at]),
        [] if label_at is None else table.values(label_at),
        " and ".join(table.columns[at] for at in text_at),
        "" if label_at is None else table.columns[label_at],
        table.lines,
        list(table.parts),
        () if label_at is None else table.class_names.get(label_at, ()),
        table.files,
        table.columns,
        table.layout,
        table.sampled,
    )
    clean_all(source, report, drop_empty)
    return source


def joined(columns: Sequence[list[Any]]) -> list[Any]:
    """Several columns of texts as one, a space between; what is missing in one is left out."""
    if len(columns) == 1:
        return columns[0]
    return [" ".join(str(cell) for cell in row if cell is not None) for row in zip(*columns, strict=True)]


def clean_all(source: Source, notes: Notes, drop_empty: bool = False) -> None:
    """Clean the texts of a source in place; `DataError` where one is no text, or is empty and not to be dropped."""
    empty = []
    for row, text in enumerate(source.texts):
        if text is not None and not isinstance(text, str):
            if text == text:  # NaN is a missing text of pandas
                raise DataError(
                    f'{source.place(row)}: column "{source.text_column}" holds {_shown(text)}, not text; '
                    "set data.text to the column of the reviews"
                )
            text = None
        source.texts[row] = clean(text or "")
        if not source.texts[row]:
            empty.append(row)
    if not empty:
        return
    shown = ", ".join(source.number(row) for row in empty[:5]) + (", ..." if len(empty) > 5 else "")
    texts = "1 text is" if len(empty) == 1 else f"{len(empty):,} texts are"
    where = f'empty in column "{source.text_column}" ({shown})'
    if not drop_empty:
        remedy = 'delete these rows or fill them in, or set data.empty = "drop"'
        raise DataError(f"{source.name}: {texts} {where}; {remedy}")
    if len(empty) == len(source.texts):
        raise DataError(f'{source.name}: every text is empty in column "{source.text_column}"; check data.text')
    notes.note(f"{source.name}: {texts} {where}")
    notes.fact(ev.Dropped(len(empty), "empty_text", source.name))
    dropped = set(empty)
    for name in ("texts", "labels", "lines", "parts", "files"):
        if column := getattr(source, name):
            setattr(source, name, [value for row, value in enumerate(column) if row not in dropped])


def _shown(value: object) -> str:
    return repr(value)[:60]


def choose(table: Table, text: str, label: str, report: Notes, labelled: bool) -> tuple[list[int], int | None]:
    """Positions of the text columns and of the label column; a note says which were detected by name."""
    name, columns = table.name, table.columns
    if table.text_at is not None and not text:
        text_at = [table.text_at]
    elif text in columns or "," not in text:
        text_at = [_column(name, columns, "data.text", text, TEXT_NAMES)]
    else:
        text_at = [_column(name, columns, "data.text", part.strip(), TEXT_NAMES) for part in text.split(",")]
    label_at = None
    if labelled:
        known = None if label else table.label_at
        label_at = _column(name, columns, "data.label", label, LABEL_NAMES) if known is None else known
        if label_at in text_at:
            raise DataError(
                f'{name}: data.text and data.label are both column "{columns[label_at]}"; set them to different columns'
            )
    detected = [f'text column "{columns[text_at[0]]}"'] if not text and table.text_at is None else []
    if label_at is not None and not label and table.label_at is None:
        detected.append(f'label column "{columns[label_at]}"')
    if detected:
        report.note(f"{name}: {' and '.join(detected)} detected by name")
    return text_at, label_at


def _two_columns(table: Table) -> tuple[int, int] | None:
    """Text and label of a table of two named columns, neither with a usual name: the longer cells, the fewer values."""
    named = [at for at, column in enumerate(table.columns) if column]
    lower = {table.columns[at].lower() for at in named}
    if not table.header_place or len(named) != 2 or lower & {*TEXT_NAMES, *LABEL_NAMES} or table.text_at is not None:
        return None
    cells = {at: [str(value) for value in table.values(at)] for at in named}
    text_at, label_at = sorted(named, key=lambda at: -sum(map(len, cells[at])))
    kinds = len(set(cells[label_at]))
    least = 1 if table.sampled else 2  # rows may be sorted by class
    return (text_at, label_at) if least <= kinds <= 20 and 2 * kinds < len(cells[label_at]) else None


def _column(name: str, columns: Sequence[str], setting: str, given: str, usual: tuple[str, ...]) -> int:
    known = ", ".join(column for column in columns if column)
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
    return not any(cell and cell in values for cell, values in zip(first, rest, strict=True))


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
