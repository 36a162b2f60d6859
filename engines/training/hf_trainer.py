"""Who drives the steps of a training when it is the Hugging Face Trainer (or TRL's, which is one)."""

from collections.abc import Callable, Iterator
from typing import Any

from engines.training.course import Course


class Steps:
    """What is left of a training, all epochs in a row, one entry per step; the Trainer counts its steps from here."""

    def __init__(self, left: int, entries: Callable[[], Iterator[Any]]) -> None:
        self._left = left
        self._entries = entries

    def __len__(self) -> int:
        return self._left

    def __iter__(self) -> Iterator[Any]:
        return self._entries()


def drive(course: Course, trainer: Any, entries: Callable[[], Iterator[Any]]) -> None:
    """Let `trainer` make the steps that are left, telling `course` of each. `entries` yields what each step reads."""
    from transformers import PrinterCallback, TrainerCallback

    done = course.at.step
    left = course.plan.total - done

    class Reports(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            course.begin()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            course.at.step = done + state.global_step
            control.should_log = course.due

        def on_log(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            logs = given["logs"]
            if "loss" not in logs:  # the summary at the end
                return
            course.reported(logs["loss"], logs["grad_norm"], logs["learning_rate"])
            course.end_epoch()
            control.should_training_stop |= course.over

    trainer.remove_callback(PrinterCallback)  # it prints
    trainer.add_callback(Reports())
    trainer.get_train_dataloader = lambda: Steps(left, entries)
    course.end_epoch()  # where it was stopped before its validation was through
    if not course.over:
        trainer.args.max_steps = left
        trainer.train()
