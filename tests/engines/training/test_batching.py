from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy
import pytest

from engines.data.items import Example
from engines.data.splits import Splits
from engines.models import tiny
from engines.models.opening import load_tokenizer
from engines.runs import events as ev
from engines.training.batching import Plan, TokenTable, batches, collate, feed, tokenize, tokenize_splits
from tests.engines.conftest import Recorder

_random = Random(1)
LENGTHS = [_random.randint(3, 128) for _ in range(1003)]
LENGTHS[700] = 200


@pytest.mark.parametrize("count", [1, 15, 16, 17, 800, 1003])
def test_an_epoch_holds_every_row_once_in_full_batches_but_one(count: int) -> None:
    batched = batches(LENGTHS[:count], 16, seed=3, epoch=0)
    assert sorted(row for batch in batched for row in batch) == list(range(count))
    assert len(batched) == -(-count // 16)
    assert sum(len(batch) != 16 for batch in batched) == (1 if count % 16 else 0)


def test_the_order_is_a_pure_function_of_seed_and_epoch() -> None:
    first = batches(LENGTHS, 16, seed=3, epoch=1)
    Random().random()
    assert batches(list(LENGTHS), 16, seed=3, epoch=1) == first
    assert batches(LENGTHS, 16, seed=3, epoch=2) != first
    assert batches(LENGTHS, 16, seed=4, epoch=1) != first


def test_batches_of_like_length_waste_little_and_the_longest_comes_first() -> None:
    batched = batches(LENGTHS, 16, seed=3, epoch=0)
    padded = sum(len(batch) * max(LENGTHS[row] for row in batch) for batch in batched)
    assert padded < 1.06 * sum(LENGTHS)
    assert 700 in batched[0]
    widths = [max(LENGTHS[row] for row in batch) for batch in batched[1:]]
    assert widths != sorted(widths) and widths != sorted(widths, reverse=True)


def test_a_plan_walks_through_the_epochs() -> None:
    plan = Plan(LENGTHS, 16, epochs=2, seed=3)
    assert (plan.steps_per_epoch, plan.total) == (63, 126)
    steps = [plan.rows(step) for step in range(plan.total)]
    assert steps == batches(LENGTHS, 16, 3, 0) + batches(LENGTHS, 16, 3, 1)


def _table(rows: Sequence[Sequence[int]]) -> TokenTable:
    ends = numpy.cumsum([len(row) for row in rows])
    return TokenTable(numpy.array([t for row in rows for t in row], numpy.int32), ends, numpy.diff(ends, prepend=0))


def rows(table: TokenTable) -> list[list[int]]:
    return [row.tolist() for row in table]


def test_rows_are_padded_to_the_longest_of_the_batch() -> None:
    table = _table([[5, 6, 7], [8], [9, 10]])
    labels = numpy.array([1, 0, 1])
    batch = collate(table, labels, [1, 2], pad_id=99, width=3)
    assert batch["input_ids"].tolist() == [[8, 99, 99], [9, 10, 99]]
    assert batch["attention_mask"].tolist() == [[1, 0, 0], [1, 1, 0]]
    assert batch["labels"].tolist() == [0, 1]
    shapes = [b["input_ids"].shape for b in feed(table, labels, [[0, 1], [2]], 0, 512, "cpu")]
    assert shapes == [(2, 3), (1, 2)]


def test_a_gpu_gets_widths_of_multiples_of_eight_in_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)  # there may be no GPU here
    table = _table([[1] * 3, [1] * 9, [1] * 12, [1] * 11])
    order = [[0, 1], [2], [0], [3, 2, 1]]
    fed = [b["input_ids"] for b in feed(table, numpy.zeros(4, numpy.int64), order, 0, 12, "meta")]
    assert [ids.shape for ids in fed] == [(2, 12), (1, 12), (1, 8), (3, 12)], "and never above the greatest length"
    assert all(ids.device.type == "meta" for ids in fed)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny.resolve("tiny:distilbert"))


def test_texts_are_tokenized_once_and_read_back_equal(tokenizer: Any, tmp_path: Path) -> None:
    folder = tiny.resolve("tiny:distilbert")
    texts = ["A fine film.", "", "word " * 300]
    first = tokenize(tokenizer, folder, texts, 16, tmp_path)
    again = tokenize(None, folder, texts, 16, tmp_path)  # without a tokenizer nothing can be made anew
    assert rows(first) == rows(again) and first.full_lengths.tolist() == again.full_lengths.tolist()
    assert rows(first) == tokenizer(texts, truncation=True, max_length=16)["input_ids"]
    assert first.cut == 1 and first.full_lengths[2] >= 302
    assert first[-1][-1] == tokenizer.sep_token_id, "a cut text keeps its closing token"


def test_other_texts_lengths_or_tokenizers_have_a_cache_file_of_their_own(tokenizer: Any, tmp_path: Path) -> None:
    folder = tiny.resolve("tiny:distilbert")
    other = tmp_path / "tokenizer"
    tokenizer.save_pretrained(other)
    (other / "tokenizer_config.json").write_text("{}")
    cache = tmp_path / "cache"
    for where, texts, length in ((folder, ["a b"], 16), (folder, ["a", "b"], 16), (folder, ["a b"], 17)):
        tokenize(tokenizer, where, texts, length, cache)
    tokenize(tokenizer, other, ["a b"], 16, cache)
    assert len(list(cache.iterdir())) == 4


def test_a_damaged_cache_file_is_made_anew(tokenizer: Any, tmp_path: Path) -> None:
    folder = tiny.resolve("tiny:distilbert")
    first = tokenize(tokenizer, folder, ["A fine film."], 16, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:40])
    assert rows(tokenize(tokenizer, folder, ["A fine film."], 16, tmp_path)) == rows(first)
    assert file.stat().st_size > 40


def test_no_texts_are_no_error(tokenizer: Any, tmp_path: Path) -> None:
    for _ in range(2):
        assert list(tokenize(tokenizer, tiny.resolve("tiny:distilbert"), [], 16, tmp_path)) == []


def test_tokens_that_the_tokenizer_does_not_know_are_counted_for_each_split(recorder: Recorder) -> None:
    folder = tiny.resolve("tiny:distilbert")
    known, unknown = Example("A dull film.", 0, 0, "a"), Example("这部电影 很好看", 1, 1, "b")
    splits = Splits(("negative", "positive"), [known, unknown], [], [known])
    tokenize_splits(load_tokenizer(folder), folder, splits, 32, recorder.report)
    (unread,) = recorder.events(ev.Unread)
    assert unread.split == "train" and 0 < unread.unknown < unread.tokens
