"""Of a large source a sample shows its columns and what stands in them, whatever it is laid out as."""

import csv
import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.data import files, layouts, table, tables
from engines.data.files import Source
from engines.data.table import Reading
from engines.data.tables import NoSampleError
from engines.errors import DataError
from tests.engines.data.test_layouts import Kept

ROWS = [(f'The "soup",\nserved as order {n}, was warm.', "neg" if n < 300 else "pos") for n in range(600)]


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (table, tables, layouts):
        for name, size in {"WHOLE_BYTES": 2000, "SAMPLE_BYTES": 2000, "SAMPLE_ROWS": 40}.items():
            if hasattr(module, name):
                monkeypatch.setattr(module, name, size)


def sample(path: Path, text: str = "", label: str = "") -> Source:
    return files.read(path, text, label, Kept(), reading=Reading(sample=True))


def commas(rows: list[tuple[str, str]] = ROWS) -> bytes:
    output = io.StringIO()
    csv.writer(output).writerows([("text", "label"), *rows])
    return output.getvalue().encode()


def lines() -> bytes:
    return "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in ROWS).encode()


def array() -> bytes:
    return json.dumps([{"text": text, "label": label} for text, label in ROWS]).encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", commas),
        ("a.csv.gz", lambda: gzip.compress(commas(), 0)),
        ("a.json", lines),
        ("a.json", array),
        ("fast.txt", lambda: "".join(f"__label__{b} {' '.join(a.split())}\n" for a, b in ROWS).encode()),
    ],
)
def test_a_sample_of_a_large_file_is_its_first_rows(tmp_path: Path, name: str, content: Callable[[], bytes]) -> None:
    path = tmp_path / name
    path.write_bytes(content())
    sampled = sample(path)
    assert sampled.sampled and 5 < len(sampled.texts) < 300
    whole = files.read(path, "", "", Kept())
    assert not whole.sampled and len(whole.texts) == 600
    assert sampled.texts == whole.texts[: len(sampled.texts)] and sampled.labels == whole.labels[: len(sampled.labels)]


def test_a_sample_of_a_small_file_is_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(commas(ROWS[:10]))
    sampled = sample(path)
    assert not sampled.sampled and len(sampled.texts) == 10


@pytest.mark.parametrize("layout", ["parquet", "arrow"])
def test_a_sample_of_a_table_without_lines_has_its_first_rows(tmp_path: Path, layout: str) -> None:
    import pyarrow
    from pyarrow import ipc, parquet

    table = pyarrow.table({"text": [f"{text} {n * 7919}" for n, (text, _) in enumerate(ROWS)], "label": [1] * 600})
    path = tmp_path / f"a.{layout}"
    if layout == "parquet":
        parquet.write_table(table, path)
    else:
        with ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table)
    sampled = sample(path)
    assert sampled.sampled and len(sampled.texts) == 40 == len(sampled.labels)


@pytest.mark.parametrize("packed", [False, True])
def test_a_sample_of_class_folders_has_texts_of_every_class(tmp_path: Path, packed: bool) -> None:
    for n, (text, label) in enumerate(ROWS):
        path = tmp_path / "reviews" / ("train" if n % 2 else "test") / label / f"{n}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    source = tmp_path / "reviews"
    if packed:
        source = tmp_path / "reviews.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in sorted((tmp_path / "reviews").rglob("*.txt")):
                archive.write(path, path.relative_to(tmp_path))
    sampled = sample(source)
    assert sampled.sampled and len(sampled.texts) == 4 * layouts.SAMPLE_FILES
    assert set(sampled.labels) == {"neg", "pos"} and set(sampled.parts) == {"train", "test"}


def test_a_sample_of_parallel_files_keeps_texts_beside_their_labels(tmp_path: Path) -> None:
    (tmp_path / "train_text.txt").write_text(
        "".join(f"{label} is the word of {n}\n" for n, (_, label) in enumerate(ROWS))
    )
    (tmp_path / "train_labels.txt").write_text("".join(f"{label}\n" for _, label in ROWS))
    sampled = sample(tmp_path)
    assert sampled.sampled and all(
        text.startswith(label) for text, label in zip(sampled.texts, sampled.labels, strict=True)
    )


def test_a_large_tar_file_has_no_sample(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(commas())
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "a.csv", "a.csv")
    with pytest.raises(NoSampleError):
        sample(tmp_path / "a.tar")


def test_a_wrong_column_shows_in_a_sample(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(commas())
    with pytest.raises(DataError, match='data.label = "labels": no such column; did you mean "label"'):
        sample(tmp_path / "a.csv", label="labels")


def test_a_file_sorted_by_class_with_columns_of_no_usual_name_is_told_by_a_sample(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(commas().replace(b"text,label", b"v2,v1"))
    sampled = sample(tmp_path / "a.csv")
    assert (sampled.text_column, sampled.label_column, set(sampled.labels)) == ("v2", "v1", {"neg"})
