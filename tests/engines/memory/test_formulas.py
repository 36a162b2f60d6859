"""Bytes by formula against the bytes that autograd, quantisation and files really hold."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines.memory.formulas import (
    LINEAR_NAMES,
    NF4_BYTES,
    Lora,
    Numbers,
    decoder_bytes,
    saved_bytes,
    training_activations,
)
from engines.models.architectures import architecture, read_config


def test_nf4_with_double_quantisation_takes_the_stated_bytes_a_weight() -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    import torch

    weight = torch.randn(512, 1024, dtype=torch.bfloat16)
    packed, state = bitsandbytes.functional.quantize_4bit(weight, quant_type="nf4", compress_statistics=True)
    size = packed.nbytes + state.absmax.nbytes + state.state2.absmax.nbytes
    assert size / weight.numel() == pytest.approx(NF4_BYTES)


def test_weights_to_be_loaded_are_counted_by_the_precision_not_by_the_files(tmp_path: Path) -> None:
    config = read_config("google/gemma-2b")
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(b"12345")
    bf16 = decoder_bytes(tmp_path, "bf16")
    assert bf16 == decoder_bytes(tmp_path, "auto") == 2 * 2_506_172_416
    assert decoder_bytes(tmp_path, "float32") == 2 * bf16
    assert bf16 / 3 < decoder_bytes(tmp_path, "nf4") < bf16 / 2
    (tmp_path / "config.json").write_text('{"model_type": "strange"}')
    assert decoder_bytes(tmp_path, "nf4") == 5, "what has no known sizes is as large as its files"


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
        vocab_size=97,
        dim=width,
        hidden_dim=intermediate,
        n_heads=heads,
        n_layers=layers,
        dropout=0.1,
        attention_dropout=attention_dropout,
    )
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
        vocab_size=97,
        hidden_size=64,
        intermediate_size=224,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=24,
    )
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
        vocab_size=97,
        hidden_size=64,
        intermediate_size=224,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
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
