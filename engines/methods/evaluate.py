"""A finished model scored on other data: a run without training, so that models meet on the same items."""

from dataclasses import dataclass, replace

from engines.parts import data, scoring
from engines.parts.classifier import Classifier, classify_reported, open_classifier, source_run
from engines.parts.data import Data
from engines.reporter import Reporter
from engines.runs.folder import RunFolder
from engines.runs.summary import summarize
from engines.settings import UserError, group, option

TITLE = "Score a finished run on other data"
USES_GPU = True


@dataclass(frozen=True)
class Config:
    """Settings of `evaluate`."""

    run: str = option("", "Name of the finished run whose model is scored.")
    data: Data = group(lambda: Data(train=0, validation=0, test=1.0))
    seed: int = option(0, "Seed of the choice of items, where data.test is not all of them.", minimum=0)


def run(config: Config, report: Reporter) -> None:
    if not config.run:
        raise UserError("run is not set; set it to the name of a finished run (`labtui list` shows them)")
    source = source_run(RunFolder(report.folder.path.parent / config.run))
    report.model = summarize(source).model
    splits = data.load(config.data, config.seed, report)
    report.phase("load")
    classifier = open_classifier(source, report.device)
    test = _in_classes_of(classifier, splits, source.name)
    data.write_items(report.folder, test, list(classifier.labels))
    _warn_of_overlap(source, test, report)

    report.phase("test", len(test), "texts")
    found = classify_reported(classifier, [e.text for e in test], report)
    scoring.conclude(
        report, test, classifier.labels, [a.probabilities for a in found], tokens_read=[a.tokens_read for a in found]
    )


def load(folder: RunFolder, device: str) -> Classifier:
    """The model that this run scored."""
    return open_classifier(folder, device)


def _warn_of_overlap(source: RunFolder, test: list[data.Example], report: Reporter) -> None:
    trained = {hashed.partition("#")[0] for hashed in data.read_split(source, "train")}
    if seen := sum(e.hash.partition("#")[0] in trained for e in test):
        report.note(f"{seen:,} of the {len(test):,} items were training items of {source.name}", "warning")


def _in_classes_of(classifier: Classifier, splits: data.Splits, name: str) -> list[data.Example]:
    """The test items with the class numbers of the model; every label of the data must be one of its labels."""
    unknown = [label for label in splits.labels if label not in classifier.labels]
    if unknown:
        raise UserError(
            f"the data has the labels {', '.join(splits.labels)}, but {name} answers {', '.join(classifier.labels)}; "
            f"choose a column with those by data.label, or rename {', '.join(unknown)} in the file"
        )
    number = [classifier.labels.index(label) for label in splits.labels]
    return [replace(e, label=number[e.label]) for e in splits.test]
