import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engines.answers import columns, predictions
from engines.answers.predictions import Prediction
from engines.errors import HomeError
from engines.runs import home as homes
from engines.runs import processes
from engines.runs.folder import RunFolder
from engines.runs.home import SHARED_HOME, Home
from engines.runs.serving import Client
from engines.runs.summary import FINISHED, list_runs, summarize
from engines.runs.writing import UMASK, users_umask
from tests.labtui.fabric import finished, make_run
from tests.support import wait_until

SOMEBODY = 12345


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.fixture
def as_user(home: Home, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Act as if this process were of another user than root; `home` is then of the user of that number."""

    def act(owner: int) -> None:
        if os.geteuid() == 0:
            for path in (home.path, *home.path.iterdir()):
                os.chown(path, owner, -1)
            monkeypatch.setattr("os.geteuid", lambda: SOMEBODY)
        elif owner != SOMEBODY:
            monkeypatch.setattr("os.geteuid", lambda: SOMEBODY)

    return act


@pytest.mark.parametrize("mask", [0, 0o022, 0o777])
def test_every_folder_is_for_its_user_alone_whatever_the_umask(
    mask: int, home: Home, umask: Callable[[int], int]
) -> None:
    umask(mask)
    run = make_run(home, finished())
    run.request("stop")
    assert all(folder.is_dir() for folder in (home.runs, home.items, home.cache, home.serving, home.queue))
    for path in (home.path, *home.path.rglob("*")):
        if path.is_dir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o700, path


def test_a_run_leaves_nothing_that_others_can_read(
    home: Home, scripted: Callable[..., RunFolder], umask: Callable[[int], int]
) -> None:
    umask(0)
    run = scripted(steps=3)
    wait_until(lambda: summarize(run).state == FINISHED)
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in (home.path, *home.path.rglob("*"))}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}, modes


def test_what_goes_into_a_cache_that_others_share_follows_the_umask_of_the_user(
    tmp_path: Path, umask: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    umask(0o077)
    monkeypatch.setenv(UMASK, "2")
    with users_umask():
        (tmp_path / "shared").touch()
    (tmp_path / "own").touch()
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("shared", "own")] == [0o664, 0o600]


def test_a_worker_is_told_the_umask_of_its_user(tmp_path: Path, umask: Callable[[int], int]) -> None:
    umask(0o027)
    log = tmp_path / "log"
    fd = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    program = f"import os; print(os.environ['{UMASK}'], oct(os.umask(0)), flush=True)"
    processes.spawn([sys.executable, "-c", program], tmp_path, log, fd)
    os.close(fd)
    wait_until(lambda: log.read_text() == "27 0o77\n")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_in_a_home_of_somebody_else_all_is_read_and_nothing_written(
    home: Home, as_user: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(home, finished())
    predictions.write(run, [Prediction("0" * 64, "negative", "negative", [1.0, 0.0])])
    assert home.serving.is_dir()
    as_user(SOMEBODY + 1)
    before = sorted(home.path.rglob("*"))
    assert [folder.name for folder in list_runs(home)] == [run.name] and summarize(run).state == FINISHED
    assert len(columns.read(run).true) == 1
    writers: list[Callable[[], object]] = [
        lambda: RunFolder.create(home, {"experiment": "x"}),
        lambda: processes.launch(run, ["cpu"]),
        lambda: run.request("stop"),
        lambda: Client(home, run).start(),
    ]
    for write in writers:
        with pytest.raises(HomeError, match=r"belongs to .*; set LABTUI_HOME to a folder of yours"):
            write()
    assert sorted(home.path.rglob("*")) == before
    monkeypatch.setenv(SHARED_HOME, "1")
    assert RunFolder.create(home, {"experiment": "x"}).config.is_file()


@pytest.mark.parametrize("name", ["", "runs"])
@pytest.mark.parametrize("mode", [0o770, 0o702])
def test_a_home_that_others_can_write_in_is_refused_with_the_command_that_mends_it(
    name: str, mode: int, home: Home, as_user: Callable[[int], None]
) -> None:
    assert home.runs.is_dir()
    folder = home.path / name
    as_user(SOMEBODY if os.geteuid() == 0 else os.geteuid())
    folder.chmod(mode)
    with pytest.raises(HomeError, match="can be written by others") as refused:
        RunFolder.create(home, {"experiment": "x"})
    command = str(refused.value).partition("`")[2].partition("`")[0]
    subprocess.run(command, shell=True, check=True)
    assert RunFolder.create(home, {"experiment": "x"}).config.is_file()


def test_a_disk_that_keeps_no_modes_is_no_reason_to_refuse(
    home: Home, as_user: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert home.runs.is_dir() and homes.knows_modes(home.path)
    as_user(SOMEBODY if os.geteuid() == 0 else os.geteuid())
    home.path.chmod(0o777)
    monkeypatch.setattr(homes, "knows_modes", lambda folder: False)
    home.check_writable()


def test_root_may_write_everywhere(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home.runs.is_dir()
    home.path.chmod(0o777)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    home.check_writable()
