"""Fixtures for all tests: a home of their own, and workers that know the scripted engine."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

import engines.methods
from engines import catalog
from engines.runs import processes
from engines.runs.folder import RunFolder
from engines.runs.home import Home

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch starts its threads
hypothesis.settings.register_profile("shared machine", deadline=None, derandomize=True)
hypothesis.settings.load_profile("shared machine")

SUPPORT = Path(__file__).parent / "support"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home folder of this test alone; workers that outlive the test are killed."""
    monkeypatch.setenv("LABTUI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LABTUI_CONFIGS", str(tmp_path / "configs"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = Home()
    yield found
    for place in (found.path / "runs", found.path / "serving"):
        for path in place.iterdir() if place.is_dir() else ():
            processes.signal_tree(RunFolder(path), 9)


@pytest.fixture
def scripted(home: Home, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RunFolder]:
    """Launch a run of the scripted engine: `scripted(steps=5, devices=["cpu"], start=True)`."""
    path = os.pathsep.join(filter(None, [str(SUPPORT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setattr(engines.methods, "__path__", [*engines.methods.__path__, str(SUPPORT / "methods")])

    def make(
        name: str = "scripted", devices: list[str] | None = None, start: bool = True, **settings: Any
    ) -> RunFolder:
        experiment = catalog.from_document({"engine": "scripted", **settings}, place="test", name=name)
        folder = RunFolder.create(home, experiment.document())
        if start:
            processes.launch(folder, devices or ["cpu"])
        return folder

    return make
