import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy
import pytest

from engines import catalog
from engines.data.splits import Data
from engines.errors import UserError
from engines.methods import bag_of_words
from engines.methods.evaluate import open_classifier
from engines.reporter import Reporter, Stop
from engines.runs import events as ev
from engines.runs.event_files import EventReader
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from tests.engines.conftest import Recorder
from tests.support import known

CONFIG = bag_of_words.Config(data=Data(source="quickstart", train=400, validation=100, test=200))


def run(home: Home, config: bag_of_words.Config) -> tuple[RunFolder, list[ev.Event]]:
    """Run in this process; the folder and its events."""
    experiment = catalog.Experiment("bow", "bag_of_words", "Bag", "test", config, frozenset())
    folder = RunFolder.create(home, experiment.document())
    report = Reporter(folder)
    try:
        bag_of_words.run(config, report)
    finally:
        report.close()
    return folder, [r.event for r in EventReader(folder.events).read()]


def test_it_learns_and_the_loaded_model_answers_as_the_trained_one(home: Home) -> None:
    folder, events = run(home, CONFIG)
    validation, test = [e for e in events if isinstance(e, ev.Evaluated)]
    assert (validation.split, validation.items, test.split, test.items) == ("validation", 100, "test", 200)
    assert known(test.scores.accuracy) > 0.65
    assert [e.name for e in events if isinstance(e, ev.Phase)][-4:] == ["features", "train", "validate", "test"]

    lines = [json.loads(line) for line in folder.predictions.read_text().splitlines()]
    items = [json.loads(line) for line in folder.items.read_text().splitlines()]
    assert [line["hash"] for line in lines] == [item["hash"] for item in items]
    classifier = open_classifier(folder, "cpu")
    answers = classifier.classify([item["text"] for item in items])
    assert [a.label for a in answers] == [line["predicted"] for line in lines]
    numpy.testing.assert_allclose(
        [a.probabilities for a in answers], [line["probabilities"] for line in lines], atol=1e-9
    )
    assert [a.tokens_read for a in answers] == [line["tokens_read"] for line in lines]
    assert classifier.classify([]) == []


def test_the_model_folder_holds_no_pickle(home: Home) -> None:
    folder, _ = run(home, CONFIG)
    assert {p.name for p in folder.model.iterdir()} == {"model.json", "model.safetensors", "trained_on.txt"}


def test_three_classes_are_learned_and_probabilities_sum_to_one(home: Home, tmp_path: Path) -> None:
    words = {"bad": "awful dull poor", "fair": "decent passable middling", "good": "superb lovely great"}
    rows = [f"{' '.join(w.split()[k % 3 :])} film {k}\t{label}" for k in range(60) for label, w in words.items()]
    path = tmp_path / "three.tsv"
    path.write_text("text\tlabel\n" + "\n".join(rows) + "\n")
    config = replace(CONFIG, data=Data(source=str(path), train=120, validation=0, test=60))
    folder, events = run(home, config)
    (test,) = [e for e in events if isinstance(e, ev.Evaluated)]
    assert test.labels == ["bad", "fair", "good"] and test.scores.accuracy == 1.0
    (answer,) = open_classifier(folder, "cpu").classify(["a passable film"])
    assert answer.label == "fair" and sum(answer.probabilities) == pytest.approx(1)
    assert (answer.tokens_read, answer.tokens_total) == (3, 3)


def test_a_threshold_that_leaves_no_feature_is_named(home: Home) -> None:
    config = replace(CONFIG, features=bag_of_words.Features(min_document_count=500))
    with pytest.raises(UserError, match=r"features.min_document_count = 500 leaves no feature"):
        run(home, config)


def test_a_stop_is_heard_while_texts_are_counted(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reporter, "should_stop", lambda self: self._phase.name == "features")
    with pytest.raises(Stop):
        run(home, CONFIG)


def test_a_model_that_cannot_be_written_whole_is_not_there(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        run(home, CONFIG)
    (folder,) = home.runs.iterdir()
    assert not list(folder.glob("*model*")) and not list(folder.glob(".*"))


def test_writing_without_spaces_is_counted_by_characters_and_opened_again(recorder: Recorder) -> None:
    good, bad = ["非常好看值得推荐", "演员出色故事感人"], ["十分无聊浪费时间", "剧情糟糕令人失望"]
    random = Random(2)
    rows = [
        (f"{random.choice(words)}第{n}次", label) for n in range(120) for words, label in [(good, "pos"), (bad, "neg")]
    ]
    path = recorder.folder.path / "reviews.csv"
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    data = Data(source=str(path), train=160, validation=0, test=60, near_copies="ignore")
    bag_of_words.run(bag_of_words.Config(data=data), recorder.report)
    recorder.report.finished()
    assert "characters are counted instead of words" in recorder.notes
    opened = bag_of_words.load(recorder.folder, "cpu")
    first, second = opened.classify(["非常好看值得推荐第7次", "剧情糟糕令人失望"])
    assert (first.label, second.label) == ("positive", "negative") and second.tokens_read == 8
