"""Fine-tuning an encoder as a classifier: everything but the steps themselves, so that two engines differ in nothing
else. Model, head, batches, schedule, optimiser and precision are decided here, from the settings and the seed alone.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from engines.answers import scoring
from engines.data.dealing import SPLITS
from engines.data.splits import Data, load_training_splits
from engines.errors import ConfigError, UserError
from engines.models import location
from engines.models.classification import HEADS, Head, open_classifier, padding_tokenizer
from engines.models.forward import autocast, forward
from engines.models.kinds import usable_positions
from engines.models.location import Model
from engines.models.sequence_classifier import SequenceClassifier
from engines.reporter import Reporter
from engines.runs.folder import RunFolder
from engines.runs.writing import write_folder
from engines.settings import group, option
from engines.training import provenance, schedule
from engines.training.batching import Plan, TokenTable, feed, tokenize_splits
from engines.training.course import Course, Training
from engines.training.state import TrainingState

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Config:
    """Settings of the fine-tuning engines."""

    model: Model = group(Model)
    data: Data = group(Data)
    training: Training = group(Training)
    head: str = option(
        "auto",
        "Of a model that has a classification head: auto keeps it where its classes have the names of the data's, keep "
        "also where they have no names, new never.",
        choices=HEADS,
    )
    seed: int = option(0, "Seed of the new head, the order of batches and dropout.", minimum=0, maximum=2**32 - 1)

    def check(self) -> None:
        """Raise `ConfigError` where settings do not fit together; reads nothing."""
        self.data.check_splits("train", "test")


class FineTuning:
    """A fine-tuning made ready, at its start or at its newest complete checkpoint.

    The engine steps `optimizer` and `scheduler` over `batches`, and tells `course` of it; at the end of all it calls
    `conclude`.
    """

    def __init__(self, config: Config, report: Reporter) -> None:
        import torch

        self.config, self.report, self.device = config, report, report.device
        self.autocast = forward_precision(report.device)
        training = config.training
        self.splits = load_training_splits(config.data, report)
        report.phase("load")
        self.base = location.locate(config.model, report)
        provenance.check_apart(self.base, config.model.name, self.splits.test, config.data.overlap, report)
        self.tokenizer = padding_tokenizer(self.base, config.model.name, report)
        self._pad_id = int(self.tokenizer.pad_token_id)
        self._tables = tokenize_splits(self.tokenizer, self.base, self.splits, training.max_length, report)
        self._true = {
            name: torch.tensor([example.label for example in getattr(self.splits, name)], dtype=torch.int64)
            for name in SPLITS
        }
        plan = Plan(self._tables["train"].lengths, training.batch_size, training.epochs, config.seed)

        report.phase("load")
        torch.set_float32_matmul_precision("high")  # TF32 on GPUs that have it
        self.model = load_model(self.base, config, self.splits.labels, self._pad_id, report).to(report.device)
        groups = parameter_groups(self.model, training.weight_decay)
        self.optimizer = torch.optim.AdamW(groups, lr=training.learning_rate, fused=True)
        state = TrainingState(self.model, AllWeights(self.model, report.device), self.optimizer, report, config.seed)
        state.restore(config.data.source)
        if not isinstance(self.autocast, nullcontext):
            report.note("forward passes of the training compute in bfloat16, weights and optimiser in float32")
        self.scheduler = schedule.scheduler(
            self.optimizer, schedule.linear, state.at.step, training.warmup_steps, plan.total, report
        )
        self.course = Course(report, training, self.splits, plan, state, self.scheduler, self.evaluate)

    def batches(self, epoch: int | None = None) -> Iterator[dict[str, "torch.Tensor"]]:
        """The batches left of `epoch` (of the whole training), on the device."""
        plan, step = self.course.plan, self.course.at.step
        last = plan.total if epoch is None else (epoch + 1) * plan.steps_per_epoch
        first = step if epoch is None else max(step, epoch * plan.steps_per_epoch)
        order = (plan.rows(step) for step in range(first, last))
        labels = self._true["train"].numpy()
        return feed(self._tables["train"], labels, order, self._pad_id, self.config.training.max_length, self.device)

    def evaluate(self, split: str, phase: str) -> tuple[list[list[float]], float]:
        """Probabilities of a split and the mean loss; see `engines.training.course.Evaluate`."""
        table = self._tables[split]
        self.report.phase(phase, len(table), "texts")

        def done(texts: int) -> None:
            self.report.progress(texts)
            self.report.check_stop()

        return evaluate(self.model, table, self._true[split], self._pad_id, self.device, done)

    def conclude(self) -> None:
        """Save the model of the best validation to `model/` and score it on the test split."""
        self.course.take_best()
        self.report.phase("save")
        write_folder(self.report.folder.model, self._save)
        probabilities, loss = self.evaluate("test", "test")
        read = self._tables["test"].lengths
        scoring.conclude(self.report, self.splits.test, self.splits.labels, probabilities, tokens_read=read, loss=loss)

    def _save(self, folder: Path) -> None:
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        provenance.record(folder, self.splits.train, self.base)


class AllWeights:
    """Every weight of a model, in checkpoints of its training."""

    def __init__(self, model: "torch.nn.Module", device: str) -> None:
        self._model, self._device = model, device

    def save(self, file: Path) -> None:
        from safetensors.torch import save_file

        # some models hold parameters that are views of one tensor, which safetensors takes apart
        save_file({name: values.clone() for name, values in self._model.state_dict().items()}, file)

    def load(self, file: Path) -> None:
        from safetensors.torch import load_file

        state, loaded = self._model.state_dict(), load_file(file, device=self._device)
        missing, unexpected = self._model.load_state_dict(loaded, strict=False)
        held = {state[name].data_ptr() for name in loaded if name in state}
        if unexpected or any(state[name].data_ptr() not in held for name in missing):  # shared ones are held once
            raise UserError(f"{file} holds other weights than the model has; start a new run")


def load_model(folder: Path, config: Config, labels: tuple[str, ...], pad_id: int, report: Reporter) -> Any:
    """The model with a head for `labels`, its own or one drawn from the seed, in float32 on the CPU.

    Raises `ConfigError` where it has fewer positions than texts may have tokens.
    """
    import torch
    from transformers import AutoConfig

    max_length = config.training.max_length
    positions = usable_positions(AutoConfig.from_pretrained(folder))
    if positions and max_length > positions:
        raise ConfigError(
            f"training.max_length = {max_length} is more than the {positions} positions of "
            f"{config.model.name}; lower it"
        )
    torch.manual_seed(config.seed)  # a new head is drawn from it
    return open_classifier(folder, config.model.name, labels, pad_id, cast(Head, config.head), report)


def parameter_groups(model: "torch.nn.Module", weight_decay: float) -> list[dict[str, Any]]:
    """Weights, which decay, apart from biases and norms (everything with fewer than two dimensions)."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def forward_precision(device: str) -> Any:
    """The context of a training forward pass: bfloat16 where the device computes with it, else nothing.

    Weights and optimiser stay in float32. CPUs with bfloat16 instructions train some 1.6 times as fast by it,
    others are slowed down.
    """
    import torch

    if device != "cpu":
        return autocast(device)
    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return torch.autocast("cpu", torch.bfloat16) if known.get("avx512_bf16") or known.get("amx_bf16") else nullcontext()


def evaluate(
    model: "torch.nn.Module",
    table: TokenTable,
    true: "torch.Tensor",
    pad_id: int,
    device: str,
    done: Callable[[int], None] = lambda texts: None,
) -> tuple[list[list[float]], float]:
    """Probabilities of every text, in order, and the mean loss; `true` holds class numbers (texts,).

    The model's mode and the random state are as before, so that a training goes on as if nothing had been.
    """
    import torch

    was_training = model.training
    model.eval()
    try:
        with torch.random.fork_rng(devices=[torch.device(device)] if device != "cpu" else []):
            logits = forward(table, pad_id, device, lambda batch: model(**batch).logits, done)
    finally:
        model.train(was_training)
    logits = logits.double()
    loss = torch.nn.functional.cross_entropy(logits, true).item()
    return logits.softmax(-1).tolist(), loss


def load(folder: RunFolder, device: str) -> SequenceClassifier:
    """The finished model of a run, on `device`."""
    return SequenceClassifier(folder.model, folder.read_document()["training"]["max_length"], device)
