"""Low-rank adapters (LoRA) on a frozen language model, 4-bit or not: their settings, weights and files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.data.splits import Data
from engines.errors import ConfigError
from engines.models import opening
from engines.models.location import Model
from engines.prompts.templates import TEMPLATES
from engines.settings import group, option
from engines.training import course


@dataclass(frozen=True)
class Lora:
    """The adapters."""

    rank: int = option(64, "Inner width of an adapter.", minimum=1)
    alpha: int = option(16, "An adapter's output is scaled by alpha / rank.", minimum=1)
    dropout: float = option(0.1, "Share of an adapter's inputs left out in training.", minimum=0, maximum=0.99)
    targets: str = option(
        "all-linear", "Which layers get one: all-linear, or names separated by commas, such as q_proj,v_proj."
    )


@dataclass(frozen=True)
class Prompting:
    """What the model is asked, in training and in every test."""

    template: str = option("classify", "The wording.", choices=tuple(TEMPLATES))
    form: str = option(
        "auto",
        "Whether the model's own chat form is used; auto does where its tokenizer has one.",
        choices=("auto", "chat", "plain"),
    )


@dataclass(frozen=True)
class Training(course.Training):
    """How the adapters are trained."""

    epochs: int = option(4, "How often the training reviews are read.", unit="epochs", minimum=1)
    batch_size: int = option(
        1,
        "Reviews in memory at once; the run halves it, and doubles accumulation, where they do not fit.",
        unit="reviews",
        minimum=1,
    )
    accumulation: int = option(
        4, "So many times batch_size reviews make one optimiser step.", unit="batches", minimum=1
    )
    learning_rate: float = option(2e-4, "The highest learning rate, at the end of the warm-up.", minimum=0, maximum=1)
    warmup_steps: int = option(
        27, "Steps in which the learning rate rises; it falls by a cosine then.", unit="steps", minimum=0
    )
    max_length: int = option(
        512,
        "Longer reviews are truncated to this many tokens, prompt and answer not counted.",
        unit="tokens",
        minimum=4,
    )
    weight_decay: float = option(0.001, "Decay of the adapters' weights.", unit="per step", minimum=0)
    clip_norm: float = option(0.3, "A longer gradient is shortened to this norm.", minimum=1e-3)
    optimizer: str = option(
        "paged_adamw_32bit",
        "AdamW; paged: its state moves to the host where the GPU is full. A CPU has only adamw.",
        choices=("paged_adamw_8bit", "paged_adamw_32bit", "adamw"),
    )
    activation_checkpointing: bool = option(
        True, "Compute activations again in the backward pass: a third more time, much less memory."
    )
    patience: int = option(
        0, "Epochs without a better validation after which training stops; 0: never.", unit="epochs", minimum=0
    )


@dataclass(frozen=True)
class Config:
    """Settings of `qlora`."""

    model: Model = group(lambda: Model(name="mistralai/Mistral-7B-Instruct-v0.2"))
    data: Data = group(Data)
    training: Training = group(Training)
    seed: int = option(0, "Seed of the adapters, the order of batches and dropout.", minimum=0, maximum=2**32 - 1)
    lora: Lora = group(Lora)
    prompt: Prompting = group(Prompting)
    precision: str = option(
        "nf4",
        "Of the base: nf4 is 4 bits, the least memory, and needs bitsandbytes; bf16 is plain LoRA, faster where "
        "it fits, and wants a GPU with bf16; float32 is for the CPU.",
        choices=("nf4", "bf16", "float32"),
    )
    merge: bool = option(False, "Also write the whole model with the adapters merged into it, to model/merged/.")

    def check(self) -> None:
        """Raise `ConfigError` where settings do not fit together; reads nothing."""
        self.data.check_splits("train", "test")
        if self.training.patience and not self.data.validation:
            raise ConfigError(
                f"training.patience = {self.training.patience} needs validation reviews; raise "
                "data.validation, or set it to 0"
            )


def add_adapters(model: Any, path: Path, precision: str) -> Any:
    """The base `model` with the adapters saved in `path`, in the precision in which they were trained."""
    import torch
    from peft import PeftModel

    adapted = PeftModel.from_pretrained(model, path)  # makes them float32
    if precision == "nf4":
        for name, weight in adapted.named_parameters():
            if "lora_" in name:
                weight.data = weight.data.to(torch.bfloat16)
    return adapted.eval()


def load_base(path: Path, precision: str, device: str) -> tuple[Any, Any]:
    """Model and tokenizer, fit for scoring and training in turns."""
    model, tokenizer = opening.load_model(path, precision, device)
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            # bitsandbytes would pack the weights at the first scoring into a form that passes no gradients on
            module.support_avx512bf16_for_cpu = False
    return model, tokenizer


def save_merged(base: Path, adapters: Path, precision: str, folder: Path) -> None:
    """Write the model in `base` with the adapters saved in `adapters` merged into it, in float32 or bf16."""
    model, tokenizer = opening.load_model(base, "float32" if precision == "float32" else "bf16", "cpu")
    add_adapters(model, adapters, precision).merge_and_unload().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


class AdapterWeights:
    """The weights of a model that are trained, in checkpoints of that training."""

    def __init__(self, model: Any, device: str) -> None:
        self._model, self._device = model, device

    def save(self, file: Path) -> None:
        from safetensors.torch import save_file

        save_file({name: w.detach() for name, w in self._model.named_parameters() if w.requires_grad}, file)

    def load(self, file: Path) -> None:
        import torch
        from safetensors.torch import load_file

        weights = load_file(file, device=self._device)
        with torch.no_grad():
            for name, weight in self._model.named_parameters():
                if weight.requires_grad:
                    weight.copy_(weights[name])
