import os
from collections.abc import Callable

import pytest

from engines.errors import RunNotFoundError
from engines.reporter import Reporter
from engines.runs import events as ev
from engines.runs import locks
from engines.runs.event_files import EventReader, read_all
from engines.runs.folder import Launch, RunFolder
from engines.runs.home import Home
from engines.runs.scores import Scores
from engines.runs.summary import (
    FINISHED,
    LOST,
    QUEUED,
    RUNNING,
    STOPPED,
    find_run,
    list_runs,
    open_summary,
    read_end,
    summarize,
)

Scripted = Callable[..., RunFolder]


def test_a_run_without_events_and_without_life_is_lost(scripted: Scripted) -> None:
    assert summarize(scripted(start=False)).state == LOST


def test_state_follows_the_last_event_while_the_lock_is_held(scripted: Scripted) -> None:
    folder = scripted(start=False)
    fd = locks.try_lock(folder.lock)
    assert fd is not None
    assert summarize(folder).state == QUEUED
    report = Reporter(folder)
    report.queued(["cpu"], 3)
    assert (summarize(folder).state, summarize(folder).ahead) == (QUEUED, 3)
    report.started("cpu", 0, "", {})
    report.phase("train", 100, "steps")
    for step in range(1, 21):
        report.step(step, 100, step / 100, 0.5, 1e-4)
    running = summarize(folder)
    assert (running.state, running.phase, running.done, running.total, running.loss) == (RUNNING, "train", 20, 100, 0.5)
    assert running.eta_s is not None
    report.evaluated("validation", Scores(accuracy=0.9), ["a", "b"], [[9, 1, 0], [1, 9, 0]])
    assert summarize(folder).accuracy == 0.9
    os.close(fd)
    assert summarize(folder).state == LOST


def ended(folder: RunFolder) -> ev.Record:
    report = Reporter(folder)
    report.started("cpu", 0, "", {})
    report.stopped("asked")
    report.close()
    end = read_end(folder)
    assert end is not None
    return end


@pytest.mark.parametrize("clock_s", [-86400.0, 0.0, 86400.0])
def test_an_ended_run_is_queued_again_only_when_it_was_launched_after_its_end_whatever_the_clock_says(
    scripted: Scripted, clock_s: float
) -> None:
    folder = scripted(start=False)
    end = ended(folder)

    def state(last_seq: int) -> str:
        folder.write_launch(Launch([], "host", "boot", end.time + clock_s, ["cpu"], number=1, last_seq=last_seq))
        return summarize(folder).state

    assert state(end.seq) == STOPPED, "nobody works on it"
    fd = locks.try_lock(folder.lock)
    assert fd is not None
    assert [state(last_seq) for last_seq in (-1, end.seq - 1, end.seq)] == [STOPPED, STOPPED, QUEUED]
    os.close(fd)


def test_a_launch_of_an_earlier_version_is_told_from_the_end_by_the_clock(scripted: Scripted) -> None:
    folder = scripted(start=False)
    end = ended(folder)
    fd = locks.try_lock(folder.lock)
    assert fd is not None

    def state(launched: float) -> str:
        folder.write_launch(Launch([], "host", "boot", launched, ["cpu"]))
        return summarize(folder).state

    assert [state(end.time + later) for later in (-1.0, 0.0, 0.001)] == [STOPPED, STOPPED, QUEUED]
    os.close(fd)


def test_runs_are_listed_as_they_were_made_and_those_of_before_that_was_written_down_come_last(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = iter(["20260102-b-0001", "20260101-a-0002", "20250101-old-0003", "20250102-old-0004"])
    monkeypatch.setattr(home, "new_run_name", lambda name: next(names))
    for _ in range(2):
        RunFolder.create(home, {"experiment": "x"})
    with home.launches.open("ab") as file:
        file.write(b"torn")
    kept = home.launches.read_bytes()
    for _ in range(2):
        RunFolder.create(home, {"experiment": "x"})
    listed = home.launches.read_bytes()
    home.launches.write_bytes(kept)  # as if the last two were of a version that kept no list
    assert [f.name for f in list_runs(home)] == [
        "20260101-a-0002",
        "20260102-b-0001",
        "20250102-old-0004",
        "20250101-old-0003",
    ]
    home.launches.write_bytes(listed)
    assert [f.name for f in list_runs(home)][:2] == ["20250102-old-0004", "20250101-old-0003"]


def test_an_ended_run_is_read_from_the_end_of_its_file_alone(scripted: Scripted) -> None:
    folder = scripted(start=False)
    report = Reporter(folder)
    report.model = "tiny"
    report.started("cpu", 0, "", {})
    report.phase("train", 3000, "steps")
    for step in range(1, 3001):
        report.step(step, 3000, 1.0, 0.1, 1e-4)
    report.phase("test", 4)
    report.progress(4)
    report.evaluated("test", Scores(accuracy=0.75), ["a", "b"], [[2, 0, 0], [1, 1, 0]])
    report.finished()
    report.close()
    with folder.events.open("r+b") as file:
        file.write(b"X" * 1000)  # the start is unreadable, and not read
    summary = summarize(folder)
    assert (summary.state, summary.accuracy, summary.model) == (FINISHED, 0.75, "tiny")
    assert summary.end is not None and summary.end.items == 4 and summary.end.confusion == [[2, 0, 0], [1, 1, 0]]
    assert summary.end.training_seconds is not None and summary.end.items_per_s is not None


def test_folding_piece_by_piece_gives_the_same_as_at_once(scripted: Scripted) -> None:

    folder = scripted(steps=0, start=False)
    report = Reporter(folder)
    report.started("cpu", 0, "", {})
    report.step(1, 2, 0.5, 0.3, 1e-4)
    reader, summary = EventReader(folder.events), open_summary(folder)
    summary.apply(reader.read())
    report.step(2, 2, 1.0, 0.2, 1e-4)
    summary.apply(reader.read())
    assert summary.settle().as_dict() == summarize(folder).as_dict()


def test_runs_are_found_by_their_last_digits_or_a_unique_part(home: Home, scripted: Scripted) -> None:
    alpha, beta = scripted("alpha", start=False), scripted("beta", start=False)
    assert find_run(home, alpha.name[-4:]).name == alpha.name
    assert find_run(home, "beta").name == beta.name
    assert {f.name for f in list_runs(home)} == {alpha.name, beta.name}
    with pytest.raises(RunNotFoundError, match="matches 2 runs"):
        find_run(home, "a-")
    with pytest.raises(RunNotFoundError, match="no run matches"):
        find_run(home, "gamma")


def test_an_unreadable_config_does_not_hide_the_run(scripted: Scripted) -> None:
    folder = scripted(start=False)
    folder.config.write_bytes(b"\xff = ")
    assert summarize(folder).experiment == folder.name


def test_an_ended_run_says_when_its_turn_came_and_on_which_device(scripted: Scripted) -> None:
    folder = scripted(start=False)
    report = Reporter(folder)
    report.queued(["cpu"], 1)
    report.started("GPU-1", 0, "", {})
    report.finished()
    report.close()
    started = next(r.time for r in EventReader(folder.events).read() if isinstance(r.event, ev.Started))
    shown = summarize(folder).as_dict()
    assert shown["device"] == "GPU-1" and shown["started"] == pytest.approx(started, abs=0.05)


def test_a_run_that_never_had_its_turn_has_no_start_and_took_no_time(scripted: Scripted) -> None:
    folder = scripted(start=False)
    report = Reporter(folder)
    report.queued(["cpu"], 1)
    report.stopped("asked")
    report.close()
    summary = summarize(folder)
    assert summary.end is not None and summary.end.seconds == 0.0
    assert (summary.started, summary.device) == (None, "")


def test_a_run_launched_again_is_not_where_its_earlier_worker_was(scripted: Scripted) -> None:
    folder = scripted(start=False)
    report = Reporter(folder)
    report.started("cpu", 0, "", {})
    report.phase("train", 100, "steps")
    report.step(40, 100, 0.4, 0.5, 1e-4, examples_per_s=80.0)
    report.stopped("asked")
    report.started("cpu", 0, "", {})
    report.close()
    summary = open_summary(folder)
    summary.apply(read_all(folder.events))
    assert (summary.phase, summary.done, summary.total, summary.items_per_s) == ("", 0, None, None)
