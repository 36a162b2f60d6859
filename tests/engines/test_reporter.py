import shutil
from collections.abc import Callable

import pytest

from engines.errors import ConfigError
from engines.reporter import Reporter, Stop
from engines.runs import events as ev
from engines.runs.event_files import EventReader
from engines.runs.folder import RunFolder

Scripted = Callable[..., RunFolder]


@pytest.fixture
def folder(scripted: Scripted) -> RunFolder:
    return scripted(start=False)


def events(folder: RunFolder) -> list[ev.Event]:
    return [r.event for r in EventReader(folder.events).read()]


def test_progress_is_throttled_but_the_last_item_is_always_said(folder: RunFolder) -> None:
    report = Reporter(folder)
    report.phase("test", 1000, "items")
    for _ in report.track(range(1000)):
        pass
    done = [e.done for e in events(folder) if isinstance(e, ev.Progress)]
    assert done[-1] == 1000 and len(done) < 20


def test_a_request_to_stop_is_seen_and_raised_where_nothing_can_be_saved(folder: RunFolder) -> None:
    report = Reporter(folder)
    assert not report.should_stop()
    folder.request("stop")
    report = Reporter(folder)
    assert report.should_stop()
    with pytest.raises(Stop):
        list(report.track([1, 2]))


def test_no_library_can_swallow_a_stop() -> None:
    assert not issubclass(Stop, Exception)


def test_a_users_mistake_carries_no_traceback_and_a_fault_does(folder: RunFolder) -> None:
    report = Reporter(folder)
    report.failed(ConfigError("x.toml: seed is odd"))
    try:
        raise RuntimeError("boom")
    except RuntimeError as error:
        report.failed(error)
    own, fault = (e for e in events(folder) if isinstance(e, ev.Failed))
    assert own.message == "x.toml: seed is odd" and own.traceback == ""
    assert "RuntimeError: boom" in fault.traceback


def test_out_of_memory_comes_with_a_remedy(folder: RunFolder) -> None:
    class OutOfMemoryError(RuntimeError):
        pass

    report = Reporter(folder)
    report.failed(OutOfMemoryError("CUDA out of memory"))
    (failed,) = events(folder)
    assert isinstance(failed, ev.Failed) and "batch size" in failed.hint


def test_training_time_is_the_sum_of_the_train_phases(folder: RunFolder) -> None:
    report = Reporter(folder)
    report.phase("data")
    report.finished()
    (untrained,) = (e for e in events(folder) if isinstance(e, ev.Finished))
    assert untrained.training_seconds is None
    report.phase("train", 2, "steps")
    report.phase("validate", 2)
    report.phase("train", 2, "steps")
    report.finished()
    end = events(folder)[-1]
    assert isinstance(end, ev.Finished) and end.training_seconds is not None and end.training_seconds >= 0


def test_training_time_of_earlier_workers_counts_after_a_resume(folder: RunFolder) -> None:
    lines = [
        (0.0, ev.Phase("train", 9, "steps")),
        (5.0, ev.Phase("validate", 9)),
        (6.0, ev.Phase("train", 9, "steps")),
        (8.0, ev.Step(3, 9, 0.3, 0.5, 1e-4)),  # the worker is killed here
        (60.0, ev.Started("cpu", "", {})),
    ]
    folder.events.write_bytes(b"".join(ev.encode(event, n, at) for n, (at, event) in enumerate(lines)))
    report = Reporter(folder)
    report.resumed(2)
    report.finished()
    end = events(folder)[-1]
    assert isinstance(end, ev.Finished) and end.training_seconds == pytest.approx(7.0)


def test_a_run_whose_folder_was_removed_stops(folder: RunFolder) -> None:
    report = Reporter(folder)
    shutil.rmtree(folder.path)
    with pytest.raises(Stop):
        report.check_stop()


class SafetensorError(Exception):
    """As libraries raise it."""


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("could not create a primitive"), OSError(12, "Cannot allocate memory")]
)
def test_lack_of_host_memory_is_named_whatever_a_library_raises(folder: RunFolder, error: Exception) -> None:
    Reporter(folder).failed(error)
    (end,) = [e for e in events(folder) if isinstance(e, ev.Failed)]
    assert end.hint.startswith("the host ran out of memory")


@pytest.mark.parametrize(
    ("error", "place"),
    [
        (OSError(28, "No space left on device", "/data/model.bin"), "/data"),
        (SafetensorError("I/O error: No space left on device (os error 28)"), "the home folder"),
    ],
)
def test_a_full_disk_is_named_whatever_a_library_raises(folder: RunFolder, error: Exception, place: str) -> None:
    Reporter(folder).failed(error)
    (end,) = [e for e in events(folder) if isinstance(e, ev.Failed)]
    assert end.hint == f"the disk that holds {place} is full; make room, then resume the run"
