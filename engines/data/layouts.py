"""What a file, a folder or an archive holds, as one table: how data sets ship, told by what is in them.

A layout is a function of `LAYOUTS`: it takes the files below a folder or in an archive and returns their table, or
None where they are laid out otherwise.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from engines.data import trees
from engines.data.table import SAMPLE_ROWS, TOLD_BY_CONTENT, WHOLE_BYTES, Content, Header, Reading, Table
from engines.data.tables import (
    SAMPLE_BYTES,
    SUFFIXES,
    NoSampleError,
    head_of,
    missing,
    read_content,
    read_table,
    sample,
)
from engines.data.trees import Member, Tree, part_of
from engines.errors import DataError
from engines.reporter import Notes
from engines.runs import events as ev

UNLABELLED = ("unsup", "unsupervised", "unlabeled", "unlabelled", "nolabel")
"""Folders beside those of the classes whose texts carry no label."""
SAMPLE_FILES = 50
"""Texts of each folder that are read of many."""
PART_ORDER = ("train", "validation", "test")
_TEXTS = re.compile(r"(?:(.*?)[_.-])?(?:texts?|sentences?|reviews?|tweets?|inputs?)\.txt", re.IGNORECASE)
_LABELS = re.compile(r"(?:(.*?)[_.-])?(?:labels?|targets?|classes)\.txt", re.IGNORECASE)


def read(
    path: Path,
    notes: Notes,
    *,
    setting: str = "data.source",
    header: Header = lambda rows: True,
    reading: Reading = TOLD_BY_CONTENT,
) -> Table:
    """The table in a file, a folder or an archive. Raises `DataError` naming place and remedy."""
    if not path.exists():
        raise DataError(missing(path, setting))
    if path.is_dir():
        return _of_tree(trees.of_folder(path), notes, header, reading, setting)
    if path.is_file():
        head = head_of(path)
        workbook = path.suffix.lower() == ".xlsx"
        if (trees.is_archive(head) or path.name.lower().endswith(trees.ARCHIVES)) and not workbook:
            if reading.sample and not trees.is_zip(path) and path.stat().st_size > SAMPLE_BYTES:
                raise NoSampleError  # its members stand behind each other, mostly packed: it takes all to list them
            return _of_tree(trees.of_archive(path), notes, header, reading, setting)
    return read_table(path, notes, setting=setting, header=header, reading=reading)


def _of_tree(tree: Tree, notes: Notes, header: Header, reading: Reading, setting: str) -> Table:
    if not tree.members:
        raise DataError(f"{tree.name} holds no files; check {setting}")
    tree = replace(tree, sample=reading.sample)

    def content(member: Member, name: str = "") -> Content:
        name = name or str(member.path)
        if reading.sample and member.size_bytes > WHOLE_BYTES:
            return sample(name, member.size_bytes, member.read, notes, header, reading)
        return Content(name, member.read(), notes, header, reading)

    for layout in LAYOUTS:
        table = layout(tree, content, notes)
        if table is not None:
            return replace(table, layout=layout.__name__)
    shown = ", ".join(tree.names()[:5]) + (", ..." if len(tree.members) > 5 else "")
    raise DataError(
        f"{tree.name} is laid out in no known way ({len(tree.members):,} files: {shown}); set {setting} to one file "
        "of it, or give every class a folder of text files"
    )


Open = Callable[..., Content]
"""A member of a tree as a `Content`."""


# -- one folder per class ---------------------------------------------------------------------------------------


def class_folders(tree: Tree, content: Open, notes: Notes) -> Table | None:
    """One text file per item in one folder per class, below folders of splits or not, as the IMDB reviews ship."""
    texts = [m for m in tree.members if m.path.suffix.lower() in (".txt", "") and len(m.path.parts) in (2, 3)]
    split = [m for m in texts if len(m.path.parts) == 3 and part_of(m.path.parts[0])]
    plain = [m for m in texts if len(m.path.parts) == 2 and not part_of(m.path.parts[0])]
    chosen = split or plain
    labelled = [m for m in chosen if m.path.parts[-2].lower() not in UNLABELLED]
    classes = Counter(m.path.parts[-2] for m in labelled)
    if len(classes) < 2 or 2 * len(chosen) < len(tree.members) or any(_is_table(m) for m in tree.members):
        return None
    if left_out := len(chosen) - len(labelled):
        notes.fact(ev.Dropped(left_out, "no_label", tree.name))
    sampled = tree.sample and (len(labelled) > SAMPLE_ROWS or sum(m.size_bytes for m in labelled) > WHOLE_BYTES)
    if sampled:
        folders = dict[PurePosixPath, list[Member]]()
        for member in labelled:
            folders.setdefault(member.path.parent, []).append(member)
        labelled = [m for members in folders.values() for m in members[:SAMPLE_FILES]]
    labelled.sort(key=lambda m: (_part_place(part_of(m.path.parts[0])) if split else 0, m.path.parts))
    columns: list[list[str]] = [
        [content(m).text() for m in labelled],
        [m.path.parts[-2] for m in labelled],
    ]
    parts = [part_of(m.path.parts[0]) for m in labelled] if split else []
    files = [str(m.path) for m in labelled]
    shown = ", ".join(f"{count:,} {name}" for name, count in sorted(classes.items()))
    notes.note(
        f"{tree.name}: one folder per class ({shown})" + (f", splits {', '.join(_ordered(parts))}" * bool(parts))
    )
    names = ["text", "label"]
    table = Table(Path(tree.name).name, names, columns.__getitem__, header_place=tree.name, text_at=0, label_at=1)
    return replace(table, parts=parts, files=files, sampled=sampled)


# -- what `datasets` saves ----------------------------------------------------------------------------------


def saved_dataset(tree: Tree, content: Open, notes: Notes) -> Table | None:
    """A folder of `save_to_disk`: Arrow files beside a `state.json`, one folder per split where there are several."""
    states = {m.path.parent: m for m in tree.members if m.path.name == "state.json"}
    arrows = [m for m in tree.members if m.path.suffix == ".arrow" and m.path.parent in states]
    if not arrows:
        return None
    tables = []
    for folder in sorted(
        {m.path.parent for m in arrows}, key=lambda folder: (_part_place(part_of(folder.name)), folder)
    ):
        by_name = {m.path.name: m for m in arrows if m.path.parent == folder}
        for name in _data_files(states[folder], by_name):
            tables.append((folder.name, str(by_name[name].path), read_content(content(by_name[name]))))
    several = len({part for part, _, _ in tables}) > 1
    named = [(part_of(part) or part if several else "", file, table) for part, file, table in tables]
    return _joined(tree, named, notes)


def _data_files(state: Member, by_name: dict[str, Member]) -> list[str]:
    """The Arrow files in the order in which `state.json` names them."""
    try:
        named = [str(entry["filename"]) for entry in json.loads(state.read())["_data_files"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        named = []
    return named if named and set(named) <= by_name.keys() else sorted(by_name)


# -- texts and labels line by line --------------------------------------------------------------------------


def parallel_files(tree: Tree, content: Open, notes: Notes) -> Table | None:
    """A text file with one item per line, and a file with the label of each line; `mapping.txt` names numbers."""
    texts = {_stem(match): m for m in tree.members if (match := _TEXTS.fullmatch(m.path.name))}
    labels = {_stem(match): m for m in tree.members if (match := _LABELS.fullmatch(m.path.name))}
    pairs = [(stem, texts[stem], labels[stem]) for stem in texts if stem in labels]
    if not pairs:
        return None
    names = _mapping(next((m for m in tree.members if m.path.name.lower() == "mapping.txt"), None), content)
    tables = []
    for stem, text, label in sorted(pairs, key=lambda pair: _part_place(part_of(pair[0]))):
        contents = [content(m) for m in (text, label)]
        rows = [each.text().rstrip("\n").split("\n") for each in contents]
        sampled = any(each.cut for each in contents)
        if sampled:
            rows = [lines[: min(map(len, rows))] for lines in rows]
        if len(rows[0]) != len(rows[1]):
            raise DataError(
                f"{text.path} has {len(rows[0]):,} lines and {label.path} {len(rows[1]):,}; each text needs one label"
            )
        columns = [[line.rstrip("\r") for line in rows[0]], [line.strip() for line in rows[1]]]
        lines = list(range(1, len(rows[0]) + 1))
        classes = {1: names} if names else {}
        named = ["text", "label"]
        table = Table(str(text.path), named, columns.__getitem__, lines, text.path.name, text_at=0, label_at=1)
        tables.append((part_of(stem), str(text.path), replace(table, class_names=classes, sampled=sampled)))
    shown = ", ".join(f"{text.path} and {label.path}" for _, text, label in pairs)
    notes.note(f"{tree.name}: texts and labels line by line in {shown}")
    return _joined(tree, tables, notes, quiet=True)


def _stem(match: re.Match[str]) -> str:
    return (match[1] or "").lower()


def _mapping(member: Member | None, content: Open) -> tuple[str, ...]:
    """Names of numbered classes, one "0<tab>negative" per line; empty where they do not count from 0."""
    if member is None:
        return ()
    rows = [line.split(None, 1) for line in content(member).text().splitlines() if line.strip()]
    if not all(len(row) == 2 and row[0].isdecimal() for row in rows):
        return ()
    by_number = {int(number): name.strip() for number, name in rows}
    return tuple(by_number[n] for n in range(len(by_number))) if set(by_number) == set(range(len(by_number))) else ()


# -- tables -------------------------------------------------------------------------------------------------


def table_files(tree: Tree, content: Open, notes: Notes) -> Table | None:
    """One table, or one or several for each official split, by the names of files or of their folders."""
    members = [m for m in tree.members if _is_table(m)]
    if len(members) == 1:
        return read_content(content(members[0], members[0].path.name))
    named = [(part_of(m.path.name) or part_of(m.path.parent.name), m) for m in members]
    if not members or not all(part for part, _ in named):
        if members and any(m.path.suffix.lower() not in (".json", ".txt") for m in members):
            shown = ", ".join(str(m.path) for m in members[:5]) + (", ..." if len(members) > 5 else "")
            raise DataError(
                f"{tree.name} holds {len(members):,} tables ({shown}), not named after splits; set data.source to one "
                "of them, or name them train, validation and test"
            )
        return None
    named.sort(key=lambda pair: (_part_place(pair[0]), pair[1].path.parts))
    return _joined(tree, [(part, str(m.path), read_content(content(m))) for part, m in named], notes)


def _is_table(member: Member) -> bool:
    suffixes = [suffix.lower() for suffix in member.path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    tables = (*(suffix for suffix in SUFFIXES if suffix != ".txt"), ".tab", ".ndjson")
    named_so = suffixes[-1:] and suffixes[-1] in tables and member.path.name not in ("dataset_dict.json", "state.json")
    return bool(named_so) and member.path.name not in ("dataset_info.json", "dataset_infos.json")


def _joined(tree: Tree, tables: Sequence[tuple[str, str, Table]], notes: Notes, quiet: bool = False) -> Table:
    """Tables of official splits below each other; a column that a later one lacks is None there."""
    first = tables[0][2]
    sizes = [len(table.values(0)) for _, _, table in tables]

    def values(position: int) -> list[Any]:
        column: list[Any] = []
        for (_, _, table), size in zip(tables, sizes, strict=True):
            known = first.columns[position] in table.columns
            column += table.values(table.columns.index(first.columns[position])) if known else [None] * size
        return column

    files = [
        f"{file} line {table.lines[row]}" if table.lines else f"{file} row {row + 1}"
        for (_, file, table), size in zip(tables, sizes, strict=True)
        for row in range(size)
    ]
    parts = [part for (part, _, _), size in zip(tables, sizes, strict=True) for _ in range(size)]
    counts = Counter(parts)
    if any(parts) and not quiet:
        notes.note(f"{tree.name}: splits " + ", ".join(f"{part} {counts[part]:,}" for part in _ordered(parts)))
    name, parts = Path(tree.name).name, parts if any(parts) else []
    sampled = any(table.sampled for _, _, table in tables)
    return replace(first, name=name, values=values, lines=(), objects=(), files=files, parts=parts, sampled=sampled)


def _part_place(part: str) -> int:
    return PART_ORDER.index(part) if part in PART_ORDER else len(PART_ORDER)


def _ordered(parts: Sequence[str]) -> list[str]:
    return sorted(dict.fromkeys(parts), key=_part_place)


LAYOUTS: tuple[Callable[[Tree, Open, Notes], Table | None], ...] = (
    saved_dataset,
    class_folders,
    parallel_files,
    table_files,
)
"""In the order in which they are tried."""
