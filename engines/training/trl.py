"""TRL's `SFTTrainer`, held to the precision and the micro-batches that it is given."""

import contextlib
from collections.abc import Callable
from typing import Any

from engines.errors import ConfigError, UserError
from engines.prompts.likelihood import narrowed
from engines.prompts.tuning_rows import TuningRows
from engines.reporter import Reporter
from engines.training.lora import Config


def sft_trainer(config: Config, model: Any, tokenizer: Any, rows: TuningRows, report: Reporter) -> Any:
    """An `SFTTrainer` that adds adapters to `model`; `engines.training.hf_trainer.drive` gives it its steps.

    A step is a dictionary of `batches`, each with `input_ids`, `places` and `targets`, and `answers`, the number of
    tokens with a loss. Raises `ConfigError` where the model has no layers of the names that are to get adapters, and
    `UserError` where the trainer would drop some of `rows`.
    """
    import torch
    from datasets import Dataset
    from datasets.utils.logging import disable_progress_bar
    from peft import LoraConfig
    from peft.helpers import disable_input_dtype_casting
    from trl import SFTConfig, SFTTrainer

    disable_progress_bar()
    training, lora = config.training, config.lora
    mixed = config.precision == "bf16"  # adapters in float32 on a base in bf16

    class StepTrainer(SFTTrainer):
        """An entry of the loader is one optimiser step, a list of micro-batches, whatever their size."""

        def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
            one: Callable[..., Any] = super().training_step
            with disable_input_dtype_casting(model, mixed):  # autocast makes them bf16 in any case
                return sum(one(model, batch, inputs["answers"]) for batch in inputs["batches"])

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            # TRL's own sends every position through the output head where there is no Triton, and waits for
            # the GPU several times a micro-batch to count what nobody reads
            places, targets = inputs["places"], inputs["targets"]
            head = model.get_base_model().get_output_embeddings()
            with narrowed(head, lambda states: states[places[0], places[1]][:, None], None):
                logits = model(input_ids=inputs["input_ids"], use_cache=False).logits[:, 0]
            return torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum") / num_items_in_batch

        def floating_point_ops(self, inputs: Any) -> int:
            return 0

        def autocast_smart_context_manager(self, cache_enabled: bool | None = True) -> Any:
            device = report.device.partition(":")[0]
            return torch.autocast(device, torch.bfloat16) if mixed else contextlib.nullcontext()

    targets = lora.targets.strip()
    plain = report.device == "cpu" or training.optimizer == "adamw"
    dropout = lora.dropout
    if dropout and any(values.ndim == 3 for name, values in model.named_parameters() if "expert" in name):
        dropout = 0.0
        report.note("adapters of experts take no dropout: lora.dropout is 0 in this run")
    try:
        trainer: Any = StepTrainer(
            model=model,
            args=SFTConfig(
                output_dir=str(report.folder.checkpoints),
                max_steps=1,  # `drive` knows how many
                per_device_train_batch_size=training.batch_size,
                max_length=None,  # the reviews are cut, and nothing else
                learning_rate=training.learning_rate,
                weight_decay=training.weight_decay,
                max_grad_norm=training.clip_norm,
                optim="adamw_torch_fused" if plain else training.optimizer,
                activation_checkpointing=training.activation_checkpointing,
                activation_checkpointing_kwargs={"use_reentrant": False},
                bf16=False,  # see `autocast_smart_context_manager`: scoring is not to be wrapped as well
                use_cpu=report.device == "cpu",
                seed=config.seed,
                logging_strategy="no",  # `drive` asks for what is due
                logging_nan_inf_filter=False,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_dict(
                {"input_ids": list(rows), "labels": [rows.labels(n) for n in range(len(rows))]}
            ),
            data_collator=lambda rows: {},  # an entry is its batches already
            processing_class=tokenizer,
            peft_config=LoraConfig(
                r=lora.rank,
                lora_alpha=lora.alpha,
                lora_dropout=dropout,
                target_modules=targets if targets == "all-linear" else [t.strip() for t in targets.split(",")],
                task_type="CAUSAL_LM",
            ),
        )
    except ValueError as error:
        if "Mamba" in str(error):
            raise ConfigError(
                f'lora.targets = "{lora.targets}": state-space layers of {config.model.name} take adapters on their '
                "projections alone; set it to in_proj,x_proj"
            ) from None
        if "target modules" in str(error).lower():
            raise ConfigError(
                f'lora.targets = "{lora.targets}": {config.model.name} has no such layers; set it to "all-linear"'
            ) from None
        raise
    kept = len(trainer.train_dataset)
    if kept != len(rows):
        raise UserError(f"the trainer keeps {kept:,} of {len(rows):,} train rows; lower training.max_length")
    return trainer
