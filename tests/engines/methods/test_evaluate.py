import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from engines import catalog
from engines.data.splits import Data, load_splits
from engines.errors import UserError
from engines.methods import bag_of_words, evaluate
from engines.methods.evaluate import open_classifier, source_run
from engines.reporter import Reporter
from engines.runs import events as ev
from engines.runs.event_files import EventReader, read_all
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.summary import summarize


def run(home: Home, engine: Any, config: Any) -> RunFolder:
    """Run an engine in this process; its folder."""
    experiment = catalog.Experiment("x", engine.__name__.rpartition(".")[2], "X", "test", config, frozenset())
    folder = RunFolder.create(home, experiment.document())
    report = Reporter(folder)
    try:
        engine.run(config, report)
        report.finished()
    finally:
        report.close()
    return folder


@pytest.fixture
def finished(home: Home) -> RunFolder:
    data = Data(source="quickstart", train=300, validation=0, test=50)
    return run(home, bag_of_words, bag_of_words.Config(data=data))


def write(path: Path, rows: list[tuple[str, str]]) -> str:
    path.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
    return str(path)


def overlaps(folder: RunFolder) -> list[ev.Overlap]:
    return [r.event for r in read_all(folder.events) if isinstance(r.event, ev.Overlap)]


def config(run: str, source: str, overlap: str = "refuse") -> evaluate.Config:
    data = {"source": source, "split": "in_order", "overlap": overlap}
    document = {"engine": "evaluate", "run": run, "data": data}
    made: evaluate.Config = catalog.from_document(document, place="test", name="x").config
    return made


REVIEWS = [("A superb and moving film.", "positive"), ("A dull and boring mess.", "negative")] * 3


def test_a_finished_model_is_scored_on_other_data_in_a_run_of_its_own(
    home: Home, finished: RunFolder, tmp_path: Path
) -> None:
    texts = [(f"{text} Seen {n} times.", label) for n, (text, label) in enumerate(REVIEWS)]
    folder = run(home, evaluate, config(finished.name, write(tmp_path / "other.tsv", texts)))
    summary = summarize(folder)
    assert summary.state == "finished" and summary.model == "bag of words"
    (scored,) = [r.event for r in EventReader(folder.events).read() if isinstance(r.event, ev.Evaluated)]
    assert scored.split == "test" and scored.items == 6 and scored.labels == ["negative", "positive"]
    items = [json.loads(line) for line in folder.items.read_text().splitlines()]
    assert {(i["text"], i["label"]) for i in items} == set(texts)
    lines = [json.loads(line) for line in folder.predictions.read_text().splitlines()]
    expected = open_classifier(finished, "cpu").classify([i["text"] for i in items])
    assert [line["predicted"] for line in lines] == [a.label for a in expected]
    again = open_classifier(folder, "cpu").classify(["A superb film."])
    assert again == open_classifier(finished, "cpu").classify(["A superb film."])


def test_classes_in_another_order_are_the_same_classes(home: Home, finished: RunFolder, tmp_path: Path) -> None:
    source = write(tmp_path / "other.tsv", [(f"{text} {n}", label) for n, (text, label) in enumerate(REVIEWS)])
    plain = config(finished.name, source)
    turned = evaluate.Config(
        run=plain.run,
        data=Data(source=source, labels="positive,negative", split="in_order", train=0, validation=0, test=1.0),
    )
    first, second = (summarize(run(home, evaluate, c)) for c in (plain, turned))
    assert first.scores == second.scores and first.end and second.end and first.end.confusion == second.end.confusion


def test_items_that_the_model_was_trained_on_are_refused_left_out_or_allowed_as_said(
    home: Home, finished: RunFolder, tmp_path: Path
) -> None:
    splits = catalog.from_document(finished.read_document(), place="x", name="x").config.data
    report = Reporter(RunFolder.create(home, {"experiment": "x"}))
    trained = [(e.text, ["negative", "positive"][e.label]) for e in load_splits(splits, report).train[:4]]
    report.close()
    source = write(tmp_path / "other.tsv", trained + REVIEWS[:2])
    sentence = f"4 of the 6 items were training items of {finished.name}"
    with pytest.raises(UserError, match=f'{sentence}; set data.overlap = "drop"'):
        run(home, evaluate, config(finished.name, source))
    allowed = ev.Overlap("test", "train", 4, run=finished.name)
    dropped = structs.replace(allowed, dropped=4, dropped_from="test")
    for overlap, fact, items in (("drop", dropped, 2), ("allow", allowed, 6)):
        folder = run(home, evaluate, config(finished.name, source, overlap))
        assert overlaps(folder) == [fact]
        assert len(folder.items.read_text().splitlines()) == items
    only = write(tmp_path / "only.tsv", trained)
    with pytest.raises(UserError, match="choose other data"):
        run(home, evaluate, config(finished.name, only, "drop"))


def test_a_model_whose_training_items_are_not_recorded_is_scored_only_where_that_is_allowed(
    home: Home, finished: RunFolder, tmp_path: Path
) -> None:
    records = {path: path.read_bytes() for path in (finished.splits, finished.model / "trained_on.txt")}
    for path in records:
        path.unlink()
    asked = config(finished.name, write(tmp_path / "other.tsv", REVIEWS))
    try:
        with pytest.raises(UserError, match='was trained on is not known, .*data.overlap = "allow"'):
            run(home, evaluate, asked)
        folder = run(home, evaluate, replace(asked, data=replace(asked.data, overlap="allow")))
    finally:
        for path, content in records.items():
            path.write_bytes(content)
    assert overlaps(folder) == [ev.Overlap("test", "train", None, run=finished.name)]


def test_labels_that_do_not_match_are_refused_with_both_lists(home: Home, finished: RunFolder, tmp_path: Path) -> None:
    source = write(tmp_path / "other.tsv", [("It was hot.", "warm"), ("It was snowing.", "cold")])
    with pytest.raises(UserError, match=f"labels cold, warm, but {finished.name} answers negative, positive"):
        run(home, evaluate, config(finished.name, source))


@pytest.mark.parametrize(("name", "sentence"), [("", "run is not set"), ("gone", "no run gone")])
def test_a_run_that_is_not_there_is_named(home: Home, name: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        run(home, evaluate, config(name, "quickstart"))


def test_a_run_without_a_model_is_refused(home: Home) -> None:
    source = RunFolder.create(home, {"engine": "bag_of_words", "experiment": "x"})
    with pytest.raises(UserError, match=f"{source.name} has no finished model"):
        run(home, evaluate, config(source.name, "quickstart"))


def test_an_evaluate_run_leads_to_the_run_it_scored(home: Home) -> None:
    source = RunFolder.create(home, {"engine": "bag_of_words", "experiment": "x"})
    first = RunFolder.create(home, {"engine": "evaluate", "experiment": "y", "run": source.name})
    second = RunFolder.create(home, {"engine": "evaluate", "experiment": "z", "run": first.name})
    assert source_run(second).path == source.path
    lost = RunFolder.create(home, {"engine": "evaluate", "experiment": "z", "run": "gone"})
    with pytest.raises(UserError, match="no run gone"):
        source_run(lost)


def test_an_engine_that_this_version_lacks_is_named(home: Home) -> None:
    folder = RunFolder.create(home, {"engine": "bag_of_wordz", "experiment": "x"})
    folder.model.mkdir()
    with pytest.raises(UserError, match='did you mean "bag_of_words"'):
        open_classifier(folder, "cpu")


def test_a_test_split_of_nothing_is_refused(finished: RunFolder) -> None:
    with pytest.raises(UserError, match=r"data.test = 0 leaves nothing to test on"):
        evaluate.Config(run=finished.name, data=Data(train=10, validation=0, test=0)).check()
