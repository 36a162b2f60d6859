"""Tuning of a tiny random language model: as it was scored, without a trace of stops, and never quietly smaller."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from msgspec import structs
from safetensors.torch import load_file

import engines.training.prompted
from engines import catalog
from engines.data import corpus
from engines.errors import ConfigError, UserError
from engines.models import opening
from engines.prompts import tuning_rows
from engines.reporter import Restart
from engines.runs import events as ev
from engines.runs import processes
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.summary import FAILED, FINISHED, summarize
from engines.training.adapter_tuning import AdapterTuning
from tests.support import known, language_models, wait_until
from tests.support.training import StoppedReporter, records, train

pytestmark = pytest.mark.usefixtures("one_thread")

SETTINGS: dict[str, Any] = {
    "data.train": 22,
    "data.validation": 8,
    "data.test": 10,
    "training.epochs": 2,
    "training.batch_size": 2,
    "training.accumulation": 2,
    "training.learning_rate": 3e-3,
    "training.warmup_steps": 2,
    "training.max_length": 24,
    "lora.rank": 4,
    "lora.dropout": 0.1,
}
STEPS = 12  # two epochs of 22 reviews, four a step


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders of models, by name, and a file of reviews."""
    root = tmp_path_factory.mktemp("models")
    with open(root / "reviews.csv", "w", newline="") as file:
        rows = [(r.text, r.label) for r in corpus.generate(60, seed=5)]
        csv.writer(file).writerows([("text", "label"), *rows])
    models = {
        "mistral": language_models.write(root / "mistral", "mistral", chat=True),
        "gemma": language_models.write(root / "gemma", "gemma"),
        "reviews": root / "reviews.csv",
    }
    return {name: str(path) for name, path in models.items()}


def make(home: Home, places: dict[str, str], model: str, **more: Any) -> RunFolder:
    overrides = {**SETTINGS, "data.source": places["reviews"], "model.name": places[model], **more}
    experiment = catalog.from_document({"engine": "qlora"}, place="test", name="t", overrides=overrides)
    return RunFolder.create(home, experiment.document())


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def adapters(folder: RunFolder) -> dict[str, torch.Tensor]:
    return load_file(folder.model / "adapter_model.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, places: dict[str, str]) -> RunFolder:
    """A run in 4 bits that nobody interrupted."""
    folder = make(Home(tmp_path_factory.mktemp("whole")), places, "mistral", merge=True)
    assert train(folder)
    return folder


def test_one_run_scores_the_same_items_before_and_after(whole: RunFolder) -> None:
    said, items = lines(whole.predictions), [item["hash"] for item in lines(whole.items)]
    assert [line.get("model") for line in said] == ["before"] * 10 + [None] * 10
    assert [line["hash"] for line in said] == items * 2
    assert [line["probabilities"] for line in said[:10]] != [line["probabilities"] for line in said[10:]]
    tests = [e for e in records(whole, ev.Evaluated) if e.split == "test"]
    assert len(tests) == 2
    before, tuned = known(tests[1].scores.before), tests[1].scores
    assert before == structs.replace(tests[0].scores, confusion=tests[0].confusion)
    for scores, part in ((before, said[:10]), (tuned, said[10:])):
        assert scores.accuracy == sum(line["label"] == line["predicted"] for line in part) / 10
    change = (known(tuned.accuracy) - known(before.accuracy)) * 10
    assert known(tuned.mended) - known(tuned.broken) == pytest.approx(change)


def test_every_epoch_has_a_validation_loss_and_accuracy_and_the_best_adapters_are_kept(whole: RunFolder) -> None:
    validations = [e for e in records(whole, ev.Evaluated) if e.split == "validation"]
    assert [(v.step, v.epoch, v.items) for v in validations] == [(6, 1.0, 8), (12, 2.0, 8)]
    assert all(known(v.loss) > 0 for v in validations)
    best = max(validations, key=lambda v: (known(v.scores.accuracy), -known(v.loss)))
    (selected,) = records(whole, ev.Selected)
    assert selected == ev.Selected(known(best.step), "validation", "accuracy", known(best.scores.accuracy))
    steps = records(whole, ev.Step)
    assert [s.step for s in steps] == list(range(1, STEPS + 1)) and steps[-1].loss < steps[0].loss
    assert all(known(s.grad_norm) > 0 for s in steps)


def test_the_learning_rate_rises_and_falls_by_a_cosine(whole: RunFolder) -> None:
    rates = [s.learning_rate / 3e-3 for s in records(whole, ev.Step)]
    assert rates[:3] == pytest.approx([0, 0.5, 1])
    assert rates[7] == pytest.approx(0.5) and rates[11] == pytest.approx(0.0245, abs=1e-3)


def test_the_finished_model_answers_as_it_was_scored(whole: RunFolder) -> None:
    classifier = catalog.engine("qlora").load(whole, "cpu")
    classified = classifier.classify([item["text"] for item in lines(whole.items)])
    for answer, line in zip(classified, lines(whole.predictions)[10:], strict=True):
        assert (answer.label, answer.tokens_read) == (line["predicted"], line["tokens_read"])
        assert answer.probabilities == pytest.approx(line["probabilities"], abs=1e-6)


def test_the_model_folder_holds_card_adapters_and_the_merged_model(whole: RunFolder) -> None:
    names = {path.name for path in whole.model.iterdir()}
    assert {"README.md", "adapter_config.json", "adapter_model.safetensors", "qlora.json", "merged"} <= names
    assert not list(whole.model.rglob("*.bin"))
    card = (whole.model / "README.md").read_text()
    scores = records(whole, ev.Evaluated)[-1].scores
    for name, found in (("tuned", scores), ("before tuning", known(scores.before))):
        assert f"| {name} | {found.accuracy:.4f}" in card
    assert "| train | 22 |" in card and "training.learning\\_rate | 0.003" in card
    merged, _ = opening.load_model(whole.model / "merged", "float32", "cpu")
    base, _ = opening.load_model(Path(whole.read_document()["model"]["name"]), "float32", "cpu")
    before, after = base.model.layers[0].mlp.up_proj.weight, merged.model.layers[0].mlp.up_proj.weight
    assert 1e-4 < (after - before).abs().max() < 0.5


@pytest.mark.parametrize("at", [("train", 4), ("train", 6), ("test", 0)])
def test_a_stopped_and_resumed_run_ends_with_the_same_adapters(
    whole: RunFolder, home: Home, places: dict[str, str], at: tuple[str, int]
) -> None:
    folder = make(home, places, "mistral")
    seen: list[str] = []

    def stop(phase: str, step: int) -> bool:
        seen.append(phase)
        return (phase, step) == at and (phase != "test" or "train" in seen)

    assert not train(folder, stop)
    stopped_at = records(folder, ev.Checkpoint)[-1].step
    assert train(folder)
    assert [r.step for r in records(folder, ev.Resumed)] == [stopped_at]
    assert [s.loss for s in records(folder, ev.Step)] == [s.loss for s in records(whole, ev.Step)]
    assert same(adapters(folder), adapters(whole))
    assert lines(folder.predictions) == lines(whole.predictions)
    tests = [e for e in records(folder, ev.Evaluated) if e.split == "test"]
    assert len(tests) == 2, "the model before tuning is scored once"


@pytest.mark.parametrize("optimizer", ["PagedAdamW8bit", "PagedAdamW32bit"])
def test_an_optimiser_of_bitsandbytes_is_resumed_as_it_was(
    home: Home, places: dict[str, str], monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    import bitsandbytes
    import trl

    def create_optimizer(trainer: Any) -> Any:
        weights = [p for p in trainer.model.parameters() if p.requires_grad]
        return getattr(bitsandbytes.optim, optimizer)(weights, lr=3e-3)

    monkeypatch.setattr(trl.SFTTrainer, "create_optimizer", create_optimizer)
    more = {"training.epochs": 1, "lora.rank": 64}  # large enough to be held in 8 bits
    one, other = (make(home, places, "mistral", **more) for _ in range(2))
    assert train(one)
    assert not train(other, lambda phase, step: (phase, step) == ("train", 4))
    stored = load_file(next(other.checkpoints.glob("*-step-4")) / "optimizer.safetensors")
    assert (torch.uint8 in {tensor.dtype for tensor in stored.values()}) == (optimizer == "PagedAdamW8bit")
    assert train(other)
    assert [s.loss for s in records(one, ev.Step)] == [s.loss for s in records(other, ev.Step)]
    assert same(adapters(one), adapters(other))


def test_out_of_memory_goes_on_with_half_the_batch_and_the_same_steps(
    home: Home, places: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = {"precision": "float32", "lora.dropout": 0.0, "training.accumulation": 1}
    folders = [make(home, places, "gemma", **plain, **{"training.batch_size": 4}) for _ in range(2)]
    assert train(folders[0])
    step = AdapterTuning.step

    def full(task: AdapterTuning, rows: Any, split: str = "train") -> dict[str, Any]:
        assert isinstance(task.report, StoppedReporter)
        if task.config.training.batch_size > 1 and task.report.at == ("train", 7):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(task, rows, split)

    monkeypatch.setattr(AdapterTuning, "step", full)
    for size in (2, 1):
        with pytest.raises(Restart) as restart:
            train(folders[1])
        adjusted = restart.value.adjusted
        assert adjusted.before == {"training.batch_size": 2 * size, "training.accumulation": 2 // size}
        assert adjusted.after == {"training.batch_size": size, "training.accumulation": 4 // size}
        folders[1].adjust(adjusted.after)
    assert train(folders[1])
    assert [r.step for r in records(folders[1], ev.Resumed)] == [6, 6]
    losses = [{s.step: s.loss for s in records(folder, ev.Step)} for folder in folders]
    assert list(losses[0]) == list(losses[1]) == list(range(1, STEPS + 1))
    assert list(losses[0].values()) == pytest.approx(list(losses[1].values()), abs=1e-4)
    for name, weight in adapters(folders[0]).items():
        torch.testing.assert_close(adapters(folders[1])[name], weight, atol=2e-3, rtol=0)


def test_the_longest_batch_is_tried_before_the_first_step_and_a_single_review_that_does_not_fit_ends_the_run(
    home: Home, places: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(home, places, "gemma", precision="float32", **{"training.batch_size": 1})
    tried: list[int] = []

    def full(task: AdapterTuning, rows: Any, split: str = "train") -> dict[str, Any]:
        tried.append(max(task.prompted.rows["train"].lengths[n] for n in rows))
        assert tried[-1] == max(task.prompted.rows["train"].lengths)
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(AdapterTuning, "step", full)
    with pytest.raises(UserError, match="a single review of .* tokens at once; lower training.max_length"):
        train(folder)
    assert tried and not records(folder, ev.Step)


def test_a_row_that_would_be_dropped_ends_the_run_before_training(
    home: Home, places: dict[str, str], tmp_path: Path
) -> None:
    with open(tmp_path / "long.csv", "w", newline="") as file:
        rows = [(f"{r.text} {r.text} {r.text}", r.label) for r in corpus.generate(60, seed=5)]
        csv.writer(file).writerows([("text", "label"), *rows])
    long = {"data.source": str(tmp_path / "long.csv"), "training.max_length": 252}
    folder = make(home, places, "mistral", **long)
    with pytest.raises(UserError, match=r"of 22 train rows would be dropped: .* longer than the 256 tokens"):
        train(folder)
    assert not records(folder, ev.Step) and not records(folder, ev.Evaluated)


def test_a_row_that_would_teach_another_answer_ends_the_run_before_training(
    home: Home, places: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tuning_rows.conversations

    def one_spoilt(*given: Any) -> Any:
        ids, starts = made(*given)
        return ids, [None, *starts[1:]]

    monkeypatch.setattr(engines.training.prompted, "conversations", one_spoilt)
    with pytest.raises(UserError, match="1 of 22 train rows would be dropped: .* choose another prompt.template"):
        train(make(home, places, "gemma", precision="float32"))


def test_a_worker_that_runs_out_of_memory_goes_on_in_a_fresh_process(
    scripted: Callable[..., RunFolder], home: Home, places: dict[str, str]
) -> None:
    more = {"data.train": 12, "precision": "float32", "data.source": places["reviews"], "model.name": places["gemma"]}
    experiment = catalog.from_document(
        {"engine": "qlora_in_little_memory"}, place="test", name="t", overrides=SETTINGS | more
    )
    folder = RunFolder.create(home, experiment.document())
    processes.launch(folder, ["cpu"])
    wait_until(lambda: summarize(folder).state in (FINISHED, FAILED), timeout_s=120)
    assert summarize(folder).state == FINISHED, folder.log.read_text()[-3000:]
    (adjusted,) = records(folder, ev.Adjusted)
    assert adjusted == ev.Adjusted(
        "out_of_memory",
        {"training.batch_size": 2, "training.accumulation": 2},
        {"training.batch_size": 1, "training.accumulation": 4},
    )
    assert [r.step for r in records(folder, ev.Resumed)] == [3]
    assert len(records(folder, ev.Started)) == 2
    assert sorted({s.step for s in records(folder, ev.Step)}) == [1, 2, 3, 4, 5, 6]
    assert known(known(summarize(folder).scores.before).accuracy) >= 0


def test_plain_lora_on_a_bf16_base_learns_in_float32_and_answers_as_it_was_scored(
    home: Home, places: dict[str, str]
) -> None:
    folder = make(home, places, "mistral", precision="bf16", **{"training.epochs": 1})
    assert train(folder)
    assert {weight.dtype for weight in adapters(folder).values()} == {torch.float32}
    classified = catalog.engine("qlora").load(folder, "cpu").classify([item["text"] for item in lines(folder.items)])
    tuned = lines(folder.predictions)[10:]
    assert [answer.probabilities for answer in classified] == [line["probabilities"] for line in tuned]


def test_training_stops_early_where_it_is_asked_to(home: Home, places: dict[str, str]) -> None:
    more = {"training.patience": 1, "training.epochs": 5, "training.learning_rate": 0.0, "precision": "float32"}
    folder = make(home, places, "gemma", **more)
    assert train(folder)
    assert [e.step for e in records(folder, ev.Evaluated) if e.split == "validation"] == [6, 12]
    assert any("stopped early" in note.text for note in records(folder, ev.Note))


def test_layers_that_the_model_lacks_are_refused_with_a_remedy(home: Home, places: dict[str, str]) -> None:
    folder = make(home, places, "gemma", precision="float32", **{"lora.targets": "query, value"})
    with pytest.raises(ConfigError, match='lora.targets = "query, value": .*"all-linear"'):
        train(folder)
