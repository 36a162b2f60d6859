"""Predictions that another program made, as a run marked *imported*: answers without a model.

Read are tables (CSV, TSV, JSON lines, Parquet, also .gz) with a label and one or more columns of predictions, and the
samples files of lm-evaluation-harness. An item is known by the hash of its cleaned text, as everywhere, where the file
holds texts; else by the file and its row, so that the columns of one file meet each other and nothing else.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from engines.answers import columns, predictions, scoring
from engines.answers.predictions import Prediction
from engines.data.items import write_items
from engines.data.tables import read_table
from engines.errors import DataError
from engines.importing.columns import ImportedAnswers
from engines.importing.harness import SAMPLE_KEYS, Samples
from engines.importing.tables import read_predictions
from engines.reporter import Notes
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.writing import sha256
from engines.settings import settings_digest

ENGINE = "imported"


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
) -> RunFolder:
    """Make a finished run of the predictions in a file; its folder.

    `name` is what the run is called (default: the task, or the file's name), `text` and `label` name
    columns (`text` also a field of a sample's `doc`), `varied` says what differs between several columns of
    predictions, `model` what made them. `classes` are all classes of a table there are; without them they are those of
    its labels and predictions.
    Raises `DataError` with file, line or row, column and remedy; then nothing has been written.
    """
    notes = _Notes(report)
    if path.name.startswith("results_") and path.suffix == ".json":
        raise DataError(f"{path}: the answers stand in the samples_*.jsonl beside this file; import that")
    table = read_table(path, notes, setting="FILE")
    digest = sha256(path)
    if table.objects and table.objects[0].keys() >= SAMPLE_KEYS:
        if label:
            raise DataError(f"{path.name}: samples of lm-evaluation-harness carry their label; leave --label out")
        if classes:
            raise DataError(f"{path.name}: samples of lm-evaluation-harness carry their classes; leave --labels out")
        answers = Samples(path, digest, table, text, notes).read()
    else:
        answers = read_predictions(table, digest, text, label, notes, classes)
    return _write(home, path, digest, answers, notes, name, varied, model)


def _write(
    home: Home, path: Path, digest: str, answers: ImportedAnswers, notes: _Notes, name: str, varied: str, model: str
) -> RunFolder:
    labels, repeats = list(answers.labels), answers.repeats
    name = name.strip() or answers.details.get("task") or path.name.partition(".")[0]
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
        writer = ev.EventWriter(folder.events)
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
