"""Fine-tuning a language model by low-rank adapters: the parts of one training put together.

The order of the rows, stops, checkpoints and validation are those of `engines.training.course`; the steps are made by
TRL's `SFTTrainer` (`engines.training.trl`). A step reads a fixed set of reviews whatever the micro-batch, so that a
smaller one, after running out of memory, changes memory alone.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from engines.answers import predictions, scoring
from engines.answers.variant import Variant
from engines.data.splits import load_training_splits
from engines.errors import UserError
from engines.models import location
from engines.models.forward import padded
from engines.prompts import likelihood
from engines.reporter import Reporter, Restart
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.runs.scores import Scores
from engines.training import lora, provenance, schedule
from engines.training.batching import Plan
from engines.training.course import Course
from engines.training.hf_trainer import drive
from engines.training.prompted import PromptedSplits
from engines.training.state import TrainingState
from engines.training.trl import sft_trainer


class AdapterTuning:
    """A tuning made ready, at its start or at its newest complete checkpoint.

    `before` holds the probabilities that the model gave to the classes of the test items before it was tuned.
    """

    def __init__(self, config: lora.Config, report: Reporter) -> None:
        import torch
        from transformers.utils import logging

        self.config, self.report, self.device = config, report, report.device
        training = config.training
        self.splits = load_training_splits(config.data, report)
        report.phase("load")
        self.base = location.locate(config.model, report)
        provenance.check_apart(self.base, config.model.name, self.splits.test, config.data.overlap, report)
        self.prompted = PromptedSplits(config, self.splits, self.base, report)
        self.rows_per_step = training.batch_size * training.accumulation
        plan = Plan(self.prompted.rows["train"].lengths, self.rows_per_step, training.epochs, config.seed)

        report.phase("load")
        logging.disable_progress_bar()
        torch.set_float32_matmul_precision("high")  # TF32 on GPUs that have it
        model, _ = lora.load_base(self.base, config.precision, report.device)
        self.before = self._score_before(model)
        report.phase("load")
        self.trainer = sft_trainer(config, model, self.prompted.tokenizer, self.prompted.rows["train"], report)
        self.model = self.trainer.model
        trained = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        report.note(f"adapters of {trained:,} parameters on a frozen base in {config.precision}")

        optimizer = self.trainer.create_optimizer()
        weights = lora.AdapterWeights(self.model, report.device)
        state = TrainingState(self.model, weights, optimizer, report, config.seed)
        state.restore(config.data.source)
        scheduler = schedule.scheduler(
            optimizer, schedule.cosine, state.at.step, training.warmup_steps, plan.total, report
        )
        self.trainer.optimizer, self.trainer.lr_scheduler = optimizer, scheduler
        self.course = Course(
            report, training, self.splits, plan, state, scheduler, self.evaluate, patience=training.patience
        )

    # -- training -----------------------------------------------------------------------------------------

    def train(self) -> None:
        """Make the steps that are left. Raises `Restart` when out of memory, `UserError` when that is no use."""
        try:
            if not self.course.over:
                self._try_largest()
            drive(self.course, self.trainer, self._steps)
        except Exception as error:
            if not likelihood.out_of_memory(error):
                raise
            raise self.smaller_batch() from error
        if not self.course.complete:
            self.report.note(f"stopped early: no better validation for {self.config.training.patience} epochs")

    def _steps(self) -> Iterator[dict[str, Any]]:
        plan = self.course.plan
        for step in range(self.course.at.step, plan.total):
            yield self.step(plan.rows(step))

    def step(self, numbers: Sequence[int], split: str = "train") -> dict[str, Any]:
        """What a step over the rows of these `numbers` reads: `batches`, on the CPU, the longest rows together and
        first, and `answers`, how many tokens of them have a loss.

        A batch has `input_ids`, (rows, tokens), padded on the right where no real token looks, so that no mask is
        needed; the `targets`, (tokens with a loss,); and for each its row and the position that predicts it:
        `places`, (2, tokens with a loss).
        """
        import torch

        table, size = self.prompted.rows[split], self.config.training.batch_size
        order = sorted(numbers, key=table.lengths.__getitem__, reverse=True)
        batches = []
        for start in range(0, len(order), size):
            part = order[start : start + size]
            ids = padded([table[n] for n in part], self.prompted.pad_id)["input_ids"]
            places = [(row, place - 1) for row, n in enumerate(part) for place in range(table.starts[n], len(table[n]))]
            targets = [token for n in part for token in table[n][table.starts[n] :]]
            batches.append({"input_ids": ids, "places": torch.tensor(places).T, "targets": torch.tensor(targets)})
        answers = sum(table.answer_tokens[n] for n in order)
        return {"batches": batches, "answers": torch.tensor(answers, device=self.device)}

    def _try_largest(self) -> None:
        """The longest batch forwards and backwards, and one batch of scoring: what does not fit is known at once."""
        training, lengths = self.config.training, self.prompted.rows["train"].lengths
        self.report.phase("probe")
        if training.activation_checkpointing:
            self.model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
        longest = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)[: training.batch_size]
        self.trainer.training_step(self.model, self.step(longest))
        split = "validation" if self.splits.validation else "test"
        self.prompted.probabilities(self.model, self.prompted.widest_prompts(split))
        self.model.zero_grad(set_to_none=True)

    def smaller_batch(self) -> Restart:
        """How the run can go on when a micro-batch does not fit. Raises `UserError` where it holds a single review."""
        training, rows = self.config.training, self.rows_per_step
        if training.batch_size == 1:
            longest = max(self.prompted.rows["train"].lengths)
            raise UserError(
                f"out of memory with a single review of {longest:,} tokens at once; lower training.max_length, "
                'set precision = "nf4" or training.activation_checkpointing = true, or choose a device with more free '
                "memory"
            )
        size = next(n for n in range(training.batch_size // 2, 0, -1) if rows % n == 0)
        before = {"training.batch_size": training.batch_size, "training.accumulation": training.accumulation}
        after = {"training.batch_size": size, "training.accumulation": rows // size}
        return Restart(ev.Adjusted("out_of_memory", before, after))

    # -- scores -------------------------------------------------------------------------------------------

    def evaluate(self, split: str, phase: str) -> tuple[list[list[float]], float]:
        """Probabilities of a split by the scorer, and the mean loss of a token of its answers, as in training."""
        import torch

        rows = self.prompted.rows[split]
        self.report.phase(phase, len(rows), "texts")
        probabilities = self.prompted.probabilities(self.model, self.prompted.prompts(split), self._done)
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad():
                step = self.step(range(len(rows)), split)
                loss = 0.0
                for batch in step["batches"]:
                    self.report.check_stop()
                    moved = {name: tensor.to(self.device) for name, tensor in batch.items()}
                    with self.trainer.compute_loss_context_manager():
                        loss += float(self.trainer.compute_loss(self.model, moved, num_items_in_batch=step["answers"]))
        finally:
            self.model.train(was_training)
        return probabilities, loss

    def score_tuned(self) -> list[list[float]]:
        """Score the tuned model on the test items; `predictions.jsonl` holds both, those before first."""
        self.report.phase("test", len(self.splits.test), "texts")
        after = self.prompted.probabilities(self.model, self.prompted.prompts("test"), self._done)
        self._write_predictions({Variant.BEFORE: self.before, Variant.OWN: after})
        return after

    def _score_before(self, model: Any) -> list[list[float]]:
        """Score the model before tuning on the test items, or take it from the run's earlier worker."""
        report, test = self.report, self.splits.test
        if recorded := _recorded(report.folder, [e.hash for e in test]):
            return recorded
        report.phase("test", len(test), "texts")
        before = self.prompted.probabilities(model, self.prompted.untuned_prompts("test"), self._done)
        self._write_predictions({Variant.BEFORE: before})
        scores, confusion = self.scores_of(before)
        report.note(f"the model before tuning: accuracy {scores.accuracy:.4f} on {len(test):,} test reviews")
        report.evaluated("test", scores, list(self.splits.labels), confusion)
        return before

    def scores_of(self, probabilities: list[list[float]]) -> tuple[Scores, list[list[int]]]:
        """Scores on the test items, and the confusion they are from."""
        predicted = scoring.predicted_classes(probabilities)
        labels = self.splits.labels
        confusion = scoring.confusion_matrix([e.label for e in self.splits.test], predicted, len(labels))
        return scoring.scores(confusion, labels), confusion

    def _done(self, texts: int) -> None:
        self.report.check_stop()
        self.report.progress(texts)

    def _write_predictions(self, probabilities: dict[Variant, list[list[float]]]) -> None:
        test, labels, read = self.splits.test, self.splits.labels, self.prompted.tokens_read["test"]
        sets = (
            predictions.predictions_of(test, labels, scoring.predicted_classes(rows), rows, read, variant=variant)
            for variant, rows in probabilities.items()
        )
        predictions.write(self.report.folder, chain.from_iterable(sets))

    def save(self, folder: Path) -> None:
        """Write adapters and tokenizer, and the merged model where it is asked for."""
        self.model.save_pretrained(folder, save_embedding_layers=False)
        self.prompted.tokenizer.save_pretrained(folder)
        provenance.record(folder, self.splits.train, self.base)
        if self.config.merge:
            lora.save_merged(self.base, folder, self.config.precision, folder / "merged")
            provenance.record(folder / "merged", self.splits.train, self.base)


def _recorded(folder: RunFolder, hashes: Sequence[str]) -> list[list[float]]:
    """Probabilities of the model before tuning as an earlier worker wrote them; empty where it did not."""
    try:
        before = [line for line in predictions.read(folder) if line.variant is Variant.BEFORE]
    except FileNotFoundError:
        return []
    if [line.hash for line in before] != list(hashes):
        return []
    return [list(line.probabilities) for line in before]
