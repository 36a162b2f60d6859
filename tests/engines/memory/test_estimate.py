import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from engines import catalog
from engines.catalog import Experiment
from engines.data.splits import Data
from engines.errors import UserError
from engines.memory.estimate import DOES_NOT_FIT, FITS, TIGHT, describe_estimate, estimate_peak
from engines.memory.history import Estimated, PastRun, past_runs, record
from engines.methods.prompting import Config, Prompting
from engines.models.location import Model
from engines.runs import events as ev
from engines.runs.event_files import EventWriter
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.training import course, encoder, lora

MISTRAL, GEMMA, DISTILBERT = (
    "mistralai/Mistral-7B-Instruct-v0.2",
    "google/gemma-2b",
    "distilbert/distilbert-base-uncased",
)


def experiment_of(engine: str, config: Any) -> Experiment:
    return Experiment("test", engine, "", "", config, frozenset())


def qlora(**changes: Any) -> Experiment:
    return experiment_of("qlora", replace(lora.Config(model=Model(MISTRAL)), **changes))


def adapter_training(**changes: Any) -> lora.Training:
    return replace(lora.Training(optimizer="paged_adamw_8bit"), **changes)


def prompting(shots: int) -> Experiment:
    return experiment_of("prompting", Config(model=Model(GEMMA), prompt=Prompting(shots=shots)))


def finetuning(training: course.Training, engine: str = "finetune_loop") -> Experiment:
    return experiment_of(engine, encoder.Config(model=Model(DISTILBERT), training=training))


GIB = 1 << 30


@pytest.mark.parametrize("name", sorted(catalog.experiments()))
@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_every_shipped_config_has_an_estimate_offline(name: str, device: str) -> None:
    estimate = estimate_peak(catalog.read(name), device=device)
    assert sum(estimate.components.values()) == estimate.total_bytes
    assert all(size > 0 for size in estimate.components.values())
    assert describe_estimate(estimate, 8 * GIB)[-1] == "time: no earlier run of this engine and model here"


def test_no_heavy_library_is_imported_for_an_estimate() -> None:
    code = (
        "import sys; from engines import catalog; from engines.memory.estimate import estimate_peak;"
        "[estimate_peak(catalog.read(name)) for name in catalog.experiments()];"
        "print(sorted({'torch', 'transformers', 'numpy', 'huggingface_hub'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_weights_of_mistral_in_bf16_and_nf4() -> None:
    whole = estimate_peak(qlora(precision="bf16")).components["weights, bf16"]
    assert whole == 2 * 7_241_732_096
    packed = estimate_peak(qlora()).components
    assert packed["weights, nf4"] == pytest.approx(0.516 * 6_979_321_856, rel=1e-3)
    assert packed["weights, bf16"] == 2 * (7_241_732_096 - 6_979_321_856)  # embedding, output head, norms


def test_the_peak_is_the_highest_phase() -> None:
    estimate = estimate_peak(finetuning(course.Training(batch_size=1, max_length=8)))
    assert estimate.peak_phase == "validate" and "activations under way" not in estimate.components
    assert estimate_peak(finetuning(course.Training(batch_size=64))).peak_phase == "train"


def test_a_paged_optimiser_is_needed_but_not_counted_in_the_measured_peak() -> None:
    paged = estimate_peak(qlora(training=adapter_training()))
    plain = estimate_peak(qlora(training=adapter_training(optimizer="adamw_8bit")))
    assert paged.overhead["optimiser, paged_adamw_8bit"] == 2 * 167_772_160
    assert plain.uncorrected_bytes - paged.uncorrected_bytes == 2 * 167_772_160


@pytest.mark.parametrize(
    ("experiment", "free_gib", "words"),
    [
        (finetuning(course.Training(batch_size=64)), 4, "training.batch_size = 16"),
        (
            qlora(training=adapter_training(batch_size=8, activation_checkpointing=False)),
            14,
            "training.activation_checkpointing = true",
        ),
        (
            qlora(training=adapter_training(batch_size=32)),
            12,
            "training.batch_size = 8, training.accumulation = 16",
        ),
        (qlora(precision="bf16"), 16, "precision = nf4"),
        (qlora(precision="bf16", training=adapter_training(batch_size=64)), 7, "precision = nf4"),
    ],
)
def test_the_setting_named_makes_it_fit(experiment: Experiment, free_gib: int, words: str) -> None:
    estimate = estimate_peak(experiment)
    assert estimate.verdict(free_gib * GIB) == DOES_NOT_FIT
    suggestion = estimate.suggestion(free_gib * GIB)
    assert suggestion.startswith("it fits with ") and words in suggestion
    changes = next(o.changes for o in estimate.alternatives if suggestion.startswith(f"it fits with {o.text} ("))
    changed = catalog.from_document(experiment.document(), place="", name="", overrides=changes)
    assert estimate_peak(changed).verdict(free_gib * GIB) in (FITS, TIGHT)


def test_what_no_setting_makes_fit_says_how_much_is_needed() -> None:
    sentence = estimate_peak(qlora()).suggestion(2 * GIB)
    assert sentence.startswith("the least is ") and "or a smaller model" in sentence


def test_prompts_that_only_fit_in_smaller_batches_are_tight() -> None:
    estimate = estimate_peak(prompting(shots=8))
    assert estimate.verdict(64 * GIB) == FITS and estimate.suggestion(64 * GIB) == ""
    assert estimate.verdict(8 * GIB) == TIGHT and "halves its batches" in estimate.suggestion(8 * GIB)
    assert estimate.verdict(4 * GIB) == DOES_NOT_FIT


def test_more_examples_mean_a_larger_cache_never_beyond_the_context() -> None:
    sizes = [estimate_peak(prompting(shots=n)).least["score"]["KV cache"] for n in (0, 4, 20, 100)]
    assert sizes[0] < sizes[1] < sizes[2] == sizes[3]
    assert sizes[3] == 18 * 2 * 256 * 2 * (8192 + 8192 - 520)  # one row, and the shared beginning once more


def test_evaluate_is_estimated_by_the_model_of_its_run(home: Home) -> None:
    source = RunFolder.create(home, catalog.read("distilbert-loop").document())
    small = RunFolder.create(home, catalog.read("quickstart/distilbert-loop").document())
    scored = RunFolder.create(home, {"engine": "evaluate", "experiment": "e", "run": source.name})
    big, little, again = (
        estimate_peak(catalog.from_document({"engine": "evaluate", "run": run.name}, place="test", name="e"), home=home)
        for run in (source, small, scored)
    )
    assert big.total_bytes == again.total_bytes > little.total_bytes
    assert big.family == "distilbert" and not any("optimiser" in name for name in big.components)
    counted = RunFolder.create(home, catalog.read("bag-of-words").document())
    words = catalog.from_document({"engine": "evaluate", "run": counted.name}, place="test", name="e")
    assert estimate_peak(words, home=home).device == "cpu"  # whatever there is
    with pytest.raises(UserError, match='run = "gone" is no run here'):
        estimate_peak(catalog.from_document({"engine": "evaluate", "run": "gone"}, place="test", name="e"), home=home)


# -- what earlier runs teach --------------------------------------------------------------------------------


def peak(config: course.Training) -> int:
    return estimate_peak(finetuning(config), device="cpu").uncorrected_bytes


def earlier(ratio: float, **changes: Any) -> PastRun:
    bytes_ = peak(course.Training())
    run = PastRun(
        engine="finetune_loop",
        model=DISTILBERT,
        device="cpu",
        document={
            "model": {"name": DISTILBERT},
            "data": {"source": "quickstart", "train": 1000, "test": 500},
            "training": {"max_length": 512, "epochs": 1},
        },
        estimated=Estimated("distilbert", "cpu", bytes_),
        measured_bytes=round(bytes_ * ratio),
        seconds=200.0,
        training_seconds=100.0,
        items=500,
        items_per_s=10.0,
    )
    return replace(run, **changes)


def test_the_median_of_measured_by_estimated_corrects_and_is_said() -> None:
    experiment = finetuning(course.Training())
    plain = estimate_peak(experiment, device="cpu")
    other_family = earlier(9.0, estimated=Estimated("bert", "cpu", peak(course.Training())))
    other_device = earlier(9.0, estimated=Estimated("distilbert", "cuda", peak(course.Training())))
    runs = [earlier(1.1), earlier(1.2), earlier(3.0), other_family, other_device, earlier(9.0, engine="evaluate")]
    estimate = estimate_peak(experiment, runs, device="cpu")
    assert estimate.total_bytes == pytest.approx(1.2 * plain.total_bytes, rel=1e-6)
    assert estimate.uncorrected_bytes == plain.uncorrected_bytes  # what is recorded of the new run
    line = "corrected by 3 finished runs of distilbert: measured is 1.20 of the estimate (median)"
    assert line in describe_estimate(estimate, 64 * GIB)
    only_others = estimate_peak(experiment, [earlier(0.5, engine="evaluate")], device="cpu")
    assert only_others.total_bytes == pytest.approx(0.5 * plain.total_bytes, rel=1e-6)
    assert only_others.components["correction by earlier runs"] < 0


def test_a_run_of_another_size_corrects_nothing() -> None:
    experiment = finetuning(course.Training())
    size = peak(course.Training())
    for times, counts in ((1 / 5, 0), (1 / 3, 1), (3, 1), (5, 0)):
        run = earlier(9.0, estimated=Estimated("distilbert", "cpu", round(size * times)))
        estimate = estimate_peak(experiment, [run], device="cpu")
        assert estimate.corrected_by == counts and (estimate.factor == 1.0) == (not counts)


def test_time_is_scaled_from_runs_of_the_same_engine_model_and_device() -> None:
    experiment = experiment_of(
        "finetune_loop",
        encoder.Config(model=Model(DISTILBERT), data=Data(train=4000, test=1000), training=course.Training(epochs=2)),
    )
    pace = estimate_peak(experiment, [earlier(1.0), earlier(1.0, device="GPU-1")], device="cpu").pace
    assert pace is not None and pace.runs == 1 and pace.items_per_s == 10.0
    assert pace.seconds == pytest.approx(50 + 100 * 4 * 2 + 50 * 2)
    assert "time: about 16 minutes, 10.0 items/s in the test, by 1 earlier run on this device" in pace.text
    assert estimate_peak(experiment, [earlier(1.0, model="other")], device="cpu").pace is None
    shorter = replace(experiment, config=replace(experiment.config, training=course.Training(max_length=128)))
    assert estimate_peak(shorter, [earlier(1.0)], device="cpu").pace is None


def test_finished_runs_are_read_from_their_folders(home: Home) -> None:
    document = catalog.read("quickstart/distilbert-loop").document()
    done, going = RunFolder.create(home, document), RunFolder.create(home, document)
    expected = estimate_peak(catalog.read("quickstart/distilbert-loop"), device="cpu").uncorrected_bytes
    for folder in (done, going):
        record(folder, "distilbert", "cpu", expected)
        writer = EventWriter(folder.events)
        writer.write(ev.Started("cpu", "", {}))
        if folder is done:
            writer.write(ev.Finished(seconds=9.0, items=10, items_per_s=5.0, host_memory_peak_bytes=2 * expected))
        writer.close()
    (past_run,) = past_runs(home)
    assert (past_run.engine, past_run.model, past_run.device) == ("finetune_loop", "tiny:distilbert", "cpu")
    assert past_run.estimated == Estimated("distilbert", "cpu", expected) and past_run.measured_bytes == 2 * expected
    assert estimate_peak(catalog.read("quickstart/distilbert-loop"), [past_run], device="cpu").factor == 2
