"""What a table shows of a row: its columns, in order of priority."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from engines.answers.metrics import ACCURACY, Metric, beside_accuracy
from engines.errors import UserError
from engines.settings import nearest
from labtui import format
from labtui.results.rows import ResultRow, name_of

CLASS_COLUMNS = 6  # most classes with a column of their own in a table; files hold all of them


@dataclass(frozen=True)
class Column:
    """A column of the table: what a row shows in it and what it sorts by."""

    key: str
    header: str
    value: Callable[[ResultRow], Any]
    text: Callable[[ResultRow], str]
    right: bool = True
    least: int = 0  # cells that it will need when the answers have been read


def _peak(row: ResultRow) -> str:
    if row.memory_peak_bytes is None:
        return format.MISSING
    peak = f"{row.memory_peak_bytes / 2**30:,.2f} {'RAM' if row.memory_on_host else 'GPU'}"
    return peak + (f" of est. {row.estimate_bytes / 2**30:,.2f}" if row.estimate_bytes else "")


def varied_text(row: ResultRow) -> str:
    """What differs between the executions, and that a head was never trained."""
    if row.untrained_head:
        return f"{row.varied} {format.UNTRAINED.split()[0]}" if row.varied else format.UNTRAINED
    return row.varied or format.MISSING


def sd_text(row: ResultRow) -> str:
    """The standard deviation; nothing where nothing varied: a zero would look like a finding."""
    return format.score(None if row.varied.startswith("nothing") and not row.sd else row.sd)


def range_text(row: ResultRow) -> str:
    """Lowest and highest accuracy of several executions."""
    return format.interval(min(row.accuracies), max(row.accuracies)) if row.n > 1 else format.MISSING


def percent(fraction: float | None) -> str:
    """A fraction in percent with one decimal: `0.4 %`."""
    return format.MISSING if fraction is None else f"{100 * fraction:.1f} %"


def _items_per_s(row: ResultRow) -> str:
    return format.rate(row.items_per_s, "").removesuffix(" /s")


def _training(row: ResultRow) -> str:
    return format.duration(row.training_seconds)


def _score(name: str) -> Callable[[ResultRow], str]:
    return lambda row: format.score(getattr(row, name))


def _value(name: str) -> Callable[[ResultRow], Any]:
    return lambda row: getattr(row, name)


RUN = Column("run", "run", name_of, name_of, right=False)


def _recall(label: str) -> Column:
    return Column(
        f"recall.{label}",
        f"rec. {label}",
        lambda row: row.recall.get(label),
        lambda row: format.score(row.recall.get(label)),
    )


def _metric(metric: Metric) -> Column:
    name = metric.name
    least = 5 if metric.needs_probabilities else 0
    return Column(
        name, metric.heading, lambda row: row.figure(name), lambda row: format.score(row.figure(name)), least=least
    )


def columns_for(rows: Iterable[ResultRow]) -> list[Column]:
    """All columns, among them one for each metric and one for the recall of each class of the rows, the commonest
    classes first."""
    metrics = beside_accuracy()
    classes = Counter(label for row in rows for label in row.recall)
    return [
        RUN,
        _metric(ACCURACY),
        Column(
            "interval",
            "95 %",
            lambda r: r.interval and r.interval[0],
            lambda r: format.interval(*(r.interval or (None, None))),
            least=11,
        ),
        Column("n", "n", _value("n"), lambda r: format.count(r.n)),
        Column("sd", "sd", _value("sd"), sd_text, least=5),
        Column(
            "varied",
            "varied",
            lambda r: r.varied or r.untrained_head and format.UNTRAINED or None,
            varied_text,
            right=False,
        ),
        Column("items", "items", _value("items"), lambda r: format.count(r.items) if r.items else format.MISSING),
        *(_metric(metric) for metric in metrics if metric.prominent),
        Column("range", "min–max", lambda r: min(r.accuracies, default=None), range_text, least=11),
        *(_recall(label) for label, _ in classes.most_common(CLASS_COLUMNS)),
        *(_metric(metric) for metric in metrics if not metric.prominent and not metric.needs_probabilities),
        Column("invalid", "invalid", _value("invalid_share"), lambda r: percent(r.invalid_share)),
        Column("kappa", "kappa", _value("kappa"), _score("kappa"), least=6),
        Column("all_agree", "all agree", _value("all_agree"), lambda r: percent(r.all_agree)),
        *(_metric(metric) for metric in metrics if not metric.prominent and metric.needs_probabilities),
        Column("items_per_s", "items/s", _value("items_per_s"), _items_per_s),
        Column("training_seconds", "training", _value("training_seconds"), _training),
        Column("memory_peak_bytes", "peak GiB", _value("memory_peak_bytes"), _peak, least=21),
        Column("engine", "engine", _value("engine"), lambda r: r.engine or format.MISSING, right=False),
        Column("model", "model", _value("model"), lambda r: r.model or format.MISSING, right=False),
    ]


def left_out_first() -> list[str]:
    """The columns that a terminal too narrow for all does without, in that order; the run, its accuracy and the
    interval always stay."""
    metrics = list(reversed(beside_accuracy()))
    return [
        "all_agree",
        "kappa",
        *(metric.name for metric in metrics if not metric.prominent and metric.needs_probabilities),
        "invalid",
        *(metric.name for metric in metrics if not metric.prominent and not metric.needs_probabilities),
        "engine",
        "memory_peak_bytes",
        "range",
        "items_per_s",
        "recall",
        "training_seconds",
        "model",
        *(metric.name for metric in metrics if metric.prominent),
        "items",
        "varied",
        "sd",
        "n",
    ]


def known_columns(rows: Sequence[ResultRow]) -> list[Column]:
    """`columns_for` without those in which no row has a value; without repeats also without n and what varied."""
    several = any(row.n > 1 for row in rows)
    return [c for c in columns_for(rows) if any(c.value(row) is not None for row in rows) and (several or c.key != "n")]


def sort_rows(rows: Sequence[ResultRow], column: str, descending: bool | None = None) -> list[ResultRow]:
    """Rows by a column's key or header; numbers from the top and words from A unless `descending` says otherwise.

    What is not known comes last in both directions. Raises `UserError` on an unknown column.
    """
    known = columns_for(rows)
    chosen = next((c for c in known if column in (c.key, c.header)), None)
    if chosen is None:
        keys = [c.key for c in known]
        raise UserError(f'no column "{column}"{nearest(column, keys)}; there is {", ".join(keys)}')
    given = [(value, row) for row in rows if (value := chosen.value(row)) not in (None, "")]
    lacking = [row for row in rows if chosen.value(row) in (None, "")]
    reverse = chosen.right if descending is None else descending
    return [row for _, row in sorted(given, key=lambda pair: pair[0], reverse=reverse)] + lacking
