"""Both fine-tuning engines on a tiny model: the same training, stopped and resumed without a trace."""

import csv
import json
import shutil
import time
from itertools import count
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from engines import catalog
from engines.data import corpus
from engines.errors import UserError
from engines.models import tiny
from engines.reporter import Reporter, Stop
from engines.runs import events as ev
from engines.runs import processes
from engines.runs.event_files import EventReader, read_last
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.training import course, provenance, schedule
from engines.training.encoder import FineTuning
from tests.support import wait_until
from tests.support.training import StoppedReporter, records, train

pytestmark = pytest.mark.usefixtures("one_thread")

ENGINES = ["finetune_loop", "finetune_trainer"]
SETTINGS: dict[str, Any] = {
    "model.name": "tiny:distilbert",
    "data.train": 44,
    "data.validation": 24,
    "data.test": 20,
    "training.epochs": 2,
    "training.batch_size": 8,
    "training.learning_rate": 1e-3,
    "training.warmup_steps": 3,
    "training.max_length": 24,
}
STEPS = 12  # two epochs of six batches


def make(home: Home, engine: str, **more: Any) -> RunFolder:
    source = home.cache / "reviews.csv"
    if not source.exists():
        with open(source, "w", newline="") as file:
            rows = [(r.text, ("negative", "positive")[r.label == "positive"]) for r in corpus.generate(96, seed=5)]
            csv.writer(file).writerows([("text", "label"), *rows])
    overrides = {**SETTINGS, "data.source": str(source), **more}
    return RunFolder.create(
        home, catalog.from_document({"engine": engine}, place="test", name="t", overrides=overrides).document()
    )


def weights(folder: RunFolder) -> dict[str, torch.Tensor]:
    return load_file(folder.model / "model.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    """A run of each engine that nobody interrupted."""
    home = Home(tmp_path_factory.mktemp("whole"))
    folders = {engine: make(home, engine) for engine in ENGINES}
    for folder in folders.values():
        assert train(folder)
    return folders


def test_both_engines_make_the_same_steps_from_the_same_head(whole: dict[str, RunFolder]) -> None:
    loop, trainer = (records(whole[engine], ev.Step) for engine in ENGINES)
    assert [s.step for s in loop] == [s.step for s in trainer] == list(range(1, STEPS + 1))
    assert [s.epoch for s in loop] == [s.epoch for s in trainer]
    for name in ("loss", "learning_rate", "grad_norm"):
        assert [getattr(s, name) for s in loop] == pytest.approx([getattr(s, name) for s in trainer], abs=1e-4)
    assert loop[-1].loss < loop[0].loss


def test_the_learning_rate_rises_and_falls_in_a_line(whole: dict[str, RunFolder]) -> None:
    expected = [schedule.linear(step, 3, STEPS) * 1e-3 for step in range(STEPS)]
    assert expected[0] == 0 and max(expected) == expected[3] == 1e-3
    assert [s.learning_rate for s in records(whole["finetune_loop"], ev.Step)] == pytest.approx(expected)


@pytest.mark.parametrize("engine", ENGINES)
def test_each_epoch_is_validated_and_the_best_model_is_the_one_kept(whole: dict[str, RunFolder], engine: str) -> None:
    folder = whole[engine]
    validations = [e for e in records(folder, ev.Evaluated) if e.split == "validation"]
    assert [(v.step, v.epoch, v.items) for v in validations] == [(6, 1.0, 24), (12, 2.0, 24)]
    assert all(v.loss is not None and v.loss > 0 for v in validations)
    assert [c.step for c in records(folder, ev.Checkpoint)] == [6, 12]
    best = max(validations, key=lambda v: (v.scores.accuracy or 0, -(v.loss or 0)))
    assert [selected.step for selected in records(folder, ev.Selected)] == [best.step]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_finished_model_answers_as_it_was_scored(whole: dict[str, RunFolder], engine: str) -> None:
    folder = whole[engine]
    others = {path.name for path in folder.model.iterdir() if path.suffix not in (".json", ".safetensors")}
    assert others == {provenance.FILE}, "nothing that runs code, beside the hashes of the items that taught it"
    classifier = catalog.engine(engine).load(folder, "cpu")
    items = [json.loads(line) for line in folder.items.read_text().splitlines()]
    written = [json.loads(line) for line in folder.predictions.read_text().splitlines()]
    classified = classifier.classify([item["text"] for item in items])
    assert [item["hash"] for item in items] == [line["hash"] for line in written] and len(items) == 20
    assert [answer.label for answer in classified] == [line["predicted"] for line in written]
    assert [answer.tokens_read for answer in classified] == [line["tokens_read"] for line in written]
    assert max(answer.tokens_read for answer in classified) == 24 < max(answer.tokens_total for answer in classified)
    for answer, line in zip(classified, written, strict=True):
        assert answer.probabilities == pytest.approx(line["probabilities"], abs=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("at", [("train", 4), ("train", 6), ("train", 9), ("validate", 0), ("test", 0)])
def test_a_stopped_and_resumed_run_ends_with_the_same_weights(
    whole: dict[str, RunFolder], home: Home, engine: str, at: tuple[str, int]
) -> None:
    folder = make(home, engine)
    assert not train(folder, stop=lambda *now: now == at)
    stopped_at = records(folder, ev.Checkpoint)[-1].step
    assert train(folder)
    assert [r.step for r in records(folder, ev.Resumed)] == [stopped_at]
    steps = [s.step for s in records(folder, ev.Step)]
    assert steps == list(range(1, STEPS + 1)), "no step is made twice, none is left out"
    losses = [s.loss for s in records(folder, ev.Step)]
    assert losses == [s.loss for s in records(whole[engine], ev.Step)]
    assert same(weights(folder), weights(whole[engine]))
    validated = [e.step for e in records(folder, ev.Evaluated) if e.split == "validation"]
    assert validated == [6, 12]


def test_a_damaged_checkpoint_is_left_out_and_training_goes_on_from_the_one_before(
    whole: dict[str, RunFolder], home: Home
) -> None:
    folder = make(home, "finetune_loop")
    assert not train(folder, stop=lambda *now: now == ("train", 9))
    newest = folder.checkpoints / "000002-step-9"
    (newest / "optimizer.safetensors").write_bytes(b"torn")
    assert train(folder)
    assert [r.step for r in records(folder, ev.Resumed)] == [6]
    assert any("000002-step-9 is damaged" in note.text for note in records(folder, ev.Note))
    assert same(weights(folder), weights(whole["finetune_loop"]))


def test_a_run_killed_right_before_its_end_is_scored_again_and_not_trained_again(
    whole: dict[str, RunFolder], home: Home
) -> None:
    folder = make(home, "finetune_loop")
    assert train(folder)  # without a worker nobody says "finished"
    trained = weights(folder)
    assert train(folder)
    assert [r.step for r in records(folder, ev.Resumed)] == [STEPS]
    assert [s.step for s in records(folder, ev.Step)] == list(range(1, STEPS + 1))
    assert [e.split for e in records(folder, ev.Evaluated)][-2:] == ["test", "test"]
    assert same(weights(folder), trained)


def test_a_run_whose_data_has_changed_is_not_resumed(home: Home) -> None:
    folder = make(home, "finetune_loop")
    assert not train(folder, stop=lambda *now: now == ("train", 4))
    source = home.cache / "reviews.csv"
    head, *lines = source.read_text().splitlines(keepends=True)
    source.write_text("".join([head, *reversed(lines)]))
    with pytest.raises(UserError, match=r"reviews.csv has changed since checkpoint 000001-step-4; start a new run"):
        train(folder)


def ready(home: Home, **more: Any) -> FineTuning:
    folder = make(home, "finetune_loop", **more)
    config = catalog.from_document(folder.read_document(), place="test", name="t").config
    return FineTuning(config, Reporter(folder))


def test_evaluation_changes_neither_the_mode_nor_the_random_state(home: Home) -> None:
    task = ready(home)
    task.course.begin()
    before = torch.get_rng_state()
    task.evaluate("validation", "validate")
    assert torch.equal(torch.get_rng_state(), before) and task.model.training


def test_attention_is_sdpa_in_single_precision(home: Home) -> None:
    model = ready(home).model
    assert model.config._attn_implementation == "sdpa" and model.dtype == torch.float32
    assert list(model.config.id2label.values()) == ["negative", "positive"]


def test_a_loss_that_is_no_number_is_reported_and_then_ends_the_training(home: Home) -> None:
    task = ready(home, **{"training.batch_size": 4})
    task.course.begin()
    with pytest.raises(UserError, match=r"training.learning_rate = 0.001 is probably too high"):
        for _ in range(10):
            task.course.stepped(torch.tensor(float("nan")), torch.tensor(float("nan")))
    assert len(records(task.report.folder, ev.Step)) == course.NOT_FINITE_REPORTS


def test_a_stop_saves_no_weights_that_such_a_loss_has_spoilt(home: Home) -> None:
    folder = make(home, "finetune_loop")
    config = catalog.from_document(folder.read_document(), place="test", name="t").config
    task = FineTuning(config, StoppedReporter(folder, lambda phase, step: step > 0))
    task.course.begin()
    with pytest.raises(Stop):
        task.course.stepped(torch.tensor(float("nan")), torch.tensor(float("nan")))
    assert not folder.checkpoints.exists()


def test_a_model_made_for_another_kind_of_task_gets_single_labels(home: Home) -> None:
    other = home.cache / "other"
    shutil.copytree(tiny.resolve("tiny:distilbert"), other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "problem_type": "regression"}))
    task = ready(home, **{"model.name": str(other)})
    task.course.begin()
    assert task.model(**next(task.batches(0))).loss > 0
    assert task.model.config.problem_type == "single_label_classification"


def test_losses_are_read_every_log_every_steps_as_their_mean(home: Home) -> None:
    task = ready(home, **{"training.log_every": 4})
    task.course.begin()
    for step in range(1, 7):
        task.course.stepped(torch.tensor(float(step)), torch.tensor(1.0))
    steps = records(task.report.folder, ev.Step)
    assert [(s.step, s.loss) for s in steps] == [(4, 2.5), (6, 5.5)], "and at the end of an epoch"


def test_a_warm_up_longer_than_the_training_is_shortened_and_said(home: Home) -> None:
    task = ready(home, **{"training.warmup_steps": 500})
    task.course.begin()
    assert any("500 leaves nothing of 12 steps; 1 are used" in n.text for n in records(task.report.folder, ev.Note))


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("training.max_length", 4096, "more than the 512 positions"),
        ("data.train", 0, "data.train = 0"),
        ("data.test", 0, "data.test = 0"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_a_sentence(
    home: Home, setting: str, value: int, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        ready(home, **{setting: value})


def test_checkpoints_come_by_the_clock_as_well(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    task = ready(home, **{"training.checkpoint_minutes": 1.0})
    task.course.begin()
    clock = count(time.monotonic())
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))  # one second per look
    task.course.stepped(torch.tensor(1.0), torch.tensor(1.0))
    assert not records(task.report.folder, ev.Checkpoint)
    clock = count(next(clock) + 60)
    task.course.stepped(torch.tensor(1.0), torch.tensor(1.0))
    task.course.stepped(torch.tensor(1.0), torch.tensor(1.0))
    assert [c.step for c in records(task.report.folder, ev.Checkpoint)] == [2]


def test_a_worker_tells_a_gapless_story_and_prints_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    folder = make(home, "finetune_trainer")
    processes.launch(folder, ["cpu"])
    wait_until(lambda: any(isinstance(r.event, ev.Ended) for r in read_last(folder.events)), 90, "the run's end")
    events_read = EventReader(folder.events).read()
    assert [r.seq for r in events_read] == list(range(len(events_read)))
    assert isinstance(events_read[0].event, ev.Started) and isinstance(events_read[-1].event, ev.Finished)
    end = events_read[-1].event
    assert (end.step, end.total, end.split, end.items) == (STEPS, STEPS, "test", 20)
    assert end.training_seconds and end.training_seconds < end.seconds
    assert "loss" not in folder.log.read_text()
