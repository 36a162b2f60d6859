"""Texts through a model without gradients: token ids, batches of like length, precision."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


BATCH_TOKENS = {"cuda": 32768, "cpu": 4096}
"""Padded tokens of a batch: larger ones are no faster, on the CPU they leave the caches."""


def tokenized(tokenizer: Any, texts: Sequence[str], max_length: int) -> tuple[list[list[int]], list[int]]:
    """Token ids of each text, truncated to `max_length` as the tokenizer's own truncation, and its tokens in full."""
    if not texts:
        return [], []
    ids: list[list[int]] = tokenizer(list(texts), verbose=False)["input_ids"]
    total = [len(row) for row in ids]
    if max(total) > max_length:  # the special tokens at both ends stay
        special = tokenizer("a", return_special_tokens_mask=True)["special_tokens_mask"]
        first, last = special.index(0), special[::-1].index(0)
        left = tokenizer.truncation_side == "left"
        for n, row in enumerate(ids):
            if len(row) > max_length:
                head = first if left else max_length - last
                ids[n] = row[:head] + row[len(row) - (max_length - head) :]
    return ids, total


def batches_by_length(ids: Sequence[Sequence[int]], batch_tokens: int) -> Iterator[list[int]]:
    """Row numbers in batches of like length, longest first, each at most `batch_tokens` with its padding."""
    lengths = [len(row) for row in ids]
    order = sorted(range(len(ids)), key=lengths.__getitem__, reverse=True)
    start = 0
    while start < len(order):
        size = max(1, batch_tokens // max(1, lengths[order[start]]))
        yield order[start : start + size]
        start += size


def padded(ids: Sequence[Sequence[int]], pad_id: int, width: int = 0) -> dict[str, "torch.Tensor"]:
    """`input_ids` and `attention_mask`, both (rows, `width`), int64, on the CPU; `width` 0 is the longest row's."""
    import numpy
    import torch

    shape = len(ids), width or max(len(row) for row in ids)
    filled, mask = numpy.full(shape, pad_id, numpy.int64), numpy.zeros(shape, numpy.int64)
    for place, row in enumerate(ids):
        filled[place, : len(row)] = row
        mask[place, : len(row)] = 1
    return {"input_ids": torch.from_numpy(filled), "attention_mask": torch.from_numpy(mask)}


def autocast(device: str) -> Any:
    """bf16 autocast on a GPU that has it in hardware, else nothing."""
    import torch

    if device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()


def forward(
    ids: Sequence[Sequence[int]],
    pad_id: int,
    device: str,
    outputs: Callable[[dict[str, "torch.Tensor"]], "torch.Tensor"],
    done: Callable[[int], None] = lambda rows: None,
) -> "torch.Tensor":
    """`outputs` of every row, (rows, ...) float32 on the CPU, in the order of `ids`, without gradients.

    `outputs` maps a padded batch to one vector per row; `done` is told, after each batch, how many rows are.
    """
    import torch

    result: torch.Tensor | None = None
    count = 0
    with torch.inference_mode():
        for rows in batches_by_length(ids, BATCH_TOKENS[device.partition(":")[0]]):
            inputs = {name: tensor.to(device) for name, tensor in padded([ids[n] for n in rows], pad_id).items()}
            with autocast(device):
                batch = outputs(inputs)
            if result is None:
                result = torch.empty((len(ids), *batch.shape[1:]))
            result[torch.tensor(rows)] = batch.float().cpu()
            count += len(rows)
            done(count)
    return torch.empty((0, 0)) if result is None else result
