import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.runs.writing import write_folder
from engines.training import checkpoints


def fill(text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "weights").write_text(text)
        (folder / "position.json").write_text("{}")

    return write


def test_the_newest_checkpoint_is_found_by_the_order_of_writing(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    assert checkpoints.newest_complete(folder) is None
    checkpoints.write(folder, 20, fill("a"))
    last = checkpoints.write(folder, 10, fill("b"))
    assert checkpoints.newest_complete(folder) == last
    assert checkpoints.size_bytes(last) > 2


@pytest.mark.parametrize(
    "damage", ["cut", "changed", "missing", "no manifest", "torn manifest", "no files", "nested", "text", "elsewhere"]
)
def test_a_damaged_checkpoint_is_passed_over_and_named(tmp_path: Path, damage: str) -> None:
    good = checkpoints.write(tmp_path, 1, fill("abcd"))
    torn = checkpoints.write(tmp_path, 2, fill("abcd"))
    manifest = torn / checkpoints.MANIFEST
    match damage:
        case "cut":
            (torn / "weights").write_text("abc")
        case "changed":
            (torn / "weights").write_text("abce")
        case "missing":
            (torn / "weights").unlink()
        case "no manifest":
            manifest.unlink()
        case "torn manifest":
            manifest.write_bytes(manifest.read_bytes()[:-5])
        case "no files":
            manifest.write_text('{"step": 2, "files": {}}')
        case "nested":
            manifest.write_text('{"files": ' + "[" * 100_000)
        case "text":
            manifest.write_text('{"files": {"weights": "whole"}}')
        case "elsewhere":
            manifest.write_text('{"files": {"never/was": {"size_bytes": 0, "sha256": ""}}}')
    named: list[Path] = []
    assert checkpoints.newest_complete(tmp_path, named.append) == good
    assert named == [torn]
    assert checkpoints.of_step(tmp_path, 2) is None and checkpoints.of_step(tmp_path, 1) == good


def test_the_manifest_is_written_after_every_other_file(tmp_path: Path) -> None:
    seen: list[bool] = []

    def look(folder: Path) -> None:
        fill("a")(folder)
        seen.append((folder / checkpoints.MANIFEST).exists())

    path = checkpoints.write(tmp_path, 1, look)
    assert seen == [False]
    assert set(json.loads((path / checkpoints.MANIFEST).read_text())["files"]) == {"weights", "position.json"}


def test_a_write_that_fails_leaves_the_older_ones_and_nothing_else(tmp_path: Path) -> None:
    good = checkpoints.write(tmp_path, 1, fill("a"))

    def full_disk(folder: Path) -> None:
        fill("b")(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        checkpoints.write(tmp_path, 2, full_disk)
    assert list(tmp_path.iterdir()) == [good]


def test_pruning_keeps_the_newest_two_and_the_best(tmp_path: Path) -> None:
    for step in (1, 2, 2, 3, 4, 5):
        checkpoints.write(tmp_path, step, fill(str(step)))
    checkpoints.prune(tmp_path, best_step=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000003-step-2", "000005-step-4", "000006-step-5"]
    checkpoints.prune(tmp_path, best_step=5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000005-step-4", "000006-step-5"]


def test_a_folder_written_again_replaces_the_older_one(tmp_path: Path) -> None:
    write_folder(tmp_path / "model", fill("old"))
    write_folder(tmp_path / "model", fill("new"))
    assert (tmp_path / "model" / "weights").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_a_killed_writer_left_behind_is_removed(tmp_path: Path) -> None:
    torn = tmp_path / ".000001-step-7.partial"
    torn.mkdir()
    (torn / "weights").write_text("half")
    good = checkpoints.write(tmp_path, 9, fill("a"))
    assert list(tmp_path.iterdir()) == [good]
