"""What a run reads is looked at before it runs, and refused in one sentence."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from engines import catalog
from engines.catalog import Experiment
from engines.data import splits, tables
from engines.data import table as table_module
from engines.errors import DataError, HubError, ModelError, UserError
from engines.inputs import asking, checks
from engines.models import tiny
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from tests.engines.conftest import point_to
from tests.labtui.fabric import finished, living, make_run, started
from tests.stub_hub import StubHub

ROWS = [(f"The soup, order {n}, was warm.", "neg" if n < 60 else "pos") for n in range(120)]


def table(path: Path, rows: list[tuple[str, str]] = ROWS) -> str:
    path.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows))
    return str(path)


def experiment(name: str = "bag-of-words", **settings: Any) -> Experiment:
    sizes = {"data.train": 0.8, "data.validation": 0.1, "data.test": 0.1}
    return catalog.read(name, {**sizes, **{key.replace("__", "."): value for key, value in settings.items()}})


@pytest.fixture
def small_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "WHOLE_BYTES", 1000)
    monkeypatch.setattr(tables, "WHOLE_BYTES", 1000)
    monkeypatch.setattr(tables, "SAMPLE_BYTES", 1000)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"data__label": "lable"}, 'data.label = "lable": no such column; did you mean "label"'),
        ({"data__labels": "ham,spam"}, r'a.csv line 2: label "negative" is none of data.labels \(ham, spam\)'),
        ({"data__train": 200}, r"200 \+ 12 \+ 12 = 224 reviews are asked for, there are 120"),
        ({"data__split": "official"}, "a.csv has no official splits"),
        ({"data__split": "in_order", "data__train": 50}, 'the training split holds only "negative"'),
    ],
)
def test_settings_that_the_data_do_not_bear_are_refused(
    tmp_path: Path, home: Home, settings: dict[str, Any], sentence: str
) -> None:
    source = table(tmp_path / "a.csv")
    checks.check(experiment(data__source=source), home)
    with pytest.raises(DataError, match=sentence):
        checks.check(experiment(data__source=source, **settings), home)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *(
            (name, split)
            for name in ("bag-of-words", "distilbert-frozen", "distilbert-loop")
            for split in ("train", "test")
        ),
        *(("gemma-2b-qlora", split) for split in ("train", "test")),
        ("gemma-2b-zero-shot", "test"),
    ],
)
def test_an_engine_without_its_splits_is_no_experiment(name: str, split: str) -> None:
    with pytest.raises(UserError, match=f"data.{split} = 0 leaves nothing to {split} on; raise it"):
        catalog.read(name, {f"data.{split}": 0})


def test_a_look_at_launch_does_not_search_for_near_copies(
    tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(*arguments: Any) -> None:
        raise AssertionError("near copies are searched for")

    monkeypatch.setattr(splits, "near_copies", search)
    checks.check(experiment(data__source=table(tmp_path / "a.csv")), home)


def test_of_a_large_file_the_head_is_looked_at_and_the_rest_by_the_worker(
    tmp_path: Path, home: Home, small_samples: None
) -> None:
    late = table(tmp_path / "late.csv", [*ROWS, ("", "pos")])
    checks.check(experiment(data__source=late), home)
    with pytest.raises(DataError, match=r"1 text is empty .*\(line 122\)"):
        checks.check(experiment(data__source=late), home, whole=True)
    early = table(tmp_path / "early.csv", [("", "pos"), *ROWS])
    with pytest.raises(DataError, match=r"1 text is empty .*\(line 2\)"):
        checks.check(experiment(data__source=early), home)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"data__labels": "ham,spam"}, 'label "negative" is none of data.labels'),
        ({"data__split": "official"}, "has no official splits"),
    ],
)
def test_the_head_of_a_large_file_shows_classes_and_splits(
    tmp_path: Path, home: Home, small_samples: None, settings: dict[str, Any], sentence: str
) -> None:
    source = table(tmp_path / "a.csv")
    checks.check(experiment(data__source=source, data__labels="negative,positive"), home)
    with pytest.raises(DataError, match=sentence):
        checks.check(experiment(data__source=source, **settings), home)


def test_the_worker_reads_what_a_look_at_launch_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = table(tmp_path / "a.csv")
    assert not checks.needs_rest(experiment(data__source=source))
    assert not checks.needs_rest(experiment(data__source="quickstart"))
    assert not checks.needs_rest(experiment(data__source="someone/reviews"))
    assert checks.needs_rest(experiment(data__source=source, data__near_copies="refuse"))
    assert checks.needs_rest(experiment(data__source=str(tmp_path)))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(source, "a.csv")
    assert checks.needs_rest(experiment(data__source=str(tmp_path / "a.zip")))
    monkeypatch.setattr(checks, "WHOLE_BYTES", 100)
    assert checks.needs_rest(experiment(data__source=source))


# -- models -------------------------------------------------------------------------------------------------


def loop(name: str) -> Experiment:
    return experiment("quickstart/distilbert-loop", model__name=name)


def test_a_model_folder_that_cannot_be_opened_is_refused(tmp_path: Path, home: Home) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        checks.check(loop(str(tmp_path / "nothing")), home)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        checks.check(loop(str(tmp_path / "empty")), home)
    checks.check(loop(str(tiny.resolve("tiny:distilbert"))), home)


def test_the_model_of_a_running_run_is_awaited_and_that_of_an_ended_one_missed(home: Home) -> None:
    run = make_run(home, *started())
    with living(run):
        checks.check(loop(str(run.model)), home)
        awaited = checks.awaited_run(loop(str(run.model)), home)
        assert awaited is not None and awaited.name == run.name
    assert checks.awaited_run(loop(str(run.model)), home) is None
    with pytest.raises(ModelError, match=rf"{run.name} holds no model \(it is lost\)"):
        checks.check(loop(str(run.model)), home)


def evaluation(run: RunFolder, **settings: Any) -> Experiment:
    overrides = {key.replace("__", "."): value for key, value in settings.items()}
    return catalog.from_document(
        {"engine": "evaluate", "run": run.name}, place="test", name="test", overrides=overrides
    )


def test_the_run_that_is_scored_is_awaited_too(home: Home) -> None:
    run = make_run(home, *started())
    with living(run):
        checks.check(evaluation(run), home)
        awaited = checks.awaited_run(evaluation(run), home)
        assert awaited is not None and awaited.name == run.name
    with pytest.raises(UserError, match=rf"{run.name} holds no model \(it is lost\); resume it"):
        checks.check(evaluation(run), home)


def test_classes_are_compared_before_a_model_is_loaded(tmp_path: Path, home: Home) -> None:
    run = make_run(home, *started(), finished(labels=["ham", "spam"]))
    run.model.mkdir()
    words = table(tmp_path / "words.csv")
    with pytest.raises(UserError, match="labels negative, positive, but .* answers ham, spam; .* rename negative"):
        checks.check(evaluation(run, data__source=words), home)
    numbers = table(tmp_path / "numbers.csv", [(text, str(n % 2)) for n, (text, _) in enumerate(ROWS)])
    with pytest.raises(UserError, match='where the data has numbers, data.labels = "ham,spam" names them so'):
        checks.check(evaluation(run, data__source=numbers), home)
    checks.check(evaluation(run, data__source=numbers, data__labels="ham,spam"), home)


# -- names on the hub ---------------------------------------------------------------------------------------


def test_a_name_that_the_hub_does_not_have_is_refused(hub: StubHub, home: Home) -> None:
    with pytest.raises(HubError, match="there is no dataset at .*nobody/nothing"):
        checks.check(experiment(data__source="nobody/nothing"), home)
    with pytest.raises(HubError, match="there is no model at .*nobody/nothing"):
        checks.check(loop("nobody/nothing"), home)


def test_without_a_network_a_name_on_the_hub_is_left_to_the_run(
    tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_to("http://127.0.0.1:9", tmp_path / "hub", monkeypatch)
    checks.check(experiment(data__source="nobody/nothing"), home)


# -- the process that is asked ------------------------------------------------------------------------------


def test_the_process_that_is_asked_answers_and_refuses_in_a_sentence(tmp_path: Path, home: Home) -> None:
    document = experiment(data__source=table(tmp_path / "a.csv")).document()
    assert asking.ask("check", document=document, home=str(home.path), whole=False) is None
    document = experiment(data__source=str(tmp_path / "b.csv")).document()
    with pytest.raises(UserError, match='b.csv: no such file; did you mean "a.csv"'):
        asking.ask("check", document=document, home=str(home.path), whole=False)


def test_a_fault_of_the_process_that_is_asked_is_told_from_a_refusal(home: Home) -> None:
    with pytest.raises(asking.InputsError, match="KeyError: 'nonsense'"):
        asking.ask("nonsense")


def test_who_asks_may_give_up(home: Home) -> None:
    class GaveUpError(Exception):
        pass

    def give_up() -> None:
        raise GaveUpError

    with pytest.raises(GaveUpError):
        asking.ask("check", give_up, document=experiment(data__source="quickstart").document(), home="", whole=True)


def test_what_a_run_notes_is_kept_where_there_is_no_run() -> None:
    collector = checks.Collector()
    collector.note("fine", "warning")
    collector.fact(ev.Dropped(3, "no_label", "a.csv"))
    assert [json.loads(ev.encode(event, 0, 0.0))["kind"] for event in collector.events] == ["note", "dropped"]
