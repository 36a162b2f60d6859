"""Who drives the steps of a `FineTuning` when it is the Hugging Face Trainer (or TRL's, which is one)."""

from collections.abc import Callable, Iterator
from typing import Any

from engines.training.course import FineTuning


class Steps:
    """What is left of a training, all epochs in a row, an entry a step; the Trainer counts its steps from here."""

    def __init__(self, task: FineTuning, entries: Callable[[], Iterator[Any]]) -> None:
        self._left = task.plan.total - task.at.step
        self._entries = entries

    def __len__(self) -> int:
        return self._left

    def __iter__(self) -> Iterator[Any]:
        return self._entries()


def drive(task: FineTuning, trainer: Any) -> None:
    """Let `trainer` make the steps that are left, telling `task` of each. Its data loader has to be `Steps`."""
    from transformers import PrinterCallback, TrainerCallback

    done = task.at.step

    class Reports(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            task.begin()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            task.at.step = done + state.global_step
            control.should_log = task.due

        def on_log(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            logs = given["logs"]
            if "loss" not in logs:  # the summary at the end
                return
            task.reported(logs["loss"], logs["grad_norm"], logs["learning_rate"])
            task.end_epoch()
            control.should_training_stop |= task.over

    trainer.remove_callback(PrinterCallback)  # it prints
    trainer.add_callback(Reports())
    task.end_epoch()  # where it was stopped before its validation was through
    if not task.over:
        trainer.args.max_steps = task.plan.total - done
        trainer.train()
