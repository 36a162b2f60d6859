"""Results as text: fitted to a terminal, or for files, as CSV, JSON, Markdown and LaTeX. All texts come out clean."""

import csv
import io
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from engines.answers.metrics import ACCURACY, scored_by_runs
from engines.importing import spreadsheets
from engines.models import cards
from engines.runs.summary import FINISHED
from labtui.results.columns import Column, known_columns, left_out_first
from labtui.results.rows import ResultRow, name_of
from labtui.sanitize import clean, json_text

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "—": "---",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "…": r"\dots{}",
    "±": r"$\pm$",
    "κ": r"$\kappa$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "·": r"$\cdot$",
    "`": r"\textasciigrave{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def published_notes(rows: Sequence[ResultRow]) -> list[str]:
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
    shown = known_columns(rows)
    widths = {c.key: max(len(c.header), *(len(c.text(row)) for row in rows)) for c in shown}
    dropped = []
    for key in left_out_first() if width else ():
        if sum(widths[c.key] + 2 for c in shown) - 2 <= (width or 0):
            break
        dropped += [c.header for c in shown if c.key.partition(".")[0] == key]
        shown = [c for c in shown if c.key.partition(".")[0] != key]

    def line(texts: Iterable[str]) -> str:
        padded = (
            t.rjust(widths[c.key]) if c.right else t.ljust(widths[c.key]) for t, c in zip(texts, shown, strict=True)
        )
        return "  ".join(padded).rstrip()

    remarks = [*(f"{name_of(row)}: {text}" for row in rows for _, text in row.warnings), *published_notes(rows)]
    notes = [part for note in remarks for part in (textwrap.wrap(note, width) if width else [note])]
    lines = [line(c.header for c in shown), *(line(c.text(row) for c in shown) for row in rows)]
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n", dropped


def as_dict(row: ResultRow) -> dict[str, Any]:
    """Plain values in full precision, under the names that `labtui list --json` uses too."""
    return {
        "run": row.run,
        "config": row.experiment,
        "engine": row.engine,
        "state": "published" if row.published else FINISHED,
        "published": row.published,
        "title": row.title,
        "variant": row.variant.words,
        "model": row.model,
        "accuracy": row.accuracy,
        "accuracy_low": row.interval[0] if row.interval else None,
        "accuracy_high": row.interval[1] if row.interval else None,
        "accuracy_interval_over": row.interval_over if row.interval else None,
        "items": row.items,
        "invalid": row.invalid,
        "recall": row.recall,
        **{m.name: row.figure(m.name) for m in scored_by_runs() if m.name != ACCURACY.name},
        "repeats": row.n,
        "accuracies": list(row.accuracies),
        "accuracy_sd": row.sd,
        "varied": row.varied,
        "untrained_head": row.untrained_head,
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
    """An array, one object per run, full precision."""
    return json_text([as_dict(row) for row in rows], indent=1) + "\n"


def to_csv(rows: Sequence[ResultRow], excel: bool = False) -> str:
    """One line per run, full precision; the recall of every class has a column `recall.CLASS`, None is empty.

    With `excel` no text is taken for a formula by a spreadsheet.
    """
    classes = list(dict.fromkeys(label for row in rows for label in row.recall))
    lines = []
    for row in rows:
        values = {k: v for k, v in as_dict(row).items() if k not in ("recall", "labels", "confusion", "accuracies")}
        lines.append({**values, **{f"recall.{c}": row.recall.get(c) for c in classes}})
    output = io.StringIO()
    header = ["run", "config", "engine", "state", "model", "accuracy", "items"]
    writer = csv.DictWriter(
        output, [*header, *(k for k in (lines[0] if lines else ()) if k not in header)], lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows({k: spreadsheets.escaped(v) for k, v in line.items()} if excel else line for line in lines)
    return spreadsheets.BOM.decode() * excel + output.getvalue()


# -- the columns that a screen shows ------------------------------------------------------------------------


def table_csv(rows: Sequence[ResultRow], columns: Sequence[Column]) -> str:
    """One line per row and one field per column, under its key, in full precision; an interval has two fields."""
    output = io.StringIO()
    records = [_values(row, columns) for row in rows]
    names = dict.fromkeys(name for record in records for name in record)
    writer = csv.DictWriter(output, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return output.getvalue()


def table_json(rows: Sequence[ResultRow], columns: Sequence[Column]) -> str:
    """An array, one object per row, the values by the columns' keys in full precision."""
    return json_text([_values(row, columns) for row in rows], indent=1) + "\n"


def _values(row: ResultRow, columns: Sequence[Column]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for column in columns:
        if column.key == "interval":
            record["interval_low"], record["interval_high"] = row.interval or (None, None)
        else:
            record[column.key] = column.value(row)
    return record | ({"source": row.source, "note": row.note} if row.published else {})


def table_markdown(rows: Sequence[ResultRow], columns: Sequence[Column]) -> str:
    """A Markdown table of what the screen shows, and under it the notes of published rows."""

    def line(texts: Sequence[str]) -> str:
        return "| " + " | ".join(map(cards.cell, texts)) + " |"

    rule = "|" + "|".join("---:" if c.right else "---" for c in columns) + "|"
    cells = [line([clean(c.text(row)) for c in columns]) for row in rows]
    notes = [f"- {note}" for note in published_notes(rows)]
    return "\n".join([line([c.header for c in columns]), rule, *cells, *([""] if notes else []), *notes]) + "\n"


def table_latex(rows: Sequence[ResultRow], columns: Sequence[Column]) -> str:
    """A booktabs table of what the screen shows, and under it the notes of published rows as a list."""

    def line(texts: Sequence[str]) -> str:
        return " & ".join(map(latex, texts)) + r" \\"

    lines = [
        r"% needs \usepackage{booktabs} and a text font with T1 encoding",
        r"\begin{tabular}{" + "".join("r" if c.right else "l" for c in columns) + "}",
        r"\toprule",
        line([c.header for c in columns]),
        r"\midrule",
        *(line([clean(c.text(row)) for c in columns]) for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if notes := published_notes(rows):
        lines += ["", r"\begin{itemize}", *(rf"\item {latex(note)}" for note in notes), r"\end{itemize}"]
    return "\n".join(lines) + "\n"


def latex(text: str) -> str:
    """Text that LaTeX sets as it is written."""
    return "".join(_LATEX.get(character, character) for character in text)


# by the format's name: the columns that are given
TABLES: dict[str, Callable[[Sequence[ResultRow], Sequence[Column]], str]] = {
    "csv": table_csv,
    "json": table_json,
    "md": table_markdown,
    "latex": table_latex,
}
# all that is known of the rows
RECORDS: dict[str, Callable[[Sequence[ResultRow]], str]] = {
    "json": to_json,
    "csv": to_csv,
    "md": lambda rows: table_markdown(rows, known_columns(rows)),
    "latex": lambda rows: table_latex(rows, known_columns(rows)),
}
