"""What the engines' memory needs are made of: a machine, a need, and the components that several engines share.

An engine states its needs by a function `memory_needs(config, machine) -> Need` beside its `run`. Imports nothing
that imports torch, even later: the console reads it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from engines.memory.formulas import Numbers, backward_bytes, passing_bytes, training_activations, weights
from engines.models.architectures import Architecture
from engines.runs.home import Home

REVIEW_BYTES = 4 << 10
"""A review on the host: its text and copies, its tokens."""
INSTRUCTION_TOKENS = 64
"""What a prompt holds beside reviews."""
ANSWER_TOKENS = 8


class NamedModel(Protocol):
    """Settings that say which model: `engines.models.location.Model`."""

    @property
    def name(self) -> str: ...

    @property
    def revision(self) -> str: ...


class Reviews(Protocol):
    """Settings that say which reviews: `engines.data.splits.Data`."""

    def expected_reviews(self, *splits: str) -> int: ...

    def class_names(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Machine:
    """Where a run is to compute, and how it finds out about a model."""

    kind: str  # "cuda" or "cpu"
    home: Home | None
    architecture: Callable[[NamedModel], Architecture]

    @property
    def on_gpu(self) -> bool:
        return self.kind == "cuda"

    @property
    def encoder_numbers(self) -> Numbers:
        """float32 weights, by bf16 autocast on a GPU."""
        return Numbers(2, autocast=True) if self.on_gpu else Numbers(4, on_gpu=False)

    def decoder_precision(self, precision: str) -> str:
        """What "auto" means here; any other precision is itself."""
        return precision if precision != "auto" else "bf16" if self.on_gpu else "float32"

    def decoder_numbers(self, precision: str) -> Numbers:
        return Numbers(4 if precision == "float32" else 2, on_gpu=self.on_gpu)


@dataclass(frozen=True)
class Need:
    """What an engine needs: for each phase its components in bytes."""

    family: str  # of the model: "mistral"; runs of one family correct each other's estimates
    phases: dict[str, dict[str, int]]
    least: dict[str, dict[str, int]] = field(default_factory=dict)  # where a run halves batches by itself: the last
    scoring: str = "score"  # the phase in which texts are scored
    libraries: str = "transformers"  # a key of `engines.memory.estimate.HOST_BYTES`
    host: dict[str, int] = field(default_factory=dict)  # counts where the CPU computes
    unseen: dict[str, int] = field(default_factory=dict)  # on the GPU, but not counted by torch
    notes: tuple[str, ...] = ()
    on_host: bool = False  # computes on the CPU whatever there is


def texts(data: Reviews) -> dict[str, int]:
    """The reviews of all splits, on the host."""
    return {"texts and tokens": REVIEW_BYTES * data.expected_reviews("train", "validation", "test")}


def classes(data: Reviews) -> int:
    """How many classes there are, as far as the settings say."""
    return max(2, len(data.class_names()))


def unknown_family(model: Architecture) -> tuple[str, ...]:
    """A note where the model is counted like another."""
    if model.known:
        return ()
    nearest = "Llama" if model.is_decoder else "BERT"
    return (f"models of type {model.family} are not known here; it is counted like {nearest}",)


def encoder_scoring(
    model: Architecture, machine: Machine, length: int, classes: int, batch_tokens: int
) -> dict[str, int]:
    """Scoring texts of `length` tokens by a sequence classifier in float32, `batch_tokens` a batch."""
    numbers = machine.encoder_numbers
    rows = max(1, batch_tokens // length)
    mask = rows * length * length * numbers.compute_bytes
    return {
        "weights, float32": 4 * model.classifier_parameters(classes),
        "activations": passing_bytes(model, rows * length, numbers) + mask,
    }


def encoder_tuning(
    model: Architecture, machine: Machine, batch_size: int, length: int, classes: int, batch_tokens: int
) -> dict[str, dict[str, int]]:
    """The phases of training all weights of a sequence classifier by AdamW, validation in `batch_tokens` a batch.

    Going back, gradients take the room that activations leave: the two ends of a step are its two phases.
    """
    numbers = machine.encoder_numbers
    parameters = model.classifier_parameters(classes)
    whole = {"weights, float32": 4 * parameters}
    copies = {"weights, bf16 copies": 2 * model.linear_parameters if numbers.autocast else 0}
    moments = {"optimiser, AdamW float32": 8 * parameters}
    activations = {
        "activations": training_activations(model, batch_size, length, numbers, None, False),
        "activations under way": backward_bytes(model, batch_size * length, numbers),
    }
    return {
        "train": {**whole, **copies, **moments, **activations},
        "optimiser step": {**whole, **moments, "gradients": 4 * parameters},
        "validate": {**encoder_scoring(model, machine, length, classes, batch_tokens), **moments},
    }


def prompt_scoring(
    model: Architecture, machine: Machine, precision: str, review: int, shared: int, rows: int
) -> dict[str, int]:
    """Label words after prompts: keys and values of the shared beginning and of a batch, last positions' logits.

    A batch holds `rows` reviews of `review` tokens after the `shared` tokens of a common beginning.
    """
    numbers = machine.decoder_numbers(precision)
    e, q, kv = numbers.compute_bytes, model.heads * model.head_dim, model.kv_heads * model.head_dim
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


def shared_tokens(model: Architecture, review: int, examples: int = 0) -> int:
    """Tokens of the beginning that prompts share, `examples` of them in examples: no more than the context has."""
    shared = INSTRUCTION_TOKENS + examples
    return max(0, min(shared, model.context - review)) if model.context else shared
