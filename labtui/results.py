"""Finished runs as rows to compare, the published figures beside them, and both as text. No Textual here."""

import csv
import io
import json
import textwrap
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engines.parts.statistics import wilson_interval
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.summary import FINISHED, list_runs, open_summary
from engines.settings import UserError, nearest
from labtui import format
from labtui.sanitize import clean

PUBLISHED = Path(__file__).with_name("published.toml")
CLASS_COLUMNS = 6  # most classes with a column of their own in a table; files hold all of them


@dataclass(frozen=True)
class ResultRow:
    """One finished run, or one published figure; texts are cleaned. Fractions are 0 to 1, None is "not known"."""

    run: str  # name of the run folder; empty when published
    experiment: str
    engine: str
    title: str
    model: str
    accuracy: float | None
    items: int
    interval: tuple[float, float] | None  # Wilson, 95 %
    recall: dict[str, float]  # by class, in the order of `labels`: the accuracy on the items of that class
    macro_precision: float | None = None
    macro_recall: float | None = None
    macro_f1: float | None = None
    invalid: int | None = None  # items whose answer was no label; counted as wrong
    training_seconds: float | None = None
    seconds: float | None = None
    items_per_s: float | None = None
    memory_peak_bytes: int | None = None
    memory_on_host: bool = False  # no device figure: the peak is the worker's resident memory
    labels: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()  # a row a true label; a column a predicted one, then invalid
    published: bool = False
    note: str = ""
    source: str = ""  # of a published figure
    variant: str = ""  # which of a run's rows: "before tuning"; empty: its own
    before: "ResultRow | None" = None  # the same items, answered by the model before this run tuned it

    @property
    def key(self) -> str:
        """Names the row among all rows."""
        return f"{self.run} {self.variant}".rstrip() if self.run else f"published {self.title}"


@dataclass(frozen=True)
class Column:
    """A column of the table: what a row shows in it and what it sorts by."""

    key: str
    header: str
    value: Callable[[ResultRow], Any]
    text: Callable[[ResultRow], str]
    right: bool = True


def _peak(row: ResultRow) -> str:
    if row.memory_peak_bytes is None:
        return format.MISSING
    return f"{row.memory_peak_bytes / 2**30:,.2f} {'RAM' if row.memory_on_host else 'GPU'}"


def name_of(row: ResultRow) -> str:
    """How a row is called on the screen: the experiment and the run's last digits, or that it is published."""
    if row.published:
        return f"published: {row.title}"
    return f"{row.experiment} {row.run.rpartition('-')[2]} {row.variant}".rstrip()


def short_name(row: ResultRow) -> str:
    """`name_of` without the family of the experiment."""
    return name_of(row) if row.published else name_of(row).rpartition("/")[2]


def _score(name: str) -> Callable[[ResultRow], str]:
    return lambda row: format.score(getattr(row, name))


def _value(name: str) -> Callable[[ResultRow], Any]:
    return lambda row: getattr(row, name)


RUN = Column("run", "run", name_of, name_of, right=False)
# In the order of priority: a narrow screen shows the first ones, the rest are reached by scrolling.
COLUMNS: tuple[Column, ...] = (
    RUN,
    Column("accuracy", "accuracy", _value("accuracy"), _score("accuracy")),
    Column(
        "interval",
        "95 %",
        lambda r: r.interval and r.interval[0],
        lambda r: format.interval(*(r.interval or (None, None))),
    ),
    Column("items", "items", _value("items"), lambda r: format.count(r.items)),
    Column("macro_f1", "F1", _value("macro_f1"), _score("macro_f1")),
    Column("macro_precision", "prec.", _value("macro_precision"), _score("macro_precision")),
    Column("macro_recall", "recall", _value("macro_recall"), _score("macro_recall")),
    Column("invalid", "invalid", _value("invalid"), lambda r: format.count(r.invalid)),
    Column("training_seconds", "training", _value("training_seconds"), lambda r: format.duration(r.training_seconds)),
    Column(
        "items_per_s", "items/s", _value("items_per_s"), lambda r: format.rate(r.items_per_s, "").removesuffix(" /s")
    ),
    Column("memory_peak_bytes", "peak GiB", _value("memory_peak_bytes"), _peak),
    Column("engine", "engine", _value("engine"), lambda r: r.engine or format.MISSING, right=False),
    Column("model", "model", _value("model"), lambda r: r.model or format.MISSING, right=False),
)


# On a terminal too narrow for all; the run, its accuracy and the interval always stay.
LEFT_OUT_FIRST = ("invalid", "macro_recall", "macro_precision", "engine", "memory_peak_bytes", "items_per_s", "recall",
                  "training_seconds", "model", "macro_f1", "items")


def _recall(label: str) -> Column:
    return Column(f"recall.{label}", f"rec. {label}", lambda row: row.recall.get(label),
                  lambda row: format.score(row.recall.get(label)))


def columns(rows: Iterable[ResultRow]) -> list[Column]:
    """`COLUMNS` with one more for the recall of each class of the rows, the commonest classes first."""
    classes = Counter(label for row in rows for label in row.recall)
    recall = [_recall(label) for label, _ in classes.most_common(CLASS_COLUMNS)]
    return [*COLUMNS[:4], *recall, *COLUMNS[4:]]


def result_of(folder: RunFolder) -> ResultRow | None:
    """The row of one run, from the end of its events; None unless it has finished.

    Without scores of a test split, accuracy and interval are None and the items 0.
    """
    tail = ev.read_last(folder.events)
    if not tail or not isinstance(tail[-1].event, ev.Finished):
        return None
    summary = open_summary(folder)
    summary.apply(tail[-1:])
    end = summary.settle().end
    if summary.state != FINISHED or end is None:
        return None
    if end.split != "test":
        end = replace(end, scores={}, items=0, labels=[], confusion=[])
    row = ResultRow(
        run=folder.name,
        experiment=clean(summary.experiment),
        engine=clean(summary.engine),
        title=clean(str(summary.document.get("title", ""))),
        model=clean(end.model),
        **_figures(end.scores, end.items, end.labels, end.confusion),
        training_seconds=end.training_seconds,
        seconds=end.seconds,
        items_per_s=end.items_per_s,
        memory_peak_bytes=end.memory_peak_bytes or end.host_memory_peak_bytes,
        memory_on_host=not end.memory_peak_bytes,
    )
    if not isinstance(original := end.scores.get("original"), dict):
        return row
    figures = _figures(original, end.items, end.labels, original.get("confusion", []))
    before = replace(row, **figures, variant="before tuning", training_seconds=None, items_per_s=None)
    return replace(row, before=before)


def _figures(
    scores: dict[str, Any], items: int, labels: Sequence[str], confusion: Sequence[Sequence[int]]
) -> dict[str, Any]:
    """The fields of a row that are about its answers."""
    right = sum(row[i] for i, row in enumerate(confusion) if i < len(row))
    return {
        "accuracy": scores.get("accuracy"),
        "items": items,
        "interval": wilson_interval(right, items) if items else None,
        "recall": {
            clean(label): row[i] / sum(row)
            for i, (label, row) in enumerate(zip(labels, confusion, strict=False))
            if sum(row)
        },
        "macro_precision": scores.get("macro_precision"),
        "macro_recall": scores.get("macro_recall"),
        "macro_f1": scores.get("macro_f1"),
        "invalid": sum(row[len(labels)] for row in confusion if len(row) > len(labels)),
        "labels": tuple(map(clean, labels)),
        "confusion": tuple(map(tuple, confusion)),
    }


def published_rows() -> list[ResultRow]:
    """The figures of the original study, from `published.toml`."""
    document = tomllib.loads(PUBLISHED.read_text(encoding="utf-8"))
    return [
        ResultRow(
            run="",
            experiment="",
            engine="",
            title=row["title"],
            model=row["model"],
            accuracy=row["accuracy"],
            items=row["items"],
            interval=wilson_interval(round(row["accuracy"] * row["items"]), row["items"]),
            recall=row.get("recall", {}),
            labels=tuple(row.get("recall", {})),
            published=True,
            note=row["note"],
            source=document["source"],
        )
        for row in document["row"]
    ]


class Follower:
    """The finished runs of a home, read again and again: a finished run once, an unchanged one not at all."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._seen: dict[str, tuple[int, ResultRow | None]] = {}  # size of the events, row

    def scored(self) -> list[ResultRow]:
        """The rows with scores of a test split, newest first, one of an untuned model after that of the tuned one.

        Opens files: not for the thread that draws.
        """
        return [r for row in self.finished() if row.accuracy is not None for r in (row, row.before) if r is not None]

    def finished(self) -> list[ResultRow]:
        """All finished runs, newest first, a row each; opens files too."""
        seen = {}
        for folder in list_runs(self._home):
            try:
                size = folder.events.stat().st_size
            except OSError:
                continue
            before = self._seen.get(folder.name)
            seen[folder.name] = before if before and before[0] == size else (size, result_of(folder))
        self._seen = seen
        return [row for _, row in seen.values() if row is not None]


def collect(home: Home, published: bool = False) -> list[ResultRow]:
    """The finished runs, newest first, and with `published` the figures of the original study after them."""
    return Follower(home).scored() + (published_rows() if published else [])


def sort(rows: Sequence[ResultRow], column: str, descending: bool | None = None) -> list[ResultRow]:
    """Rows by a column's key or header; numbers from the top and words from A unless `descending` says otherwise.

    What is not known comes last in both directions. Raises `UserError` on an unknown column.
    """
    known = columns(rows)
    chosen = next((c for c in known if column in (c.key, c.header)), None)
    if chosen is None:
        keys = [c.key for c in known]
        raise UserError(f'no column "{column}"{nearest(column, keys)}; there is {", ".join(keys)}')
    given = [(value, row) for row in rows if (value := chosen.value(row)) not in (None, "")]
    lacking = [row for row in rows if chosen.value(row) in (None, "")]
    reverse = chosen.right if descending is None else descending
    return [row for _, row in sorted(given, key=lambda pair: pair[0], reverse=reverse)] + lacking


def _notes(rows: Sequence[ResultRow]) -> list[str]:
    """Every source once, and under it every note once, with the rows that it is about."""
    lines = []
    for source in dict.fromkeys(row.source for row in rows if row.source):
        lines.append(f"published: not measured by this program. Source: {source}.")
        about: dict[str, list[str]] = {}
        for row in rows:
            if row.source == source:
                about.setdefault(row.note, []).append(row.title)
        lines += [f"{', '.join(titles)}: {note}." for note, titles in about.items()]
    return lines


def to_table(rows: Sequence[ResultRow], width: int | None = None) -> tuple[str, list[str]]:
    """Aligned plain text, under it the notes of published rows; and the headers of the columns left out.

    With `width` (cells), the columns of least weight are left out until the lines fit, as far as that helps.
    """
    if not rows:
        return "", []
    shown = columns(rows)
    widths = {c.key: max(len(c.header), *(len(c.text(row)) for row in rows)) for c in shown}
    dropped = []
    for key in LEFT_OUT_FIRST if width else ():
        if sum(widths[c.key] + 2 for c in shown) - 2 <= (width or 0):
            break
        dropped += [c.header for c in shown if c.key.partition(".")[0] == key]
        shown = [c for c in shown if c.key.partition(".")[0] != key]

    def line(texts: Iterable[str]) -> str:
        padded = (t.rjust(widths[c.key]) if c.right else t.ljust(widths[c.key])
                  for t, c in zip(texts, shown, strict=True))
        return "  ".join(padded).rstrip()

    notes = [part for note in _notes(rows) for part in (textwrap.wrap(note, width) if width else [note])]
    lines = [line(c.header for c in shown), *(line(c.text(row) for c in shown) for row in rows)]
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n", dropped


def to_markdown(rows: Sequence[ResultRow]) -> str:
    """A Markdown table, and under it the notes of published rows."""
    shown = columns(rows)
    cells = [[c.text(row) for c in shown] for row in rows]

    def line(texts: Iterable[str]) -> str:
        return "| " + " | ".join(t.replace("\\", "\\\\").replace("|", "\\|") for t in texts) + " |"

    notes = [f"- {note}" for note in _notes(rows)]
    rule = "|" + "|".join("---:" if c.right else "---" for c in shown) + "|"
    return "\n".join([line(c.header for c in shown), rule, *map(line, cells), *([""] if notes else []), *notes]) + "\n"


def as_dict(row: ResultRow) -> dict[str, Any]:
    """Plain values in full precision, under the names that `labtui list --json` uses too."""
    return {
        "run": row.run,
        "config": row.experiment,
        "engine": row.engine,
        "state": "published" if row.published else FINISHED,
        "published": row.published,
        "title": row.title,
        "variant": row.variant,
        "model": row.model,
        "accuracy": row.accuracy,
        "accuracy_low": row.interval[0] if row.interval else None,
        "accuracy_high": row.interval[1] if row.interval else None,
        "items": row.items,
        "invalid": row.invalid,
        "recall": row.recall,
        "macro_precision": row.macro_precision,
        "macro_recall": row.macro_recall,
        "macro_f1": row.macro_f1,
        "training_seconds": row.training_seconds,
        "seconds": row.seconds,
        "items_per_s": row.items_per_s,
        "memory_peak_bytes": row.memory_peak_bytes,
        "memory_of": None if row.memory_peak_bytes is None else "host" if row.memory_on_host else "device",
        "labels": list(row.labels),
        "confusion": [list(r) for r in row.confusion],
        "note": row.note,
        "source": row.source,
    }


def to_json(rows: Sequence[ResultRow]) -> str:
    """An array, one object a run, full precision."""
    return json.dumps([as_dict(row) for row in rows], indent=1, ensure_ascii=False) + "\n"


def to_csv(rows: Sequence[ResultRow]) -> str:
    """One line a run, full precision; the recall of every class has a column `recall.CLASS`, None is empty."""
    classes = list(dict.fromkeys(label for row in rows for label in row.recall))
    lines = []
    for row in rows:
        values = {k: v for k, v in as_dict(row).items() if k not in ("recall", "labels", "confusion")}
        lines.append({**values, **{f"recall.{c}": row.recall.get(c) for c in classes}})
    output = io.StringIO()
    header = ["run", "config", "engine", "state", "model", "accuracy", "items"]
    writer = csv.DictWriter(
        output, [*header, *(k for k in (lines[0] if lines else ()) if k not in header)], lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(lines)
    return output.getvalue()
