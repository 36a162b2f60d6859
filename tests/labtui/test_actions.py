import contextlib
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from engines import catalog
from engines.errors import ConfigError, UserError
from engines.runs import events as ev
from engines.runs import processes
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from labtui import actions
from labtui.devices import Device
from tests.labtui.fabric import finished, living, make_run, started

GPUS = [Device("GPU-a", "gpu0 H100", 10), Device("GPU-b", "gpu1 H100", 20)]
CPU = Device("cpu", "cpu", 5)


def test_a_run_is_resumed_although_its_worker_takes_a_moment_to_go(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_run(home, *started(), ev.Stopped())
    alive: list[bool] = []
    monkeypatch.setattr(processes, "launch", lambda folder, devices: alive.append(processes.is_alive(folder)))
    with contextlib.ExitStack() as worker:
        worker.enter_context(living(folder))
        leaving = threading.Timer(0.2, worker.close)
        leaving.start()
        actions.resume(home, folder)
        leaving.join()
    assert alive == [False]


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[RunFolder, list[str]]]:
    """What would have been started, on which devices; nothing is."""
    found: list[tuple[RunFolder, list[str]]] = []
    monkeypatch.setattr(processes, "launch", lambda folder, devices: found.append((folder, devices)))
    return found


def see(monkeypatch: pytest.MonkeyPatch, *devices: Device) -> None:
    monkeypatch.setattr(actions, "DeviceSampler", lambda: type("Sampler", (), {"list_devices": lambda _: [*devices]})())


@pytest.mark.parametrize(
    ("devices", "engine", "asked", "accepted"),
    [
        ((*GPUS, CPU), "finetune_loop", "auto", ["GPU-a", "GPU-b"]),
        ((*GPUS, CPU), "bag_of_words", "auto", ["cpu"]),
        ((CPU,), "finetune_loop", "auto", ["cpu"]),
        ((*GPUS, CPU), "finetune_loop", "gpu1", ["GPU-b"]),
        ((*GPUS, CPU), "finetune_loop", "GPU-a", ["GPU-a"]),
        ((*GPUS, CPU), "finetune_loop", "cpu", ["cpu"]),
    ],
)
def test_a_run_accepts_the_devices_that_its_engine_can_use(
    devices: tuple[Device, ...], engine: str, asked: str, accepted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    see(monkeypatch, *devices)
    assert actions.accepted_devices(engine, asked) == accepted


def test_a_device_that_is_not_there_is_named_with_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    see(monkeypatch, *GPUS, CPU)
    with pytest.raises(ConfigError, match='no device "gpu2"; there is gpu0, gpu1, cpu; did you mean "gpu'):
        actions.accepted_devices("finetune_loop", "gpu2")


def test_an_estimate_is_for_the_device_with_most_free_memory(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    see(monkeypatch, *GPUS, CPU)
    found, free_bytes = actions.estimate(home, catalog.read("quickstart/distilbert-loop"))
    assert (found.device, free_bytes) == ("cuda", 20)


def test_the_quickstart_study_launches_only_what_is_missing(
    home: Home, launched: list[tuple[RunFolder, list[str]]]
) -> None:
    first = actions.quickstart(home)
    names = [folder.read_document()["experiment"] for folder in first]
    assert names[0] == actions.FIRST and len(set(names)) == len(names) == len(launched)
    assert [folder.name for folder in actions.quickstart(home)] == [folder.name for folder in first]
    assert len(launched) == len(names)
    again = actions.quickstart(home, again=True)
    assert len(launched) == 2 * len(names) and not {f.name for f in again} & {f.name for f in first}


def test_a_run_whose_data_cannot_be_used_is_refused_and_leaves_nothing(
    home: Home, launched: list[tuple[RunFolder, list[str]]], tmp_path: Path
) -> None:
    overrides: dict[str, Any] = {"data.source": str(tmp_path / "nothing.csv")}
    with pytest.raises(UserError, match="nothing.csv: no such file; check data.source"):
        actions.launch(home, catalog.read("bag-of-words", overrides))
    assert not launched and not list(home.runs.iterdir())


def test_a_run_whose_classes_the_model_does_not_know_is_not_scored(
    home: Home, launched: list[tuple[RunFolder, list[str]]], tmp_path: Path
) -> None:
    done = make_run(home, *started(), finished(), experiment="done")
    done.model.mkdir()
    (tmp_path / "mail.csv").write_text("text,label\nbuy,spam\nhello,ham\n")
    with pytest.raises(UserError, match='labels ham, spam, but .* answers negative, positive; .* data.labels = "neg'):
        actions.evaluate(home, done, {"data.source": str(tmp_path / "mail.csv")})
    assert not launched and [folder.name for folder in home.runs.iterdir()] == [done.name]


def test_a_look_that_fails_by_itself_does_not_keep_a_run_from_starting(
    home: Home, launched: list[tuple[RunFolder, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    folder = actions.launch(home, catalog.read("quickstart/bag-of-words"))
    assert launched == [(folder, ["cpu"])]


def test_local_paths_are_frozen_as_absolute_ones(
    home: Home, launched: list[tuple[RunFolder, list[str]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.csv").write_text("review,label\n" + "".join(f"number {n},{n % 2}\n" for n in range(40)))
    monkeypatch.chdir(tmp_path)
    sizes = {"data.train": 0.8, "data.validation": 0.1, "data.test": 0.1}
    overrides: dict[str, Any] = {"data.source": "mine.csv", **sizes}
    document = actions.launch(home, catalog.read("distilbert-loop", overrides)).read_document()
    assert document["data"]["source"] == str(tmp_path / "mine.csv")
    assert document["model"]["name"] == "distilbert/distilbert-base-uncased", "a name of the hub is left alone"


def test_only_a_finished_run_is_scored_and_only_an_unfinished_one_resumed(
    home: Home, launched: list[tuple[RunFolder, list[str]]]
) -> None:
    done = make_run(home, *started(), finished(), experiment="done")
    lost = make_run(home, *started(), experiment="lost")
    with pytest.raises(UserError, match=r"is not finished \(it is lost\)"):
        actions.evaluate(home, lost, {})
    with pytest.raises(UserError, match="has finished; `labtui run done` starts a new run"):
        actions.resume(home, done)
    assert actions.resume(home, lost).name == lost.name
    done.model.mkdir()
    document = actions.evaluate(home, done, {"data.source": "quickstart"}).read_document()
    assert (document["engine"], document["run"], document["experiment"]) == ("evaluate", done.name, "done-evaluate")
    assert len(launched) == 2
