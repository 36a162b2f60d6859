import errno
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from engines.errors import REMEDIES
from engines.runs.home import Home
from labtui.cli import main
from labtui.cli.common import FAILURE, FAULT, INTERRUPTED, USAGE
from tests.labtui.cli.conftest import Captured


def fail(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def list_runs(home: Home) -> None:
        raise error

    monkeypatch.setattr("labtui.cli.runs.list_runs", list_runs)


@pytest.mark.parametrize(
    "number",
    [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EMFILE, errno.ESTALE],
    ids=errno.errorcode.get,
)
def test_an_error_of_the_system_names_command_place_reason_and_remedy(
    number: int, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, OSError(number, os.strerror(number), "/some/where"))
    assert main(["list"]) == FAILURE
    err = capsys.readouterr().err
    assert err == f"labtui list: /some/where: {os.strerror(number)}; {REMEDIES[number]}\n"


def test_a_fault_of_ours_leaves_its_traceback_in_a_file_of_the_home_and_has_an_exit_code(
    home: Home, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert home.runs.is_dir()
    fail(monkeypatch, LookupError("no such luck"))
    assert main(["list"]) == FAULT
    err = capsys.readouterr().err
    (path,) = home.path.glob("fault-*.txt")
    assert err.startswith("labtui list: LookupError: no such luck") and str(path) in err and len(err.splitlines()) == 1
    assert "Traceback" in path.read_text() and path.stat().st_mode & 0o777 == 0o600


def test_the_traceback_goes_to_a_temporary_folder_where_there_is_no_home(
    home: Home, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fail(monkeypatch, LookupError("no such luck"))
    assert main(["list"]) == FAULT
    assert str(tmp_path / "fault-") in capsys.readouterr().err and not home.path.exists()


def test_a_long_message_is_shortened_with_a_count(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(monkeypatch, LookupError("x" * 100_000))
    assert main(["list"]) == FAULT
    err = capsys.readouterr().err
    assert len(err) < 2100 and "characters left out" in err and "the traceback is in" in err


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (RecursionError("maximum recursion depth exceeded"), FAILURE, "nested too deeply"),
        (MemoryError(), FAILURE, "too little free memory"),
        (KeyboardInterrupt(), INTERRUPTED, "go on by themselves"),
    ],
)
def test_what_is_no_fault_of_ours_has_a_sentence_of_its_own(
    error: BaseException, code: int, words: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, error)
    assert main(["list"]) == code
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"seed = " + b"9" * 5000, "Exceeds the limit"),
        (b"x = " + b"[" * 5000, "nested too deeply"),
        (b"x = \xff", "codec can't decode"),
        (b"x = = 1", "Invalid value"),
    ],
)
def test_what_the_parser_of_toml_cannot_read_is_named_with_its_reason(
    content: bytes, reason: str, tmp_path: Path, capsys: Captured
) -> None:
    path = tmp_path / "odd.toml"
    path.write_bytes(content)
    with pytest.raises((ValueError, RecursionError)):
        tomllib.loads(content.decode())
    for command in ("run", "estimate"):
        assert main([command, str(path)]) == USAGE
        err = capsys.readouterr().err
        assert f"{path}: not a TOML file: " in err and reason in err and len(err.splitlines()) == 1


def test_a_full_disk_behind_the_output_is_told_once() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "labtui", "experiments"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == FAILURE
    assert done.stderr == (
        f"labtui experiments: standard output: {os.strerror(errno.ENOSPC)}; {REMEDIES[errno.ENOSPC]}\n"
    )


def test_a_closed_output_or_error_is_no_fault() -> None:
    for closed in (">&-", "2>&-", ">&- 2>&-"):
        done = subprocess.run(f"{sys.executable} -m labtui experiments {closed}", shell=True, capture_output=True)
        assert done.returncode == 0 and done.stderr == b""
