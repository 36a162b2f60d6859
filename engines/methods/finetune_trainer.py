"""The fine-tuning of `finetune_loop`, its steps made by the Hugging Face Trainer: same batches, same schedule."""

from collections.abc import Iterator
from typing import Any

from engines.parts import finetuning
from engines.parts.finetuning import Config, FineTuning
from engines.reporter import Reporter

TITLE = "Fine-tuning, Hugging Face Trainer"
USES_GPU = True
load = finetuning.load


def run(config: Config, report: Reporter) -> None:
    task = FineTuning(config, report)
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    done = task.at.step
    left = task.plan.total - done

    class Batches:
        """What is left of the training, all epochs in a row; the Trainer counts its steps from here."""

        def __len__(self) -> int:
            return left

        def __iter__(self) -> Iterator[dict[str, Any]]:
            return task.batches()

    class SharedTrainer(Trainer):
        def get_train_dataloader(self) -> Any:
            return Batches()

        def autocast_smart_context_manager(self, cache_enabled: bool | None = True) -> Any:
            return task.autocast  # with bf16=True validation would compute in bfloat16 as well

    class Reports(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            task.begin()
            task.end_epoch()  # where it was stopped before its validation was through

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            task.at.step = done + state.global_step
            control.should_log = task.due

        def on_log(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            logs = given["logs"]
            if "loss" not in logs:  # the summary at the end
                return
            task.reported(logs["loss"], logs["grad_norm"], logs["learning_rate"])
            task.end_epoch()

    task.model.accepts_loss_kwargs = False  # else the Trainer scales the loss of accumulated batches wrongly
    trainer = SharedTrainer(
        model=task.model,
        args=TrainingArguments(
            output_dir=str(report.folder.checkpoints),
            max_steps=left,
            per_device_train_batch_size=config.training.batch_size,
            max_grad_norm=config.training.clip_norm,
            use_cpu=report.device == "cpu",
            seed=config.seed,
            logging_strategy="no",  # `Reports` asks for what is due
            logging_nan_inf_filter=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        optimizers=(task.optimizer, task.schedule),
        callbacks=[Reports()],
    )
    trainer.remove_callback(PrinterCallback)  # it prints
    if left:
        trainer.train()
    else:
        task.begin()
        task.end_epoch()
    task.conclude()
