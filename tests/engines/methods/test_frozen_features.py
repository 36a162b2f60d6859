import json
from dataclasses import replace

import numpy
import pytest

from engines import catalog
from engines.data.splits import Data
from engines.methods import frozen_features
from engines.methods.evaluate import open_classifier
from engines.models.location import Model
from engines.reporter import Reporter
from engines.runs import events as ev
from engines.runs.event_files import EventReader
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from tests.support import known

CONFIG = frozen_features.Config(
    data=Data(source="quickstart", train=300, validation=60, test=100), model=Model(name="tiny:distilbert")
)


def run(home: Home, config: frozen_features.Config) -> tuple[RunFolder, list[ev.Event]]:
    """Run in this process; the folder and its events."""
    experiment = catalog.Experiment("frozen", "frozen_features", "Frozen", "test", config, frozenset())
    folder = RunFolder.create(home, experiment.document())
    report = Reporter(folder)
    frozen_features.run(config, report)
    report.finished()
    report.close()
    return folder, [r.event for r in EventReader(folder.events).read()]


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_it_learns_and_the_loaded_model_answers_as_the_trained_one(home: Home, pooling: str) -> None:
    features = frozen_features.Features(pooling=pooling, max_length=64)
    folder, events = run(home, replace(CONFIG, features=features))
    validation, test = [e for e in events if isinstance(e, ev.Evaluated)]
    assert (validation.split, validation.items, test.split, test.items) == ("validation", 60, "test", 100)
    assert known(test.scores.accuracy) > 0.6
    assert [e.name for e in events if isinstance(e, ev.Phase)][-5:] == [
        "tokenize",
        "features",
        "train",
        "validate",
        "test",
    ]
    cut = {e.split: e for e in events if isinstance(e, ev.Truncated)}
    assert cut["test"].total == 100 and 0 < cut["test"].items < 100 and cut["test"].max_length == 64

    lines = [json.loads(line) for line in folder.predictions.read_text().splitlines()]
    items = [json.loads(line) for line in folder.items.read_text().splitlines()]
    assert [line["hash"] for line in lines] == [item["hash"] for item in items]
    answers = open_classifier(folder, "cpu").classify([item["text"] for item in items])
    numpy.testing.assert_allclose(
        [a.probabilities for a in answers], [line["probabilities"] for line in lines], atol=1e-5
    )
    assert [a.tokens_read for a in answers] == [line["tokens_read"] for line in lines]
    assert max(a.tokens_read for a in answers) == 64 < max(a.tokens_total for a in answers)


def test_the_model_folder_stands_alone_without_a_pickle(home: Home) -> None:
    folder, _ = run(home, replace(CONFIG, data=Data(source="quickstart", train=100, validation=0, test=20)))
    names = {p.relative_to(folder.model).as_posix() for p in folder.model.rglob("*") if p.is_file()}
    assert {"model.json", "head.safetensors", "encoder/model.safetensors", "encoder/config.json"} <= names
    assert all(name.endswith((".json", ".safetensors", ".txt")) for name in names)


def test_padding_changes_no_feature(home: Home) -> None:
    from engines.models import tiny

    encoder = frozen_features.FrozenEncoder(tiny.resolve("tiny:distilbert"), 64, "mean", "cpu")
    short, long = (encoder.tokenizer(text)["input_ids"] for text in ("A dull film.", "The acting is superb. " * 5))
    together = encoder.features([short, long])
    numpy.testing.assert_allclose(together[0], encoder.features([short])[0], atol=1e-5)
    numpy.testing.assert_allclose(together[1], encoder.features([long])[0], atol=1e-5)
