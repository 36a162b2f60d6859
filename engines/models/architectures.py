"""What a model is made of, from its config.json read as plain JSON: no weights, no torch, no network unless asked.

Imports nothing that imports torch, even later: the console reads it.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from engines.errors import ArchitectureError
from engines.models import sources

SHIPPED = Path(__file__).with_name("hub_configs")
_ENCODERS = ("distilbert", "bert", "roberta")
_DECODERS = ("llama", "mistral", "gemma", "gemma2", "gemma3_text", "qwen2", "qwen3")
_FOUR_NORMS = ("gemma2", "gemma3_text")  # before and after attention and the feed-forward layer
_DISTILBERT_NAMES = {
    "hidden_size": "dim",
    "intermediate_size": "hidden_dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
}

Fetch = Callable[[str, str], Path]
"""Gets config.json of a hub name and a revision ("" for the main branch), and says in which folder it is."""


def read_config(name: str, revision: str = "", fetch: Fetch | None = None) -> dict[str, Any]:
    """The config.json of a model: of a named source, a local folder, the hub's cache, or those that ship.

    `fetch` is asked last; without it nothing leaves this machine. Raises `ModelError`, or what `fetch` does.
    """
    if named := sources.folder(name):
        return _parsed(named / "config.json")
    if name and (folder := Path(name).expanduser()).is_dir():
        return _parsed(folder / "config.json")
    if cached := _cached(name, revision):
        return _parsed(cached)
    for file in SHIPPED.glob("*.json"):
        document = json.loads(file.read_bytes())
        if name in document["names"] and not revision:
            config: dict[str, Any] = document["config"]
            return config
    if name.lower().endswith(".gguf"):
        raise ArchitectureError(
            f"model.name = {name}: its sizes are known once a run has dequantised it, so its memory is not estimated"
        )
    if fetch is None:
        raise ArchitectureError(
            f"model.name = {name}: no config.json of it on this machine, so its memory is not known before it is "
            "downloaded; check the name, or use a local folder"
        )
    return _parsed(fetch(name, revision) / "config.json")


def _parsed(file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ArchitectureError(f"{file} cannot be read ({error}); set model.name to a whole model folder") from None
    if not isinstance(config, dict):
        raise ArchitectureError(f"{file} holds no JSON object; set model.name to a whole model folder")
    return config


def _cached(name: str, revision: str) -> Path | None:
    """config.json in the hub library's cache: models--OWNER--NAME/snapshots/COMMIT, the commit named in refs/."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    cache = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()
    folder = cache / f"models--{name.replace('/', '--')}"
    ref = folder / "refs" / (revision or "main")
    commit = ref.read_text().strip() if ref.is_file() else revision
    file = folder / "snapshots" / commit / "config.json"
    return file if commit and file.is_file() else None


@dataclass(frozen=True)
class Architecture:
    """The sizes of a transformer. Parameters are counted exactly for the families this module knows."""

    family: str  # config.json's model_type
    is_decoder: bool
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    context: int | None  # most positions
    window: int | None  # sliding-window attention
    tied: bool  # the output head is the embedding
    bias: frozenset[str]  # linear layers with one
    head_norms: bool  # queries and keys are normed per head
    token_types: int
    dropout: float
    attention_dropout: float
    known: bool  # False: of another family, counted as the nearest

    @cached_property
    def linears(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of the linear layers of one block."""
        d, f, q, kv = self.width, self.intermediate, self.heads * self.head_dim, self.kv_heads * self.head_dim
        attention = {"q_proj": (d, q), "k_proj": (d, kv), "v_proj": (d, kv), "o_proj": (q, d)}
        if self.is_decoder:
            return {**attention, "gate_proj": (d, f), "up_proj": (d, f), "down_proj": (f, d)}
        return {**attention, "up_proj": (d, f), "down_proj": (f, d)}

    @property
    def linear_parameters(self) -> int:
        """Weights of the linear layers inside all blocks, biases left out: what nf4 and autocast change."""
        return self.layers * sum(inputs * outputs for inputs, outputs in self.linears.values())

    @property
    def head_parameters(self) -> int:
        """Of the head that gives logits over the vocabulary; 0 where it is the embedding."""
        return 0 if self.tied else self.vocabulary * self.width

    @property
    def parameters(self) -> int:
        """Of the model without a head; for BERT and RoBERTa with the pooler, as they are published."""
        biases = sum(outputs for name, (_, outputs) in self.linears.items() if name in self.bias)
        norm = self.width if self.is_decoder else 2 * self.width
        norms = 4 if self.family in _FOUR_NORMS else 2
        block = biases + norms * norm + (2 * self.head_dim if self.head_norms else 0)
        total = self.linear_parameters + self.layers * block + norm + self.vocabulary * self.width
        if self.is_decoder:
            return total
        total += (self.context or 0) * self.width
        if self.family != "distilbert":  # the pooler
            total += self.width**2 + self.width + self.token_types * self.width
        return total

    def classifier_parameters(self, classes: int) -> int:
        """Of the sequence classifier: without the output head, with that of `classes` classes."""
        if self.is_decoder:
            return self.parameters + self.width * classes
        dense = self.width**2 + self.width if self.family == "distilbert" else 0  # BERT: the pooler
        return self.parameters + dense + self.width * classes + classes

    def lora_parameters(self, rank: int, targets: tuple[str, ...]) -> int:
        """Of adapters of `rank` on the named linear layers of all blocks."""
        return self.layers * rank * sum(sum(self.linears[name]) for name in targets)


def architecture(config: Mapping[str, Any], name: str) -> Architecture:
    """The sizes in a config.json; `name` is the model's. Raises `ArchitectureError` where they do not suffice."""
    family = str(config.get("model_type", "unknown"))
    if any("experts" in key for key in config):
        raise ArchitectureError(f"model.name = {name}: a mixture of experts ({family}), whose memory is not estimated")
    names = _DISTILBERT_NAMES if family == "distilbert" else {}

    def number(key: str, default: Any = None) -> Any:
        value = config.get(names.get(key, key))
        if value is None:
            value = default
        if value is None:
            raise ArchitectureError(
                f"model.name = {name}: its config.json ({family}) has no {names.get(key, key)}, so its memory is not "
                "estimated"
            )
        return value

    is_decoder = family in _DECODERS or (
        family not in _ENCODERS and any("CausalLM" in str(a) for a in config.get("architectures") or ())
    )
    width, heads = number("hidden_size"), number("num_attention_heads")
    every = {"q_proj", "k_proj", "v_proj", "o_proj"}
    if not is_decoder:
        bias = every | {"up_proj", "down_proj"}
    elif family == "qwen2":
        bias = every - {"o_proj"}
    else:
        bias = every if config.get("attention_bias") else set()
        bias |= {"gate_proj", "up_proj", "down_proj"} if config.get("mlp_bias") else set()
    return Architecture(
        family=family,
        is_decoder=is_decoder,
        layers=number("num_hidden_layers"),
        width=width,
        heads=heads,
        kv_heads=number("num_key_value_heads", heads),
        head_dim=number("head_dim", width // heads),
        intermediate=number("intermediate_size"),
        vocabulary=number("vocab_size"),
        context=config.get("max_position_embeddings"),
        window=config.get("sliding_window") if config.get("use_sliding_window", True) else None,
        tied=bool(config.get("tie_word_embeddings", family.startswith("gemma") or not is_decoder)),
        bias=frozenset(bias),
        head_norms=family in ("qwen3", "gemma3_text"),
        token_types=config.get("type_vocab_size", 2),
        dropout=0.0 if is_decoder else number("hidden_dropout_prob", 0.1),
        attention_dropout=number("attention_dropout" if is_decoder else "attention_probs_dropout_prob", 0.0),
        known=family in _ENCODERS + _DECODERS,
    )
