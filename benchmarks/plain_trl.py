"""The short script a person would write with TRL: `plain_trl.py MODEL ROWS.jsonl SIZE ACCUMULATION EPOCHS nf4|float32`.

Tunes adapters on prompts with completions, by TRL's defaults but for what has to be the same on both sides. Prints
the seconds of its training. The other side of the `qlora` benchmark; it knows nothing of this project.
"""

import sys
import tempfile
import time

import torch
from datasets import load_dataset
from peft import LoraConfig
from transformers import BitsAndBytesConfig
from trl import SFTConfig, SFTTrainer

model, rows, size, accumulation, epochs, precision = sys.argv[1:]
nf4 = BitsAndBytesConfig(
    load_in_4bit=True,
    bnb_4bit_quant_type="nf4",
    bnb_4bit_use_double_quant=True,
    bnb_4bit_compute_dtype=torch.bfloat16,
)
with tempfile.TemporaryDirectory() as folder:
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=folder,
            use_cpu=True,
            bf16=False,
            per_device_train_batch_size=int(size),
            gradient_accumulation_steps=int(accumulation),
            num_train_epochs=int(epochs),
            max_length=None,
            model_init_kwargs={"quantization_config": nf4} if precision == "nf4" else None,
        ),
        train_dataset=load_dataset("json", data_files=rows, split="train", cache_dir=folder),
        peft_config=LoraConfig(
            r=16, lora_alpha=16, lora_dropout=0.1, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
    )
    began = time.perf_counter()
    trainer.train()
    print(time.perf_counter() - began)
