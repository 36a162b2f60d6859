from pathlib import Path

import pytest

from engines.data import files
from engines.data.table import Table
from engines.data.tables import read_table
from engines.errors import DataError
from engines.importing import importer
from engines.runs import events as ev
from engines.runs.home import Home


class Kept:
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str, level: str = "info") -> None:
        self.notes.append(text)

    def fact(self, fact: ev.Fact) -> None:
        raise AssertionError(fact)


def table(path: Path, content: str, **options: bool) -> Table:
    path.write_text(content)
    has_header = options.get("header", True)
    return read_table(path, Kept(), header=lambda rows: has_header)


def test_a_row_of_csv_stands_on_the_line_on_which_it_begins(tmp_path: Path) -> None:
    read = table(tmp_path / "a.csv", '\n id ,text\n1,"two\nlines"\n\n2,one\n')
    assert read.columns == ["id", "text"] and read.header_place == "a.csv line 2"
    assert (read.values(0), read.values(1), list(read.lines)) == (["1", "2"], ["two\nlines", "one"], [3, 6])


def test_the_columns_of_a_file_without_header_are_numbered(tmp_path: Path) -> None:
    read = table(tmp_path / "a.tsv", "fine\t1\ndull\t0\n", header=False)
    assert (read.columns, read.header_place, read.values(1)) == (["1", "2"], "", ["1", "0"])


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_columns_of_one_name_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f'{name} line 1: the column "a" stands there 2 times'):
        table(tmp_path / name, "a,a\n1,2\n".replace(",", "\t" if name == "a.tsv" else ","))


def test_only_a_key_that_is_asked_for_has_to_stand_in_every_line(tmp_path: Path) -> None:
    read = table(tmp_path / "a.jsonl", '{"text": "a", "id": 1}\n\n{"text": "b"}\n')
    assert read.values(0) == ["a", "b"] and list(read.lines) == [1, 3]
    with pytest.raises(DataError, match='a.jsonl line 3: the key "id" is missing'):
        read.values(1)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", b'text,label\n"open,1\n', "a.csv line 2: the quote that opens here is never closed"),
        ("a.csv", b"text,label\n1,2,3\n", "a.csv line 2: 3 columns where the first line has 2"),
        (
            "a.csv",
            b"text,label\n1,2\n1\n",
            'a.csv line 3: 1 columns where the first line has 2, the column "label" is missing',
        ),
        ("a.jsonl", b'{"text": "a"}\n[1]\n', "a.jsonl line 2: not an object"),
        ("a.parquet", b"PAR1", "a.parquet is no readable Parquet file"),
        ("a.csv.gz", b"text,label\n", "damaged gzip file"),
    ],
)
def test_training_data_and_imports_are_refused_with_the_same_sentence(
    home: Home, tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=sentence) as training:
        files.read(path, "", "", Kept())
    with pytest.raises(DataError) as importing:
        importer.import_file(home, path, Kept())
    assert str(importing.value) == str(training.value)
