import os
from pathlib import Path

import pytest

from engines.runs.writing import SHARED, open_atomic, write_atomic


def test_a_file_is_not_there_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    with open_atomic(path, SHARED, text=True) as file:
        file.write("a\r\nb\n")
        assert not path.exists()
    assert path.read_bytes() == b"a\r\nb\n" and [p.name for p in tmp_path.iterdir()] == ["x.csv"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_breaks_off_leaves_the_older_file_and_nothing_half_written(
    error: type[BaseException], tmp_path: Path
) -> None:
    path = tmp_path / "x.json"
    write_atomic(path, b"older")
    with pytest.raises(error), open_atomic(path) as file:
        file.write(b"newer")
        raise error
    assert path.read_bytes() == b"older" and [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_a_full_disk_is_told_with_the_name_that_the_file_was_to_get(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    (tmp_path / f".{path.name}.{os.getpid()}").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as refused:
        write_atomic(path, b"x")
    assert refused.value.filename == str(path) and list(tmp_path.iterdir()) == []


def test_files_of_a_home_are_for_its_user_and_others_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_atomic(tmp_path / "home", b"")
        write_atomic(tmp_path / "report", b"", SHARED)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"home": 0o600, "report": 0o644}
