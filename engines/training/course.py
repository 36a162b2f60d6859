"""The course of a training, whoever makes its steps: what is reported, validated and saved, and when it ends."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engines.answers import scoring
from engines.data.splits import Splits
from engines.errors import UserError
from engines.reporter import Reporter, Stop
from engines.runs import events as ev
from engines.settings import option
from engines.training.batching import Plan
from engines.training.state import TrainingState

if TYPE_CHECKING:
    import torch

NOT_FINITE_REPORTS = 5
"""Reports of a loss that is no finite number after which training fails; the weights are lost by then."""

Evaluate = Callable[[str, str], tuple[list[list[float]], float]]
"""Evaluates the model on a split, in a phase of the given name: probabilities of every text, in order, and the mean
loss. The model's mode and the random state are as before afterwards. Raises `Stop` when somebody asked for it."""


@dataclass(frozen=True)
class Training:
    """How the model is trained."""

    epochs: int = option(3, "How often the training reviews are read.", unit="epochs", minimum=1)
    batch_size: int = option(16, "How many reviews one optimiser step reads.", unit="reviews", minimum=1)
    learning_rate: float = option(5e-5, "The highest learning rate, at the end of the warm-up.", minimum=0, maximum=1)
    warmup_steps: int = option(
        500,
        "Steps in which the learning rate rises; a tenth of all steps where there are no more.",
        unit="steps",
        minimum=0,
    )
    max_length: int = option(512, "Longer reviews are truncated to this many tokens.", unit="tokens", minimum=4)
    weight_decay: float = option(0.01, "Decay of the weights, biases and norms left out.", unit="per step", minimum=0)
    clip_norm: float = option(1.0, "A longer gradient is shortened to this norm.", minimum=1e-3)
    log_every: int = option(
        0,
        "Steps from one report to the next; 0 is 10 on a GPU and 1 on the CPU.",
        unit="steps",
        minimum=0,
    )
    checkpoint_minutes: float = option(
        10.0,
        "Time from one checkpoint to the next; each epoch ends with one in any case.",
        unit="minutes",
        minimum=0.05,
    )


class Course:
    """Counts the steps of a training from where its `state` stands.

    Whoever makes the steps calls `begin` right before the first, after each `stepped` (or, with a trainer that
    keeps the losses itself, moves `at.step` and calls `reported` when `due`), and `end_epoch` where an epoch may have
    ended, until it is `over`.
    """

    def __init__(
        self,
        report: Reporter,
        training: Training,
        splits: Splits,
        plan: Plan,
        state: TrainingState,
        scheduler: Any,
        evaluate: Evaluate,
        patience: int = 0,
    ) -> None:
        self.plan = plan
        self._report, self._training, self._splits = report, training, splits
        self._state, self._scheduler, self._evaluate = state, scheduler, evaluate
        self._patience = patience  # epochs without a better validation after which it is over; 0: never
        self._log_every = training.log_every or (1 if report.device == "cpu" else 10)
        self.at = state.at
        self._reported_step = self.at.step
        self._reported_at = self._saved_at = time.monotonic()
        self._loss: Any = 0.0  # sum over the steps since the last report
        self._not_finite = 0
        self._rate = self.learning_rate

    @property
    def learning_rate(self) -> float:
        """What the next optimiser step uses."""
        return float(self._scheduler.get_last_lr()[0])

    @property
    def complete(self) -> bool:
        """Whether every step of the plan is done."""
        return self.at.step >= self.plan.total

    @property
    def over(self) -> bool:
        """Whether no step is to follow: the plan is done, or the last validations were no better."""
        at, wait_steps = self.at, self._patience * self.plan.steps_per_epoch
        return self.complete or bool(
            self._patience and at.step and at.validated == at.step and at.step - at.best_step >= wait_steps
        )

    @property
    def due(self) -> bool:
        """Whether the step just done has to be reported."""
        return self.at.step % self._log_every == 0 or self._ends_epoch or self._report.should_stop()

    @property
    def _ends_epoch(self) -> bool:
        return self.at.step % self.plan.steps_per_epoch == 0

    @property
    def _epoch(self) -> float:
        return self.at.step / self.plan.steps_per_epoch

    def begin(self) -> None:
        """Enter the training: call it last, right before the first step."""
        self._state.enter()
        self._saved_at = time.monotonic()
        self._enter_phase()

    def stepped(self, loss: "torch.Tensor", grad_norm: "torch.Tensor") -> None:
        """An optimiser step is done. Its loss stays on the device until a report is due."""
        self._loss = self._loss + loss.detach()
        self.at.step += 1
        if self.due:
            mean = float(self._loss) / (self.at.step - self._reported_step)
            self._loss = 0.0
            self.reported(mean, float(grad_norm), self._rate)
        self._rate = self.learning_rate

    def reported(self, loss: float, grad_norm: float | None, learning_rate: float) -> None:
        """Report the steps since the last report: their mean `loss`, and the last one's other figures.

        Saves a checkpoint when it is time; raises `Stop`, with a checkpoint, when somebody asked for it, and
        `UserError` when the loss stays without a finite value. Weights that such a loss has spoilt are not saved.
        """
        elapsed_s = time.monotonic() - self._reported_at
        reviews, tokens = self.plan.reads(self._reported_step, self.at.step)
        self._report.step(
            self.at.step,
            self.plan.total,
            self._epoch,
            loss,
            learning_rate,
            grad_norm=grad_norm,
            examples_per_s=reviews / elapsed_s,
            tokens_per_s=tokens / elapsed_s,
        )
        self._reported_step = self.at.step
        self._check_loss(loss)
        if self._report.should_stop():
            if not self._not_finite:
                self.checkpoint()
            raise Stop("asked")
        if not self._not_finite and time.monotonic() - self._saved_at > self._training.checkpoint_minutes * 60:
            self.checkpoint()
        self._reported_at = time.monotonic()

    def end_epoch(self) -> None:
        """Validate and save a checkpoint, where an epoch ends and that has not been done."""
        if self.at.validated == self.at.step or not self._ends_epoch:
            return
        if self._splits.validation:
            self._validate()
        self.at.validated = self.at.step
        self.checkpoint()
        if not self.over:
            self._enter_phase()

    def take_best(self) -> None:
        """Go back to the weights of the best validation."""
        self._state.load_best_weights()
        if self.at.best_step:
            self._report.fact(ev.Selected(self.at.best_step, "validation", "accuracy", self.at.best_accuracy))

    def checkpoint(self) -> None:
        """Save everything that the next step depends on."""
        self._state.save()
        self._saved_at = time.monotonic()

    def _enter_phase(self) -> None:
        self._report.phase("train", self.plan.total, "steps")
        self._reported_at = time.monotonic()

    def _check_loss(self, loss: float) -> None:
        self._not_finite = 0 if math.isfinite(loss) else self._not_finite + 1
        if self._not_finite and (self._ends_epoch or self._not_finite == NOT_FINITE_REPORTS):
            raise UserError(
                f"the loss is no finite number since before step {self.at.step}: training.learning_rate = "
                f"{self._training.learning_rate:g} is probably too high; lower it, or raise training.warmup_steps"
            )

    def _validate(self) -> None:
        at, splits = self.at, self._splits
        try:
            probabilities, loss = self._evaluate("validation", "validate")
        except Stop:
            self.checkpoint()
            raise
        true = [example.label for example in splits.validation]
        scores = scoring.report_validation(
            self._report, true, splits.labels, probabilities, loss=loss, step=at.step, epoch=self._epoch
        )
        accuracy = scores.accuracy or 0.0
        if (accuracy, -loss) > (at.best_accuracy, -at.best_loss):
            at.best_step, at.best_accuracy, at.best_loss = at.step, accuracy, loss
