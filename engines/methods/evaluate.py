"""A finished model scored on other data: a run without training, so that models meet on the same items."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engines.answers import scoring
from engines.answers.classifier import Classifier, classify_reported
from engines.data.items import Example, write_items
from engines.data.splits import Data, Splits, load_splits, read_split
from engines.errors import UserError
from engines.importing import importer
from engines.memory.components import Machine, Need
from engines.methods import engine
from engines.reporter import Reporter
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.summary import ALIVE, FINISHED, summarize
from engines.settings import flatten, group, option, resolve, settings
from engines.training import provenance

TITLE = "Score a finished run on other data"
USES_GPU = True


@dataclass(frozen=True)
class Config:
    """Settings of `evaluate`."""

    run: str = option("", "Name of the finished run whose model is scored.")
    data: Data = group(lambda: Data(train=0, validation=0, test=1.0))

    def check(self) -> None:
        """Raise `ConfigError` where settings do not fit together; reads nothing."""
        self.data.check_splits("test")


def run(config: Config, report: Reporter) -> None:
    source = model_run(config, report.folder.home)
    report.model = summarize(source).model
    splits = load_splits(config.data, report)
    _check_classes(source, splits.labels)
    splits = replace(splits, test=_apart_from_training(source, splits.test, config.data.overlap, report))
    report.phase("load")
    classifier = open_classifier(source, report.device)
    test = _in_classes_of(classifier, splits, source.name)
    write_items(report.folder, test, list(classifier.labels))

    report.phase("test", len(test), "texts")
    tested = classify_reported(classifier, [e.text for e in test], report)
    scoring.conclude(
        report, test, classifier.labels, [a.probabilities for a in tested], tokens_read=[a.tokens_read for a in tested]
    )


def memory_needs(config: Config, machine: Machine) -> Need:
    """Those of the engine that made the model, for its scoring alone."""
    folder = RunFolder((machine.home or Home()).runs / config.run) if config.run else None
    if folder is None or not folder.config.is_file():
        raise UserError(f'run = "{config.run}" is no run here; set it to the name of a finished run')
    document = source_run(folder).read_document()
    source = engine(str(document["engine"]))
    known = {setting.name for setting in settings(source.Config)}  # another version may have written it
    values = {name: value for name, value in flatten(document) if name in known}
    need: Need = source.memory_needs(
        replace(resolve(source.Config, values, str(folder.config)), data=config.data), machine
    )
    phases, least = (
        {"test": {name: size for name, size in phases[need.scoring].items() if not name.startswith("optimiser")}}
        for phases in (need.phases, need.least or need.phases)
    )
    return replace(need, phases=phases, least=least if need.least else {}, scoring="test", unseen={})


def load(folder: RunFolder, device: str) -> Classifier:
    """The model that this run scored."""
    return open_classifier(folder, device)


def source_run(folder: RunFolder) -> RunFolder:
    """The run whose model `folder` uses: itself, or the run that an `evaluate` run scored."""
    if not folder.config.is_file():
        raise UserError(f"no run {folder.name} in {folder.path.parent}; `labtui list` shows the runs")
    document = folder.read_document()
    if document.get("engine") == importer.ENGINE:
        raise UserError(f"{folder.name} was imported: it holds answers and no model; choose a run of this program")
    if document.get("engine") != "evaluate":
        return folder
    return source_run(RunFolder(folder.path.parent / str(document.get("run", ""))))


def open_classifier(folder: RunFolder, device: str) -> Classifier:
    """Load the finished model of a run on `device` ("cpu", "cuda", "cuda:1"), by the engine that made it.

    An `evaluate` run opens the model it scored. `UserError` when there is no finished model.
    """
    source = source_run(folder)
    if not source.model.is_dir():
        raise UserError(f"{source.name} has no finished model in {source.model}; wait for its end, or resume it")
    classifier: Classifier = engine(str(source.read_document().get("engine"))).load(source, device)
    return classifier


def model_run(config: Config, home: Home) -> RunFolder:
    """The run whose model is scored. Raises `UserError` where there is none."""
    if not config.run:
        raise UserError("run is not set; set it to the name of a finished run (`labtui list` shows them)")
    return source_run(RunFolder(home.runs / config.run))


def check_inputs(config: Config, home: Home, labels: Sequence[str] | None) -> None:
    """Raise `UserError` where a run has no model to score, and will have none, or answers other classes than `labels`,
    those of the data where they are known."""
    run = model_run(config, home)
    state = summarize(run).state
    if not run.model.is_dir() and state not in ALIVE:
        remedy = "choose another run" if state == FINISHED else "resume it, or choose another run"
        raise UserError(f"{run.name} holds no model (it is {state}); {remedy}")
    if labels is not None:
        _check_classes(run, labels)


def _check_classes(run: RunFolder, labels: Sequence[str]) -> None:
    """Raise `UserError` where a run's model does not know all of `labels`, as its last event says."""
    end = summarize(run).end
    if end is not None and end.labels:
        _check_known(labels, end.labels, run.name)


def _check_known(labels: Sequence[str], known: Sequence[str], name: str) -> None:
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise UserError(
            f"the data has the labels {', '.join(labels)}, but {name} answers {', '.join(known)}; where the data has "
            f'numbers, data.labels = "{",".join(known)}" names them so; else choose a column with those by data.label, '
            f"or rename {', '.join(unknown)} in the file"
        )


def _apart_from_training(source: RunFolder, test: list[Example], overlap: str, report: Reporter) -> list[Example]:
    """The items to score. Those that the model was trained on are refused, left out or allowed, as `overlap` says."""
    if not source.model.is_dir():
        return test  # there is nothing to score: opening it says so
    trained = provenance.trained_on(source.model)
    if trained is None and source.splits.is_file():  # a run of before there was a record beside the model
        trained = {hashed.partition("#")[0] for hashed in read_split(source, "train")}
    if trained is None:
        if overlap != "allow" and source.read_document().get("engine") != "prompting":
            raise UserError(
                f"what {source.name} was trained on is not known, for its record is gone: the test items may be among "
                'it; set data.overlap = "allow" to score it all the same'
            )
        report.fact(ev.Overlap("test", "train", None, run=source.name))
        return test
    unseen = [e for e in test if e.hash.partition("#")[0] not in trained]
    if len(unseen) == len(test):
        return test
    seen_text = f"{len(test) - len(unseen):,} of the {len(test):,} items were training items of {source.name}"
    if overlap == "refuse" or (overlap == "drop" and not unseen):
        raise UserError(f'{seen_text}; set data.overlap = "drop" to leave them out, or "allow", or choose other data')
    seen = len(test) - len(unseen)
    if overlap == "drop":
        report.fact(ev.Overlap("test", "train", seen, dropped=seen, dropped_from="test", run=source.name))
        return unseen
    report.fact(ev.Overlap("test", "train", seen, run=source.name))
    return test


def _in_classes_of(classifier: Classifier, splits: Splits, name: str) -> list[Example]:
    """The test items with the class numbers of the model; every label of the data must be one of its labels."""
    _check_known(splits.labels, classifier.labels, name)
    number = [classifier.labels.index(label) for label in splits.labels]
    return [replace(e, label=number[e.label]) for e in splits.test]
