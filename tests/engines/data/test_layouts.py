"""Data as it ships: what a file, a folder or an archive holds is told by its content."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.data import files
from engines.data.files import Source
from engines.errors import DataError
from engines.runs import events as ev

ROWS = [("neg" if n % 2 else "pos", f"The soup, order {n}, was warm.") for n in range(20)]
REAL = Path(__file__).parents[4] / "shared" / "cases"


class Kept:
    """Notes that can be read again."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.facts: list[ev.Fact] = []

    def note(self, text: str, level: str = "info") -> None:
        self.texts.append(text)

    def fact(self, fact: ev.Fact) -> None:
        self.facts.append(fact)

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


def read(path: Path, text: str = "", label: str = "", notes: Kept | None = None) -> Source:
    return files.read(path, text, label, notes or Kept())


def pairs(source: Source) -> list[tuple[str, str]]:
    return list(zip(source.labels, source.texts, strict=True))


def tabs() -> bytes:
    return "".join(f"{label}\t{text}\n" for label, text in ROWS).encode()


def json_lines() -> bytes:
    return "".join(json.dumps({"text": text, "label": label}) + "\n" for label, text in ROWS).encode()


CONTENTS: dict[str, Callable[[], bytes]] = {
    "tabs": tabs,
    "json lines": json_lines,
    "json array": lambda: json.dumps([{"text": t, "label": label} for label, t in ROWS], indent=1).encode(),
    "semicolons": lambda: b"label;text\n" + "".join(f'{label};"{text}"\n' for label, text in ROWS).encode(),
    "excel's first line": lambda: b"sep=;\r\nlabel;text\r\n" + "".join(f"{a};{b}\r\n" for a, b in ROWS).encode(),
    "fasttext": lambda: "".join(f"__label__{label} {text}\n" for label, text in ROWS).encode(),
    "utf-16": lambda: tabs().decode().encode("utf-16"),
    "utf-16 without a mark": lambda: tabs().decode().encode("utf-16-le"),
}


@pytest.mark.parametrize("name", ["reviews.txt", "reviews.data", "Reviews", "reviews.csv"])
@pytest.mark.parametrize("content", CONTENTS)
def test_a_file_is_read_by_its_content_whatever_it_is_called(tmp_path: Path, content: str, name: str) -> None:
    (tmp_path / name).write_bytes(CONTENTS[content]())
    assert pairs(read(tmp_path / name)) == ROWS


def test_questions_with_labels_in_two_steps_give_either(tmp_path: Path) -> None:
    path = tmp_path / "train_5500.label"
    path.write_bytes("HUM:ind Who drank the café au lait ?\nLOC:city Where is Lyon ?\n".encode("cp1252") * 3)
    notes = Kept()
    assert read(path, notes=notes).labels == ["HUM:ind", "LOC:city"] * 3
    assert read(path, label="coarse").labels[:2] == ["HUM", "LOC"] and read(path, label="fine").labels[1] == "city"
    assert read(path).texts[0] == "Who drank the café au lait ?" and '"café"' in notes.text


def fill(root: Path, items: dict[str, str]) -> Path:
    for name, text in items.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


REVIEWS = {
    **{f"train/{label}/{n}_7.txt": text for n, (label, text) in enumerate(ROWS[:12])},
    **{f"test/{label}/{n}_2.txt": text for n, (label, text) in enumerate(ROWS[12:])},
    "train/unsup/0_0.txt": "No label here.",
    "README": "About these reviews.",
    "train/urls_pos.txt": "an address\n",
}


def packed(root: Path, path: Path) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(root.rglob("*")):
                archive.write(file, file.relative_to(root.parent))
    else:
        with tarfile.open(path, "w:gz") as archive:
            archive.add(root, root.name)
    return path


@pytest.mark.parametrize("form", ["folder", "the folder above", "reviews.zip", "reviews.tar.gz"])
def test_a_folder_a_class_is_read_with_its_splits_and_without_what_has_no_label(tmp_path: Path, form: str) -> None:
    root = fill(tmp_path / "above" / "aclImdb", REVIEWS)
    path = {"folder": root, "the folder above": root.parent}.get(form) or packed(root, tmp_path / form)
    notes = Kept()
    source = read(path, notes=notes)
    assert sorted(pairs(source)) == sorted(ROWS)
    assert source.parts == ["train"] * 12 + ["test"] * 8 and notes.facts == [ev.Dropped(1, "no_label", source.name)]
    assert source.place(0).endswith("train/neg/11_7.txt")


def test_a_folder_a_class_needs_no_splits(tmp_path: Path) -> None:
    root = fill(tmp_path / "mail", {f"{label}/{n}.txt": text for n, (label, text) in enumerate(ROWS)})
    source = read(root)
    assert sorted(pairs(source)) == sorted(ROWS) and source.parts == []


def test_what_datasets_saves_is_read_with_its_splits_and_class_names(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    rows = {"text": [text for _, text in ROWS], "label": [label for label, _ in ROWS]}
    one = datasets.Dataset.from_dict(rows, features)
    datasets.DatasetDict({"train": one, "test": one.select(range(4))}).save_to_disk(tmp_path / "saved")
    one.save_to_disk(tmp_path / "single")
    source = read(tmp_path / "saved")
    assert source.parts == ["train"] * 20 + ["test"] * 4 and source.class_names == ("neg", "pos")
    assert source.labels[:2] == [1, 0] and source.texts[20] == source.texts[0]
    assert read(tmp_path / "single").parts == []
    (arrow,) = (tmp_path / "single").glob("*.arrow")
    assert read(arrow).class_names == ("neg", "pos")


def test_texts_and_labels_in_two_files_are_read_line_by_line(tmp_path: Path) -> None:
    root = fill(
        tmp_path / "pair",
        {
            "train_text.txt": "".join(f"{text}\n" for _, text in ROWS),
            "train_labels.txt": "".join(f"{int(label == 'pos')}\n" for label, _ in ROWS),
            "val_text.txt": "one\ntwo\n",
            "val_labels.txt": "0\n1\n",
            "mapping.txt": "0\tdull\n1\tlively\n",
        },
    )
    source = read(root)
    assert source.parts == ["train"] * 20 + ["validation"] * 2 and source.class_names == ("dull", "lively")
    assert source.labels[:2] == ["1", "0"] and source.place(21).endswith("val_text.txt line 2")
    (root / "val_labels.txt").write_text("0\n")
    with pytest.raises(DataError, match="val_text.txt has 2 lines and val_labels.txt 1; each text needs one label"):
        read(root)


def test_tables_named_after_splits_are_one_source(tmp_path: Path) -> None:
    root = fill(
        tmp_path / "set",
        {
            "train.csv": "text,label\na,1\nb,0\n",
            "test.csv": "text,label\nc,1\n",
            "dev.csv": "text,label\nd,0\n",
            "README.md": "x",
        },
    )
    source = read(root)
    assert (source.texts, source.parts) == (["a", "b", "d", "c"], ["train", "train", "validation", "test"])
    assert source.place(1).endswith("train.csv line 3")
    (root / "more.csv").write_text("text,label\ne,1\n")
    with pytest.raises(DataError, match="4 tables .*not named after splits; set data.source to one of them"):
        read(root)


def test_several_text_columns_are_read_as_one(tmp_path: Path) -> None:
    path = tmp_path / "news.csv"
    path.write_text("class,title,description\n3,Oil rises,Prices went up.\n4,New phone,\n")
    assert read(path, "title,description", "class").texts == ["Oil rises Prices went up.", "New phone"]
    with pytest.raises(DataError, match='data.text = "titel": no such column; did you mean "title"'):
        read(path, "titel,description", "class")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"text,label\n" + b"a,1,0\n" * 3, "every row has 3, as pandas writes a table with its index"),
        (b"text,label\na,1\nb\n", 'line 3: 1 columns where the first line has 2, the column "label" is missing'),
        (b'text,label\na,1\n"b "c" d",1\n', "line 3: the quote that opens here is never closed"),
        (b"text,label\na,1\nb, c,1\n", "line 3: 3 columns where the first line has 2; put a text that holds commas"),
        (b"__label__a __label__b two at once\n", "line 1: several labels on one text"),
        (b'{"text": "a", "label": ' + b"[" * 100_000, "line 1: JSON nested too deeply"),
        (b"PAR1" + b" " * 90 + b"PAR1", "is no readable Parquet file"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_remedy_of_its_case(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    (tmp_path / "a.data").write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        read(tmp_path / "a.data")


def test_columns_without_a_name_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "spam.csv").write_text("v1,v2,,\n" + "ham,see you there later,,\nspam,win a prize now\n" * 4)
    notes = Kept()
    assert read(tmp_path / "spam.csv", notes=notes).labels == ["ham", "spam"] * 4
    assert 'column "v2" is taken for the text and "v1" for the label' in notes.text


def zipped(path: Path, name: str, content: bytes = b"x", mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "mode", "sentence"),
    [
        ("../../etc/passwd", b"x", 0, "leads out of the archive"),
        ("/etc/passwd", b"x", 0, "leads out of the archive"),
        ("pos/1.txt", b"/etc/passwd", 0o120777, "is a link or device"),
        ("inner.zip", b"x", 0, "is an archive itself"),
        ("pos/1.txt", b"\0" * (8 << 20), 0, "unpacks to .* times its size"),
    ],
)
def test_an_archive_that_is_not_to_be_trusted_is_not_read(
    tmp_path: Path, name: str, content: bytes, mode: int, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        read(zipped(tmp_path / "a.zip", name, content, mode))


def test_a_link_in_a_tar_file_is_not_followed(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link = tarfile.TarInfo("pos/1.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("neg/1.txt"), io.BytesIO())
    with pytest.raises(DataError, match="is a link or device"):
        read(tmp_path / "a.tar")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tgz"])
def test_a_damaged_archive_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 no archive" if name.endswith("zip") else b"\x1f\x8b no archive")
    with pytest.raises(DataError, match=f"{name}.*damaged"):
        read(tmp_path / name)


def test_a_folder_in_no_known_layout_says_what_would_do(tmp_path: Path) -> None:
    fill(tmp_path / "things", {"notes.md": "x", "more/notes.md": "y"})
    with pytest.raises(DataError, match="laid out in no known way .*give every class a folder of text files"):
        read(tmp_path / "things")


def test_a_workbook_is_read_by_its_first_sheet(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["label", "text"])
    for row in ROWS:
        book.active.append(row)
    book.save(tmp_path / "reviews.xlsx")
    assert pairs(read(tmp_path / "reviews.xlsx")) == ROWS
