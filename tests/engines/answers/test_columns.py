import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engines.answers import columns
from engines.answers.variant import Variant
from engines.errors import UserError
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.writing import write_atomic
from tests.support.answered import answered, item_hash

N, P = "negative", "positive"


def garble_lines(folder: RunFolder) -> None:
    """Whoever still reads the lines fails; their file has the size and the time it had."""
    status = folder.predictions.stat()
    folder.predictions.write_bytes(b"x" * status.st_size)
    os.utime(folder.predictions, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_columns_hold_what_the_lines_say(home: Home) -> None:
    folder = answered(home, [P, N, P], [P, None, N], labels=(P, N), sure={0: 0.75})
    answers = columns.read(folder)
    assert answers.labels == (P, N), "the order is that of the classes, not of the alphabet"
    assert answers.rows == (("", 0),)
    assert answers.hashes.tolist() == [item_hash(n).encode() for n in range(3)]
    assert answers.true.tolist() == [0, 1, 0]
    assert answers.predicted.tolist() == [[0, -1, 1]]
    np.testing.assert_allclose(answers.probabilities, [[[0.75, 0.25], [np.nan, np.nan], [0.1, 0.9]]], rtol=1e-6)
    assert answers.tokens_read.tolist() == [[10, 11, 12]]
    assert [c.dtype for c in (answers.true, answers.predicted, answers.probabilities, answers.tokens_read)] == [
        np.int16,
        np.int16,
        np.float32,
        np.int32,
    ]
    assert answers.text(0, 0) is None


def test_the_stored_columns_are_the_built_ones(home: Home) -> None:
    folder = answered(home, [P, N, P], [P, N, None], [N, N, P], written={0: "", 2: "Ünsure"})
    built, stored = columns.write(folder), columns.read(folder)
    assert (built.labels, built.rows, built.test_set) == (stored.labels, stored.rows, stored.test_set)
    for name, column in built.columns.items():
        np.testing.assert_array_equal(column, stored.columns[name])
    for answers in (built, stored):
        assert [answers.text(r, n) for r in range(2) for n in range(3)] == ["", None, "Ünsure", None, None, None]


def test_a_tuned_model_is_the_runs_own_and_comes_before_the_original(home: Home) -> None:
    answers = columns.read(answered(home, [P, N], [P, N], original=[N, N]))
    assert answers.rows == ((Variant.OWN, 0), (Variant.BEFORE, 0))
    assert answers.predicted.tolist() == [[1, 0], [0, 0]]


def test_answers_without_probabilities_or_tokens_are_read(home: Home) -> None:
    answers = columns.read(answered(home, [P, N], [P, "something else"], bare=True))
    assert answers.predicted.tolist() == [[1, -1]]
    assert np.isnan(answers.probabilities).all() and answers.tokens_read.tolist() == [[-1, -1]]


def test_fresh_columns_spare_the_reading_of_the_lines(home: Home) -> None:
    folder = answered(home, [P, N], [P, N])
    columns.write(folder)
    garble_lines(folder)
    answers = columns.read(folder)
    assert (answers.predicted == [[1, 0]]).all() and len(answers.hashes) == 2


def cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def spoil_a_column(path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = data.index(item_hash(1).encode())
    data[at : at + 4] = b"torn"
    path.write_bytes(data)


def pack_in_an_unknown_way(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for entry in re.finditer(rb"PK\x01\x02", bytes(data)):
        data[entry.start() + 8] |= 0x20  # a flag of the zip format that nothing here unpacks
    path.write_bytes(data)


def put_a_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(["not", "to", "be", "read"]))


@pytest.mark.parametrize(
    "damage",
    [
        cut_in_half,
        spoil_a_column,
        pack_in_an_unknown_way,
        put_a_pickle,
        Path.unlink,
        lambda path: path.write_bytes(b""),
    ],
)
def test_missing_and_torn_columns_are_built_anew(home: Home, damage: Callable[[Path], None]) -> None:
    folder = answered(home, [P, N, P], [P, N, N])
    columns.write(folder)
    damage(folder.predictions_columns)
    answers = columns.read(folder)
    assert answers.predicted.tolist() == [[1, 0, 0]]
    assert answers.hashes.tolist() == [item_hash(n).encode() for n in range(3)]


def test_columns_of_older_lines_are_built_anew(home: Home) -> None:
    folder = answered(home, [P, N], [P, N])
    columns.write(folder)
    lines = folder.predictions.read_bytes()
    write_atomic(folder.predictions, lines.replace(b'"predicted": "negative"', b'"predicted": "positive"'))
    assert len(lines) == folder.predictions.stat().st_size, "the size alone does not tell"
    assert columns.read(folder).predicted.tolist() == [[1, 1]]
    assert columns.read(folder).predicted.tolist() == [[1, 1]]


def test_a_folder_that_takes_no_file_is_no_obstacle(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = answered(home, [P, N], [P, N])

    def refuse(path: Path, data: bytes) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(columns, "write_atomic", refuse)
    assert columns.read(folder).predicted.tolist() == [[1, 0]]
    assert not folder.predictions_columns.exists()


def test_the_test_set_is_the_items_and_their_labels_in_whatever_order(home: Home) -> None:
    def test_set(*truth: str, **more: list[int] | tuple[str, ...]) -> str:
        return columns.read(answered(home, truth, truth, **more)).test_set  # type: ignore[arg-type]

    assert test_set(P, N, N) == test_set(P, N, N, order=[2, 0, 1]) == test_set(P, N, N, labels=(P, N))
    assert len({test_set(P, N, N), test_set(P, N, P), test_set(P, N), test_set(P, N, N, hashes=("a", "b", "c"))}) == 4


def test_answers_that_are_not_one_to_each_item_are_refused(home: Home) -> None:
    folder = answered(home, [P, N], [P, N], [P, N])
    lines = folder.predictions.read_bytes().splitlines(keepends=True)
    write_atomic(folder.predictions, b"".join(lines[:3]))
    with pytest.raises(UserError, match="1 answers of repeat 2, to 1 of the 2 items"):
        columns.read(folder)  # a lacking answer is no invalid one
    write_atomic(folder.predictions, b"".join([*lines, lines[0]]))
    with pytest.raises(UserError, match="3 answers of repeat 1, to 2 of the 2 items"):
        columns.read(folder)


def test_an_item_with_two_labels_is_refused(home: Home) -> None:
    folder = answered(home, [P, N], [P, N], [P, N])
    lines = folder.predictions.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"label": "positive"', b'"label": "negative"')
    write_atomic(folder.predictions, b"".join(lines))
    with pytest.raises(UserError, match="line 3 of predictions.jsonl is no answer"):
        columns.read(folder)


def test_answers_that_change_while_they_are_read_are_never_mixed(home: Home) -> None:
    folder = answered(home, [P, N] * 2000, [P, N] * 2000)
    columns.write(folder)
    answers = columns.read(folder)
    cut_in_half(folder.predictions_columns)  # the open file is the same
    write_atomic(folder.predictions, b"".join(folder.predictions.read_bytes().splitlines(keepends=True)[:2]))
    with pytest.raises(UserError, match="changed while they were read; ask again"):
        _ = answers.hashes
    assert len(columns.read(folder).hashes) == 2


@pytest.mark.parametrize(
    "line", [b'{"hash": "a", "label": "negative"', b"[]", b'{"hash": "a", "label": "neutral", "predicted": null}']
)
def test_a_line_that_is_no_answer_is_named(home: Home, line: bytes) -> None:
    folder = answered(home, [P, N], [P, N])
    write_atomic(folder.predictions, folder.predictions.read_bytes() + line + b"\n")
    with pytest.raises(UserError, match=rf"{folder.name}: line 3 of predictions.jsonl is no answer"):
        columns.read(folder)


def test_a_run_without_answers_says_so(home: Home) -> None:
    folder = answered(home, [P, N], [P, N])
    columns.write(folder)
    write_atomic(folder.predictions, b"")
    with pytest.raises(UserError, match="has no answers: predictions.jsonl is empty"):
        columns.read(folder)
    folder.predictions.unlink()
    with pytest.raises(UserError, match="has no answers: predictions.jsonl is missing"):
        columns.read(folder)


def test_a_run_whose_events_name_no_classes_says_so(home: Home) -> None:
    folder = answered(home, [P, N], [P, N])
    write_atomic(folder.events, b"")
    with pytest.raises(UserError, match="its events name no classes"):
        columns.read(folder)


def test_the_classes_are_found_before_the_run_has_ended(home: Home) -> None:
    folder = answered(home, [P, N], [P, N], labels=(P, N), finish=False)
    assert columns.read(folder).labels == (P, N)


def test_a_copied_run_folder_needs_no_new_columns(home: Home) -> None:
    folder = answered(home, [P, N], [P, N])
    columns.write(folder)
    copy = RunFolder(shutil.copytree(folder.path, folder.path.with_name("copy")))
    garble_lines(copy)
    assert columns.read(copy).predicted.tolist() == [[1, 0]]


def test_the_hash_of_a_copy_keeps_its_number(home: Home) -> None:
    folder = answered(home, [P, P], [P, N], hashes=(item_hash(0), f"{item_hash(0)}#2"))
    assert columns.read(folder).hashes.tolist() == [item_hash(0).encode(), f"{item_hash(0)}#2".encode()]
    assert json.loads(folder.predictions.read_text().splitlines()[1])["hash"].endswith("#2")
