"""Opening a decoder model and its tokenizer from a folder, in the precision that is asked for."""

from pathlib import Path
from typing import Any

from engines.errors import ModelError, UserError
from engines.models.kinds import NO_CLASSIFIER, read_kind

READS_BOTH_WAYS = ("xlnet", "xlm", "flaubert")
"""Language models without a fixed direction."""
NO_4_BITS = ("mamba", "mamba2", "falcon_mamba")
"""Kinds that read weights of their linear layers directly."""
PRECISIONS = ("auto", "float32", "bf16", "nf4")


def load_model(path: Path, precision: str, device: str, trust_remote_code: bool = False) -> tuple[Any, Any]:
    """Model and tokenizer of a folder, ready to read.

    `precision` "auto" is bf16 on a GPU that has it and float32 elsewhere; "nf4" holds the weights in 4 bits
    (double quantisation, bf16 arithmetic) and needs bitsandbytes. Raises `ModelError` where the folder holds no
    decoder model, wants code of its own run without leave, or lacks weights, so that some would be random.
    """
    from transformers import AutoModelForCausalLM

    _check_writes(path)
    model, missing = _opened(AutoModelForCausalLM, path, precision, device, trust_remote_code)
    if missing:
        raise ModelError(
            f"{path} lacks the weights {', '.join(sorted(missing)[:3])}, they would be random; use a folder that "
            "holds the whole language model"
        )
    return model, load_tokenizer(path, trust_remote_code)


def _check_writes(path: Path) -> None:
    """`ModelError` where a model does not read from left to right: what it thinks of an answer has seen the answer."""
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    kind = read_kind(path)
    fills_gaps = kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(
        AutoConfig.from_pretrained(path), "is_decoder", False
    )
    if kind in READS_BOTH_WAYS or fills_gaps:
        raise ModelError(
            f"{path} holds a model of type {kind}, which fills gaps and writes no text; use a decoder, or tune this "
            "one by finetune_loop"
        )


def load_headed(path: Path, precision: str, device: str, trust_remote_code: bool = False) -> tuple[Any, Any]:
    """A sequence-classification model of two classes whose head is new, hence random, and its tokenizer."""
    from transformers import AutoModelForSequenceClassification

    if (kind := read_kind(path)) in NO_CLASSIFIER:
        raise ModelError(f"{path} holds a model of type {kind}, which takes no such head; use a decoder")
    model, _ = _opened(AutoModelForSequenceClassification, path, precision, device, trust_remote_code)
    return model, load_tokenizer(path, trust_remote_code)


def load_tokenizer(path: Path, trust_remote_code: bool = False) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(path, trust_remote_code=trust_remote_code)


def _opened(auto: Any, path: Path, precision: str, device: str, trust_remote_code: bool) -> tuple[Any, set[str]]:
    import torch

    if precision == "nf4" and read_kind(path) in NO_4_BITS:
        raise ModelError(
            f"{path} holds a model of type {read_kind(path)}, whose layers do not compute in 4 bits; set precision to "
            '"bf16" or "float32"'
        )
    cuda = device.startswith("cuda")
    if precision == "auto":
        precision = "bf16" if cuda and torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    asked: dict[str, Any] = {"dtype": torch.float32 if precision == "float32" else torch.bfloat16}
    if precision == "nf4":
        asked["quantization_config"] = _nf4()
        asked["device_map"] = {"": device}
    try:
        model, loading = auto.from_pretrained(
            path, trust_remote_code=trust_remote_code, output_loading_info=True, **asked
        )
    except ValueError as error:
        if "trust_remote_code" in str(error):
            raise ModelError(f"{path} brings code of its own; set trust_remote_code = true if you trust it") from None
        if "Unrecognized configuration class" in str(error):
            kind = read_kind(path) or "unknown"
            lacks = "writes no text; use a decoder"
            if auto.__name__.endswith("SequenceClassification"):
                lacks = "has no sequence classifier in transformers; ask it by likelihood, or use another model"
            raise ModelError(f"{path} holds a model of type {kind}, which {lacks}") from None
        raise
    if precision != "nf4":
        model.to(device)
    return model.eval(), set(loading["missing_keys"])


def _nf4() -> Any:
    import importlib.util

    import torch
    from transformers import BitsAndBytesConfig

    if importlib.util.find_spec("bitsandbytes") is None:
        raise UserError('precision = "nf4" needs bitsandbytes; install it, or set precision = "bf16"')
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
