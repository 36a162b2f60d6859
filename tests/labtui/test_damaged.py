"""Whatever anybody leaves in a run folder, the run is listed, its reason is told, and the others are shown."""

import json
import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.reporter import Reporter
from engines.runs import events as ev
from engines.runs.event_files import read_last
from engines.runs.folder import Launch, RunFolder
from engines.runs.home import Home
from engines.runs.scores import Scores
from engines.runs.summary import DAMAGED, FINISHED, LOST, list_runs, summarize
from labtui import narrate
from labtui.cli import main
from labtui.console.feed import _FollowedRun, _ListedRun, _refreshed
from labtui.results.rows import Follower

FILES = ("config.toml", "launch.json", "alive.lock", "events.jsonl")
ODD_VALUES: list[Any] = [None, True, -1, 10**30, 1e300, "x", [], {}, [[[]]], {"a": None}]


def finished(home: Home, name: str) -> RunFolder:
    """A run as a worker leaves it, made by no engine."""
    document = {"experiment": name, "engine": "bag_of_words", "seed": 0, "model": {"name": "m"}, "data": {"test": 4}}
    folder = RunFolder.create(home, document)
    folder.write_launch(Launch(["python"], "host", "boot", 1.0, ["cpu"], 1, 1))
    folder.lock.touch()
    report = Reporter(folder)
    report.started("cpu", 0, "hash", {"torch": "2"})
    report.phase("train", 2, "steps")
    for step in (1, 2):
        report.step(step, 2, step / 2, 0.5, 1e-4)
    report.evaluated("test", Scores(accuracy=0.75), ["a", "b"], [[2, 0, 0], [1, 1, 0]])
    report.repeat(0, "seed", "1", Scores(accuracy=0.75), ["a", "b"], [[2, 0, 0], [1, 1, 0]])
    report.finished()
    report.close()
    return folder


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listener(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))  # an absolute path may be longer than a socket's name


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def folder_there(path: Path) -> None:
    path.mkdir()


ODD_FILES = {"pipe": pipe, "socket": listener, "device": endless, "loop": loop, "folder": folder_there}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, RunFolder, Path]:
    """A home of two runs, one of which will be damaged, and a copy of that one."""
    home = Home(tmp_path_factory.mktemp("home"))
    whole, damaged = finished(home, "whole"), finished(home, "damaged")
    copy = home.path / "copy"
    shutil.copytree(damaged.path, copy)
    assert [summarize(f).state for f in (whole, damaged)] == [FINISHED] * 2
    return home, damaged, copy


def restore(damaged: RunFolder, copy: Path) -> None:
    shutil.rmtree(damaged.path)
    shutil.copytree(copy, damaged.path)


def show_everything(home: Home, damaged: RunFolder) -> str:
    """The state of the damaged run, after all that reads it has shown it and the other one."""
    assert len(list_runs(home)) == 2
    json.dumps([summarize(f).as_dict() for f in list_runs(home)])
    follower = Follower(home)
    assert "whole" in [row.experiment for row in follower.scored()]
    summary = summarize(damaged)
    list(narrate.describe(summary))
    for kind in (_ListedRun, _FollowedRun):
        run = kind(damaged)
        while _refreshed(run):
            pass
        assert run.view.state == summary.state
        assert summary.damage in run.view.damage  # who follows a run reads all of it, a list mostly its end
    if summary.state == DAMAGED:
        assert summary.damage and "Error:" not in summary.damage  # foreseen, with a sentence
    return summary.state


@pytest.mark.timeout(60)
@pytest.mark.parametrize("odd", ODD_FILES)
@pytest.mark.parametrize("file", ("config.toml", "alive.lock", "events.jsonl"))
def test_what_is_no_file_is_named_and_never_waited_for(
    seen: tuple[Home, RunFolder, Path], file: str, odd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, damaged, copy = seen
    restore(damaged, copy)
    monkeypatch.chdir(damaged.path)
    (damaged.path / file).unlink()
    ODD_FILES[odd](damaged.path / file)
    state = show_everything(home, damaged)
    if (file, odd) == ("alive.lock", "socket") or (file, odd) == ("alive.lock", "loop"):
        assert state == FINISHED  # nobody can hold it
    else:
        assert state == DAMAGED and summarize(damaged).damage.startswith(f"{file}: ")


def garbled(data: bytes, at: int, junk: bytes) -> bytes:
    at %= len(data) + 1
    return data[:at] + junk + data[at + len(junk) :]


def cut(data: bytes, at: int, junk: bytes) -> bytes:
    return data[: at % (len(data) + 1)]


def inserted(data: bytes, at: int, junk: bytes) -> bytes:
    lines = data.split(b"\n")
    lines.insert(at % len(lines), junk)
    return b"\n".join(lines)


def nested(data: bytes, at: int, junk: bytes) -> bytes:
    return inserted(data, at, b'{"seq":0,"time":1,"kind":"note","text":' + b"[" * 50_000)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(FILES),
    st.sampled_from([garbled, cut, inserted, nested]),
    st.integers(0, 5000),
    st.binary(max_size=20),
)
def test_no_damaged_byte_hides_a_run_or_breaks_what_shows_it(
    seen: tuple[Home, RunFolder, Path], file: str, damage: Callable[..., bytes], at: int, junk: bytes
) -> None:
    home, damaged, copy = seen
    restore(damaged, copy)
    (damaged.path / file).write_bytes(damage((copy / file).read_bytes(), at, junk))
    assert show_everything(home, damaged) in (FINISHED, DAMAGED, LOST)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 6), st.integers(0, 12), st.sampled_from(ODD_VALUES), st.booleans())
def test_a_field_of_another_type_makes_its_line_a_bad_one(
    seen: tuple[Home, RunFolder, Path], line: int, field: int, value: Any, inside: bool
) -> None:
    home, damaged, copy = seen
    restore(damaged, copy)
    lines = [json.loads(text) for text in (copy / "events.jsonl").read_text().splitlines()]
    target = lines[line % len(lines)]
    if inside and "scores" in target:
        target = target["scores"]
    target[list(target)[field % len(target)]] = value
    damaged.events.write_text("".join(json.dumps(text) + "\n" for text in lines))
    show_everything(home, damaged)


@pytest.mark.parametrize(
    ("kind", "field", "value", "said"),
    [
        ("finished", "scores", {"accuracy": "0.9"}, "line 7: finished: no scores: accuracy: expected `float | null`"),
        ("finished", "items", 10**400, "line 7: finished"),
        ("finished", "confusion", [[1, 0]], "line 7: finished: confusion: not 2 rows"),
        ("step", "time", 1e300, "line 3: time: "),
        ("step", "loss", "low", "line 3: step: loss: expected `float`, got `str`"),
    ],
)
def test_the_reason_names_file_line_and_field(
    home: Home, kind: str, field: str, value: Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finished(home, "one")
    lines = [json.loads(text) for text in folder.events.read_text().splitlines()]
    next(values for values in lines if values["kind"] == kind)[field] = value
    folder.events.write_text("".join(json.dumps(text) + "\n" for text in lines[: -1 if kind == "step" else None]))
    summary = summarize(folder)
    assert summary.state == DAMAGED and said in summary.damage and summary.damage.startswith("events.jsonl: ")
    assert main(["list"]) == 0
    assert said in capsys.readouterr().out


def test_a_fault_of_the_program_shows_as_one_damaged_row(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, other = finished(home, "whole"), finished(home, "other")
    real = read_last

    def faulty(path: Path, *more: int) -> list[ev.Record]:
        if path == other.events:
            raise ZeroDivisionError("of ours")
        return real(path, *more)

    for module in list(sys.modules.values()):
        if getattr(module, "read_last", None) is real:
            monkeypatch.setattr(module, "read_last", faulty)
    assert summarize(whole).state == FINISHED
    assert (summarize(other).state, summarize(other).damage) == (DAMAGED, "ZeroDivisionError: of ours")
    follower = Follower(home)
    assert [row.run for row in follower.scored()] == [whole.name] and list(follower.damaged) == [other.name]
    run = _ListedRun(other)
    assert not _refreshed(run) and run.view.damage == "ZeroDivisionError: of ours"


def test_a_name_that_is_no_utf8_is_listed(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finished(home, "one")
    os.rename(os.fsencode(folder.path), os.fsencode(folder.path.parent) + b"/2026-\xff\xfe-abcd")
    assert main(["list"]) == 0 and main(["list", "--json"]) == 0
    assert "abcd" in capsys.readouterr().out
