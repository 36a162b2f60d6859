"""Texts as token ids on disk, batches of like length, and their way to the device."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from engines.data.dealing import SPLITS
from engines.data.splits import Splits
from engines.models.forward import padded, tokenized
from engines.reporter import Reporter
from engines.runs import events as ev

if TYPE_CHECKING:
    import numpy
    import torch

POOL_BATCHES = 50
"""Batches sorted by length together: more waste less padding, fewer mix the lengths better over the epoch."""
_CHUNK = 1000
_TOKENIZER_FILES = ("config.json", "tokenizer*", "vocab*", "merges*", "special_tokens*", "added_tokens*", "*.model")


class TokenTable(Sequence[Any]):
    """The token ids of many texts in one flat array; `table[n]` is text n, an array of int32."""

    def __init__(self, ids: "numpy.ndarray", ends: "numpy.ndarray", full_lengths: "numpy.ndarray") -> None:
        self.ids = ids  # (tokens,), int32
        self.ends = ends  # (texts,), int64: where each text ends in `ids`
        self.full_lengths = full_lengths  # (texts,), int64: tokens before the cut
        self.lengths: list[int] = (ends - [0, *ends[:-1]]).tolist() if len(ends) else []

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, n: Any) -> Any:
        return self.ids[self.ends[n] - self.lengths[n] : self.ends[n]]

    def count(self, token: int | None) -> int:
        """How often a token stands in all texts; 0 for None."""
        return 0 if token is None else int((self.ids == token).sum())

    @property
    def cut(self) -> int:
        """How many texts were longer than `max_length`."""
        return sum(length < full for length, full in zip(self.lengths, self.full_lengths.tolist(), strict=True))


def tokenize(
    tokenizer: Any,
    folder: Path,
    texts: Sequence[str],
    max_length: int,
    cache: Path,
    done: Callable[[int], None] = lambda texts: None,
) -> TokenTable:
    """Token ids of `texts`, truncated to `max_length`, from `cache` when they were made before.

    The key is the content: the tokenizer's files in `folder`, every text and `max_length`. A cache file that
    cannot be read is made anew. `done` is told how many texts are.
    """
    import numpy

    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = cache / f"{_key(folder, texts, max_length)}.safetensors"
    table = _read(path)
    if table is None:
        parts = [numpy.empty(0, numpy.int32)]  # a list of lists would take three times the memory
        lengths: list[int] = []
        full: list[int] = []
        for start in range(0, len(texts), _CHUNK):
            rows, total = tokenized(tokenizer, texts[start : start + _CHUNK], max_length)
            parts.append(numpy.fromiter(chain.from_iterable(rows), numpy.int32))
            lengths += map(len, rows)
            full += total
            done(len(full))
        table = TokenTable(
            numpy.concatenate(parts), numpy.cumsum(lengths, dtype=numpy.int64), numpy.array(full, numpy.int64)
        )
        _write(path, table)
    else:
        done(len(texts))
    return table


def tokenize_splits(
    tokenizer: Any, folder: Path, splits: Splits, max_length: int, report: Reporter
) -> dict[str, TokenTable]:
    """The tokens of every split, made in a phase of its own; how many texts are truncated is reported for each."""
    examples = {name: getattr(splits, name) for name in SPLITS}
    report.phase("tokenize", sum(map(len, examples.values())), "texts")
    tables: dict[str, TokenTable] = {}

    def done(texts: int) -> None:
        report.check_stop()
        report.progress(sum(map(len, tables.values())) + texts)

    for name, split in examples.items():
        texts = [example.text for example in split]
        table = tokenize(tokenizer, folder, texts, max_length, report.folder.home.cache / "tokens", done)
        tables[name] = table
        if table.cut:
            report.fact(ev.Truncated(name, table.cut, len(texts), max_length))
        if unknown := table.count(tokenizer.unk_token_id):
            report.fact(ev.Unread(name, unknown, len(table.ids)))
    return tables


def _key(folder: Path, texts: Sequence[str], max_length: int) -> str:
    from tokenizers import __version__

    key = hashlib.sha256(f"{__version__} {max_length} {len(texts)}".encode())
    for name in sorted({file.name for pattern in _TOKENIZER_FILES for file in folder.glob(pattern)}):
        key.update(hashlib.sha256((folder / name).read_bytes()).digest())
    for text in texts:
        key.update(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    return key.hexdigest()


def _read(path: Path) -> TokenTable | None:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return TokenTable(**load_file(path))
    except (OSError, SafetensorError, TypeError):
        return None


def _write(path: Path, table: TokenTable) -> None:
    from safetensors.numpy import save_file

    temporary = path.with_suffix(f".{os.getpid()}")
    try:
        save_file({"ids": table.ids, "ends": table.ends, "full_lengths": table.full_lengths}, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)  # where the disk was full


def batches(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Row numbers of every batch of one epoch: a pure function of its arguments, each row exactly once.

    Rows are shuffled, sorted by length inside pools of `POOL_BATCHES` batches, cut, and the batches shuffled.
    All but one batch hold `batch_size` rows. The batch with the longest row comes first: what does not fit in
    memory fails at once.
    """
    random = Random(f"{seed}/{epoch}")
    rows = list(range(len(lengths)))
    random.shuffle(rows)
    pool = POOL_BATCHES * batch_size
    epoch_batches = []
    for start in range(0, len(rows), pool):
        by_length = sorted(rows[start : start + pool], key=lengths.__getitem__, reverse=True)
        epoch_batches += [by_length[n : n + batch_size] for n in range(0, len(by_length), batch_size)]
    random.shuffle(epoch_batches)
    first = max(range(len(epoch_batches)), key=lambda n: max(lengths[row] for row in epoch_batches[n]), default=0)
    epoch_batches[:1], epoch_batches[first : first + 1] = epoch_batches[first : first + 1], epoch_batches[:1]
    return epoch_batches


class Plan:
    """Which rows every optimiser step of a training reads."""

    def __init__(self, lengths: Sequence[int], batch_size: int, epochs: int, seed: int) -> None:
        self.steps_per_epoch = -(-len(lengths) // batch_size)
        self.total = epochs * self.steps_per_epoch
        self._lengths = lengths
        self._of_epoch = lru_cache(2)(lambda epoch: batches(lengths, batch_size, seed, epoch))

    def rows(self, step: int) -> list[int]:
        """Row numbers of the batch of `step`, counted from 0."""
        return self._of_epoch(step // self.steps_per_epoch)[step % self.steps_per_epoch]

    def reads(self, first: int, last: int) -> tuple[int, int]:
        """How many rows, and tokens of them, the steps from `first` to before `last` read."""
        rows = [row for step in range(first, last) for row in self.rows(step)]
        return len(rows), sum(self._lengths[row] for row in rows)


def collate(
    table: TokenTable, labels: "numpy.ndarray", rows: Sequence[int], pad_id: int, width: int
) -> dict[str, "torch.Tensor"]:
    """The `padded` texts of `rows` with their `labels`, (rows,), int64."""
    import torch

    return {**padded([table[row] for row in rows], pad_id, width), "labels": torch.from_numpy(labels[list(rows)])}


def feed(
    table: TokenTable,
    labels: "numpy.ndarray",
    order: Iterable[Sequence[int]],
    pad_id: int,
    max_length: int,
    device: str,
) -> Iterator[dict[str, "torch.Tensor"]]:
    """Batches of `order` on `device`, padded to their longest row.

    For a GPU widths are multiples of 8, as its matrix units like them, and a batch is on its way, from pinned
    memory, before the one ahead of it is handed out.
    """
    ahead = None
    for rows in order:
        width = max(table.lengths[row] for row in rows)
        if device == "cpu":
            yield collate(table, labels, rows, pad_id, width)
            continue
        batch = collate(table, labels, rows, pad_id, min(-(-width // 8) * 8, max_length))
        moved = {name: tensor.pin_memory().to(device, non_blocking=True) for name, tensor in batch.items()}
        if ahead is not None:
            yield ahead
        ahead = moved
    if ahead is not None:
        yield ahead
