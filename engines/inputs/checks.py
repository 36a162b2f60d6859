"""Whether a run can begin: its data, its model and what its settings ask of them, refused before it waits its turn.

A look at launch reads files up to `WHOLE_BYTES` whole, and of anything larger a sample; the worker reads the rest
before it queues. Copies are found, near copies are not: that takes too long for a launch.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from engines import hub
from engines.catalog import Experiment, engine
from engines.data import sources, trees
from engines.data.settings import QUICKSTART
from engines.data.splits import Data, check_sample, deal, label_reviews, read_source
from engines.data.table import WHOLE_BYTES
from engines.data.tables import NoSampleError
from engines.errors import ModelError
from engines.models import location
from engines.models.location import Model
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.summary import ALIVE, summarize


class Collector:
    """Takes what is said of data that no run has read; keeps notes and facts in `events`."""

    def __init__(self) -> None:
        self.events: list[ev.Event] = []

    def note(self, text: str, level: str = "info") -> None:
        self.events.append(ev.Note(text, level))

    def fact(self, fact: ev.Fact) -> None:
        self.events.append(fact)

    def phase(self, name: str, total: int | None = None, unit: str = "items") -> None:
        pass

    def progress(self, done: int) -> None:
        pass

    def check_stop(self) -> None:
        pass


def needs_rest(experiment: Experiment) -> bool:
    """Whether a look at launch sees a part of the data only. Opens no file."""
    data = getattr(experiment.config, "data", None)
    if not isinstance(data, Data) or data.source == QUICKSTART or sources.is_on_hub(data.source):
        return False
    path = Path(data.source).expanduser()
    small = path.is_file() and path.stat().st_size <= WHOLE_BYTES and not path.name.lower().endswith(trees.ARCHIVES)
    return not small or data.near_copies == "refuse"


def check(experiment: Experiment, home: Home, *, whole: bool = False) -> None:
    """Raise `UserError` where the run could not begin; with `whole` after all of its data have been read.

    A model that another run is still to make is not missed.
    """
    config, labels = experiment.config, None
    if isinstance(data := getattr(config, "data", None), Data):
        labels = _checked_data(data, home.cache, whole)
    _check_model(experiment, home, labels)


def _checked_data(data: Data, cache: Path, whole: bool) -> tuple[str, ...] | None:
    """The classes of the data; None where not enough of it has been read."""
    data.check()
    if sources.is_on_hub(data.source):
        hub.look_up(data.source.partition(":")[0], "dataset")
        return None
    if not (whole and data.near_copies == "refuse"):
        data = replace(data, near_copies="ignore")
    listener = Collector()
    try:
        source = read_source(data, listener, cache, sample=not whole)
    except NoSampleError:
        return None
    if source.sampled:
        check_sample(data, source, listener)
        return None
    labelled = label_reviews(data, source, listener)
    deal(data, labelled, listener)
    return labelled.labels


def check_made(experiment: Experiment, home: Home) -> None:
    """Raise `UserError` where the run that was to make the model ended without it."""
    _check_model(experiment, home, None)


def _check_model(experiment: Experiment, home: Home, labels: tuple[str, ...] | None) -> None:
    if fit := getattr(engine(experiment.engine), "check_inputs", None):
        fit(experiment.config, home, labels)
    model = getattr(experiment.config, "model", None)
    if not isinstance(model, Model):
        return
    run = _maker(model.name)
    if run is not None and not run.model.is_dir():
        if (state := summarize(run).state) not in ALIVE:
            raise ModelError(
                f"model.name = {model.name}: {run.name} holds no model (it is {state}); choose another model, or "
                "resume the run where it did not finish"
            )
    elif not location.check_local(model):
        hub.look_up(model.name, "model", model.revision)


def awaited_run(experiment: Experiment, home: Home) -> RunFolder | None:
    """The queued or running run whose model, still to come, this one starts from."""
    module: Any = engine(experiment.engine)
    model = getattr(experiment.config, "model", None)
    if hasattr(module, "model_run"):
        run = module.model_run(experiment.config, home)
    else:
        run = _maker(model.name) if isinstance(model, Model) else None
    if run is None or run.model.is_dir() or summarize(run).state not in ALIVE:
        return None
    return run if not run.model.is_dir() else None  # it may have come in between


def _maker(name: str) -> RunFolder | None:
    """The run in whose folder a model of that name lies or is to come."""
    path = Path(name).expanduser()
    run = RunFolder(path.parent)
    return run if path.is_absolute() and path == run.model and run.config.is_file() else None
