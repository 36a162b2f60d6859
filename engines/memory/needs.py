"""What each engine needs, one function each: the components of every phase, from its config and the machine.

Imports nothing that imports torch, even later: the console reads it. What it has to know of modules that do stands
here a second time, and a test compares.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

from engines.errors import UserError
from engines.memory.formulas import (
    LINEAR_NAMES,
    Lora,
    Numbers,
    backward_bytes,
    passing_bytes,
    training_activations,
    weights,
)
from engines.models.architectures import Architecture
from engines.runs.folder import RunFolder
from engines.runs.home import Home

TEXT_BYTES = 4 << 10
"""A review on the host: its text and copies, its tokens."""
QUICKSTART, QUICKSTART_REVIEWS = "quickstart", 4000
HUB_REVIEWS = 50_000
"""Reviews of a source whose size is not known before it is read: IMDB's."""
BATCH_TOKENS = {"cuda": 32768, "cpu": 4096}
"""Padded tokens of a batch that is scored, `engines.answers.classifier`'s."""
CACHED_TOKENS = 1 << 17
"""Positions whose keys and values stand at once while prompting, `engines.prompts.likelihood`'s."""

_INSTRUCTION_TOKENS = 64
_ANSWER_TOKENS = 8


@dataclass(frozen=True)
class Machine:
    """Where a run is to compute, and how it finds out about a config's model."""

    kind: str  # "cuda" or "cpu"
    home: Home | None
    architecture: Callable[[Any], Architecture]

    @property
    def on_gpu(self) -> bool:
        return self.kind == "cuda"

    @property
    def encoder_numbers(self) -> Numbers:
        """float32 weights, by bf16 autocast on a GPU."""
        return Numbers(2, autocast=True) if self.on_gpu else Numbers(4, on_gpu=False)


@dataclass(frozen=True)
class Need:
    """What an engine needs: for each phase its components in bytes."""

    family: str
    phases: dict[str, dict[str, int]]
    least: dict[str, dict[str, int]] = field(default_factory=dict)  # where a run halves batches by itself: the last
    libraries: str = "transformers"
    host: dict[str, int] = field(default_factory=dict)  # counts where the CPU computes
    unseen: dict[str, int] = field(default_factory=dict)  # on the GPU, but not counted by torch
    notes: tuple[str, ...] = ()
    on_host: bool = False  # computes on the CPU whatever there is


def _reviews(config: Any, *splits: str) -> int:
    """How many reviews the splits hold; fractions are of the source's size where it is known, else of IMDB's."""
    whole = QUICKSTART_REVIEWS if config.data.source == QUICKSTART else HUB_REVIEWS
    sizes = [getattr(config.data, split) for split in splits]
    return sum(size if isinstance(size, int) else round(size * whole) for size in sizes)


def _texts(config: Any) -> dict[str, int]:
    return {"texts and tokens": TEXT_BYTES * _reviews(config, "train", "validation", "test")}


def _classes(config: Any) -> int:
    return max(2, len([name for name in config.data.labels.split(",") if name.strip()]))


def _bag_of_words(config: Any, machine: Machine) -> Need:
    texts = _reviews(config, "train")
    # measured with one and two words a feature; the vocabulary before its cut grows less than the texts do
    counts = round((70 << 20) * (max(texts, 1) / 2000) ** 0.815 * config.features.ngrams / 2)
    regression = 8 * 25 * config.features.max_features  # gradient, coefficients and ten pairs of both
    parts = {"words and their counts": counts, "regression": min(regression, counts), **_texts(config)}
    return Need("bag of words", {"train": parts}, libraries="scikit-learn", on_host=True)


def _classify(model: Architecture, length: int, classes: int, machine: Machine) -> dict[str, int]:
    """Scoring texts by an encoder or a sequence classifier in float32."""
    numbers = machine.encoder_numbers
    budget = BATCH_TOKENS[machine.kind]
    rows = max(1, budget // length)
    mask = rows * length * length * numbers.compute_bytes
    return {
        "weights, float32": 4 * model.classifier_parameters(classes),
        "activations": passing_bytes(model, rows * length, numbers) + mask,
    }


def _frozen_features(config: Any, machine: Machine) -> Need:
    model = machine.architecture(config)
    features = 8 * 3 * model.width * _reviews(config, "train")  # as they are, standardised, and the solver's copy
    host = {**_texts(config), "features": features}
    return Need(
        model.family,
        {"features": _classify(model, config.features.max_length, 1, machine)},
        libraries="transformers, scikit-learn",
        host=host,
        notes=_unknown(model),
    )


def _finetuning(config: Any, machine: Machine, libraries: str = "transformers") -> Need:
    model = machine.architecture(config)
    numbers, training = machine.encoder_numbers, config.training
    parameters = model.classifier_parameters(_classes(config))
    weights = {"weights, float32": 4 * parameters}
    copies = {"weights, bf16 copies": 2 * model.linear_parameters if numbers.autocast else 0}
    moments = {"optimiser, AdamW float32": 8 * parameters}
    tokens = training.batch_size * training.max_length
    kept = training_activations(model, training.batch_size, training.max_length, numbers, None, False)
    under_way = {"activations": kept, "activations under way": backward_bytes(model, tokens, numbers)}
    scoring = _classify(model, training.max_length, _classes(config), machine)
    phases = {  # going back, gradients take the room that activations leave: the two ends are the highest
        "train": {**weights, **copies, **moments, **under_way},
        "optimiser step": {**weights, **moments, "gradients": 4 * parameters},
        "validate": {**scoring, **moments},
    }
    return Need(model.family, phases, libraries=libraries, host=_texts(config), notes=_unknown(model))


def _evaluate(config: Any, machine: Machine) -> Need:
    """Of the engine that made the model: its scoring alone."""
    folder = RunFolder((machine.home or Home()).runs / config.run) if config.run else None
    if folder is None or not folder.config.is_file():
        raise UserError(f'run = "{config.run}" is no run here; set it to the name of a finished run')
    document = folder.read_document()
    source = _namespace({**document, "data": vars(config.data)})
    if document.get("engine") == "evaluate":
        return _evaluate(_namespace({"run": document.get("run", ""), "data": vars(config.data)}), machine)
    try:
        need = NEEDS[str(document.get("engine"))](source, machine)
    except (AttributeError, KeyError) as error:  # written by another version
        raise UserError(f"{config.run}: its config lacks {error}, which an estimate needs") from None
    name = next(name for name in ("validate", "score", "features", "train") if name in need.phases)
    phases, least = (
        {"test": {part: size for part, size in phases[name].items() if not part.startswith("optimiser")}}
        for phases in (need.phases, need.least or need.phases)
    )
    return replace(need, phases=phases, least=least if need.least else {}, unseen={})


def _namespace(document: Mapping[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(
        **{key: _namespace(value) if isinstance(value, Mapping) else value for key, value in document.items()}
    )


def _precision(config: Any, machine: Machine, default: str) -> str:
    asked = str(setting(config, "precision", default))
    if asked == "auto":
        return "bf16" if machine.on_gpu else "float32"
    return asked


def _scoring(config: Any, model: Architecture, machine: Machine, precision: str, rows: int = 0) -> dict[str, int]:
    """Label words after prompts: keys and values of the shared beginning and of a batch, last positions' logits.

    `rows` texts a batch, 0 for as many as the scorer starts with.
    """
    numbers = Numbers(4 if precision == "float32" else 2, on_gpu=machine.on_gpu)
    e, q, kv = numbers.compute_bytes, model.heads * model.head_dim, model.kv_heads * model.head_dim
    review = int(setting(config, "max_length", 512)) + _ANSWER_TOKENS
    shots = int(setting(config, "shots", 0)) * _classes(config)
    shared = _INSTRUCTION_TOKENS + shots * int(setting(config, "example_length", 256))
    if model.context:
        shared = max(0, min(shared, model.context - review))
    rows = rows or max(1, min(BATCH_TOKENS[machine.kind] // review, CACHED_TOKENS // (shared + review)))
    # a mask meets the cache: keys and values are repeated for every head, one block at a time
    repeated = 2 * q * e if q > kv else 0
    attention = rows * (review * (3 * model.width + 2 * q) * e + (shared + review) * (repeated + review * e))
    return {
        **weights(model, precision),
        "KV cache": model.layers * 2 * kv * e * (rows * (shared + review) + shared),
        "activations": max(attention, passing_bytes(model, rows * review, numbers)),
        "attention mask": rows * review * (shared + review),
        "logits": rows * model.vocabulary * (4 + 8),
    }


def _prompting(config: Any, machine: Machine) -> Need:
    model = machine.architecture(config)
    precision = _precision(config, machine, "auto")
    notes = _unknown(model)
    if setting(config, "method", "") == "untrained_head":
        length = int(setting(config, "max_length", 512))
        numbers = Numbers(4 if precision == "float32" else 2, on_gpu=machine.on_gpu)
        tokens = max(1, BATCH_TOKENS[machine.kind] // length) * length
        parts = {
            **weights(model, precision, model.width * _classes(config)),
            "activations": passing_bytes(model, tokens, numbers),
        }
        return Need(model.family, {"score": parts}, host=_texts(config), notes=notes)
    score, one = (_scoring(config, model, machine, precision, rows) for rows in (0, 1))
    return Need(model.family, {"score": score}, {"score": one}, host=_texts(config), notes=notes)


def _qlora(config: Any, machine: Machine) -> Need:
    model = machine.architecture(config)
    precision = _precision(config, machine, "nf4")
    numbers = Numbers(4 if precision == "float32" else 2, on_gpu=machine.on_gpu)
    targets = tuple(name for name in LINEAR_NAMES if name in _targets(str(setting(config, "targets", "all-linear"))))
    lora = Lora(int(setting(config, "rank", 64)), targets, float(setting(config, "dropout", 0.1)))
    adapters = model.lora_parameters(lora.rank, lora.targets)
    adapter_bytes = 2 if precision == "nf4" else 4  # on a 4-bit base adapters are bf16, else float32
    batch = int(setting(config, "batch_size", 1))
    length = int(setting(config, "max_length", 512)) + _INSTRUCTION_TOKENS + _ANSWER_TOKENS
    optimizer = str(setting(config, "optimizer", "paged_adamw_8bit")) if machine.on_gpu else "AdamW float32"
    moments = {f"optimiser, {optimizer}": adapters * (2 if "8bit" in optimizer else 8)}
    paged = "paged" in optimizer  # CUDA's managed memory, which torch does not count
    checkpointing = bool(setting(config, "activation_checkpointing", True))
    answers = batch * _ANSWER_TOKENS  # only these meet the output head
    held = {
        **weights(model, precision),
        "adapters": adapters * adapter_bytes,
        **({} if paged else moments),
    }
    train = {
        **held,
        "gradients": adapters * adapter_bytes,
        "activations": training_activations(model, batch, length, numbers, lora, checkpointing),
        "activations under way": backward_bytes(model, batch * length, numbers),
        "logits": answers * model.vocabulary * 4,
    }
    score, one = ({**_scoring(config, model, machine, precision, rows), **held} for rows in (0, 1))
    return Need(
        model.family,
        {"train": train, "score": score},
        {"train": train, "score": one},
        "Trainer",
        _texts(config),
        moments if paged else {},
        _unknown(model),
    )


def _targets(asked: str) -> tuple[str, ...]:
    return LINEAR_NAMES if asked == "all-linear" else tuple(name.strip() for name in asked.split(","))


def _unknown(model: Architecture) -> tuple[str, ...]:
    if model.known:
        return ()
    nearest = "Llama" if model.is_decoder else "BERT"
    return (f"models of type {model.family} are not known here; it is counted like {nearest}",)


NEEDS: dict[str, Callable[[Any, Machine], Need]] = {
    "bag_of_words": _bag_of_words,
    "frozen_features": _frozen_features,
    "finetune_loop": _finetuning,
    "finetune_trainer": partial(_finetuning, libraries="Trainer"),
    "evaluate": _evaluate,
    "prompting": _prompting,
    "qlora": _qlora,
}
"""What each engine needs: one function each, from its config and the machine."""


# -- settings, whatever table they stand in -----------------------------------------------------------------


def _leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in vars(config).items():
        if hasattr(value, "__dict__"):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def dotted_name(config: Any, name: str) -> str:
    """Dotted name of the first setting called `name`, or an empty string."""
    return next((dotted for dotted, _ in _leaves(config) if dotted.rpartition(".")[2] == name), "")


def setting(config: Any, name: str, default: Any) -> Any:
    """Value of the first setting called `name`, or `default`."""
    return dict(_leaves(config)).get(dotted_name(config, name), default)
