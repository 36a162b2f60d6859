"""Fine-tuning a language model by low-rank adapters (LoRA) on a frozen base, 4-bit or not.

What is trained is what is scored: the prompts, the answers and their tokens are those of
`engines.prompts.encoding`; only the answer, and the token that closes it, has a loss. Order of the rows, stops,
checkpoints and validation are those of `engines.training.course`; the steps are made by TRL's `SFTTrainer`
(`engines.training.trl`).
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from engines.answers import predictions, scoring
from engines.answers.variant import Variant
from engines.errors import ConfigError, UserError
from engines.models import opening
from engines.models.forward import padded
from engines.models.location import Model
from engines.prompts import encoding, likelihood
from engines.prompts.encoding import Encoded, Encoder
from engines.prompts.likelihood import Batches, Scorer
from engines.prompts.templates import TEMPLATES, Prompt
from engines.prompts.tuning_rows import Rows, conversations
from engines.reporter import Reporter, Restart
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.settings import group, option
from engines.training import course
from engines.training.course import FineTuning
from engines.training.hf_trainer import drive
from engines.training.trl import sft_trainer

_CHUNK = 256  # reviews tokenised between two looks at the requests


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
        512, "Longer reviews are cut to so many tokens, prompt and answer not counted.", unit="tokens", minimum=4
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
class Config(course.Config):
    """Settings of `qlora`."""

    model: Model = group(lambda: Model(name="mistralai/Mistral-7B-Instruct-v0.2"))
    training: Training = group(Training)
    lora: Lora = group(Lora)
    prompt: Prompting = group(Prompting)
    precision: str = option(
        "nf4",
        "Of the base: nf4 is 4 bits, the least memory, and needs bitsandbytes; bf16 is plain LoRA, faster where "
        "it fits, and wants a GPU with bf16; float32 is for the CPU.",
        choices=("nf4", "bf16", "float32"),
    )
    merge: bool = option(False, "Also write the whole model with the adapters merged into it, to model/merged/.")
    seed: int = option(0, "Seed of the adapters, the order of batches and dropout.", minimum=0, maximum=2**32 - 1)

    def check(self) -> None:
        """Raise `ConfigError` where settings do not fit together; reads nothing."""
        if self.training.patience and not self.data.validation:
            raise ConfigError(
                f"training.patience = {self.training.patience} needs validation reviews; raise "
                "data.validation, or set it to 0"
            )


def cosine(step: int, warmup: int, total: int) -> float:
    """Share of the highest learning rate at `step`, counted from 0: linear warm-up from 0, then a cosine to 0."""
    if step < warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total - warmup))))


def add_adapters(model: Any, path: Path, precision: str) -> Any:
    """The base `model` with the adapters saved in `path`, in the precision in which they were trained."""
    import torch
    from peft import PeftModel

    found = PeftModel.from_pretrained(model, path)  # makes them float32
    if precision == "nf4":
        for name, weight in found.named_parameters():
            if "lora_" in name:
                weight.data = weight.data.to(torch.bfloat16)
    return found.eval()


def load_base(path: Path, precision: str, device: str) -> tuple[Any, Any]:
    """Model and tokenizer, fit for scoring and training in turns."""
    model, tokenizer = opening.load_model(path, precision, device)
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            # bitsandbytes would pack the weights at the first scoring into a form that passes no gradients on
            module.support_avx512bf16_for_cpu = False
    return model, tokenizer


class AdapterTuning(FineTuning):
    """A training of adapters made ready, the untrained model scored on the test items already.

    `train` makes the steps; it raises `Restart` where a smaller `batch_size` is needed. `conclude` goes back to
    the best adapters and scores them.
    """

    config: Config

    def __init__(self, config: Config, report: Reporter) -> None:
        super().__init__(config, report)
        self._make_paged()

    # -- before -------------------------------------------------------------------------------------------

    def _tokenize(self, folder: Path) -> None:
        import torch
        from transformers import AutoConfig

        self.base, config, report = folder, self.config, self.report
        self.tokenizer = opening.load_tokenizer(folder)
        self.encoder = Encoder(self.tokenizer, encoding.chats(config.prompt.form, self.tokenizer), tuned=True)
        self.prompt = Prompt(TEMPLATES[config.prompt.template], tuple(self.splits.labels))
        self._pad_id = next((i for i in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id) if i is not None), 0)
        found = AutoConfig.from_pretrained(folder).get_text_config(decoder=True)
        self._context = getattr(found, "max_position_embeddings", None) or math.inf
        self._batches = Batches(self.device)
        self._texts: dict[str, list[str]] = {}
        self._encoded: dict[str, Encoded] = {}
        self._tables: dict[str, Rows] = {}  # type: ignore[assignment]
        self._true = {}
        splits = {name: getattr(self.splits, name) for name in ("train", "validation", "test")}
        report.phase("tokenize", sum(map(len, splits.values())), "texts")
        done = 0
        for name, examples in splits.items():
            ids: list[list[int]] = []
            starts: list[int | None] = []
            texts: list[str] = []
            read: list[int] = []
            cut = 0
            for start in range(0, len(examples), _CHUNK):
                report.check_stop()
                part = examples[start : start + _CHUNK]
                kept, lengths, total = self.encoder.cut([e.text for e in part], config.training.max_length)
                texts += kept
                read += lengths
                cut += sum(r < t for r, t in zip(lengths, total, strict=True))
                if name != "test":
                    new_ids, new_starts = conversations(self.encoder, self.prompt, kept, [e.label for e in part])
                    ids += new_ids
                    starts += new_starts
                done += len(part)
                report.progress(done)
            if cut:
                report.fact(ev.Truncated(name, cut, len(examples), config.training.max_length))
            self._texts[name] = texts
            if name == "test":
                self._read = read
            else:
                self._tables[name] = Rows(ids, self._all_whole(name, ids, starts))
            self._true[name] = torch.tensor([e.label for e in examples], dtype=torch.int64)

    def _all_whole(self, split: str, ids: list[list[int]], starts: list[int | None]) -> list[int]:
        """Where the answers begin; `UserError` where a row would be dropped or would not teach its answer."""
        name, total = self.config.model.name, len(ids)
        if long := sum(len(row) > self._context for row in ids):
            raise UserError(
                f"{long:,} of {total:,} {split} rows would be dropped: with prompt and answer they are longer than the "
                f"{self._context:,} tokens that {name} reads; lower training.max_length"
            )
        whole = [start for start in starts if start is not None]
        if len(whole) < total:
            raise UserError(
                f"{total - len(whole):,} of {total:,} {split} rows would be dropped: the tokenizer of {name} cannot "
                f'tell their answer from the prompt "{self.prompt.template.name}"; choose another prompt.template'
            )
        return whole

    def _build(self, folder: Path) -> Any:
        from transformers.utils import logging

        logging.disable_progress_bar()
        model, _ = load_base(folder, self.config.precision, self.device)
        self._score_original(model)
        self.report.phase("load")
        self.trainer = sft_trainer(self, model, self._tables["train"])
        kept, rows = len(self.trainer.train_dataset), len(self._tables["train"])
        if kept != rows:
            raise UserError(f"the trainer keeps {kept:,} of {rows:,} train rows; lower training.max_length")
        trained = sum(p.numel() for p in self.trainer.model.parameters() if p.requires_grad)
        self.report.note(f"adapters of {trained:,} parameters on a frozen base in {self.config.precision}")
        return self.trainer.model

    def _forward_precision(self) -> Any:
        return contextlib.nullcontext()  # the trainer's business

    def _make_optimizer(self) -> Any:
        return self.trainer.create_optimizer()

    def _share(self, step: int, warmup: int) -> float:
        return cosine(step, warmup, self.plan.total)

    def _make_paged(self) -> None:
        """Put a restored state back into paged memory: loading has made plain tensors of it."""
        if not getattr(self.optimizer, "is_paged", False):
            return
        for weight, state in self.optimizer.state.items():
            for name in ("state1", "state2"):
                if name in state:
                    buffer = self.optimizer.get_state_buffer(weight, dtype=state[name].dtype)
                    state[name] = buffer.copy_(state[name])

    # -- training -----------------------------------------------------------------------------------------

    @property
    def rows_per_step(self) -> int:
        return self.config.training.batch_size * self.config.training.accumulation

    @property
    def over(self) -> bool:
        at, patience = self.at, self.config.training.patience
        waited = at.validated == at.step and at.step - at.best_step >= patience * self.plan.steps_per_epoch
        return super().over or bool(patience and at.step and waited)

    def train(self) -> None:
        """Make the steps that are left. Raises `Restart` when out of memory, `UserError` when that is no use."""
        try:
            if not self.over:
                self._try_largest()
            self.trainer.optimizer, self.trainer.lr_scheduler = self.optimizer, self.schedule
            drive(self, self.trainer)
        except Exception as error:
            if not likelihood.out_of_memory(error):
                raise
            raise self._smaller() from error
        if not super().over:
            self.report.note(f"stopped early: no better validation for {self.config.training.patience} epochs")

    def steps(self) -> Iterator[dict[str, Any]]:
        """The steps left, each as its micro-batches, on the CPU, and how many tokens of them have a loss."""
        for step in range(self.at.step, self.plan.total):
            yield self._step(self.plan.rows(step))

    def _step(self, rows: Sequence[int], split: str = "train") -> dict[str, Any]:
        """`rows` in micro-batches, the longest rows together and first.

        Each has `input_ids`, (rows, tokens), padded on the right where no real token looks, so that no mask is needed;
        the `targets`, (tokens with a loss,); and for each its row and the position that predicts it: `places`, (2,
        tokens with a loss).
        """
        import torch

        table, size = self._tables[split], self.config.training.batch_size
        order = sorted(rows, key=table.lengths.__getitem__, reverse=True)
        batches = []
        for start in range(0, len(order), size):
            part = order[start : start + size]
            ids = padded([table[n] for n in part], self._pad_id)["input_ids"]
            places = [(row, place - 1) for row, n in enumerate(part) for place in range(table.starts[n], len(table[n]))]
            targets = [token for n in part for token in table[n][table.starts[n] :]]
            batches.append({"input_ids": ids, "places": torch.tensor(places).T, "targets": torch.tensor(targets)})
        answers = sum(table.answer_tokens[n] for n in order)
        return {"batches": batches, "answers": torch.tensor(answers, device=self.device)}

    def _try_largest(self) -> None:
        """The longest batch forwards and backwards, and one batch of scoring: what does not fit is known at once."""
        lengths = self._tables["train"].lengths
        self.report.phase("probe")
        longest = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
        if self.config.training.activation_checkpointing:
            self.model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
        step = self._step(longest[: self.config.training.batch_size])
        self.trainer.training_step(self.model, step)
        split = "validation" if self.splits.validation else "test"
        encoded = self._prompts(split)
        widest = sorted(encoded.rows, key=len, reverse=True)
        some = Encoded(encoded.prefix, widest[: max(1, self._batches.tokens // len(widest[0]))], encoded.answers)
        self._scores(self.model, some)
        self.model.zero_grad(set_to_none=True)

    def _smaller(self) -> BaseException:
        training, effective = self.config.training, self.rows_per_step
        longest = max(self._tables["train"].lengths)
        if training.batch_size == 1:
            return UserError(
                f"out of memory with a single review of {longest:,} tokens at once; lower training.max_length, "
                'set precision = "nf4" or training.activation_checkpointing = true, or choose a device with more free '
                "memory"
            )
        size = next(n for n in range(training.batch_size // 2, 0, -1) if effective % n == 0)
        before = {"training.batch_size": training.batch_size, "training.accumulation": training.accumulation}
        after = {"training.batch_size": size, "training.accumulation": effective // size}
        return Restart(ev.Adjusted("out_of_memory", before, after))

    # -- scores -------------------------------------------------------------------------------------------

    def _prompts(self, split: str) -> Encoded:
        if split not in self._encoded:
            self._encoded[split] = self.encoder.encode(self.prompt, self._texts[split], self.report.check_stop)
        return self._encoded[split]

    def _scores(self, model: Any, prompts: Encoded, count: bool = False) -> list[list[float]]:
        """Probabilities of the classes, a row a prompt. The model's mode is as before."""
        scorer = Scorer(model, self.device)
        scorer.batches = self._batches  # remembers what fitted

        def done(texts: int) -> None:
            self.report.check_stop()
            self.report.progress(texts)

        was_training = model.training
        model.eval()
        try:
            rows = scorer.score(prompts, done if count else lambda texts: None)
        finally:
            model.train(was_training)
        level = [0.0] * len(prompts.answers)
        return [likelihood.probabilities(row, level) for row in rows]

    def _evaluate(self, split: str, phase: str) -> tuple[list[list[float]], float]:
        """Probabilities of a split by the scorer, and the mean loss of a token of its answers, as in training."""
        import torch

        self.report.phase(phase, len(self._texts[split]), "texts")
        probabilities = self._scores(self.model, self._prompts(split), count=True)
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad():
                step = self._step(range(len(self._texts[split])), split)
                loss = 0.0
                for batch in step["batches"]:
                    self.report.check_stop()
                    moved = {name: tensor.to(self.device) for name, tensor in batch.items()}
                    with self.trainer.compute_loss_context_manager():
                        loss += float(self.trainer.compute_loss(self.model, moved, num_items_in_batch=step["answers"]))
        finally:
            self.model.train(was_training)
        return probabilities, loss

    def _score_original(self, model: Any) -> None:
        """Score the untrained model on the test items, or take it from the run's earlier worker."""
        report, test, labels = self.report, self.splits.test, self.splits.labels
        self.original = _recorded(report.folder, [e.hash for e in test])
        if self.original:
            return
        report.phase("test", len(test), "texts")
        untuned = Encoder(self.tokenizer, self.encoder.chat)
        prompts = replace(self._prompts("test"), answers=untuned.answers(self.prompt))
        self.original = self._scores(model, prompts, count=True)
        self._write_predictions({Variant.BEFORE: self.original})
        scores, confusion = self.scores_of(self.original)
        report.note(f"the model before tuning: accuracy {scores['accuracy']:.4f} on {len(test):,} test reviews")
        report.evaluated("test", scores, list(labels), confusion)

    def scores_of(self, probabilities: list[list[float]]) -> tuple[dict[str, Any], list[list[int]]]:
        """Scores on the test items, and the confusion they are from."""
        predicted = scoring.predicted_classes(probabilities)
        confusion = scoring.confusion_matrix(self._true["test"].tolist(), predicted, len(self.splits.labels))
        return scoring.scores(confusion, self.splits.labels), confusion

    def score_tuned(self) -> list[list[float]]:
        """Score the tuned model on the same items; `predictions.jsonl` holds both, those before first."""
        self.report.phase("test", len(self.splits.test), "texts")
        tuned = self._scores(self.model, self._prompts("test"), count=True)
        self._write_predictions({Variant.BEFORE: self.original, Variant.OWN: tuned})
        return tuned

    def _write_predictions(self, probabilities: dict[Variant, list[list[float]]]) -> None:
        test, labels, read = self.splits.test, self.splits.labels, self._read
        sets = (
            predictions.predictions_of(test, labels, scoring.predicted_classes(rows), rows, read, variant=variant)
            for variant, rows in probabilities.items()
        )
        predictions.write(self.report.folder, chain.from_iterable(sets))

    # -- weights ------------------------------------------------------------------------------------------

    def _save_weights(self, file: Path) -> None:
        from safetensors.torch import save_file

        save_file({name: w.detach() for name, w in self.model.named_parameters() if w.requires_grad}, file)

    def _load_weights(self, file: Path) -> None:
        import torch
        from safetensors.torch import load_file

        found = load_file(file, device=self.device)
        with torch.no_grad():
            for name, weight in self.model.named_parameters():
                if weight.requires_grad:
                    weight.copy_(found[name])

    def save(self, folder: Path) -> None:
        """Write adapters and tokenizer, and the merged model where it is asked for."""
        self.model.save_pretrained(folder, save_embedding_layers=False)
        self.tokenizer.save_pretrained(folder)
        if self.config.merge:
            precision = "float32" if self.config.precision == "float32" else "bf16"
            base, _ = opening.load_model(self.base, precision, "cpu")
            merged = add_adapters(base, folder, self.config.precision).merge_and_unload()
            merged.save_pretrained(folder / "merged")
            self.tokenizer.save_pretrained(folder / "merged")


def _recorded(folder: RunFolder, hashes: Sequence[str]) -> list[list[float]]:
    """Probabilities of the model before tuning as an earlier worker wrote them; empty where it did not."""
    try:
        before = [line for line in predictions.read(folder) if line.variant is Variant.BEFORE]
    except FileNotFoundError:
        return []
    if [line.hash for line in before] != list(hashes):
        return []
    return [list(line.probabilities) for line in before]
