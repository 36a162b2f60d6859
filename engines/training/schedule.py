"""Learning rates over the steps of a training, as shares of the highest."""

import math
from collections.abc import Callable
from typing import Any

from engines.reporter import Notes

Share = Callable[[int, int, int], float]
"""Share of the highest learning rate at a step, counted from 0, given the steps of warm-up and all steps."""


def linear(step: int, warmup: int, total: int) -> float:
    """Linear warm-up from 0, then linear to 0."""
    return step / warmup if step < warmup else max(0, total - step) / max(1, total - warmup)


def cosine(step: int, warmup: int, total: int) -> float:
    """Linear warm-up from 0, then a cosine to 0."""
    if step < warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total - warmup))))


def scheduler(optimizer: Any, share: Share, start: int, warmup: int, total: int, report: Notes) -> Any:
    """A learning-rate scheduler of torch whose next step is `start`; the optimiser's own rate is the highest.

    A warm-up that leaves no step after it is shortened to a tenth of all steps, and a note says so.
    """
    from torch.optim.lr_scheduler import LambdaLR

    steps = warmup if warmup < total else total // 10
    if steps != warmup:
        report.note(f"training.warmup_steps = {warmup} leaves nothing of {total} steps; {steps} are used", "warning")
    return LambdaLR(optimizer, lambda step: share(start + step, steps, total))
