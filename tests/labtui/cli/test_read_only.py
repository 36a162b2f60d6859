"""A home that this user may only read is listed, shown and exported, and nothing is written there."""

import ctypes
import json
import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.runs import processes
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.summary import FINISHED, LOST, RUNNING, summarize
from tests.support import wait_until

NOBODY = 65534
ABOVE_MODES = (1, 2, 3)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
PR_CAPBSET_DROP = 24

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")

Labtui = Callable[..., subprocess.CompletedProcess[str]]


def bound_by_modes() -> None:
    """From the next program on this process is a user like any other, though its number is that of root."""
    for capability in ABOVE_MODES:
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


@pytest.fixture
def labtui(home: Home) -> Labtui:
    """Runs `labtui` on the home as a user whom its modes bind."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "labtui", *arguments]
        return subprocess.run(command, preexec_fn=bound_by_modes, capture_output=True, text=True)  # noqa: PLW1509

    return run


def give_away(folder: Path) -> None:
    """Of somebody else, and open for reading to all."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.chown(path, NOBODY, NOBODY)


def listing(home: Home) -> list[tuple[str, int]]:
    return sorted((str(path), path.stat().st_mtime_ns) for path in home.path.rglob("*"))


def test_finished_runs_of_somebody_else_are_listed_shown_and_exported(
    home: Home, finished: Callable[..., RunFolder], labtui: Labtui
) -> None:
    run, other = finished("a", [[45, 5, 0], [5, 45, 0]]), finished("b", [[40, 10, 0], [10, 40, 0]])
    give_away(home.path)
    before = listing(home)
    answer = labtui("list", "--json")
    assert f"{home.path} belongs to {pwd.getpwuid(NOBODY).pw_name}" in answer.stderr
    listed = json.loads(answer.stdout)
    assert [(entry["run"], entry["state"]) for entry in listed] == [(other.name, FINISHED), (run.name, FINISHED)]
    for arguments in (
        ("show", run.name),
        ("results",),
        ("results", "--format", "csv"),
        ("export", run.name, "--format", "card"),
    ):
        shown = labtui(*arguments)
        assert shown.returncode == 0 and shown.stdout, shown.stderr
    refused = labtui("resume", run.name), labtui("run", "quickstart/bag-of-words")
    assert [answer.returncode for answer in refused] == [2, 1] and "Permission denied" in refused[1].stderr
    assert listing(home) == before


def test_a_living_run_whose_lock_cannot_be_opened_is_told_by_its_process(
    home: Home, scripted: Callable[..., RunFolder], labtui: Labtui
) -> None:
    run = scripted(steps=1000, pause_s=0.02)
    wait_until(lambda: summarize(run).state == RUNNING)
    give_away(home.path)
    run.lock.chmod(0o600)

    def state() -> str:
        return str(json.loads(labtui("list", "--json").stdout)[0]["state"])

    assert state() == RUNNING
    processes.stop(run, "kill")
    wait_until(lambda: not processes.is_alive(run))
    assert state() == LOST


def test_a_run_that_cannot_be_looked_into_is_listed_with_the_reason(
    home: Home, scripted: Callable[..., RunFolder], labtui: Labtui
) -> None:
    run = scripted(start=False)
    give_away(home.path)
    run.path.chmod(0o700)
    listed = labtui("list")
    assert listed.returncode == 0 and run.name in listed.stdout and "Permission denied" in listed.stdout


def test_an_empty_home_that_cannot_be_written_has_no_runs(home: Home, labtui: Labtui) -> None:
    home.path.mkdir()
    give_away(home.path)
    listed = labtui("list", "--json")
    assert (listed.returncode, json.loads(listed.stdout)) == (0, [])
