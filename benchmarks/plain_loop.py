"""The short script a person would write: `plain_loop.py MODEL CSV COUNT LENGTH EPOCHS LONGEST|512 float32|bfloat16`.

Prints the seconds of its training loop and its count of steps. The other side of the training benchmarks; it
knows nothing of this project.
"""

import sys
import time
from typing import Any

import pandas as pd
import torch
from torch.utils.data import DataLoader
from transformers import AutoModelForSequenceClassification, AutoTokenizer, get_linear_schedule_with_warmup

path, file, count, length, epochs, padding, precision = sys.argv[1:]
device = "cuda" if torch.cuda.is_available() else "cpu"
frame = pd.read_csv(file).head(int(count))
tokenizer = AutoTokenizer.from_pretrained(path)
model = AutoModelForSequenceClassification.from_pretrained(path, num_labels=2).to(device)
rows: Any = list(zip(frame["review"], frame["sentiment"], strict=True))
pad = True if padding == "LONGEST" else "max_length"


def collate(batch: list[tuple[str, int]]) -> dict[str, torch.Tensor]:
    texts, labels = zip(*batch, strict=True)
    encoded = tokenizer(list(texts), truncation=True, max_length=int(length), padding=pad, return_tensors="pt")
    return {name: values.to(device) for name, values in {**encoded, "labels": torch.tensor(labels)}.items()}


loader: DataLoader[tuple[str, int]] = DataLoader(rows, batch_size=16, shuffle=True, collate_fn=collate)
steps = len(loader) * int(epochs)
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.01)
schedule = get_linear_schedule_with_warmup(optimizer, 10, steps)
model.train()
began = time.perf_counter()
for _ in range(int(epochs)):
    for batch in loader:
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
loss.item()  # on a GPU the last step is still under way
print(time.perf_counter() - began, steps)
