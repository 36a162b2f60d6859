"""Texts that nearly repeat another one."""

from random import Random

import pytest
from msgspec import structs

from engines.data import corpus
from engines.data.near_copies import SIMILARITY, NearPair, groups, near_copies, normalised
from engines.data.splits import Data, load_splits
from engines.errors import DataError
from engines.runs import events as ev
from tests.engines.conftest import Recorder

LONG = " ".join(f"word{n}" for n in range(60))


@pytest.mark.parametrize(
    "other",
    [
        LONG.upper(),
        LONG.replace(" word9", ", word9!"),
        f"<p>{LONG}</p><br />",
        LONG.rsplit(" ", 4)[0],
        LONG.replace("word30", "another"),
    ],
)
def test_case_punctuation_markup_and_a_few_words_make_no_other_text(other: str) -> None:
    (pair,) = near_copies(["something else entirely, of quite other words", LONG, other])
    assert (pair.first, pair.second) == (1, 2) and pair.similarity >= SIMILARITY


def test_every_pair_of_a_brute_force_comparison_is_found() -> None:
    random = Random(4)
    texts = [" ".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=40)) for _ in range(150)]
    for n in range(0, 100, 2):  # near copies of all degrees
        words = texts[n].split()
        for place in random.sample(range(40), n // 20):
            words[place] = "zz"
        texts.append(" ".join(words))

    def shingles(text: str) -> set[tuple[str, ...]]:
        words = normalised(text).split()
        return set(zip(words, words[1:], words[2:], strict=False))

    sets = [shingles(text) for text in texts]
    expected = {
        (a, b)
        for a in range(len(texts))
        for b in range(a + 1, len(texts))
        if len(sets[a] & sets[b]) >= SIMILARITY * len(sets[a] | sets[b])
    }
    assert {(pair.first, pair.second) for pair in near_copies(texts)} == expected and len(expected) > 15


def test_writing_without_spaces_is_compared_by_characters() -> None:
    text = "这部电影的故事非常感人演员的表演也十分出色值得推荐给所有人观看" * 2
    (pair,) = near_copies([text, text[:-2] + "吧", "完全不同的一段文字讲的是天气和交通与电影没有任何关系" * 2])
    assert (pair.first, pair.second) == (0, 1)


def test_texts_made_by_one_generator_are_no_near_copies() -> None:
    reviews = [review.text for review in corpus.generate(2000, corpus.QUICKSTART_SEED)]
    assert near_copies(reviews) == []


def test_groups_join_what_pairs_join() -> None:
    assert groups(5, [NearPair(0, 2, 1.0), NearPair(2, 4, 0.9)]) == [0, 1, 0, 3, 0]


def rows_with_near_copies() -> list[str]:
    random = Random(1)
    texts = [" ".join(random.choices([f"w{n}" for n in range(500)], k=30)) for _ in range(60)]
    return texts + [text + " indeed" for text in texts[:20]]


def source(recorder: Recorder) -> str:
    path = recorder.folder.path / "reviews.csv"
    lines = [f'"{text}",{"pos" if n % 3 else "neg"}' for n, text in enumerate(rows_with_near_copies())]
    path.write_text("text,label\n" + "\n".join(lines) + "\n")
    return str(path)


def test_dealt_splits_keep_near_copies_together_and_list_them(recorder: Recorder) -> None:
    splits = load_splits(Data(source=source(recorder), train=0.6, validation=0.2, test=0.2), recorder.report)
    split_of = {e.row: name for name in ("train", "validation", "test") for e in getattr(splits, name)}
    together = [(n, 60 + n) for n in range(20) if n in split_of and 60 + n in split_of]
    assert len(together) > 10 and all(split_of[a] == split_of[b] for a, b in together)
    assert len(recorder.folder.near_copies.read_text().splitlines()) == 20
    assert "20 pairs of texts nearly repeat each other" in recorder.notes


def test_near_copies_across_given_splits_warn_and_are_dropped_or_refused_on_request(recorder: Recorder) -> None:
    def load(choice: str) -> int:
        data = Data(source=source(recorder), split="in_order", train=60, validation=0, test=20, near_copies=choice)
        return len(load_splits(data, recorder.report).train)

    overlap = ev.Overlap("test", "train", 20, near=True)
    assert load("warn") == 60 and recorder.events(ev.Overlap) == [overlap]
    assert load("drop") == 40 and recorder.events(ev.Overlap)[1:] == [
        structs.replace(overlap, dropped=20, dropped_from="train")
    ]
    with pytest.raises(DataError, match='20 of 20 test items .*data.near_copies = "drop"'):
        load("refuse")
