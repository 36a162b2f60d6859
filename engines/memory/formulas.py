"""What a transformer needs: bytes of its weights, and of what a pass through it keeps. Standard library only.

The formulae, their sources and how they were checked: docs/memory.md.
"""

from dataclasses import dataclass
from pathlib import Path

from engines.errors import ArchitectureError
from engines.models.architectures import Architecture, architecture, read_config

NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
"""A weight in nf4 with double quantisation: half a byte, one byte of scale for 64, a float32 for 256 of those."""
LINEAR_NAMES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Lora:
    """Adapters of a rank on named linear layers."""

    rank: int
    targets: tuple[str, ...] = LINEAR_NAMES
    dropout: float = 0.0


@dataclass(frozen=True)
class Numbers:
    """The types computed in: bytes per number of the blocks, and whether autocast makes them of float32 weights."""

    compute_bytes: int
    autocast: bool = False
    on_gpu: bool = True

    @property
    def mask_bytes(self) -> int:
        """Of an element of a dropout mask: bool on a GPU, a factor on the CPU."""
        return 1 if self.on_gpu else self.compute_bytes


def saved_bytes(
    model: Architecture, tokens: int, length: int, numbers: Numbers, lora: Lora | None = None, padded: bool = False
) -> int:
    """What one block keeps for its backward pass, of `tokens` in rows of `length`.

    Without `lora` every weight is trained. Attention is scaled_dot_product_attention in its fused form: nothing of
    length^2, but for the mask of a `padded` batch, and on the CPU for dropout inside attention.
    """
    d, f, e = model.width, model.intermediate, numbers.compute_bytes
    q, kv = model.heads * model.head_dim, model.kv_heads * model.head_dim
    statistics = 4 * model.heads + (8 if model.is_decoder else 16)  # log-sum-exp, norms
    if not model.is_decoder:
        dropouts = (1 if model.family == "distilbert" else 2) if model.dropout else 0
        # inputs of linear layers, queries to values, result, both sums that are normed (in float32 under autocast)
        kept = (16 * d + 8 * d if numbers.autocast else 8 * d * e) + 2 * f * e + dropouts * d * numbers.mask_bytes
        if model.attention_dropout and not numbers.on_gpu:
            statistics += 3 * model.heads * length * e
    else:
        attention = (2 * q + 2 * (q if padded else kv)) * e
        if lora is None:
            kept = (26 * d if numbers.autocast else 6 * d * e) + attention + 4 * f * e
        else:
            kept = 8 * d + attention + 3 * f * e + _lora_bytes(model, lora, numbers)
    mask = length * e if padded else 0
    return tokens * (kept + statistics + mask)


def _lora_bytes(model: Architecture, lora: Lora, numbers: Numbers) -> int:
    """Inputs of the adapters, a token: each dropped out by itself, else shared by those that read the same."""
    inner = len(lora.targets) * lora.rank * numbers.compute_bytes
    sizes = {name: model.linears[name][0] for name in lora.targets}
    if lora.dropout:
        return inner + sum(sizes.values()) * (numbers.compute_bytes + numbers.mask_bytes)
    shared = {"k_proj": "q_proj", "v_proj": "q_proj", "up_proj": "gate_proj", "o_proj": ""}  # o_proj reads the result
    sources = {shared.get(name, name): size for name, size in sizes.items()}
    return inner + sum(size for name, size in sources.items() if name) * numbers.compute_bytes


def training_activations(
    model: Architecture, batch: int, length: int, numbers: Numbers, lora: Lora | None, checkpointing: bool
) -> int:
    """Bytes kept for the backward pass of one micro-batch, all blocks and both ends."""
    tokens = batch * length
    block = saved_bytes(model, tokens, length, numbers, lora, padded=batch > 1 and not model.is_decoder)
    norm = 8 if lora is None else 4  # the last one: its input, and what its weight is trained by
    ends = tokens * model.width * (norm if model.is_decoder else 8 + 4 + numbers.mask_bytes)
    if checkpointing:
        stream = 4 if numbers.autocast and lora is None else numbers.compute_bytes
        return model.layers * tokens * model.width * stream + block + ends
    return model.layers * block + ends


def passing_bytes(model: Architecture, tokens: int, numbers: Numbers) -> int:
    """What a block holds at once while nothing is kept: the residual stream and the widest of its feed-forward."""
    wide = (3 if model.is_decoder else 2) * model.intermediate * numbers.compute_bytes
    streams = 3 if model.is_decoder else 2  # embeddings, residual and normed states
    copy = 2 * max(inputs * outputs for inputs, outputs in model.linears.values()) if numbers.autocast else 0
    return tokens * (wide + (10 if numbers.autocast else streams * numbers.compute_bytes) * model.width) + copy


def backward_bytes(model: Architecture, tokens: int, numbers: Numbers) -> int:
    """Gradients of activations under way, beyond what they replace."""
    wide = (2 if model.is_decoder else 1) * model.intermediate * numbers.compute_bytes
    return tokens * (wide + 8 * model.width)


def weights(model: Architecture, precision: str, more: int = 0) -> dict[str, int]:
    """Bytes of the weights of a decoder with its output head, or with `more` parameters in its stead."""
    whole = model.parameters + (more or model.head_parameters)
    if precision == "nf4":
        linear = model.linear_parameters
        largest = max(inputs * outputs for inputs, outputs in model.linears.values())
        return {
            "weights, nf4": round(linear * NF4_BYTES),
            "weights, bf16": 2 * (whole - linear),
            "a weight unpacked": 2 * largest,
        }
    return {f"weights, {precision}": (4 if precision == "float32" else 2) * whole}


def decoder_bytes(folder: Path, precision: str) -> int:
    """What the weights of the decoder in `folder` take on a GPU, "auto" as bf16; their files where it is not known."""
    try:
        model = architecture(read_config(str(folder)), folder.name)
    except ArchitectureError:
        return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    return sum(weights(model, "bf16" if precision == "auto" else precision).values())
