"""The fine-tuning of `finetune_loop`, its steps made by the Hugging Face Trainer: same batches, same schedule."""

from typing import Any

from engines.memory.components import Machine, Need, classes, encoder_tuning, texts, unknown_family
from engines.models.forward import BATCH_TOKENS
from engines.reporter import Reporter
from engines.training import encoder
from engines.training.encoder import Config, FineTuning
from engines.training.hf_trainer import drive

TITLE = "Fine-tuning, Hugging Face Trainer"
USES_GPU = True
load = encoder.load


def run(config: Config, report: Reporter) -> None:
    task = FineTuning(config, report)
    from transformers import Trainer, TrainingArguments

    class SharedTrainer(Trainer):
        def autocast_smart_context_manager(self, cache_enabled: bool | None = True) -> Any:
            return task.autocast  # with bf16=True validation would compute in bfloat16 as well

    task.model.accepts_loss_kwargs = False  # else the Trainer scales the loss of accumulated batches wrongly
    trainer = SharedTrainer(
        model=task.model,
        args=TrainingArguments(
            output_dir=str(report.folder.checkpoints),
            max_steps=task.course.plan.total,
            per_device_train_batch_size=config.training.batch_size,
            max_grad_norm=config.training.clip_norm,
            use_cpu=report.device == "cpu",
            seed=config.seed,
            logging_strategy="no",  # `drive` asks for what is due
            logging_nan_inf_filter=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        optimizers=(task.optimizer, task.scheduler),
    )
    drive(task.course, trainer, task.batches)
    task.conclude()


def memory_needs(config: Config, machine: Machine) -> Need:
    model, training = machine.architecture(config.model), config.training
    budget = BATCH_TOKENS[machine.kind]
    phases = encoder_tuning(model, machine, training.batch_size, training.max_length, classes(config.data), budget)
    return Need(
        model.family,
        phases,
        scoring="validate",
        libraries="Trainer",
        host=texts(config.data),
        notes=unknown_family(model),
    )
