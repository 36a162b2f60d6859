"""A table as a format gives it, and what a format is given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.data import encodings
from engines.reporter import Notes

SAMPLE_ROWS = 2000  # of a table without lines
WHOLE_BYTES = 16 << 20  # files up to this size are read whole for a sample too
HEAD_BYTES = 1 << 16  # by which a format is told


Header = Callable[[list[list[str]]], bool]
"""Whether the first of these rows names the columns."""


@dataclass(frozen=True)
class Table:
    """The rows of one source, at least one."""

    name: str  # of the file, for sentences
    columns: list[str]  # as the file names them, spaces around taken off; without a header "1", "2", ...
    values: Callable[[int], list[Any]]  # of the column at a position, from 0, one value per row; may raise `DataError`
    lines: Sequence[int] = ()  # 1-based line on which each row begins; empty: the file has none (Parquet)
    header_place: str = ""  # file and line of the header, for a sentence; empty without one
    objects: Sequence[dict[str, Any]] = ()  # the rows of JSON lines as they stand, all their keys included
    text_at: int | None = None  # where the format itself says which column holds the texts
    label_at: int | None = None  # and which the labels
    parts: Sequence[str] = ()  # official split of each row; empty: the source has none
    files: Sequence[str] = ()  # the file of each row, where each has one of its own
    class_names: Mapping[int, tuple[str, ...]] = field(default_factory=dict)  # by position: names of its numbers
    layout: str = ""  # how the source is laid out: the name of its format, or of the layout of its files
    sampled: bool = False  # only some rows of a large source, see `Reading.sample`


@dataclass(frozen=True)
class Reading:
    """What the user says of a file; "" tells it from the content."""

    encoding: str = ""
    separator: str = ""  # of columns, one character
    sample: bool = False  # of a large source only so much as shows its columns and what stands in them


TOLD_BY_CONTENT = Reading()


@dataclass(frozen=True)
class Content:
    """What a reader of one format gets: a file, decompressed."""

    name: str  # of the file
    data: bytes  # at least one
    notes: Notes
    header: Header = lambda rows: True
    reading: Reading = TOLD_BY_CONTENT
    cut: bool = False  # `data` is only the beginning of the file

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix.lower()

    @property
    def most_rows(self) -> int | None:
        """How many rows a reader of a table without lines takes; None: all of them."""
        return SAMPLE_ROWS if self.reading.sample and len(self.data) > WHOLE_BYTES else None

    def text(self) -> str:
        """As text; a guessed encoding is noted with a word that shows whether the guess is right."""
        decoded = encodings.decode(self.data, self.name, self.reading.encoding)
        if decoded.guessed and decoded.sample:
            self.notes.note(
                f'{self.name}: the encoding is taken for {decoded.encoding} ("{decoded.sample}" reads right then); '
                "data.encoding names another"
            )
        return decoded.text
