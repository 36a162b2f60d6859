"""Tables of labels and predictions: CSV, TSV, JSON lines, Parquet.

Which probability a table gives is read from its header where that names a class (`probability_positive`), else from
its values, taking an answer for the more probable one of two classes: never below one half is the probability of the
predicted class; at or above one half exactly where one class is predicted is the probability of that class. What fits
neither is refused.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from engines.data import files
from engines.data.files import Source
from engines.data.labels import CLASSES_MAX, unified_name
from engines.data.table import Table
from engines.errors import DataError
from engines.importing.columns import (
    ImportedAnswers,
    ImportedRepeat,
    classes_only_predicted,
    foreign_classes,
    foreign_examples,
    note_identity,
    note_invalid,
)
from engines.reporter import Notes
from engines.settings import nearest

TABLE = "table"
_PREDICTION = re.compile(r"(?:prediction|predicted|pred)(?![a-z])(.*)", re.IGNORECASE)
_NUMBERED = re.compile(r"(?:prediction|predicted|pred)[ _.-]?\d*", re.IGNORECASE)
_HALF = 1e-6  # what rounding does to a probability of one half
_SUM_TOLERANCE = 0.02  # probabilities of all classes, written with two decimals


class _Columns:
    """The columns of a table by their names, which have to be unique."""

    def __init__(self, table: Table) -> None:
        _check_header(table.columns, table.header_place)
        _check_keys(table)
        self.name = table.name
        self.by_name = {column: table.values(at) for at, column in enumerate(table.columns)}

    def pick(self, given: str, option: str, usual: Sequence[str]) -> str:
        """The column that `given` names, else the first of a usual name; "" where there is none."""
        if given and given not in self.by_name:
            raise DataError(
                f'{self.name}: no column "{given}"{nearest(given, self.by_name)}; '
                f"set {option} to one of {', '.join(self.by_name)}"
            )
        lower = {column.lower(): column for column in reversed(self.by_name)}
        return given or next((lower[word] for word in usual if word in lower), "")


def _check_keys(table: Table) -> None:
    for line, row in zip(table.lines, table.objects, strict=False):
        if row.keys() != table.objects[0].keys():
            odd = sorted(row.keys() ^ table.objects[0].keys())[0]
            raise DataError(
                f'{table.name} line {line}: the key "{odd}" stands in this line or in the first one, not in '
                "both; give every line the same keys"
            )


def _check_header(columns: Sequence[str], place: str) -> None:
    for column, times in Counter(columns).items():
        if times > 1 or not column:
            fault = f'the column "{column}" stands there {times} times' if column else "a column has no name"
            raise DataError(f"{place}: {fault}; name every column once")


def read_predictions(
    table: Table, digest: str, text: str, label: str, notes: Notes, classes: Sequence[str] = ()
) -> ImportedAnswers:
    """The predictions in a table whose file has this sha256 `digest`; `text` and `label` name columns, "" detects them
    by name. The classes are those of the labels and `classes`; without the latter also those that are only predicted.
    Raises `DataError`."""
    columns = _Columns(table)
    label_column = columns.pick(label, "--label", files.LABEL_NAMES)
    if not label_column:
        raise DataError(
            f"{table.name}: no column is called {' or '.join(files.LABEL_NAMES)}; set --label to one of "
            f"{', '.join(table.columns)} (the first line names the columns)"
        )
    text_column = columns.pick(text, "--text", files.TEXT_NAMES)
    if text_column == label_column:
        raise DataError(f'{table.name}: text and label are both column "{label_column}"; set --text or --label')
    source = Source(
        table.name,
        list(columns.by_name.get(text_column, ())),
        columns.by_name[label_column],
        text_column,
        label_column,
        table.lines,
    )
    files.clean_all(source, notes)
    labels, _, class_of = foreign_classes(source, None, classes)
    others = [c for c in table.columns if c not in (text_column, label_column)]
    chosen = _prediction_columns(columns, others, labels, class_of, notes)
    every = [value for column in chosen for value in columns.by_name[column]]
    if all(class_of(value) is None for value in every):
        raise DataError(
            f'{source.place(0)}: column "{chosen[0]}" holds {every[0]!r}, and no value in it is one of '
            f'the labels {", ".join(labels)}; write predictions as column "{label_column}" writes labels'
        )
    only_predicted = Counter[str]() if classes else classes_only_predicted(source, class_of, every)
    if only_predicted and len(labels) + len(only_predicted) <= CLASSES_MAX:
        told = ", ".join(f"{word} ({count:,})" for word, count in only_predicted.most_common(5))
        more = f" and {len(only_predicted) - 5:,} more" if len(only_predicted) > 5 else ""
        notes.note(
            f"{table.name}: classes that are predicted and that no item has: {told}{more}; they count as classes, "
            "unless --labels names the classes there are",
            "warning",
        )
        classes = list(only_predicted)
    labels, true, class_of = foreign_classes(source, notes, classes)
    repeats: list[ImportedRepeat] = []
    mentioned: set[str] = set()
    for column in chosen:
        values = columns.by_name[column]
        predicted = [class_of(value) for value in values]
        note_invalid(f'{table.name} column "{column}"', values, predicted, notes)
        alone = len(chosen) == 1  # else probability_1 may be that of prediction_1
        of_column = _Probabilities(source, columns, column, labels, class_of if alone else lambda word: None, notes)
        given = of_column.of(predicted)
        mentioned |= of_column.mentioned
        probabilities = [[] if p is None else row for p, row in zip(predicted, given, strict=True)]
        unlike = sum(
            bool(row) and row[p or 0] < max(row) - _HALF for p, row in zip(predicted, probabilities, strict=True)
        )
        if unlike:
            notes.note(
                f'{table.name} column "{column}": {unlike:,} predictions are not of the most probable class; '
                "they count as they are written",
                "warning",
            )
        repeats.append(ImportedRepeat(column, predicted, probabilities))
    if left := [c for c in others if _is_probability(c) and c not in mentioned]:
        notes.note(
            f"{table.name}: probabilities that are not read, as no class or column of predictions is called so: "
            f"{', '.join(left)}",
            "warning",
        )
    note_identity(table.name, bool(source.texts), notes, "name a column of texts by --text where there is one")
    details = {"label": label_column, "text": text_column, "predictions": chosen}
    return ImportedAnswers(TABLE, labels, foreign_examples(source, true, digest), repeats, "column", details=details)


def _is_probability(column: str) -> bool:
    return "probability" in column.lower()


def _prediction_columns(
    columns: _Columns, others: list[str], labels: Sequence[str], class_of: Callable[[Any], int | None], notes: Notes
) -> list[str]:
    """Columns called prediction, predicted or pred, where one with more to its name than a number holds a label or
    none does; without such, those of whose values half or more are labels."""
    others = [c for c in others if not _is_probability(c)]
    named = [c for c in others if _PREDICTION.fullmatch(c)]
    holding = {c for c in named if any(class_of(v) is not None for v in columns.by_name[c])}
    chosen = [c for c in named if not holding or c in holding or _NUMBERED.fullmatch(c)]
    if not chosen:
        rows = len(next(iter(columns.by_name.values())))
        chosen = [c for c in others if 2 * sum(class_of(v) is not None for v in columns.by_name[c]) >= rows]
    if not chosen:
        raise DataError(
            f"{columns.name}: no column of predictions: none is called prediction, and none of "
            f"{', '.join(others) or 'the other columns'} holds the labels {', '.join(labels)}; "
            "rename the column to prediction"
        )
    notes.note(f"{columns.name}: predictions in {'column' if len(chosen) == 1 else 'columns'} {', '.join(chosen)}")
    if left := [c for c in others if c not in chosen]:
        notes.note(f"{columns.name}: not read: {', '.join(left)}")
    return chosen


class _Probabilities:
    """The probabilities that belong to a column of predictions.

    For `prediction_2` these are `probability_2`, or `probability_CLASS_2` for one or all classes; for `run1`
    `probability_run1` or `run1_probability`, and so on.
    """

    def __init__(
        self,
        source: Source,
        columns: _Columns,
        column: str,
        labels: tuple[str, ...],
        class_of: Callable[[Any], int | None],
        notes: Notes,
    ) -> None:
        """`class_of` is the class that a word in a header means beside the labels themselves."""
        self._source, self._columns, self._labels, self._notes = source, columns, labels, notes
        self._column, self._class_of = column, class_of
        self.mentioned: set[str] = set()  # columns that were read, or of which a note says why they were not
        named = _PREDICTION.fullmatch(column)
        self._suffix = named.group(1) if named else f"_{column}"
        self._known = {c.lower(): c for c in reversed(columns.by_name)}

    def of(self, predicted: Sequence[int | None]) -> list[list[float]]:
        """A row per item, empty where there are none."""
        none: list[list[float]] = [[] for _ in predicted]
        by_class = {c: name for name in self._known.values() if (c := self._class_named(name)) is not None}
        classes = len(self._labels)
        if by_class:
            if len(by_class) == classes:
                return self._rows([self._numbers(by_class[c]) for c in range(classes)])
            if classes > 2:
                self.mentioned |= set(by_class.values())
                lacking = ", ".join(self._labels[c] for c in range(classes) if c not in by_class)
                self._notes.note(
                    f"{self._columns.name}: the probabilities of {lacking} are missing, so none is read", "warning"
                )
                return none
            ((known, column),) = by_class.items()
            return self._of_class(known, self._numbers(column))
        column = next((self._known[n] for n in self._plain_names() if n in self._known), "")
        if not column:
            return none
        numbers = self._numbers(column)
        if classes > 2:
            self._notes.note(
                f'{self._columns.name}: column "{column}" gives one probability of {classes}, which says '
                "nothing of the other classes; it is not read",
                "warning",
            )
            return none
        return self._by_values(column, numbers, predicted)

    def _plain_names(self) -> list[str]:
        more = [f"{self._column}_probability".lower()]
        return [f"probability{self._suffix}".lower(), *more]

    def _class_named(self, column: str) -> int | None:
        lower, suffix = column.lower(), self._suffix.lower()
        if not lower.startswith(("probability_", "probability.")) or not lower.endswith(suffix):
            return None
        middle = column[len("probability_") : len(column) - len(suffix)]
        words = [label.lower() for label in self._labels]
        word = unified_name(middle).lower()
        return words.index(word) if word in words else self._class_of(middle)

    def _numbers(self, column: str) -> list[float | None]:
        self.mentioned.add(column)
        numbers: list[float | None] = []
        for row, value in enumerate(self._columns.by_name[column]):
            if value is None or isinstance(value, str) and not value.strip():
                numbers.append(None)
                continue
            try:
                number = float(value)
            except (TypeError, ValueError):
                raise DataError(
                    f'{self._source.place(row)}: column "{column}" holds {value!r}, not a number; '
                    "correct it or leave it empty"
                ) from None
            if number != number:
                numbers.append(None)
                continue
            if not 0 <= number <= 1:
                raise DataError(
                    f'{self._source.place(row)}: column "{column}" holds {value}, which is no probability '
                    "(0 to 1); divide percents by 100, or rename the column"
                )
            numbers.append(number)
        return numbers

    def _rows(self, columns: list[list[float | None]]) -> list[list[float]]:
        probabilities: list[list[float]] = []
        for row, values in enumerate(zip(*columns, strict=True)):
            known = [v for v in values if v is not None]
            if known and (len(known) < len(values) or abs(sum(known) - 1) > _SUM_TOLERANCE):
                fault = "lacks one of the probabilities" if len(known) < len(values) else f"sums to {sum(known):g}"
                raise DataError(
                    f'{self._source.place(row)}: of column "{self._column}" {fault}; the probabilities of '
                    "all classes sum to 1"
                )
            probabilities.append(known)
        return probabilities

    def _of_class(self, known: int, numbers: Sequence[float | None]) -> list[list[float]]:
        rows = [[] if p is None else [1 - p, p] for p in numbers]
        return rows if known == 1 else [row[::-1] for row in rows]

    def _by_values(
        self, column: str, numbers: list[float | None], predicted: Sequence[int | None]
    ) -> list[list[float]]:
        """Of two classes: whose probability a number is."""
        there = [
            (row, p, c)
            for row, (p, c) in enumerate(zip(numbers, predicted, strict=True))
            if p is not None and c is not None
        ]
        low = [row for row, p, _ in there if p < 0.5 - _HALF]
        if not low:
            self._notes.note(
                f'{self._columns.name}: column "{column}" is read as the probability of the predicted '
                "label: it is never below one half"
            )
            return [
                [] if p is None or c is None else self._of_class(c, [p])[0]
                for p, c in zip(numbers, predicted, strict=True)
            ]
        against = {k: [row for row, p, c in there if abs(p - 0.5) > _HALF and (p > 0.5) != (c == k)] for k in (0, 1)}
        fitting = [k for k in (1, 0) if not against[k]]
        if not fitting:
            label = self._labels[1]
            raise DataError(
                f'{self._source.place(low[0])}: column "{column}" holds a probability below one half, so it is not '
                f"that of the predicted label, and {self._source.number(against[1][0])} does not fit the probability "
                f"of {label} either; rename the column to probability_{label} or to the class it is of"
            )
        label = self._labels[fitting[0]]
        self._notes.note(
            f'{self._columns.name}: column "{column}" is read as the probability of {label}: it is above '
            f"one half where {label} is predicted, and only there"
        )
        return self._of_class(fitting[0], numbers)
