"""The estimate against published counts, real instantiation, and the bytes autograd really keeps."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from engines import catalog
from engines.parts import classifier, memory, sources, tiny
from engines.parts import hub as hub_client
from engines.parts.architectures import TINY, TINY_FOLDER, Architecture, ArchitectureError, architecture, read_config
from engines.parts.data import Data
from engines.parts.finetuning import Config, Training
from engines.parts.history import Estimated, PastRun, past_runs, record
from engines.parts.memory import (
    _NEEDS,
    DOES_NOT_FIT,
    FITS,
    LINEAR_NAMES,
    NF4_BYTES,
    TIGHT,
    Lora,
    Numbers,
    _finetuning,
    _Machine,
    _with,
    describe,
    estimate,
    saved_bytes,
    training_activations,
)
from engines.parts.models import Model
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.settings import UserError, group, option
from tests.engines.parts.conftest import Recorder
from tests.stub_hub import StubHub

MISTRAL, GEMMA, DISTILBERT = (
    "mistralai/Mistral-7B-Instruct-v0.2", "google/gemma-2b", "distilbert/distilbert-base-uncased"
)  # fmt: skip


def shipped(name: str) -> Architecture:
    return architecture(read_config(name), name)


# -- configs and counts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "published"),
    [
        (DISTILBERT, 66_362_880),
        ("distilbert-base-uncased", 66_362_880),
        (MISTRAL, 7_241_732_096),
        (GEMMA, 2_506_172_416),
        ("google/gemma-2b-it", 2_506_172_416),
    ],
)
def test_parameters_of_the_shipped_configs_are_the_published_ones(name: str, published: int) -> None:
    model = shipped(name)
    assert model.parameters + (model.head_parameters if model.is_decoder else 0) == published


def test_adapters_on_all_linear_layers_of_mistral_are_the_known_count() -> None:
    assert shipped(MISTRAL).lora_parameters(64, LINEAR_NAMES) == 167_772_160


_TINY = {
    "hidden_size": 32, "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 90,
    "max_position_embeddings": 64,
}  # fmt: skip
_TINY_DECODER = {**_TINY, "num_key_value_heads": 2, "head_dim": 12}


@pytest.mark.parametrize(
    ("family", "sizes"),
    [
        ("DistilBert", {"dim": 32, "hidden_dim": 80, "n_layers": 3, "n_heads": 4, "vocab_size": 90}),
        ("Bert", _TINY),
        ("Roberta", _TINY),
        ("Roberta", {**_TINY, "type_vocab_size": 1}),
        ("Mistral", _TINY_DECODER),
        ("Gemma", _TINY_DECODER),
        ("Llama", _TINY_DECODER),
        ("Llama", {**_TINY_DECODER, "attention_bias": True, "mlp_bias": True}),
        ("Qwen2", {**_TINY, "num_key_value_heads": 2}),
        ("Qwen3", _TINY_DECODER),
    ],
)
def test_parameters_counted_from_a_config_are_those_of_the_real_model(family: str, sizes: dict[str, Any]) -> None:
    import torch
    import transformers

    config = getattr(transformers, f"{family}Config")(**sizes)
    config.num_labels = 3
    counted = architecture(json.loads(config.to_json_string(use_diff=False)), family)
    with torch.device("meta"):
        assert transformers.AutoModel.from_config(config).num_parameters() == counted.parameters
        classifier = transformers.AutoModelForSequenceClassification.from_config(config)
        assert classifier.num_parameters() == counted.classifier_parameters(3)
        if counted.is_decoder:
            causal = transformers.AutoModelForCausalLM.from_config(config)
            assert causal.num_parameters() == counted.parameters + counted.head_parameters


def test_nf4_with_double_quantisation_takes_the_stated_bytes_a_weight() -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    import torch

    weight = torch.randn(512, 1024, dtype=torch.bfloat16)
    packed, state = bitsandbytes.functional.quantize_4bit(weight, quant_type="nf4", compress_statistics=True)
    size = packed.nbytes + state.absmax.nbytes + state.state2.absmax.nbytes
    assert size / weight.numel() == pytest.approx(NF4_BYTES)


def test_a_config_is_found_in_the_hub_cache_before_the_shipped_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--google--gemma-2b"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    snapshot = folder / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text('{"model_type": "gemma", "hidden_size": 8}')
    assert read_config(GEMMA)["hidden_size"] == 8
    assert read_config(GEMMA, "abc")["hidden_size"] == 8
    with pytest.raises(ArchitectureError, match="no config.json of it on this machine"):
        read_config(GEMMA, "other")


def test_the_hub_is_asked_only_when_wanted(hub: StubHub, recorder: Recorder) -> None:
    hub.repos["models/someone/small"] = {"config.json": b'{"model_type": "gemma"}', "model.safetensors": b"w" * 10}

    def fetch(name: str, revision: str) -> Path:
        return hub_client.fetch(name, "model", ("config.json",), recorder.report, revision)

    with pytest.raises(ArchitectureError, match="someone/small: no config.json"):
        read_config("someone/small")
    assert not hub.requests
    assert read_config("someone/small", fetch=fetch) == {"model_type": "gemma"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"model_type": "new"}', "has no hidden_size"),
        ('{"model_type": "mixtral", "num_local_experts": 8}', "mixture of experts"),
        ("[1]", "holds no JSON object"),
        ("{", "cannot be read"),
    ],
)
def test_a_config_that_does_not_suffice_is_named(content: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ArchitectureError, match=sentence):
        architecture(read_config(str(tmp_path)), str(tmp_path))


# -- activations: what autograd keeps, to the byte of storage ------------------------------------------------


def kept_bytes(model: Any, forward: Callable[[], Any]) -> int:
    """Bytes of storage that the graph of `forward` holds, parameters and their autocast copies left out."""
    import torch

    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    shapes = {tuple(p.shape) for p in model.parameters() if p.ndim == 2}
    shapes |= {shape[::-1] for shape in shapes}
    kept: dict[int, Any] = {}

    def pack(tensor: Any) -> Any:
        if tensor.untyped_storage().data_ptr() not in own and tuple(tensor.shape) not in shapes:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = forward()
    del out
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


# on a GPU (autocast) dropout inside attention keeps nothing
@pytest.mark.parametrize(("autocast", "attention_dropout"), [(False, 0.0), (False, 0.1), (True, 0.0)])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("width", "intermediate", "heads", "layers"), [(64, 256, 4, 3), (96, 200, 2, 5)])
def test_activations_of_distilbert_are_within_15_percent(
    width: int, intermediate: int, heads: int, layers: int, attention_dropout: float, padded: bool, autocast: bool
) -> None:
    import torch
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    config = DistilBertConfig(
        vocab_size=97, dim=width, hidden_dim=intermediate, n_heads=heads, n_layers=layers, dropout=0.1,
        attention_dropout=attention_dropout,
    )  # fmt: skip
    model = DistilBertForSequenceClassification(config).train()
    batch, length = 5, 60
    ids = torch.randint(0, 97, (batch, length))
    mask = torch.ones_like(ids)
    if padded:
        mask[1, 40:] = 0
    context: Any = torch.autocast("cpu", torch.bfloat16) if autocast else contextlib.nullcontext()
    with context:
        measured = kept_bytes(model, lambda: model(input_ids=ids, attention_mask=mask).logits)
    counted = architecture(config.to_dict(), "tiny")
    numbers = Numbers(2 if autocast else 4, autocast, on_gpu=False)
    block = saved_bytes(counted, batch * length, length, numbers, padded=padded)
    ends = training_activations(replace(counted, layers=0), batch, length, numbers, None, False)
    assert layers * block + ends == pytest.approx(measured, rel=0.15)


@pytest.mark.parametrize(("family", "layers"), [("Mistral", 4), ("Gemma", 6)])
@pytest.mark.parametrize("mode", ["full", "full autocast", "float32", "bf16", "bf16 autocast", "no dropout"])
def test_activations_of_decoders_are_within_15_percent(family: str, mode: str, layers: int) -> None:
    import torch
    import transformers

    config = getattr(transformers, f"{family}Config")(
        vocab_size=97, hidden_size=64, intermediate_size=224, num_hidden_layers=layers, num_attention_heads=4,
        num_key_value_heads=2, head_dim=24,
    )  # fmt: skip
    model = getattr(transformers, f"{family}Model")(config)
    lora = None
    if not mode.startswith("full"):
        peft = pytest.importorskip("peft")
        lora = Lora(8, LINEAR_NAMES, 0.0 if mode == "no dropout" else 0.1)
        model = model.to(torch.bfloat16 if mode.startswith("bf16") else torch.float32)
        model = peft.get_peft_model(
            model,
            peft.LoraConfig(r=8, lora_dropout=lora.dropout, target_modules="all-linear"),
            autocast_adapter_dtype=False,
        )
        model.enable_input_require_grads()
    autocast = "autocast" in mode
    ids = torch.randint(0, 97, (1, 120))
    context: Any = torch.autocast("cpu", torch.bfloat16) if autocast else contextlib.nullcontext()
    with context:
        measured = kept_bytes(model.train(), lambda: model(input_ids=ids, use_cache=False).last_hidden_state)
    numbers = Numbers(2 if autocast or mode == "bf16" else 4, autocast and lora is None, on_gpu=False)
    counted = architecture(config.to_dict(), "tiny")
    assert training_activations(counted, 1, 120, numbers, lora, False) == pytest.approx(measured, rel=0.15)


@pytest.mark.parametrize("targets", [("q_proj", "v_proj"), LINEAR_NAMES])
def test_activations_with_checkpointing_are_one_residual_stream_a_block(targets: tuple[str, ...]) -> None:
    import torch
    from transformers import MistralConfig, MistralModel

    peft = pytest.importorskip("peft")
    config = MistralConfig(
        vocab_size=97, hidden_size=64, intermediate_size=224, num_hidden_layers=6, num_attention_heads=4,
        num_key_value_heads=2,
    )  # fmt: skip
    model = peft.get_peft_model(MistralModel(config), peft.LoraConfig(r=8, target_modules=list(targets)))
    model.enable_input_require_grads()
    model.activation_checkpointing_enable({"use_reentrant": True})  # keeps its inputs as saved tensors
    ids = torch.randint(0, 97, (1, 120))
    measured = kept_bytes(model.train(), lambda: model(input_ids=ids, use_cache=False).last_hidden_state)
    counted = architecture(config.to_dict(), "tiny")
    numbers, lora = Numbers(4, on_gpu=False), Lora(8, targets)
    one_block = saved_bytes(counted, 120, 120, numbers, lora)  # made anew while going back, not kept
    whole = training_activations(counted, 1, 120, numbers, lora, True)
    assert whole - one_block == pytest.approx(measured, rel=0.15)
    assert whole < 0.5 * training_activations(counted, 1, 120, numbers, lora, False)


def test_the_allocated_peak_of_a_training_step_is_within_15_percent() -> None:
    import torch
    from torch.profiler import ProfilerActivity, profile
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    config = DistilBertConfig(
        vocab_size=97, dim=96, hidden_dim=384, n_heads=4, n_layers=6, attention_dropout=0.0, max_position_embeddings=128
    )
    model = DistilBertForSequenceClassification(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    batch, length = 8, 96
    ids, mask = torch.randint(0, 97, (batch, length)), torch.ones((batch, length), dtype=torch.int64)
    mask[1, 50:] = 0

    def step() -> None:
        model(input_ids=ids, attention_mask=mask, labels=torch.zeros(batch, dtype=torch.int64)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    step()  # makes the optimiser's moments
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    now = peak = 0
    events = (e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]")
    for event in sorted(events, key=lambda e: e.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    experiment = finetuning(Training(batch_size=batch, max_length=length))
    counted = architecture(config.to_dict(), "tiny")
    phase = _finetuning(experiment.config, _Machine("cpu", None, lambda _: counted)).phases["train"]
    assert phase["activations"] + phase["activations under way"] == pytest.approx(peak, rel=0.15)


# -- whole estimates ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Adapters:
    rank: int = option(64, "")
    dropout: float = option(0.1, "")
    targets: str = option("all-linear", "")


@dataclass(frozen=True)
class AdapterTraining:
    batch_size: int = option(1, "")
    accumulation: int = option(4, "")
    max_length: int = option(512, "")
    activation_checkpointing: bool = option(True, "")
    optimizer: str = option("paged_adamw_8bit", "")


@dataclass(frozen=True)
class AdapterConfig:
    """The settings of a fine-tuning of adapters that the estimate reads, in tables of its own."""

    model: Model = group(lambda: Model(MISTRAL))
    data: Data = group(Data)
    lora: Adapters = group(Adapters)
    training: AdapterTraining = group(AdapterTraining)
    precision: str = option("nf4", "")


@dataclass(frozen=True)
class Asked:
    method: str = option("likelihood", "")
    shots: int = option(0, "")
    max_length: int = option(512, "")


@dataclass(frozen=True)
class AskedConfig:
    model: Model = group(lambda: Model(GEMMA))
    data: Data = group(Data)
    prompt: Asked = group(Asked)
    precision: str = option("auto", "")


@dataclass(frozen=True)
class Some:
    engine: str
    config: Any


def qlora(**changes: Any) -> Some:
    return Some("qlora", replace(AdapterConfig(), **changes))


def prompting(**changes: Any) -> Some:
    return Some("prompting", replace(AskedConfig(), **changes))


def finetuning(training: Training, engine: str = "finetune_loop") -> Some:
    return Some(engine, Config(model=Model(DISTILBERT), training=training))


GIB = 1 << 30


@pytest.mark.parametrize("name", sorted(catalog.experiments()))
@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_every_shipped_config_has_an_estimate_offline(name: str, device: str) -> None:
    found = estimate(catalog.read(name), device=device)
    assert sum(found.components.values()) == found.total_bytes
    assert all(size > 0 for size in found.components.values())
    assert describe(found, 8 * GIB)[-1] == "time: no earlier run of this engine and model here"


def test_what_is_known_of_other_modules_is_what_they_do() -> None:
    assert memory.BATCH_TOKENS == classifier.BATCH_TOKENS
    assert (memory.QUICKSTART, memory.QUICKSTART_REVIEWS) == (sources.QUICKSTART, sources.QUICKSTART_REVIEWS)
    assert (TINY, TINY_FOLDER) == (tiny.PREFIX, tiny.MODELS_FOLDER)
    assert pytest.importorskip("engines.parts.likelihood")._CACHED_TOKENS["cuda"] == memory.CACHED_TOKENS


def test_every_engine_has_an_estimate() -> None:
    assert set(catalog.engine_names()) <= set(_NEEDS)


def test_no_heavy_library_is_imported_for_an_estimate() -> None:
    code = (
        "import sys; from engines import catalog; from engines.parts.memory import estimate;"
        "[estimate(catalog.read(name)) for name in catalog.experiments()];"
        "print(sorted({'torch', 'transformers', 'numpy', 'huggingface_hub'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_weights_of_mistral_in_bf16_and_nf4() -> None:
    whole = estimate(qlora(precision="bf16")).components["weights, bf16"]
    assert whole == 2 * 7_241_732_096
    packed = estimate(qlora()).components
    assert packed["weights, nf4"] == pytest.approx(0.516 * 6_979_321_856, rel=1e-3)
    assert packed["weights, bf16"] == 2 * (7_241_732_096 - 6_979_321_856)  # embedding, output head, norms


def test_weights_to_be_loaded_are_counted_by_the_precision_not_by_the_files(tmp_path: Path) -> None:
    config = read_config(GEMMA)
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(b"12345")
    bf16 = memory.decoder_bytes(tmp_path, "bf16")
    assert bf16 == memory.decoder_bytes(tmp_path, "auto") == 2 * 2_506_172_416
    assert memory.decoder_bytes(tmp_path, "float32") == 2 * bf16
    assert bf16 / 3 < memory.decoder_bytes(tmp_path, "nf4") < bf16 / 2
    (tmp_path / "config.json").write_text('{"model_type": "strange"}')
    assert memory.decoder_bytes(tmp_path, "nf4") == 5, "what has no known sizes is as large as its files"


def test_the_peak_is_the_highest_phase() -> None:
    found = estimate(finetuning(Training(batch_size=1, max_length=8)))
    assert found.peak_phase == "validate" and "activations under way" not in found.components
    assert estimate(finetuning(Training(batch_size=64))).peak_phase == "train"


def test_a_paged_optimiser_is_needed_but_not_counted_in_the_measured_peak() -> None:
    paged = estimate(qlora())
    plain = estimate(qlora(training=AdapterTraining(optimizer="adamw_8bit")))
    assert paged.overhead["optimiser, paged_adamw_8bit"] == 2 * 167_772_160
    assert plain.uncorrected_bytes - paged.uncorrected_bytes == 2 * 167_772_160


@pytest.mark.parametrize(
    ("experiment", "free_gib", "words"),
    [
        (finetuning(Training(batch_size=64)), 4, "training.batch_size = 16"),
        (
            qlora(training=AdapterTraining(batch_size=8, activation_checkpointing=False)), 14,
            "training.activation_checkpointing = true",
        ),
        (
            qlora(training=AdapterTraining(batch_size=32)), 12,
            "training.batch_size = 8, training.accumulation = 16",
        ),
        (qlora(precision="bf16"), 16, "precision = nf4"),
        (qlora(precision="bf16", training=AdapterTraining(batch_size=64)), 7, "precision = nf4"),
    ],
)  # fmt: skip
def test_the_setting_named_makes_it_fit(experiment: Some, free_gib: int, words: str) -> None:
    found = estimate(experiment)
    assert found.verdict(free_gib * GIB) == DOES_NOT_FIT
    suggestion = found.suggestion(free_gib * GIB)
    assert suggestion.startswith("it fits with ") and words in suggestion
    changes = next(o.changes for o in found.alternatives if suggestion.startswith(f"it fits with {o.text} ("))
    config = experiment.config
    for name, value in changes.items():
        config = _with(config, name, value)
    assert estimate(Some(experiment.engine, config)).verdict(free_gib * GIB) in (FITS, TIGHT)


def test_what_no_setting_makes_fit_says_how_much_is_needed() -> None:
    sentence = estimate(qlora()).suggestion(2 * GIB)
    assert sentence.startswith("the least is ") and "or a smaller model" in sentence


def test_prompts_that_only_fit_in_smaller_batches_are_tight() -> None:
    found = estimate(prompting(prompt=Asked(shots=8)))
    assert found.verdict(64 * GIB) == FITS and found.suggestion(64 * GIB) == ""
    assert found.verdict(8 * GIB) == TIGHT and "halves its batches" in found.suggestion(8 * GIB)
    assert found.verdict(4 * GIB) == DOES_NOT_FIT


def test_more_examples_mean_a_larger_cache_never_beyond_the_context() -> None:
    sizes = [estimate(prompting(prompt=Asked(shots=n))).least["score"]["KV cache"] for n in (0, 4, 20, 100)]
    assert sizes[0] < sizes[1] < sizes[2] == sizes[3]
    assert sizes[3] == 18 * 2 * 256 * 2 * (8192 + 8192 - 520)  # one row, and the shared beginning once more


def test_evaluate_is_estimated_by_the_model_of_its_run(home: Home) -> None:
    source = RunFolder.create(home, catalog.read("distilbert-loop").document())
    small = RunFolder.create(home, catalog.read("quickstart/distilbert-loop").document())
    scored = RunFolder.create(home, {"engine": "evaluate", "experiment": "e", "run": source.name})
    big, little, again = (
        estimate(catalog.from_document({"engine": "evaluate", "run": run.name}, place="test", name="e"), home=home)
        for run in (source, small, scored)
    )
    assert big.total_bytes == again.total_bytes > little.total_bytes
    assert big.family == "distilbert" and not any("optimiser" in name for name in big.components)
    counted = RunFolder.create(home, catalog.read("bag-of-words").document())
    words = catalog.from_document({"engine": "evaluate", "run": counted.name}, place="test", name="e")
    assert estimate(words, home=home).device == "cpu"  # whatever there is
    with pytest.raises(UserError, match='run = "gone" is no run here'):
        estimate(catalog.from_document({"engine": "evaluate", "run": "gone"}, place="test", name="e"), home=home)


# -- what earlier runs teach --------------------------------------------------------------------------------


def earlier(ratio: float, **changes: Any) -> PastRun:
    run = PastRun(
        engine="finetune_loop", model=DISTILBERT, device="cpu",
        document={"model": {"name": DISTILBERT}, "data": {"source": "quickstart", "train": 1000, "test": 500},
                  "training": {"max_length": 512, "epochs": 1}},
        estimated=Estimated("distilbert", "cpu", 1000), measured_bytes=round(1000 * ratio), seconds=200.0,
        training_seconds=100.0, items=500, items_per_s=10.0,
    )  # fmt: skip
    return replace(run, **changes)


def test_the_median_of_measured_by_estimated_corrects_and_is_said() -> None:
    experiment = finetuning(Training())
    plain = estimate(experiment, device="cpu")
    other_family = earlier(9.0, estimated=Estimated("bert", "cpu", 1000))
    other_device = earlier(9.0, estimated=Estimated("distilbert", "cuda", 1000))
    runs = [earlier(1.1), earlier(1.2), earlier(3.0), other_family, other_device, earlier(9.0, engine="evaluate")]
    found = estimate(experiment, runs, device="cpu")
    assert found.total_bytes == pytest.approx(1.2 * plain.total_bytes, rel=1e-6)
    assert found.uncorrected_bytes == plain.uncorrected_bytes  # what is recorded of the new run
    line = "corrected by 3 finished runs of distilbert: measured is 1.20 of the estimate (median)"
    assert line in describe(found, 64 * GIB)
    only_others = estimate(experiment, [earlier(0.5, engine="evaluate")], device="cpu")
    assert only_others.total_bytes == pytest.approx(0.5 * plain.total_bytes, rel=1e-6)
    assert only_others.components["correction by earlier runs"] < 0


def test_time_is_scaled_from_runs_of_the_same_engine_model_and_device() -> None:
    experiment = Some(
        "finetune_loop",
        Config(model=Model(DISTILBERT), data=Data(train=4000, test=1000), training=Training(epochs=2)),
    )
    found = estimate(experiment, [earlier(1.0), earlier(1.0, device="GPU-1")], device="cpu").pace
    assert found is not None and found.runs == 1 and found.items_per_s == 10.0
    assert found.seconds == pytest.approx(50 + 100 * 4 * 2 + 50 * 2)
    assert "time: about 16 minutes, 10.0 items/s in the test, by 1 earlier run on this device" in found.text
    assert estimate(experiment, [earlier(1.0, model="other")], device="cpu").pace is None
    shorter = replace(experiment, config=replace(experiment.config, training=Training(max_length=128)))
    assert estimate(shorter, [earlier(1.0)], device="cpu").pace is None


def test_finished_runs_are_read_from_their_folders(home: Home) -> None:
    document = catalog.read("quickstart/distilbert-loop").document()
    done, going = RunFolder.create(home, document), RunFolder.create(home, document)
    for folder in (done, going):
        record(folder, "distilbert", "cpu", 4000)
        writer = ev.EventWriter(folder.events)
        writer.write(ev.Started("cpu", "", {}))
        if folder is done:
            writer.write(ev.Finished(seconds=9.0, items=10, items_per_s=5.0, host_memory_peak_bytes=5000))
        writer.close()
    (found,) = past_runs(home)
    assert (found.engine, found.model, found.device) == ("finetune_loop", "tiny:distilbert", "cpu")
    assert found.estimated == Estimated("distilbert", "cpu", 4000) and found.measured_bytes == 5000
    assert estimate(catalog.read("quickstart/distilbert-loop"), [found], device="cpu").factor == 1.25
