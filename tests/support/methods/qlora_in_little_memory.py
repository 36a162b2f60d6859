"""`qlora` on a device where more than one review at once runs out of memory, once four steps are done."""

from collections.abc import Sequence
from typing import Any
from unittest import mock

import torch

from engines.methods import qlora
from engines.reporter import Reporter
from engines.training.adapter_tuning import AdapterTuning
from engines.training.lora import Config

TITLE = "qlora in little memory"
USES_GPU = False
load = qlora.load


def run(config: Config, report: Reporter) -> None:
    torch.set_num_threads(1)
    step = AdapterTuning.step

    def full(task: AdapterTuning, numbers: Sequence[int], split: str = "train") -> dict[str, Any]:
        if task.config.training.batch_size > 1 and task.course.at.step >= 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(task, numbers, split)

    with mock.patch.object(AdapterTuning, "step", full):
        qlora.run(config, report)
