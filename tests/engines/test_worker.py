import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engines import catalog, worker
from engines.answers import columns
from engines.reporter import Reporter, Restart
from engines.runs import events as ev
from engines.runs import processes
from engines.runs.event_files import read_all
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.summary import FAILED, FINISHED, QUEUED, summarize
from labtui.results.rows import result_of
from tests.support import wait_until


@pytest.fixture
def in_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a worker changes of its process is put back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_a_signal_that_comes_with_the_end_makes_no_second_end(
    in_process: None, scripted: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = scripted(steps=1, start=False)
    (folder.checkpoints / "000001-step-1").mkdir(parents=True)
    finished = Reporter.finished

    def terminated(report: Reporter) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        finished(report)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Reporter, "finished", terminated)
    assert worker.main(["worker", str(folder.path)]) == 0
    ends = [r.event.kind for r in read_all(folder.events) if isinstance(r.event, ev.Ended)]
    assert ends == ["finished"] and summarize(folder).state == FINISHED
    assert not folder.checkpoints.exists(), "a finished run has nothing to resume"


@pytest.fixture
def bag(home: Home) -> RunFolder:
    """A small run, not started."""
    sizes = {"data.train": 60, "data.validation": 0, "data.test": 40}
    return RunFolder.create(home, catalog.read("quickstart/bag-of-words", sizes).document())


def test_a_run_leaves_its_answers_as_columns(in_process: None, bag: RunFolder) -> None:
    assert worker.main(["worker", str(bag.path)]) == 0
    stored = bag.predictions_columns.stat().st_mtime_ns
    assert columns.read(bag).predicted.shape == (1, 40)
    assert bag.predictions_columns.stat().st_mtime_ns == stored, "they fit, nothing was built anew"


def test_the_settings_of_a_run_are_hashed_as_those_of_its_group_of_results(in_process: None, bag: RunFolder) -> None:
    assert worker.main(["worker", str(bag.path)]) == 0
    (started,) = [r.event for r in read_all(bag.events) if isinstance(r.event, ev.Started)]
    row = result_of(bag)
    assert row is not None and started.config_hash == row.config != ""


def test_no_fault_of_the_columns_costs_a_run(in_process: None, bag: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: RunFolder) -> None:
        raise MemoryError("too many")

    monkeypatch.setattr(columns, "write", fail)
    assert worker.main(["worker", str(bag.path)]) == 0
    notes = [r.event for r in read_all(bag.events) if isinstance(r.event, ev.Note)]
    assert [n.text for n in notes if n.level == "warning"] == ["predictions.npz: MemoryError: too many"]
    assert summarize(bag).state == FINISHED


def test_a_restart_that_changes_nothing_is_refused(
    in_process: None, scripted: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(config: Any, report: Reporter) -> None:
        raise Restart(ev.Adjusted("too_many", {"steps": 8}, {"steps": 4}))

    folder = scripted(start=False)
    folder.adjust({"steps": 4})
    monkeypatch.setattr(catalog.engine("scripted"), "run", run)
    assert worker.main(["worker", str(folder.path)]) == 1
    end = summarize(folder).end
    assert isinstance(end, ev.Failed) and end.traceback == ""
    assert end.message == "too many, but steps = 4 was set already; start a new run with other settings"


@pytest.mark.parametrize(("file", "content"), [("config.toml", "engine = "), ("adjustments.json", "{")])
def test_a_damaged_file_of_a_run_is_named(
    in_process: None, scripted: Callable[..., RunFolder], file: str, content: str
) -> None:
    folder = scripted(start=False)
    (folder.path / file).write_text(content)
    assert worker.main(["worker", str(folder.path)]) == 1
    end = summarize(folder).end
    assert isinstance(end, ev.Failed) and end.traceback == "" and end.message.startswith(f"{folder.path / file}: not ")


def test_a_run_waits_for_the_model_that_another_one_is_making(home: Home, scripted: Callable[..., RunFolder]) -> None:
    maker = scripted(steps=100_000, pause_s=0.02)
    settings = {"model.name": str(maker.model), "data.train": 60, "data.validation": 0, "data.test": 40}
    folder = RunFolder.create(home, catalog.read("quickstart/distilbert-loop", settings).document())
    processes.launch(folder, ["cpu"])
    wait_until(lambda: any(isinstance(r.event, ev.Queued) for r in read_all(folder.events)))
    assert summarize(folder).state == QUEUED
    assert not any(folder.name in ticket.name for ticket in home.queue.iterdir()), "it would bar its maker's way"
    processes.stop(maker, "ask")
    wait_until(lambda: summarize(folder).state == FAILED)
    end = summarize(folder).end
    assert isinstance(end, ev.Failed) and f"{maker.name} holds no model (it is stopped)" in end.message
    assert not any(isinstance(r.event, ev.Started) for r in read_all(folder.events)), "no device was taken for it"


def test_data_that_no_look_at_launch_has_read_are_read_before_the_queue(
    in_process: None, home: Home, tmp_path: Path
) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 and no more")
    settings = {"data.source": str(tmp_path / "a.zip")}
    folder = RunFolder.create(home, catalog.read("bag-of-words", settings).document())
    assert worker.main(["worker", str(folder.path)]) == 1
    end = summarize(folder).end
    assert isinstance(end, ev.Failed) and "a.zip: damaged or unknown archive" in end.message
    assert [r.event.kind for r in read_all(folder.events)] == ["failed"]
