"""What holds for every engine of the catalog: it runs on little data, and its model answers afterwards.

An engine is found by its file. It is run by its experiment in `configs/quickstart/`, which a new engine needs too,
with fewer reviews and one epoch; an engine that takes a finished run is given one.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from engines import catalog
from engines.data import corpus
from engines.memory.estimate import estimate_peak
from engines.methods.evaluate import open_classifier
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.settings import settings
from tests.support.training import records, train

pytestmark = pytest.mark.usefixtures("one_thread")

TEST_ITEMS = 8
SMALL: dict[str, Any] = {
    "data.train": 16,
    "data.validation": 4,
    "data.test": TEST_ITEMS,
    "training.epochs": 1,
    "training.max_length": 32,
    "features.max_length": 32,
    "prompt.repeats": 2,
    "prompt.max_length": 32,
}
SMALL_BAG = {name: value for name, value in SMALL.items() if name.startswith("data.")}


def experiment(engine: str, home: Home) -> catalog.Experiment:
    """The first quickstart experiment of an engine, made small; else its defaults."""
    known = {setting.name for setting in settings(catalog.engine(engine).Config)}
    small = {name: value for name, value in SMALL.items() if name in known}
    if "run" in known:
        small["run"] = finished(catalog.read("quickstart/bag-of-words", SMALL_BAG), home).name
        document = {"engine": engine, "data": {"source": reviews(home)}}
        return catalog.from_document(document, place="test", name=engine, overrides=small)
    quickstart = [name for name in catalog.experiments() if name.startswith("quickstart/")]
    of_engine = [name for name in quickstart if catalog.read(name).engine == engine]
    assert of_engine, f"{engine} needs an experiment in configs/quickstart/"
    return catalog.read(of_engine[0], small)


def reviews(home: Home) -> str:
    """A file of reviews that no engine was trained on."""
    path: Path = home.path / "reviews.jsonl"
    rows = [{"text": r.text, "label": r.label} for r in corpus.generate(40, seed=77)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def finished(what: catalog.Experiment, home: Home) -> RunFolder:
    folder = RunFolder.create(home, what.document())
    assert train(folder)
    return folder


@pytest.mark.parametrize("name", catalog.engine_names())
def test_it_runs_from_its_experiment_to_answers_about_new_texts(name: str, home: Home) -> None:
    what = experiment(name, home)
    folder = finished(what, home)
    scored = [event for event in records(folder, ev.Evaluated) if event.split == "test"][-1]
    assert scored.items == TEST_ITEMS == sum(map(sum, scored.confusion))
    hashes = {json.loads(line)["hash"] for line in folder.items.read_text().splitlines()}
    predictions = [json.loads(line) for line in folder.predictions.read_text().splitlines()]
    assert len(hashes) == TEST_ITEMS and {line["hash"] for line in predictions} == hashes

    classifier = open_classifier(folder, "cpu")
    answers = classifier.classify(["A superb and moving film.", "A dull and boring mess."])
    assert list(classifier.labels) == scored.labels and len(answers) == 2
    for answer in answers:
        assert sum(answer.probabilities) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", catalog.engine_names())
def test_its_memory_is_estimated_before_it_runs(name: str, home: Home) -> None:
    assert estimate_peak(experiment(name, home), device="cpu", home=home).total_bytes > 0
