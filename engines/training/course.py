"""Fine-tuning a classifier: everything but the loop itself, so that two engines differ in nothing else.

Model, head, batches, schedule, optimiser, precision, validation, checkpoints and the finished model are decided
here from the settings and the seed alone. `engines.training.lora` trains a language model by the same course.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.answers import scoring
from engines.data.splits import Data, load_training_splits
from engines.errors import ConfigError, UserError
from engines.models import location
from engines.models.forward import autocast, forward
from engines.models.location import Model
from engines.models.sequence_classifier import SequenceClassifier
from engines.reporter import Reporter, Stop
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.runs.writing import write_folder
from engines.settings import flatten, group, option
from engines.training import checkpoints
from engines.training.batching import Plan, TokenTable, feed, tokenize_splits

if TYPE_CHECKING:
    import torch

NOT_FINITE_REPORTS = 5
"""Reports of a loss that is no finite number after which training fails; the weights are lost by then."""


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
    max_length: int = option(512, "Longer reviews are cut to so many tokens.", unit="tokens", minimum=4)
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


@dataclass(frozen=True)
class Config:
    """Settings of the fine-tuning engines."""

    model: Model = group(Model)
    data: Data = group(Data)
    training: Training = group(Training)
    seed: int = option(0, "Seed of the new head, the order of batches and dropout.", minimum=0, maximum=2**32 - 1)


@dataclass
class Position:
    """Where a training stands: what a checkpoint holds beside the tensors."""

    step: int = 0  # optimiser steps done
    validated: int = 0  # step of the last validation
    best_step: int = 0  # step of the best validation, 0 before the first
    best_accuracy: float = -1.0
    best_loss: float = 0.0
    splits_sha256: str = ""  # of the splits.jsonl that the training reads


def rate(step: int, warmup: int, total: int) -> float:
    """Share of the highest learning rate at `step`, counted from 0: linear warm-up from 0, then linear to 0."""
    return step / warmup if step < warmup else max(0, total - step) / max(1, total - warmup)


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


class FineTuning:
    """A training made ready, at its start or at its newest complete checkpoint.

    The engine steps `optimizer` and `schedule` over `batches`, and says so by `stepped` or `reported`; at the
    end of an epoch it calls `end_epoch`, at the end of all `conclude`.
    """

    def __init__(self, config: Config, report: Reporter) -> None:
        import torch

        self.config, self.report, self.device = config, report, report.device
        self.autocast = self._forward_precision()
        training = config.training
        self.splits = load_training_splits(config.data, report)
        report.phase("load")
        folder = location.locate(config.model, report)
        self._tokenize(folder)
        self.plan = Plan(self._tables["train"].lengths, self.rows_per_step, training.epochs, config.seed)
        self._log_every = training.log_every or (1 if self.device == "cpu" else 10)

        report.phase("load")
        torch.set_float32_matmul_precision("high")  # TF32 on GPUs that have it
        self.model = self._build(folder)
        self.optimizer = self._make_optimizer()
        self.at = Position(splits_sha256=hashlib.sha256(report.folder.splits.read_bytes()).hexdigest())
        torch.manual_seed(config.seed)
        self._random = torch.get_rng_state()
        self._random_cuda = torch.cuda.get_rng_state() if self.device != "cpu" else None
        self._restore()
        if not isinstance(self.autocast, nullcontext):
            report.note("forward passes of the training compute in bfloat16, weights and optimiser in float32")
        start, warmup = self.at.step, self._warmup()
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: self._share(start + step, warmup)
        )
        self._since = self._saved = time.monotonic()
        self._loss: Any = 0.0
        self._reported = self.at.step
        self._not_finite = 0
        self._rate = self.learning_rate

    # -- before -------------------------------------------------------------------------------------------

    def _tokenize(self, folder: Path) -> None:
        import torch
        from transformers import AutoTokenizer

        report, max_length = self.report, self.config.training.max_length
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        if self.tokenizer.pad_token_id is None:
            raise ConfigError(f"model.name = {self.config.model.name}: its tokenizer cannot pad; choose an encoder")
        self._pad_id = int(self.tokenizer.pad_token_id)
        self._tables = tokenize_splits(self.tokenizer, folder, self.splits, max_length, report)
        self._true = {
            name: torch.tensor([example.label for example in getattr(self.splits, name)], dtype=torch.int64)
            for name in self._tables
        }

    def _build(self, folder: Path) -> Any:
        import torch
        from transformers import AutoConfig, AutoModelForSequenceClassification

        labels, max_length = self.splits.labels, self.config.training.max_length
        positions = getattr(AutoConfig.from_pretrained(folder), "max_position_embeddings", None)
        if positions and max_length > positions:
            raise ConfigError(
                f"training.max_length = {max_length} is more than the {positions} positions of "
                f"{self.config.model.name}; lower it"
            )
        torch.manual_seed(self.config.seed)  # the new head is drawn from it
        model = AutoModelForSequenceClassification.from_pretrained(
            folder,
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            label2id={label: n for n, label in enumerate(labels)},
            problem_type="single_label_classification",  # the model may come from another kind of task
            dtype=torch.float32,
            ignore_mismatched_sizes=True,  # a head of other classes is replaced
        )
        return model.to(self.device)

    def _forward_precision(self) -> Any:
        return forward_precision(self.device)

    def _make_optimizer(self) -> Any:
        import torch

        training = self.config.training
        groups = parameter_groups(self.model, training.weight_decay)
        return torch.optim.AdamW(groups, lr=training.learning_rate, fused=True)

    def _share(self, step: int, warmup: int) -> float:
        """Share of the highest learning rate at `step`, counted from 0."""
        return rate(step, warmup, self.plan.total)

    def _warmup(self) -> int:
        asked, total = self.config.training.warmup_steps, self.plan.total
        if asked < total:
            return asked
        self.report.note(
            f"training.warmup_steps = {asked} leaves nothing of {total} steps; {total // 10} are used", "warning"
        )
        return total // 10

    # -- the training, as the engine sees it --------------------------------------------------------------

    @property
    def rows_per_step(self) -> int:
        """Reviews that one optimiser step reads."""
        return self.config.training.batch_size

    @property
    def over(self) -> bool:
        """Whether no step is to follow."""
        return self.at.step >= self.plan.total

    @property
    def learning_rate(self) -> float:
        """What the next optimiser step uses."""
        return float(self.schedule.get_last_lr()[0])

    def begin(self) -> None:
        """Enter the training: call it last, right before the first step."""
        import torch

        self.model.train()
        torch.set_rng_state(self._random)
        if self._random_cuda is not None:
            torch.cuda.set_rng_state(self._random_cuda)
        self._saved = time.monotonic()
        self._enter()

    def batches(self, epoch: int | None = None) -> Iterator[dict[str, "torch.Tensor"]]:
        """The batches left of `epoch` (of the whole training), on the device."""
        per_epoch = self.plan.steps_per_epoch
        last = self.plan.total if epoch is None else (epoch + 1) * per_epoch
        first = self.at.step if epoch is None else max(self.at.step, epoch * per_epoch)
        order = (self.plan.rows(step) for step in range(first, last))
        labels = self._true["train"].numpy()
        return feed(self._tables["train"], labels, order, self._pad_id, self.config.training.max_length, self.device)

    @property
    def due(self) -> bool:
        """Whether the step just done has to be reported."""
        step = self.at.step
        return step % self._log_every == 0 or step % self.plan.steps_per_epoch == 0 or self.report.should_stop()

    def stepped(self, loss: "torch.Tensor", grad_norm: "torch.Tensor") -> None:
        """An optimiser step is done. Its loss stays on the device until a report is due."""
        self._loss = self._loss + loss.detach()
        self.at.step += 1
        if self.due:
            mean = float(self._loss) / (self.at.step - self._reported)
            self._loss = 0.0
            self.reported(mean, float(grad_norm), self._rate)
        self._rate = self.learning_rate

    def reported(self, loss: float, grad_norm: float | None, learning_rate: float) -> None:
        """Report the steps since the last report: their mean `loss`, and the last one's other figures.

        Saves a checkpoint when it is time; raises `Stop`, with a checkpoint, when somebody asked for it, and
        `UserError` when the loss stays without a finite value. Weights that such a loss has spoilt are not saved.
        """
        at, plan, training = self.at, self.plan, self.config.training
        elapsed = time.monotonic() - self._since
        rows = [row for step in range(self._reported, at.step) for row in plan.rows(step)]
        tokens = sum(self._tables["train"].lengths[row] for row in rows)
        self.report.step(
            at.step,
            plan.total,
            at.step / plan.steps_per_epoch,
            loss,
            learning_rate,
            grad_norm=grad_norm,
            examples_per_s=len(rows) / elapsed,
            tokens_per_s=tokens / elapsed,
        )
        self._reported = at.step
        self._not_finite = 0 if math.isfinite(loss) else self._not_finite + 1
        ends_epoch = at.step % plan.steps_per_epoch == 0
        if self._not_finite and (ends_epoch or self._not_finite == NOT_FINITE_REPORTS):
            raise UserError(
                f"the loss is no finite number since before step {at.step}: training.learning_rate = "
                f"{training.learning_rate:g} is probably too high; lower it, or raise training.warmup_steps"
            )
        if self.report.should_stop():
            if not self._not_finite:
                self.checkpoint()
            raise Stop("asked")
        if not self._not_finite and time.monotonic() - self._saved > training.checkpoint_minutes * 60:
            self.checkpoint()
        self._since = time.monotonic()

    def end_epoch(self) -> None:
        """Validate and save a checkpoint, where an epoch ends and that has not been done."""
        at, plan = self.at, self.plan
        if at.validated == at.step or at.step % plan.steps_per_epoch:
            return
        if self.splits.validation:
            try:
                probabilities, loss = self._evaluate("validation", "validate")
            except Stop:
                self.checkpoint()
                raise
            true, labels = self._true["validation"].tolist(), self.splits.labels
            found = scoring.report_validation(
                self.report, true, labels, probabilities, loss=loss, step=at.step, epoch=at.step / plan.steps_per_epoch
            )
            if (found["accuracy"], -loss) > (at.best_accuracy, -at.best_loss):
                at.best_step, at.best_accuracy, at.best_loss = at.step, found["accuracy"], loss
        at.validated = at.step
        self.checkpoint()
        if not self.over:
            self._enter()

    def conclude(self) -> None:
        """Save the model of the best validation to `model/` and score it on the test split."""
        self.take_best()
        report = self.report
        report.phase("save")
        write_folder(report.folder.model, self._save_model)
        probabilities, loss = self._evaluate("test", "test")
        read = self._tables["test"].lengths
        scoring.conclude(report, self.splits.test, self.splits.labels, probabilities, tokens_read=read, loss=loss)

    def take_best(self) -> None:
        """Go back to the weights of the best validation."""
        report, at = self.report, self.at
        if 0 < at.best_step < at.step:
            best = checkpoints.of_step(report.folder.checkpoints, at.best_step)
            if best is None:
                place = report.folder.checkpoints
                raise UserError(f"{place}: the best checkpoint, of step {at.best_step}, is damaged; start a new run")
            self._load_weights(best / "model.safetensors")
        if at.best_step:
            report.fact(ev.Selected(at.best_step, "validation", "accuracy", at.best_accuracy))

    # -- inside -------------------------------------------------------------------------------------------

    def _enter(self) -> None:
        self.report.phase("train", self.plan.total, "steps")
        self._since = time.monotonic()

    def _evaluate(self, split: str, phase: str) -> tuple[list[list[float]], float]:
        table = self._tables[split]
        self.report.phase(phase, len(table), "texts")

        def done(texts: int) -> None:
            self.report.progress(texts)
            self.report.check_stop()

        return evaluate(self.model, table, self._true[split], self._pad_id, self.device, done)

    def _save_weights(self, file: Path) -> None:
        from safetensors.torch import save_model

        save_model(self.model, str(file))

    def _load_weights(self, file: Path) -> None:
        from safetensors.torch import load_model

        load_model(self.model, file, device=self.device)

    def _save_model(self, folder: Path) -> None:
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def checkpoint(self) -> None:
        """Save everything that the next step depends on."""
        import torch
        from safetensors.torch import save_file

        def fill(folder: Path) -> None:
            self._save_weights(folder / "model.safetensors")
            save_file(_tensors(self.optimizer.state_dict()["state"]), folder / "optimizer.safetensors")
            random = {"cpu": torch.get_rng_state()}
            if self.device != "cpu":
                random["cuda"] = torch.cuda.get_rng_state()
            save_file(random, folder / "random.safetensors")
            (folder / "position.json").write_text(json.dumps(asdict(self.at)))

        folder = self.report.folder.checkpoints
        path = checkpoints.write(folder, self.at.step, fill)
        size = checkpoints.size_bytes(path)
        self.report.checkpoint(self.at.step, str(path.relative_to(self.report.folder.path)), size)
        checkpoints.prune(folder, self.at.best_step)
        self._saved = time.monotonic()

    def _restore(self) -> None:
        """Take everything from the newest complete checkpoint, if there is one."""
        from safetensors.torch import load_file

        def damaged(checkpoint: Path) -> None:
            self.report.note(f"checkpoint {checkpoint.name} is damaged and left out", "warning")

        found = checkpoints.newest_complete(self.report.folder.checkpoints, damaged)
        if found is None:
            return
        position = Position(**json.loads((found / "position.json").read_bytes()))
        if position.splits_sha256 != self.at.splits_sha256:  # what was trained on may be a test item now
            raise UserError(f"{self.config.data.source} has changed since checkpoint {found.name}; start a new run")
        self._load_weights(found / "model.safetensors")
        state = _state(load_file(found / "optimizer.safetensors", device=self.device))
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        random = load_file(found / "random.safetensors")
        self._random, self._random_cuda = random["cpu"], random.get("cuda")
        self.at = position
        self.report.resumed(self.at.step)


def _tensors(state: dict[Any, Any]) -> "dict[str, torch.Tensor]":
    """An optimiser's state as flat tensors, none in another's memory, as safetensors wants them.

    A plain number becomes a tensor without dimensions, its name marked by "#".
    """
    import torch

    flat: dict[str, torch.Tensor] = {}
    places: set[int] = set()
    for name, value in flatten({str(number): entry for number, entry in state.items()}):
        if not isinstance(value, torch.Tensor):
            flat[f"{name}#"] = torch.tensor(value)
            continue
        flat[name] = value.detach().clone() if value.data_ptr() in places else value.detach().contiguous()
        places.add(value.data_ptr())
    return flat


def _state(tensors: "dict[str, torch.Tensor]") -> dict[int, Any]:
    """The inverse of `_tensors`."""
    state: dict[int, Any] = {}
    for name, value in tensors.items():
        number, *path, leaf = name.split(".")
        place = state.setdefault(int(number), {})
        for part in path:
            place = place.setdefault(part, {})
        place[leaf.removesuffix("#")] = value.item() if leaf.endswith("#") else value
    return state


def load(folder: RunFolder, device: str) -> SequenceClassifier:
    """The finished model of a run, on `device`."""
    return SequenceClassifier(folder.model, folder.read_document()["training"]["max_length"], device)
