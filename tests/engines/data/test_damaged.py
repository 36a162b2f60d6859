"""Files of every format that were damaged on their way: each is read, or refused in one sentence."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import openpyxl
import pyarrow
import pytest
from pyarrow import ipc, parquet

from engines.data import files
from engines.errors import DataError
from tests.support import Silent

ROWS = [(f"review {number}, as it was", number % 2) for number in range(30)]
CSV = "text,label\n" + "".join(f'"{text}",{label}\n' for text, label in ROWS)
TRIES = 60


def workbook() -> bytes:
    book, output = openpyxl.Workbook(), io.BytesIO()
    for row in [("text", "label"), *ROWS]:
        book.worksheets[0].append(row)
    book.save(output)
    return output.getvalue()


def table() -> pyarrow.Table:
    return pyarrow.table({"text": [text for text, _ in ROWS], "label": [label for _, label in ROWS]})


def parquet_file() -> bytes:
    output = io.BytesIO()
    parquet.write_table(table(), output)
    return output.getvalue()


def arrow_file() -> bytes:
    output = io.BytesIO()
    with ipc.new_file(output, table().schema) as writer:
        writer.write_table(table())
    return output.getvalue()


def zip_archive() -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as archive:
        for name in ("train.csv", "test.csv"):
            archive.writestr(name, CSV)
    return output.getvalue()


def tar_archive() -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w:gz") as archive:
        for name in ("train.csv", "test.csv"):
            info = tarfile.TarInfo(name)
            info.size = len(CSV)
            archive.addfile(info, io.BytesIO(CSV.encode()))
    return output.getvalue()


def damaged(content: bytes, random: Random) -> bytes:
    """A few bytes changed, and sometimes the end cut off."""
    changed = bytearray(content)
    for _ in range(random.randint(1, 5)):
        changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed[: random.randrange(len(changed))] if random.random() < 0.3 else changed)


def damaged_inside(content: bytes, random: Random) -> bytes:
    """One member of a zip file damaged, and packed again so that its checksum fits."""
    output = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(output, "w") as target:
        chosen = random.choice(source.namelist())
        for name in source.namelist():
            member = source.read(name)
            target.writestr(name, damaged(member, random) if name == chosen else member)
    return output.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "damage"),
    [
        ("x.xlsx", workbook, damaged),
        ("x.xlsx", workbook, damaged_inside),
        ("x.parquet", parquet_file, damaged),
        ("x.arrow", arrow_file, damaged),
        ("x.zip", zip_archive, damaged),
        ("x.tar.gz", tar_archive, damaged),
        ("x.csv", CSV.encode, damaged),
        ("x.csv.gz", lambda: gzip.compress(CSV.encode()), damaged),
    ],
)
def test_a_damaged_file_is_read_or_refused_in_one_sentence(
    name: str, content: Callable[[], bytes], damage: Callable[[bytes, Random], bytes], tmp_path: Path
) -> None:
    whole, path, refused = content(), tmp_path / name, 0
    path.write_bytes(whole)
    assert len(files.read(path, "", "", Silent()).texts) >= len(ROWS)
    for number in range(TRIES):
        path.write_bytes(damage(whole, Random(f"{name}/{number}")))
        try:
            files.read(path, "", "", Silent())
        except DataError as error:
            refused += 1
            assert name in str(error) and len(str(error).splitlines()) == 1
    assert refused


def test_an_arrow_file_whose_offsets_point_outside_is_refused_before_they_are_followed(tmp_path: Path) -> None:
    content, path = arrow_file(), tmp_path / "x.arrow"
    offsets = pyarrow.py_buffer(b"".join(n.to_bytes(4, "little") for n in [len(ROWS[0][0]), 2 * len(ROWS[0][0])]))
    at = content.index(offsets.to_pybytes())
    path.write_bytes(content[:at] + (1 << 30).to_bytes(4, "little") + content[at + 4 :])
    with pytest.raises(DataError, match=r"x\.arrow is no readable Arrow file"):
        files.read(path, "", "", Silent())
