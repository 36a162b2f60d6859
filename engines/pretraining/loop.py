"""What the builders of the tiny models share: the optimiser, batches of like length, and how weights are stored."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_POOL_BATCHES = 50
_Row = TypeVar("_Row", bound=Sequence[Any])


def optimizer(
    parameters: "Iterable[torch.nn.Parameter]", learning_rate: float, steps: int, warmup_steps: int
) -> "tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]":
    """AdamW, matrices decayed, and its schedule: linear warm-up, then linear decay to nothing at `steps`."""
    import torch

    trained = list(parameters)
    decays = [parameter for parameter in trained if parameter.ndim > 1]
    plain = [parameter for parameter in trained if parameter.ndim == 1]
    adam = torch.optim.AdamW(
        [{"params": decays, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}],
        lr=learning_rate,
        betas=(0.9, 0.98),
    )
    return adam, torch.optim.lr_scheduler.LambdaLR(
        adam, lambda step: min((step + 1) / warmup_steps, (steps - step) / (steps - warmup_steps))
    )


def batches(rows: list[_Row], batch_size: int, random: Random) -> Iterator[list[_Row]]:
    """One pass over `rows`, which is shuffled, in batches of rows whose first entries are of like length."""
    pool_size = _POOL_BATCHES * batch_size
    random.shuffle(rows)
    batches = []
    for start in range(0, len(rows), pool_size):
        pool = sorted(rows[start : start + pool_size], key=lambda row: len(row[0]))
        batches += [pool[place : place + batch_size] for place in range(0, len(pool), batch_size)]
    random.shuffle(batches)
    yield from batches


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def save(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast", target: Path) -> int:
    """Writes model and tokenizer into `target`; bytes written.

    The weights are stored as float16 for size, load as float32, and every user of the machine may read them.
    """
    model.half().save_pretrained(target)
    tokenizer.save_pretrained(target)
    config_file = target / "config.json"
    config = json.loads(config_file.read_text())
    config_file.write_text(json.dumps(config | {"dtype": "float32"}, indent=2) + "\n")
    (target / "model.safetensors").chmod(0o644)
    return sum(file.stat().st_size for file in target.iterdir())
