"""Predictions that another program made, as a run marked *imported*: answers without a model.

Read are tables (CSV, TSV, JSON lines, Parquet, also .gz) with a label and one or more columns of predictions, and the
samples files of lm-evaluation-harness. An item is known by the hash of its cleaned text, as everywhere, where the file
holds texts; else by the file and its row, so that the columns of one file meet each other and nothing else.
"""

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from engines.answers import columns, predictions, scoring
from engines.answers.predictions import Prediction
from engines.data.items import write_items
from engines.data.tables import head_of, read_table
from engines.errors import DataError
from engines.importing import spreadsheets
from engines.importing.columns import ImportedAnswers, ImportedRepeat
from engines.importing.harness import SAMPLE_KEYS, Samples
from engines.importing.tables import TABLE, read_predictions
from engines.reporter import Notes
from engines.runs import events as ev
from engines.runs.event_files import EventWriter
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.writing import sha256
from engines.settings import settings_digest

ENGINE = "imported"
_REPEAT = re.compile(r"(?:prediction|predicted|pred|answer|repeat|run|seed)[ _.-]?\d*", re.IGNORECASE)


class _Notes:
    """Keeps notes and facts for the run and passes them on."""

    def __init__(self, other: Notes) -> None:
        self.kept: list[ev.Note | ev.Fact] = []
        self._other = other

    def note(self, text: str, level: str = "info") -> None:
        self.kept.append(ev.Note(text, level))
        self._other.note(text, level)

    def fact(self, fact: ev.Fact) -> None:
        self.kept.append(fact)
        self._other.fact(fact)


def import_file(
    home: Home,
    path: Path,
    report: Notes,
    *,
    name: str = "",
    text: str = "",
    label: str = "",
    varied: str = "",
    model: str = "",
    classes: Sequence[str] = (),
    columns_are: Literal["", "repeats", "models"] = "",
) -> list[RunFolder]:
    """Make finished runs of the predictions in a file: one, or one for each model; their folders.

    `name` is what the run is called (default: the task, or the file's name), `text` and `label` name
    columns (`text` also a field of a sample's `doc`), `varied` says what differs between several columns of
    predictions, `model` what made them. `classes` are all classes of a table there are; without them they are those of
    its labels and predictions. Columns of a table are repeats of one model where each is called prediction, pred,
    answer, repeat, run or seed and a number; another name is that of a model, with a run of its own. `columns_are`
    decides otherwise, as does `varied`, which only repeats have.
    Raises `DataError` with file, line or row, column and remedy; then nothing has been written.
    """
    notes = _Notes(report)
    if path.name.startswith("results_") and path.suffix == ".json":
        raise DataError(f"{path}: the answers stand in the samples_*.jsonl beside this file; import that")
    table = read_table(path, notes, setting="FILE")
    if spreadsheets.is_export(head_of(path), table.columns):
        table = spreadsheets.as_exported(table)
    digest = sha256(path)
    if table.objects and table.objects[0].keys() >= SAMPLE_KEYS:
        if label:
            raise DataError(f"{path.name}: samples of lm-evaluation-harness carry their label; leave --label out")
        if classes:
            raise DataError(f"{path.name}: samples of lm-evaluation-harness carry their classes; leave --labels out")
        answers = Samples(path, digest, table, text, notes).read()
    else:
        answers = read_predictions(table, digest, text, label, notes, classes)
    parts = _by_model(answers, "repeats" if varied.strip() and not columns_are else columns_are)
    if len(parts) > 1:
        notes.note(
            f"{path.name}: a run each for {', '.join(parts)}, as columns of different models; --repeats makes them "
            "repeats of one"
        )
    name = name.strip() or answers.details.get("task") or path.name.partition(".")[0]
    return [
        _write(home, path, digest, part, notes, f"{name} {column}".rstrip(), varied, model)
        for column, part in parts.items()
    ]


def _by_model(answers: ImportedAnswers, columns_are: str) -> dict[str, ImportedAnswers]:
    """The answers of each model by what tells them apart; of a single one by an empty word."""
    repeats = answers.repeats
    series = {r.value: "" if columns_are != "models" and _REPEAT.fullmatch(r.value) else r.value for r in repeats}
    if answers.form != TABLE or len(repeats) == 1 or columns_are == "repeats" or len(set(series.values())) == 1:
        return {"": answers}
    parts: dict[str, list[ImportedRepeat]] = {}
    for repeat in repeats:
        parts.setdefault(series[repeat.value] or repeat.value.rstrip("0123456789 _.-"), []).append(repeat)
    return {
        model: replace(
            answers, repeats=some, details={**answers.details, "predictions": [repeat.value for repeat in some]}
        )
        for model, some in parts.items()
    }


def _write(
    home: Home, path: Path, digest: str, answers: ImportedAnswers, notes: _Notes, name: str, varied: str, model: str
) -> RunFolder:
    labels, repeats = list(answers.labels), answers.repeats
    model = model.strip() or answers.model
    document = {
        "engine": ENGINE,
        "title": f"Imported from {path.name}",
        "family": ENGINE,
        "experiment": name,
        "model": {"name": model},
        "imported": {"file": str(path.absolute()), "sha256": digest, "form": answers.form, **answers.details},
    }
    true = [e.label for e in answers.examples]
    confusions = [scoring.confusion_matrix(true, r.predicted, len(labels)) for r in repeats]
    each = [scoring.scores(confusion, labels) for confusion in confusions]
    scores = scoring.over_repeats(each)
    story: list[ev.Event] = [ev.Started("elsewhere", settings_digest(document), answers.versions), *notes.kept]
    if len(repeats) > 1:
        varied = varied.strip() or answers.varied
        story += [
            ev.Repeat(index, varied, repeat.value, each[index], labels, confusions[index])
            for index, repeat in enumerate(repeats)
        ]
    story.append(ev.Evaluated("test", len(true), scores, labels, confusions[0]))
    story.append(
        ev.Finished(model=model, scores=scores, split="test", items=len(true), labels=labels, confusion=confusions[0])
    )
    folder = RunFolder.create(home, document)
    try:
        write_items(folder, answers.examples, labels)
        predictions.write(folder, _predictions(answers))
        writer = EventWriter(folder.events)
        try:
            for event in story:
                writer.write(event)
        finally:
            writer.close()
        columns.write(folder)
    except BaseException:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise
    return folder


def _predictions(answers: ImportedAnswers) -> Iterator[Prediction]:
    for index, repeat in enumerate(answers.repeats):
        yield from predictions.predictions_of(
            answers.examples, answers.labels, repeat.predicted, repeat.probabilities, repeat=index, texts=repeat.texts
        )
