"""Predictions that another program made, as a run marked *imported*: answers without a model.

Read are tables (CSV, TSV, JSON lines, Parquet, also .gz) with a label and one or more columns of predictions, and the
samples files of lm-evaluation-harness. An item is known by the hash of its cleaned text, as everywhere, where the file
holds texts; else by the file and its row, so that the columns of one file meet each other and nothing else.

Which probability a table gives is read from its header where that names a class (`probability_positive`), else from
its values, taking an answer for the more probable one of two classes: never below one half is the probability of the
predicted class; at or above one half exactly where one class is predicted is the probability of that class. What fits
neither is refused.
"""

import hashlib
import json
import math
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.parts import answers, files, scoring
from engines.parts.files import DataError, Source
from engines.parts.items import CLASSES_MAX, Example, examples_of, unified_name, whole_number, write_items
from engines.reporter import Notes
from engines.runs import events as ev
from engines.runs.folder import RunFolder, write_atomic
from engines.runs.home import Home
from engines.settings import nearest

ENGINE = "imported"
_PREDICTION = re.compile(r"(?:prediction|predicted|pred)(?![a-z])(.*)", re.IGNORECASE)
_SAMPLE_KEYS = {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps"}
_HALF = 1e-6  # what rounding does to a probability of one half
_SUM_TOLERANCE = 0.02  # probabilities of all classes, written with two decimals


@dataclass
class _Answers:
    """One column of predictions, an entry an item."""

    value: str  # the column, or what else tells it from the others
    predicted: list[int | None]
    probabilities: list[list[float]]
    texts: dict[int, str] = field(default_factory=dict)  # as generated, by item


@dataclass
class _Found:
    """What a file holds."""

    form: str
    labels: tuple[str, ...]
    examples: list[Example]
    repeats: list[_Answers]
    varied: str
    model: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)  # for config.toml


class _Notes:
    """Keeps sentences for the run and passes them on."""

    def __init__(self, other: Notes) -> None:
        self.kept: list[ev.Note] = []
        self._other = other

    def note(self, text: str, level: str = "info") -> None:
        self.kept.append(ev.Note(text, level))
        self._other.note(text, level)


def import_file(
    home: Home, path: Path, report: Notes, *, name: str = "", text: str = "", label: str = "", varied: str = "",
    model: str = "",
) -> RunFolder:
    """Make a finished run of the predictions in a file; its folder.

    `name` is what the run is called (default: the task, or the file's name), `text` and `label` name
    columns (`text` also a field of a sample's `doc`), `varied` says what differs between several columns of
    predictions, `model` what made them.
    Raises `DataError` with file, line or row, column and remedy; then nothing has been written.
    """  # fmt: skip
    notes = _Notes(report)
    if path.name.startswith("results_") and path.suffix == ".json":
        raise DataError(f"{path}: the answers stand in the samples_*.jsonl beside this file; import that")
    content, suffix = files.read_bytes(path, "FILE")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    rows: list[dict[str, Any]] = []
    if suffix == ".jsonl":
        rows, lines = files.objects(files.decode(content, path.name), path.name)
    if rows and rows[0].keys() >= _SAMPLE_KEYS:
        if label:
            raise DataError(f"{path.name}: samples of lm-evaluation-harness carry their label; leave --label out")
        found = _Samples(path, digest, rows, lines, text, notes).read()
    else:
        if suffix == ".jsonl":
            table = _of_objects(rows, lines, path.name)
        elif suffix == ".parquet":
            table = _of_parquet(content, path.name)
        else:
            table = _of_csv(files.decode(content, path.name), suffix == ".tsv", path.name, notes)
        found = _from_table(table, digest, text, label, notes)
    return _write(home, path, digest, found, notes, name, varied, model)


# -- the run ----------------------------------------------------------------------------------------------


def _write(
    home: Home, path: Path, digest: str, found: _Found, notes: _Notes, name: str, varied: str, model: str
) -> RunFolder:
    labels, repeats = list(found.labels), found.repeats
    name = name.strip() or found.details.get("task") or path.name.partition(".")[0]
    model = model.strip() or found.model
    document = {
        "engine": ENGINE, "title": f"Imported from {path.name}", "family": ENGINE, "experiment": name,
        "model": {"name": model},
        "imported": {"file": str(path.absolute()), "sha256": digest, "form": found.form, **found.details},
    }  # fmt: skip
    true = [e.label for e in found.examples]
    confusions = [scoring.confusion_matrix(true, r.predicted, len(labels)) for r in repeats]
    each = [scoring.scores(confusion, labels) for confusion in confusions]
    scores = scoring.over_repeats(each)
    story: list[ev.Event] = [ev.Started("elsewhere", digest[:16], found.versions), *notes.kept]
    if len(repeats) > 1:
        varied = varied.strip() or found.varied
        story += [ev.Repeat(index, varied, repeat.value, each[index], labels, confusions[index])
                  for index, repeat in enumerate(repeats)]  # fmt: skip
    story.append(ev.Evaluated("test", len(true), scores, labels, confusions[0]))
    story.append(ev.Finished(model=model, scores=scores, split="test", items=len(true), labels=labels,
                             confusion=confusions[0]))  # fmt: skip
    lines = "".join(_lines(found))
    folder = RunFolder.create(home, document)
    try:
        write_items(folder, found.examples, labels)
        write_atomic(folder.predictions, lines.encode())
        writer = ev.EventWriter(folder.events)
        try:
            for event in story:
                writer.write(event)
        finally:
            writer.close()
        answers.write(folder)
    except BaseException:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise
    return folder


def _lines(found: _Found) -> Iterator[str]:
    for index, repeat in enumerate(found.repeats):
        for n, item in enumerate(found.examples):
            answer = repeat.predicted[n]
            line = {
                "hash": item.hash,
                "label": found.labels[item.label],
                "predicted": None if answer is None else found.labels[answer],
                "probabilities": repeat.probabilities[n],
                "tokens_read": None,
                "repeat": index,
            }
            if n in repeat.texts:
                line["text"] = repeat.texts[n]
            yield json.dumps(line, separators=(",", ":")) + "\n"


# -- classes and items ------------------------------------------------------------------------------------


def _classes(
    source: Source, notes: Notes, choices: Sequence[str] = ()
) -> tuple[tuple[str, ...], list[int], Callable[[Any], int | None]]:
    """Class names as they are unified everywhere, the class of each row, and what class a prediction means.

    A class may be written as the labels write it or by its name; None is an answer that is no label. `choices` are
    classes too, whether or not an item has them.
    """
    column = source.label_column
    first: dict[Any, int] = {}
    for row, value in enumerate(source.labels):
        if value is None or value != value or isinstance(value, str) and not value.strip():
            raise DataError(f'{source.place(row)}: column "{column}", the label, is empty; '
                            "fill it in or delete the row")  # fmt: skip
        if isinstance(value, list | dict):
            raise DataError(f'{source.place(row)}: column "{column}" holds {value!r}, not a label; '
                            "name the column of the labels by --label")  # fmt: skip
        first.setdefault(value, row)
    for choice in choices:
        first.setdefault(choice, -1)
    if len(first) > CLASSES_MAX:
        raise DataError(f'{source.name}: column "{column}" holds more than {CLASSES_MAX} different labels; '
                        "name the column of the classes by --label")  # fmt: skip
    whole = {value: whole_number(value) for value in first}
    numbers = sorted({number for number in whole.values() if number is not None})
    numbered = len(numbers) > 0 and None not in whole.values()
    if numbered:
        names = ("negative", "positive") if numbers == [0, 1] else tuple(map(str, numbers))
        if numbers == [0, 1]:
            notes.note(f"{source.name}: label 0 is read as negative, 1 as positive")
    else:
        names = tuple(sorted({unified_name(value) for value in first}))
    if len(names) < 2:
        raise DataError(f'{source.name}: every label in column "{column}" is "{names[0]}"; two or more classes are '
                        "needed: check --label")  # fmt: skip

    def class_of(value: Any) -> int | None:
        if value is None or isinstance(value, list | dict):
            return None
        if numbered and (number := whole_number(value)) in numbers:
            return numbers.index(number)
        word = unified_name(value)
        return names.index(word) if word in names else None

    classes = [class_of(value) for value in source.labels]
    return names, [c for c in classes if c is not None], class_of


def _examples(source: Source, classes: Sequence[int], digest: str, rows: Sequence[int] = ()) -> list[Example]:
    """The items; `rows` are their numbers in the source where these are not their places."""
    if source.texts:
        found = examples_of(source, classes, range(len(classes)))
        return [Example(e.text, e.label, rows[n], e.hash) for n, e in enumerate(found)] if rows else found
    numbers = rows or range(len(classes))
    known_by = f"{answers.WITHOUT_TEXT}{digest}:"
    return [Example("", c, row, f"{known_by}{row}") for row, c in zip(numbers, classes, strict=True)]


def _note_identity(name: str, texts: bool, notes: Notes, remedy: str) -> None:
    if not texts:
        notes.note(f"{name} holds no texts: its columns can be compared with each other, not with other runs; {remedy}")


def _note_invalid(place: str, values: Sequence[Any], predicted: Sequence[int | None], notes: Notes) -> None:
    odd = Counter(repr(v)[:40] for v, p in zip(values, predicted, strict=True) if p is None)
    if odd:
        shown = ", ".join(value for value, _ in odd.most_common(3)) + (", ..." if len(odd) > 3 else "")
        notes.note(f"{place}: {sum(odd.values()):,} of {len(values):,} answers are no label ({shown}); they count as "
                   "invalid", "warning")  # fmt: skip


# -- tables -----------------------------------------------------------------------------------------------


@dataclass
class _Table:
    name: str
    columns: dict[str, list[Any]]
    lines: Sequence[int] = ()

    def pick(self, given: str, option: str, usual: Sequence[str]) -> str:
        """The column that `given` names, else the first of a usual name; "" where there is none."""
        if given and given not in self.columns:
            raise DataError(f'{self.name}: no column "{given}"{nearest(given, self.columns)}; '
                            f"set {option} to one of {', '.join(self.columns)}")  # fmt: skip
        lower = {column.lower(): column for column in reversed(self.columns)}
        return given or next((lower[word] for word in usual if word in lower), "")


def _of_csv(content: str, tabs: bool, name: str, notes: Notes) -> _Table:
    found, lines = files.records(content, tabs, name, notes)
    if not found:
        raise DataError(f"{name} holds no rows; check FILE")
    header = [column.strip() for column in found[0]]
    _check_header(header, f"{name} line {lines[0]}")
    if len(found) == 1:
        raise DataError(f"{name} holds a header and no rows; check FILE")
    return _Table(name, {c: [row[at] for row in found[1:]] for at, c in enumerate(header)}, lines[1:])


def _of_objects(rows: list[dict[str, Any]], lines: list[int], name: str) -> _Table:
    if not rows:
        raise DataError(f"{name} holds no rows; check FILE")
    for row, line in zip(rows, lines, strict=True):
        if row.keys() != rows[0].keys():
            odd = sorted(row.keys() ^ rows[0].keys())[0]
            raise DataError(f'{name} line {line}: the key "{odd}" stands in this line or in the first one, not in '
                            "both; give every line the same keys")  # fmt: skip
    return _Table(name, {column: [row[column] for row in rows] for column in rows[0]}, lines)


def _of_parquet(content: bytes, name: str) -> _Table:
    import io

    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(io.BytesIO(content))
    except pyarrow.ArrowException as error:
        raise DataError(f"{name} is no readable Parquet file ({str(error).splitlines()[0]}); write it again") from None
    _check_header(table.column_names, name)
    if not table.num_rows:
        raise DataError(f"{name} holds no rows; check FILE")
    return _Table(name, {column: table.column(column).to_pylist() for column in table.column_names})


def _check_header(columns: Sequence[str], place: str) -> None:
    for column, times in Counter(columns).items():
        if times > 1 or not column:
            said = f'the column "{column}" stands there {times} times' if column else "a column has no name"
            raise DataError(f"{place}: {said}; name every column once")


def _from_table(table: _Table, digest: str, text: str, label: str, notes: Notes) -> _Found:
    label_column = table.pick(label, "--label", files.LABEL_NAMES)
    if not label_column:
        raise DataError(f"{table.name}: no column is called {' or '.join(files.LABEL_NAMES)}; set --label to one of "
                        f"{', '.join(table.columns)} (the first line names the columns)")  # fmt: skip
    text_column = table.pick(text, "--text", files.TEXT_NAMES)
    if text_column == label_column:
        raise DataError(f'{table.name}: text and label are both column "{label_column}"; set --text or --label')
    source = Source(table.name, list(table.columns.get(text_column, ())), table.columns[label_column], text_column,
                    label_column, table.lines)  # fmt: skip
    files.clean_all(source)
    labels, classes, class_of = _classes(source, notes)
    others = [c for c in table.columns if c not in (text_column, label_column)]
    chosen = _prediction_columns(table, others, labels, class_of, notes)
    repeats = []
    for column in chosen:
        values = table.columns[column]
        predicted = [class_of(value) for value in values]
        if all(p is None for p in predicted):
            raise DataError(f'{source.place(0)}: column "{column}" holds {values[0]!r}, and no value in it is one of '
                            f'the labels {", ".join(labels)}; write predictions as column "{label_column}" writes '
                            "labels")  # fmt: skip
        _note_invalid(f'{table.name} column "{column}"', values, predicted, notes)
        given = _Probabilities(source, table, column, labels, notes).of(predicted)
        probabilities = [[] if p is None else row for p, row in zip(predicted, given, strict=True)]
        unlike = sum(bool(row) and row[p or 0] < max(row) - _HALF
                     for p, row in zip(predicted, probabilities, strict=True))  # fmt: skip
        if unlike:
            notes.note(f'{table.name} column "{column}": {unlike:,} predictions are not of the most probable class; '
                       "they count as they are written", "warning")  # fmt: skip
        repeats.append(_Answers(column, predicted, probabilities))
    _note_identity(table.name, bool(source.texts), notes, "name a column of texts by --text where there is one")
    details = {"label": label_column, "text": text_column, "predictions": chosen}
    return _Found("table", labels, _examples(source, classes, digest), repeats, "column", details=details)


def _is_probability(column: str) -> bool:
    return "probability" in column.lower()


def _prediction_columns(
    table: _Table, others: list[str], labels: Sequence[str], class_of: Callable[[Any], int | None], notes: Notes
) -> list[str]:
    """Columns called prediction, predicted or pred; without such, those of whose values half or more are labels."""
    others = [c for c in others if not _is_probability(c)]
    chosen = [c for c in others if _PREDICTION.fullmatch(c)]
    if not chosen:
        rows = len(next(iter(table.columns.values())))
        chosen = [c for c in others if 2 * sum(class_of(v) is not None for v in table.columns[c]) >= rows]
    if not chosen:
        raise DataError(f"{table.name}: no column of predictions: none is called prediction, and none of "
                        f"{', '.join(others) or 'the other columns'} holds the labels {', '.join(labels)}; "
                        "rename the column to prediction")  # fmt: skip
    notes.note(f"{table.name}: predictions in {'column' if len(chosen) == 1 else 'columns'} {', '.join(chosen)}")
    if left := [c for c in others if c not in chosen]:
        notes.note(f"{table.name}: not read: {', '.join(left)}")
    return chosen


class _Probabilities:
    """The probabilities that belong to a column of predictions.

    For `prediction_2` these are `probability_2`, or `probability_CLASS_2` for one or all classes; for `run1`
    `probability_run1` or `run1_probability`, and so on.
    """

    def __init__(self, source: Source, table: _Table, column: str, labels: tuple[str, ...], notes: Notes) -> None:
        self._source, self._table, self._labels, self._notes = source, table, labels, notes
        self._column = column
        named = _PREDICTION.fullmatch(column)
        self._suffix = named.group(1) if named else f"_{column}"
        self._known = {c.lower(): c for c in reversed(table.columns)}

    def of(self, predicted: Sequence[int | None]) -> list[list[float]]:
        """A row an item, empty where there are none."""
        none: list[list[float]] = [[] for _ in predicted]
        by_class = {c: name for name in self._known.values() if (c := self._class_named(name)) is not None}
        classes = len(self._labels)
        if by_class:
            if len(by_class) == classes:
                return self._rows([self._numbers(by_class[c]) for c in range(classes)])
            if classes > 2:
                lacking = ", ".join(self._labels[c] for c in range(classes) if c not in by_class)
                self._notes.note(f"{self._table.name}: the probabilities of {lacking} are missing, so none is read",
                                 "warning")  # fmt: skip
                return none
            (known, column), = by_class.items()
            return self._of_class(known, self._numbers(column))
        column = next((self._known[n] for n in self._plain_names() if n in self._known), "")
        if not column:
            return none
        numbers = self._numbers(column)
        if classes > 2:
            self._notes.note(f'{self._table.name}: column "{column}" gives one probability of {classes}, which says '
                             "nothing of the other classes; it is not read", "warning")  # fmt: skip
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
        return words.index(word) if word in words else None

    def _numbers(self, column: str) -> list[float | None]:
        found: list[float | None] = []
        for row, value in enumerate(self._table.columns[column]):
            if value is None or isinstance(value, str) and not value.strip():
                found.append(None)
                continue
            try:
                number = float(value)
            except (TypeError, ValueError):
                raise DataError(f'{self._source.place(row)}: column "{column}" holds {value!r}, not a number; '
                                "correct it or leave it empty") from None  # fmt: skip
            if not 0 <= number <= 1:
                raise DataError(f'{self._source.place(row)}: column "{column}" holds {value}, which is no probability '
                                "(0 to 1); divide percents by 100, or rename the column")  # fmt: skip
            found.append(number)
        return found

    def _rows(self, columns: list[list[float | None]]) -> list[list[float]]:
        found: list[list[float]] = []
        for row, values in enumerate(zip(*columns, strict=True)):
            known = [v for v in values if v is not None]
            if known and (len(known) < len(values) or abs(sum(known) - 1) > _SUM_TOLERANCE):
                said = "lacks one of the probabilities" if len(known) < len(values) else f"sums to {sum(known):g}"
                raise DataError(f'{self._source.place(row)}: of column "{self._column}" {said}; the probabilities of '
                                "all classes sum to 1")  # fmt: skip
            found.append(known)
        return found

    def _of_class(self, known: int, numbers: Sequence[float | None]) -> list[list[float]]:
        rows = [[] if p is None else [1 - p, p] for p in numbers]
        return rows if known == 1 else [row[::-1] for row in rows]

    def _by_values(
        self, column: str, numbers: list[float | None], predicted: Sequence[int | None]
    ) -> list[list[float]]:
        """Of two classes: whose probability a number is."""
        there = [(row, p, c) for row, (p, c) in enumerate(zip(numbers, predicted, strict=True))
                 if p is not None and c is not None]  # fmt: skip
        low = [row for row, p, _ in there if p < 0.5 - _HALF]
        if not low:
            self._notes.note(f'{self._table.name}: column "{column}" is read as the probability of the predicted '
                             "label: it is never below one half")  # fmt: skip
            return [[] if p is None or c is None else self._of_class(c, [p])[0]
                    for p, c in zip(numbers, predicted, strict=True)]  # fmt: skip
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
        self._notes.note(f'{self._table.name}: column "{column}" is read as the probability of {label}: it is above '
                         f"one half where {label} is predicted, and only there")  # fmt: skip
        return self._of_class(fitting[0], numbers)


# -- lm-evaluation-harness --------------------------------------------------------------------------------


class _Samples:
    """A samples_*.jsonl: one line an item and filter. Several filters, several readings of an answer, are repeats."""

    def __init__(
        self, path: Path, digest: str, rows: list[dict[str, Any]], lines: list[int], text: str, notes: Notes
    ) -> None:
        self._path, self._name, self._digest, self._text, self._notes = path, path.name, digest, text, notes
        self._filters: dict[str, dict[int, tuple[int, dict[str, Any]]]] = {}
        for row, line in zip(rows, lines, strict=True):
            if lacking := sorted(_SAMPLE_KEYS - row.keys()):
                raise DataError(f'{self._name} line {line}: the key "{lacking[0]}" is missing, which the lines before '
                                "have; export the samples again")  # fmt: skip
            of_filter = self._filters.setdefault(str(row.get("filter", "none")), {})
            number = row["doc_id"]
            if not isinstance(number, int) or number in of_filter:
                said = f"doc_id {number} stands here a second time" if number in of_filter else f"doc_id is {number!r}"
                raise DataError(f"{self._name} line {line}: {said}; the harness adds to a file that is there: "
                                "keep the lines of one execution")  # fmt: skip
            of_filter[number] = (line, row)
        first = next(iter(self._filters.values()))
        for name, of_filter in self._filters.items():
            if of_filter.keys() != first.keys():
                raise DataError(f'{self._name}: the filter "{name}" has {len(of_filter):,} items, another '
                                f"{len(first):,}; export the samples again")  # fmt: skip
        self._numbers = sorted(first)
        self._first = [first[number] for number in self._numbers]

    def read(self) -> _Found:
        chosen = self._is_multiple_choice(self._first[0][1])
        labels, targets, choices = self._choice_targets() if chosen else self._written_targets()
        source = Source(self._name, self._texts(), targets, self._text, "target", [line for line, _ in self._first])
        files.clean_all(source)
        names, classes, class_of = _classes(source, self._notes, choices)
        to = [c for choice in choices if (c := class_of(choice)) is not None]
        if len(set(to)) < len(choices):
            raise DataError(f"{self._name}: of the choices {', '.join(choices)}, some name the same class; import a "
                            "table of label and prediction instead")  # fmt: skip
        repeats = []
        for name, of_filter in self._filters.items():
            rows = [of_filter[number] for number in self._numbers]
            if chosen:
                repeats.append(self._chosen(name, rows, to))
            else:
                repeats.append(self._written(name, rows, labels, class_of))
        _note_identity(self._name, bool(source.texts), self._notes,
                       f"name one of the fields of doc ({', '.join(self._first[0][1]['doc'])}) by --text where it is "
                       "the text")  # fmt: skip
        examples = _examples(source, classes, self._digest, self._numbers)
        model, versions, details = self._results()
        return _Found("lm-evaluation-harness", names, examples, repeats, "filter", model, versions, details)

    def _texts(self) -> list[Any]:
        doc = self._first[0][1]["doc"]
        if not isinstance(doc, dict):
            raise DataError(f"{self._name} line {self._first[0][0]}: doc is no object; export the samples again")
        if self._text and self._text not in doc:
            raise DataError(f'{self._name}: doc has no field "{self._text}"{nearest(self._text, doc)}; '
                            f"set --text to one of {', '.join(doc)}")  # fmt: skip
        self._text = self._text or next((n for n in files.TEXT_NAMES if isinstance(doc.get(n), str)), "")
        if not self._text:
            return []
        for line, row in self._first:
            if not isinstance(row["doc"], dict) or self._text not in row["doc"]:
                raise DataError(f'{self._name} line {line}: doc has no field "{self._text}"; set --text to another')
        return [row["doc"][self._text] for _, row in self._first]

    # -- the likeliest of given choices --

    @staticmethod
    def _is_multiple_choice(row: dict[str, Any]) -> bool:
        given = row["filtered_resps"]
        return isinstance(given, list) and len(given) > 1 and all(isinstance(a, list) and len(a) == 2 for a in given)

    def _choices(self, line: int, row: dict[str, Any]) -> list[str]:
        """The continuations of one context; those without it, for mutual information, come after and are left out."""
        try:
            arguments = [(a["arg_0"], str(a["arg_1"]).strip()) for a in row["arguments"].values()]
        except (AttributeError, KeyError, TypeError):
            raise DataError(f"{self._name} line {line}: arguments hold no choices; export the samples again") from None
        return [choice for context, choice in arguments if context == arguments[0][0]]

    def _choice_targets(self) -> tuple[tuple[str, ...], list[str], list[str]]:
        choices = self._choices(*self._first[0])
        for line, row in self._first:
            if self._choices(line, row) != choices or len(set(choices)) < 2:
                raise DataError(f"{self._name} line {line}: the choices ({', '.join(self._choices(line, row))[:80]}) "
                                "are not those of the first item; only tasks with the same classes for all items can "
                                "be imported")  # fmt: skip
        by_place = [self._by_place(row["target"], choices) for _, row in self._first]
        by_word = [str(row["target"]).strip() if str(row["target"]).strip() in choices else None
                   for _, row in self._first]  # fmt: skip
        readings = [r for r in (by_place, by_word) if None not in r and self._fits_scores(r, choices)]
        if not readings or any(r != readings[0] for r in readings):
            line, row = self._first[0]
            why = "can be read as a choice and as the number of another" if readings else "is none of the choices"
            raise DataError(f"{self._name} line {line}: target {row['target']!r} {why} ({', '.join(choices)}); "
                            "import a table of label and prediction instead")  # fmt: skip
        return tuple(choices), [target for target in readings[0] if target is not None], choices

    @staticmethod
    def _by_place(target: Any, choices: list[str]) -> str | None:
        number = whole_number(target)
        return choices[number] if number is not None and 0 <= number < len(choices) else None

    def _fits_scores(self, targets: list[str | None], choices: list[str]) -> bool:
        """Whether the harness's own accuracy of every item follows from these targets; True where it gives none."""
        for (line, row), target in zip(self._first, targets, strict=True):
            likelihoods = self._likelihoods(line, row, len(choices))
            if "acc" in row and not any(map(math.isnan, likelihoods)):
                best = choices[max(range(len(choices)), key=likelihoods.__getitem__)]
                if bool(row["acc"]) != (best == target):
                    return False
        return True

    def _likelihoods(self, line: int, row: dict[str, Any], count: int) -> list[float]:
        try:
            found = [float(answer[0]) for answer in row["filtered_resps"][:count]]
        except (TypeError, ValueError, IndexError):
            raise DataError(f"{self._name} line {line}: filtered_resps hold no log-likelihood of each choice; "
                            "export the samples again") from None  # fmt: skip
        if len(found) < count:
            raise DataError(f"{self._name} line {line}: filtered_resps hold {len(found)} log-likelihoods for {count} "
                            "choices; export the samples again")  # fmt: skip
        return found

    def _chosen(self, name: str, rows: list[tuple[int, dict[str, Any]]], to: list[int]) -> _Answers:
        """`to` is the class of each choice."""
        probabilities = []
        for line, row in rows:
            likelihoods = self._likelihoods(line, row, len(to))
            by_class = [likelihoods[to.index(c)] for c in range(len(to))]
            probabilities.append(_softmax(by_class))
        return _Answers(name, scoring.predicted_classes(probabilities), probabilities)

    # -- answers in words --

    def _written_targets(self) -> tuple[tuple[str, ...], list[str], list[str]]:
        targets = [str(row["target"]).strip() for _, row in self._first]
        return tuple(sorted(set(targets))), targets, []

    def _written(
        self, name: str, rows: list[tuple[int, dict[str, Any]]], labels: Sequence[str],
        class_of: Callable[[Any], int | None],
    ) -> _Answers:  # fmt: skip
        folded = {label.casefold(): label for label in labels}
        said, texts = [], {}
        for n, (line, row) in enumerate(rows):
            found = row["filtered_resps"]
            while isinstance(found, list) and found:
                found = found[0]
            if not isinstance(found, str):
                raise DataError(f"{self._name} line {line}: filtered_resps hold no text; only tasks of multiple choice "
                                "and of written answers can be imported")  # fmt: skip
            written = row["resps"]
            while isinstance(written, list) and written:
                written = written[0]
            texts[n] = str(written)
            word = found.strip()
            said.append(folded.get(word.casefold(), word))
        predicted = [class_of(word) for word in said]
        _note_invalid(f'{self._name} filter "{name}"', said, predicted, self._notes)
        return _Answers(name, predicted, [[] for _ in rows], texts)

    # -- the results beside the samples --

    def _results(self) -> tuple[str, dict[str, str], dict[str, Any]]:
        """Model, versions and details from the results_*.json of the same execution."""
        stem = self._path.name.partition(".jsonl")[0].removeprefix("samples_")
        task, _, date = stem.rpartition("_")
        beside = self._path.with_name(f"results_{date}.json")
        details: dict[str, Any] = {"task": task}
        try:
            results = json.loads(beside.read_bytes())
        except FileNotFoundError:
            self._notes.note(f"{self._name}: no {beside.name} beside it, so model and versions are not known; "
                             "--model names the model")  # fmt: skip
            return "", {}, details
        except ValueError as error:
            raise DataError(f"{beside}: not JSON ({error}); copy it again or take it away") from None
        versions = {name: str(results[f"{name}_version"]) for name in ("lm_eval", "transformers")
                    if results.get(f"{name}_version")}  # fmt: skip
        for key, value in (("shots", results.get("n-shot", {}).get(task)),
                           ("task_hash", results.get("task_hashes", {}).get(task)),
                           ("results_sha256", hashlib.sha256(beside.read_bytes()).hexdigest())):  # fmt: skip
            if value is not None:
                details[key] = value
        model = str(results.get("model_name") or "")
        self._notes.note(f"{self._name}: model {model or 'unknown'}, by {beside.name}")
        return model, versions, details


def _softmax(likelihoods: list[float]) -> list[float]:
    """Probabilities from log-likelihoods; empty where these give none."""
    top = max(likelihoods)
    if not math.isfinite(top) or any(map(math.isnan, likelihoods)):
        return []
    shares = [math.exp(value - top) for value in likelihoods]
    return [share / sum(shares) for share in shares]
