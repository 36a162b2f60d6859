import csv
import gzip
import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from engines.data import files
from engines.data.files import absolute, clean
from engines.data.items import Example, write_items
from engines.data.splits import Data, Splits, class_counts, load_splits
from engines.errors import ConfigError, DataError
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from tests.engines.conftest import Recorder
from tests.stub_hub import StubHub

REAL = Path(__file__).parents[4] / "shared" / "data"
Load = Callable[..., Splits]


@pytest.fixture
def read(recorder: Recorder) -> Load:
    def call(source: object, seed: int = 1, **settings: Any) -> Splits:
        return load_splits(Data(source=str(source), seed=seed, **settings), recorder.report)

    return call


def as_csv(rows: list[tuple[Any, ...]], header: tuple[str, ...] = ("text", "label"), delimiter: str = ",") -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=delimiter).writerows([header, *rows] if header else rows)
    return stream.getvalue().encode()


def reviews(count: int, classes: int = 2) -> list[tuple[str, int]]:
    return [(f"review number {n}, with a comma", n % classes) for n in range(count)]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes], Path]:
    def call(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return call


Write = Callable[[str, bytes], Path]


def everything(splits: Splits) -> list[Example]:
    return splits.train + splits.validation + splits.test


# -- reading ----------------------------------------------------------------------------------------------


def as_parquet(rows: list[tuple[Any, ...]]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    stream = io.BytesIO()
    table = pyarrow.table({"extra": [0] * len(rows), "text": [r[0] for r in rows], "label": [r[1] for r in rows]})
    parquet.write_table(table, stream)
    return stream.getvalue()


def as_jsonl(rows: list[tuple[Any, ...]]) -> bytes:
    return "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows).encode()


@pytest.mark.parametrize("zipped", ["", ".gz"])
@pytest.mark.parametrize(
    ("name", "writer"),
    [
        ("a.csv", as_csv),
        ("a.tsv", lambda rows: as_csv(rows, delimiter="\t")),
        ("a.jsonl", as_jsonl),
        ("a.parquet", as_parquet),
        ("semicolons.csv", lambda rows: as_csv(rows, delimiter=";")),
        ("bom.csv", lambda rows: b"\xef\xbb\xbf" + as_csv(rows)),
    ],
)
def test_every_format_gives_the_same_reviews(name: str, writer: Any, zipped: str, write: Write, read: Load) -> None:
    splits = read(write(name + zipped, writer(reviews(20))), split="in_order", train=10, validation=4, test=6)
    assert splits.labels == ("negative", "positive")
    assert [(e.text, e.label) for e in everything(splits)] == reviews(20)
    assert [e.row for e in everything(splits)] == list(range(20))


def test_the_quickstart_corpus_is_balanced_and_split_without_any_setting(read: Load) -> None:
    splits = read("quickstart")
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (3200, 400, 400)
    assert class_counts(everything(splits), splits.labels) == {"negative": 2000, "positive": 2000}
    assert not any("<br" in e.text for e in everything(splits))


def test_columns_left_unset_are_detected_by_name_and_noted(write: Write, read: Load, recorder: Recorder) -> None:
    rows = [(n, f"review {n}", n % 2) for n in range(20)]
    read(write("a.csv", as_csv(rows, ("id", "Review", "sentiment"))))
    assert 'a.csv: text column "Review" and label column "sentiment" detected by name' in recorder.notes
    assert "label 0 is read as negative, 1 as positive" in recorder.notes


def test_any_columns_can_be_named(write: Write, read: Load, recorder: Recorder) -> None:
    path = write("a.csv", as_csv([(n % 2, f"review {n}") for n in range(20)], ("stars", "opinion")))
    splits = read(path, text="opinion", label="stars", split="in_order")
    assert splits.train[0].text == "review 0" and "detected by name" not in recorder.notes


@pytest.mark.parametrize("columns", [{}, {"text": "1"}, {"text": "1", "label": "2"}])
def test_a_file_without_header_is_recognised_and_said(
    columns: dict[str, str], write: Write, read: Load, recorder: Recorder
) -> None:
    path = write("a.tsv", as_csv(reviews(20), (), "\t"))
    splits = read(path, train=0, validation=0, test=1.0, **columns)
    assert len(splits.test) == 20 and splits.labels == ("negative", "positive")
    assert "a.tsv has no header: column 1 is the text, column 2 the label" in recorder.notes


def test_words_as_labels_without_header_are_recognised(write: Write, read: Load) -> None:
    rows = [(("good", "bad")[n % 2], f"review {n}") for n in range(20)]
    assert read(write("a.csv", as_csv(rows, ()))).labels == ("bad", "good")


def test_tabs_between_texts_with_stray_quotes_are_read_plainly(write: Write, read: Load, recorder: Recorder) -> None:
    lines = [f'"so called film {n}\t{n % 2}' if n % 5 == 0 else f"film {n}\t{n % 2}" for n in range(20)]
    splits = read(write("a.tsv", "\n".join(lines).encode()), split="in_order")
    assert splits.train[0].text == '"so called film 0' and len(everything(splits)) == 20
    assert "quotes are read as plain characters" in recorder.notes


def test_breaks_entities_and_white_space_are_cleaned() -> None:
    assert clean("A&amp;B &quot;fine&quot;<br /><br>two\n\t three&lt;br/&gt;end\u00a0") == 'A&B "fine" two three end'
    assert clean("1 < 2 <b>bold</b>") == "1 < 2 <b>bold</b>"
    assert clean("half a pair \ud83d").encode()


def test_reviews_are_read_without_labels_in_their_own_order(write: Write, recorder: Recorder) -> None:
    path = write("a.csv", as_csv([("one<br />",), ("two",)], ("review",)))
    assert files.read(path, "", "", recorder.report, labelled=False).texts == ["one", "two"]


def test_relative_paths_are_settled_and_names_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    assert absolute("a.csv") == str(tmp_path / "a.csv") and absolute("folder") == str(tmp_path / "folder")
    for name in ("quickstart", "stanfordnlp/imdb", "tiny:distilbert", ""):
        assert absolute(name) == name


# -- labels -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "setting", "labels"),
    [
        ("01", "", ("negative", "positive")),
        (["neg", "POS"], "", ("negative", "positive")),
        (["Positive", "Negative"], "pos,neg", ("positive", "negative")),
        (["ham", "spam"], "", ("ham", "spam")),
        ("01", "ham, spam", ("ham", "spam")),
        ("12", "ham,spam", ("ham", "spam")),
        (["1.0", "0.0"], "", ("negative", "positive")),
        ("012", "", ("0", "1", "2")),
        ("135", "bad,fair,good", ("bad", "fair", "good")),
        ("12", "one,two,three", ("one", "two", "three")),
    ],
)
def test_labels_become_classes(values: Any, setting: str, labels: tuple[str, ...], write: Write, read: Load) -> None:
    rows = [(f"review {n}", values[n % len(values)]) for n in range(30)]
    splits = read(write("a.csv", as_csv(rows)), labels=setting, split="in_order")
    assert splits.labels == labels
    assert len({e.label for e in everything(splits)}) == len(values)


def test_a_label_that_is_no_number_is_an_empty_label(write: Write, read: Load) -> None:
    lines = [f'{{"text": "review {n}", "label": {("0.0", "1.0", "NaN")[n % 3]}}}' for n in range(9)]
    with pytest.raises(DataError, match='a.jsonl line 3: the label in column "label" is empty'):
        read(write("a.jsonl", "\n".join(lines).encode()))


def test_words_and_numbers_meet_on_the_same_classes(write: Write, read: Load) -> None:
    numbers = read(write("a.csv", as_csv([(f"r {n}", n % 2) for n in range(20)])))
    words = read(write("b.csv", as_csv([(f"r {n}", ("neg", "positive")[n % 2]) for n in range(20)])))
    assert numbers == words


# -- splits -----------------------------------------------------------------------------------------------


def with_copies(count: int) -> bytes:
    rng = Random(5)
    rows = [(f"review {n}", rng.randrange(2)) for n in range(count - count // 5)]
    rows += [rows[rng.randrange(40)] for _ in range(count // 5)]
    rng.shuffle(rows)
    return as_csv(rows)


@pytest.mark.parametrize(("split", "sizes"), [("shuffled", (601, 99, 300)), ("balanced", (400, 40, 300))])
def test_copies_stay_in_one_split_and_counts_are_kept(
    split: str, sizes: tuple[int, int, int], write: Write, read: Load, recorder: Recorder
) -> None:
    path = write("a.csv", with_copies(1000))
    splits = read(path, split=split, train=sizes[0], validation=sizes[1], test=sizes[2])
    assert (len(splits.train), len(splits.validation), len(splits.test)) == sizes
    texts = [{e.text for e in part} for part in (splits.train, splits.validation, splits.test)]
    assert not texts[0] & texts[1] and not texts[0] & texts[2] and not texts[1] & texts[2]
    assert len({e.hash for e in everything(splits)}) == sum(sizes)
    assert "200 of them copies of another" in recorder.notes
    if split == "balanced":
        for part in (splits.train, splits.validation, splits.test):
            assert len(set(class_counts(part, splits.labels).values())) == 1


def test_copies_with_other_labels_stay_together_in_balanced_splits_too(
    write: Write, read: Load, recorder: Recorder
) -> None:
    rows = [(f"review {n // 2}", n % 2) for n in range(40)]
    splits = read(write("a.csv", as_csv(rows)), split="balanced", train=20, validation=0, test=20)
    assert not {e.text for e in splits.train} & {e.text for e in splits.test}
    assert "20 texts carry different labels" in recorder.notes


def test_copies_that_no_split_can_hold_together_are_left_over_or_refused(write: Write, read: Load) -> None:
    path = write("a.csv", as_csv([("same", n % 2) for n in range(20)] + reviews(20)))
    splits = read(path, train=15, validation=0, test=15)
    assert len(splits.train) == len(splits.test) == 15
    assert "same" not in {e.text for e in splits.train} & {e.text for e in splits.test}
    with pytest.raises(DataError, match="the 20 copies of line 2 cannot stand in one split"):
        read(path, train=15, validation=10, test=15)


def test_the_same_seed_deals_the_same_and_another_seed_deals_otherwise(write: Write, read: Load) -> None:
    path = write("a.csv", with_copies(500))
    for split in ("shuffled", "balanced"):
        sizes = {"train": 100, "validation": 20, "test": 100, "split": split}
        assert read(path, seed=3, **sizes) == read(path, seed=3, **sizes)
        assert read(path, seed=3, **sizes).test != read(path, seed=4, **sizes).test


@pytest.mark.parametrize("split", ["shuffled", "balanced"])
def test_more_training_data_leaves_the_test_items_as_they_are(split: str, write: Write, read: Load) -> None:
    path = write("a.csv", with_copies(1000))
    few = read(path, split=split, train=20, validation=10, test=200)
    many = read(path, split=split, train=400, validation=60, test=200)
    assert few.test == many.test
    assert {e.hash for e in few.train} != {e.hash for e in many.train}


@pytest.mark.parametrize(
    ("asked", "sizes"),
    [
        ((0.8, 0.1, 0.1), (83, 10, 10)),
        ((50, 3, 1.0), (50, 3, 50)),
        ((0, 0, 1.0), (0, 0, 103)),
        ((0.5, 0, 7), (51, 0, 7)),
        ((2, 1, 1), (2, 1, 1)),
    ],
)
def test_counts_and_fractions(asked: Any, sizes: Any, write: Write, read: Load) -> None:
    train, validation, test = asked
    splits = read(write("a.csv", as_csv(reviews(103))), split="in_order", train=train, validation=validation, test=test)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == sizes


def test_hashes_are_of_the_cleaned_text_and_copies_are_numbered(write: Write, read: Load) -> None:
    rows = [("a<br />b", 0), ("other", 1), ("a b", 0), ("a  b", 0)]
    splits = read(write("a.csv", as_csv(rows)), split="in_order", train=0, validation=0, test=4)
    digest = hashlib.sha256(b"a b").hexdigest()
    assert [e.hash for e in splits.test if e.text == "a b"] == [digest, f"{digest}#2", f"{digest}#3"]


def test_items_per_split_and_class_are_said(write: Write, read: Load, recorder: Recorder) -> None:
    read(write("a.csv", as_csv(reviews(20))), split="balanced", train=10, validation=2, test=4)
    assert "train: 10 reviews (5 negative, 5 positive)" in recorder.notes
    assert "test: 4 reviews (2 negative, 2 positive)" in recorder.notes
    assert recorder.phases == ["data"]


def test_empty_texts_are_left_out_where_that_is_asked_for_and_counted(
    write: Write, read: Load, recorder: Recorder
) -> None:
    source = write("a.csv", as_csv([*reviews(20), (" ", 0)]))
    splits = read(source, split="in_order", train=0.5, validation=0, test=0.5, empty="drop")
    assert len(splits.train) + len(splits.test) == 20
    assert recorder.events(ev.Dropped) == [ev.Dropped(1, "empty_text", "a.csv")]
    assert '1 text is empty in column "text" (line 22)' in recorder.notes


# -- overlap ----------------------------------------------------------------------------------------------

LEAKY = as_csv([*reviews(10), *reviews(2), *reviews(12)[10:]])
IN_ORDER = {"split": "in_order", "train": 10, "validation": 1, "test": 3}


def test_test_items_found_in_training_are_refused_with_the_way_out(write: Write, read: Load) -> None:
    with pytest.raises(DataError, match=r'1 of 3 test items .* \(the first is line 13\); set data.overlap = "drop"'):
        read(write("a.csv", LEAKY), **IN_ORDER)


def test_overlap_is_dropped_from_training_and_counted(write: Write, read: Load, recorder: Recorder) -> None:
    splits = read(write("a.csv", LEAKY), overlap="drop", **IN_ORDER)
    assert len(splits.train) == 9 and len(splits.test) == 3
    assert recorder.events(ev.Overlap) == [
        ev.Overlap("test", "train", 1, dropped=1, dropped_from="train"),
        ev.Overlap("validation", "train", 1),
    ]


def test_overlap_can_be_allowed_by_name(write: Write, read: Load, recorder: Recorder) -> None:
    assert len(read(write("a.csv", LEAKY), overlap="allow", **IN_ORDER).train) == 10
    assert recorder.events(ev.Overlap)[0] == ev.Overlap("test", "train", 1)


# -- bad input --------------------------------------------------------------------------------------------

GOOD = as_csv(reviews(20))


@pytest.mark.parametrize(
    ("name", "content", "settings", "sentence"),
    [
        ("a.csv", b"", {}, "a.csv is empty"),
        ("a.csv", b"text,label\n", {}, "holds a header and no rows"),
        ("a.txt", b"\0\1\2\3" * 40, {}, "is no text, and of no known format"),
        ("a.csv", GOOD, {"text": "txt"}, 'data.text = "txt": no such column; did you mean "text".*are text, label'),
        ("a.csv", GOOD, {"label": "text", "text": "text"}, "both column"),
        (
            "a.csv",
            as_csv([(f"t {n}", n, n) for n in range(9)], ("a", "b", "c")),
            {},
            "no column is called text or review or sentence; set data.text",
        ),
        ("a.csv", as_csv(reviews(9), ()), {"text": "body"}, 'has no header, so data.text = "body" names nothing'),
        ("a.csv", as_csv([("x", 1), ("y", 1)]), {}, 'every label in column "label" is "1"'),
        ("a.csv", as_csv([("x", 1), (" ", 0), ("<br />", 1)]), {}, r"2 texts are empty .*\(line 3, line 4\); delete"),
        ("a.csv", as_csv([("x", 1), ("y", "")]), {}, "a.csv line 3: the label in column"),
        ("a.csv", b'text,label\n"a\nb",1\n"never closed,1\nc,0\n', {}, "a.csv line 4: the quote that opens here"),
        ("a.csv", b'text,label\nok,1\n"She said "no" twice",0\n', {}, "a.csv line 3: the quote that opens here"),
        ("a.csv", b'text,label\n"two\nlines","tail" x\n', {}, "a.csv line 3: the quote that opens here"),
        ("a.csv", b"text,label\ngood,1\n\none, two,0\n", {}, "a.csv line 4: 3 columns where the first line has 2"),
        ("a.csv", as_csv([("x", "good"), ("y", "bda")]), {"labels": "good,bad"}, 'line 3: label "bda" .*mean "bad"'),
        ("a.csv", as_csv([("x", 0), ("y", 1), ("z", 7)]), {"labels": "good,bad"}, "line 4: label 7 does not fit"),
        ("a.csv", as_csv([(f"r {n}", n / 7) for n in range(200)]), {}, "more than 100 different labels .*data.label"),
        ("a.csv", GOOD, {"train": 15, "validation": 3, "test": 3}, "15 . 3 . 3 = 21 reviews .* there are 20 labelled"),
        ("a.csv", GOOD, {"train": 0.9, "validation": 0.01, "test": 1}, "data.validation = 0.01 leaves no review"),
        ("a.csv", GOOD, {"split": "balanced", "train": 9, "validation": 2, "test": 2}, "9 cannot be .* use 8 or 10"),
        ("a.csv", GOOD, {"split": "official"}, 'no official splits; set data.split = "shuffled"'),
        ("a.csv", as_csv(sorted(reviews(20), key=lambda r: r[1])), {"split": "in_order", "train": 9}, "only .negative"),
        ("a.jsonl", b'{"text": "a", "label": 1}\n{"text": "b"\n', {}, "a.jsonl line 2: not JSON"),
        ("a.jsonl", b'{"text": "a", "label": 1}\n\n{"text": "b", "labl": 0}\n', {}, 'line 3: the key "label" is'),
        ("a.jsonl", b'["a", 1]\n', {}, "object 1 is 'a', not an object"),
        ("a.jsonl", b'{"text": 5, "label": 1}\n', {}, 'line 1: column "text" holds 5, not text'),
        ("a.parquet", b"PAR1 not really", {}, "a.parquet is no readable Parquet file"),
        ("a.parquet", as_parquet([("x", 1), ("", 0)]), {}, r"1 text is empty .*\(row 2\)"),
    ],
)
def test_bad_input_ends_in_one_sentence_with_place_and_remedy(
    name: str, content: bytes, settings: dict[str, Any], sentence: str, write: Write, read: Load
) -> None:
    with pytest.raises(DataError, match=sentence) as raised:
        read(write(name, content), **settings)
    assert "\n" not in str(raised.value)


def test_a_missing_file_names_the_nearest_one(write: Write, read: Load, tmp_path: Path) -> None:
    write("reviews.csv", GOOD)
    with pytest.raises(DataError, match='reviws.csv: no such file; did you mean "reviews.csv"'):
        read(tmp_path / "reviws.csv")
    with pytest.raises(DataError, match="the folder .*nowhere does not exist"):
        read(tmp_path / "nowhere" / "reviews.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no files; check data.source"):
        read(tmp_path / "empty")


def test_a_damaged_gzip_file_is_named(tmp_path: Path, read: Load) -> None:
    for content in (b"no gzip at all", gzip.compress(GOOD)[:-20]):
        (tmp_path / "a.csv.gz").write_bytes(content)
        with pytest.raises(DataError, match="a.csv.gz: damaged gzip file"):
            read(tmp_path / "a.csv.gz")


def test_a_misspelt_quickstart_is_not_looked_for_on_the_hub(read: Load) -> None:
    with pytest.raises(DataError, match='did you mean "quickstart"'):
        read("quikstart")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"train": 1.5}, "data.train = 1.5 is above 1"),
        ({"train": 0, "validation": 0, "test": 0}, "all 0"),
        ({"labels": "one"}, "two or more different classes"),
        ({"labels": "pos,positive"}, "two or more different classes"),
    ],
)
def test_settings_that_do_not_fit_are_refused_without_reading(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Data(**settings).check()


# -- the record of the test items ---------------------------------------------------------------------------


def test_items_are_written_once_for_all_runs_on_them(recorder: Recorder, read: Load, tmp_path: Path) -> None:
    splits = read("quickstart", test=5)
    other = RunFolder(recorder.folder.path.with_name("other"))
    other.path.mkdir()
    for folder in (recorder.folder, other, other):  # a resumed run writes again
        write_items(folder, splits.test, splits.labels)
    lines = [json.loads(line) for line in other.items.read_text(encoding="utf-8").splitlines()]
    assert [(i["hash"], i["row"], i["text"], splits.labels.index(i["label"])) for i in lines] == [
        (e.hash, e.row, e.text, e.label) for e in splits.test
    ]
    (shared,) = recorder.folder.home.items.iterdir()
    assert shared.stem == hashlib.sha256(shared.read_bytes()).hexdigest()
    assert os.path.samefile(recorder.folder.items, other.items)


def test_a_disk_without_links_gets_a_copy(recorder: Recorder, read: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("os.link", no_links)
    splits = read("quickstart", test=5)
    write_items(recorder.folder, splits.test, splits.labels)
    (shared,) = recorder.folder.home.items.iterdir()
    assert recorder.folder.items.read_bytes() == shared.read_bytes()


# -- the hub ----------------------------------------------------------------------------------------------

CARD = b"""---
configs:
- config_name: default
  data_files:
  - {split: train, path: data/train.csv}
  - {split: test, path: data/test.csv}
  - {split: unsupervised, path: data/unsupervised.csv}
dataset_info:
  features:
  - {name: text, dtype: string}
  - name: label
    dtype: {class_label: {names: {'0': neg, '1': pos}}}
---
"""


@pytest.fixture
def dataset(hub: StubHub) -> StubHub:
    hub.repos["datasets/lab/films"] = {
        "README.md": CARD,
        "films.py": b"raise SystemExit('never run')",
        "data/train.csv": as_csv([(f"train {n}<br />", n % 2) for n in range(40)]),
        "data/test.csv": as_csv([(f"test {n}", n % 2) for n in range(20)] + [("train 0", 0)]),
        "data/unsupervised.csv": as_csv([(f"plot {n}", -1) for n in range(10)]),
    }
    return hub


def test_labelled_splits_of_the_hub_are_merged_and_unlabelled_rows_counted(
    dataset: StubHub, read: Load, recorder: Recorder
) -> None:
    splits = read("lab/films", train=0.8, validation=0.1, test=0.1)
    assert splits.labels == ("negative", "positive") and len(everything(splits)) == 61
    assert recorder.events(ev.Dropped) == [ev.Dropped(10, "no_label", "lab/films")]
    assert recorder.phases == ["data", "download", "data"]
    assert Counter(e.text.split()[0] for e in everything(splits)) == {"train": 41, "test": 20}
    assert read("lab/films", train=0.8, validation=0.1, test=0.1) == splits
    assert recorder.phases.count("download") == 1


def test_official_splits_carve_validation_out_of_training_and_refuse_overlap(
    dataset: StubHub, read: Load, recorder: Recorder
) -> None:
    sizes = {"split": "official", "train": 1.0, "validation": 10, "test": 1.0}
    splits = read("lab/films", overlap="allow", **sizes)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (30, 10, 21)
    assert {e.text.split()[0] for e in splits.train + splits.validation} == {"train"}
    with pytest.raises(DataError, match="lab/films: 1 of 21 test items are found in training"):
        read("lab/films", **{**sizes, "validation": 0})
    assert len(read("lab/films", **{**sizes, "validation": 0, "overlap": "drop"}).train) == 39


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"test": 30}, "data.test = 30, its official split holds 21"),
        ({"train": 35, "validation": 10}, "35 . 10 reviews .* official training split holds 40"),
    ],
)
def test_official_sizes_beyond_the_splits_are_refused(
    settings: dict[str, Any], sentence: str, dataset: StubHub, read: Load
) -> None:
    with pytest.raises(DataError, match=sentence):
        read("lab/films", split="official", overlap="allow", **settings)


def test_a_data_set_with_only_a_script_is_refused(hub: StubHub, read: Load) -> None:
    hub.repos["datasets/lab/scripted"] = {"README.md": b"", "scripted.py": b"raise SystemExit('never run')"}
    with pytest.raises(DataError, match=r"holds no CSV, JSON or Parquet files \(data sets made by a script"):
        read("lab/scripted")


def test_a_configuration_is_asked_for_and_taken(hub: StubHub, read: Load) -> None:
    hub.repos["datasets/lab/many"] = {
        "README.md": b"---\nconfigs:\n- {config_name: long, data_files: long.csv}\n"
        b"- {config_name: short, data_files: short.csv}\n---\n",
        "long.csv": as_csv(reviews(40)),
        "short.csv": as_csv(reviews(20)),
    }
    with pytest.raises(DataError, match='configurations long, short; set data.source = "lab/many:long"'):
        read("lab/many")
    assert len(everything(read("lab/many:short"))) == 20


# -- real reviews -------------------------------------------------------------------------------------------


@pytest.mark.real_data
def test_forty_thousand_real_reviews_split_without_a_leak(recorder: Recorder, read: Load) -> None:
    path = REAL / "imdb_40k.csv.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    splits = read(path, train=28_000, validation=4_000, test=8_000)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (28_000, 4_000, 8_000)
    assert class_counts(everything(splits), splits.labels) == {"negative": 19_925, "positive": 20_075}
    texts = [{e.text for e in part} for part in (splits.train, splits.validation, splits.test)]
    assert not texts[0] & texts[2] and not texts[0] & texts[1] and not texts[1] & texts[2]
    assert not any("<br" in e.text for e in everything(splits))


@pytest.mark.real_data
def test_real_sentences_without_header_are_read(recorder: Recorder, read: Load) -> None:
    path = REAL / "sst2_train.tsv"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    assert len(everything(read(path))) == 6_920
