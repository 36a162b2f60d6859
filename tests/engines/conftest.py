"""Fixtures for the parts of engines: a reporter whose events can be read back, and a hub on this machine."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from engines.models import opening, tiny
from engines.reporter import Reporter
from engines.runs import events as ev
from engines.runs.event_files import EventReader
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from tests.stub_hub import StubHub, running

E = TypeVar("E", bound=ev.Event)


@dataclass
class Recorder:
    """A real reporter on a run folder of its own."""

    folder: RunFolder
    report: Reporter

    def events(self, kind: type[E]) -> list[E]:
        return [r.event for r in EventReader(self.folder.events).read() if isinstance(r.event, kind)]

    @property
    def notes(self) -> str:
        return "\n".join(note.text for note in self.events(ev.Note))

    @property
    def phases(self) -> list[str]:
        return [phase.name for phase in self.events(ev.Phase)]


@pytest.fixture
def recorder(home: Home) -> Iterator[Recorder]:
    path = home.runs / "20260101-000000-recorded-0000"
    path.mkdir()
    folder = RunFolder(path)
    reporter = Reporter(folder)
    yield Recorder(folder, reporter)
    reporter.close()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StubHub]:
    """A running hub that the library takes for the real one, with an empty cache."""
    with running(StubHub()) as stub:
        point_to(stub.endpoint, tmp_path / "hub", monkeypatch)
        yield stub


def point_to(endpoint: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Aim the library, which freezes its settings at import, at a hub address and a cache folder, without a token."""
    from huggingface_hub import constants

    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "ENDPOINT": endpoint,
        "HUGGINGFACE_CO_URL_TEMPLATE": endpoint + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(cache),
        "HF_TOKEN_PATH": str(cache / "token"),
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_XET": True,
    }.items():
        monkeypatch.setattr(constants, name, value)


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """The tiny encoder's, with a first token, as a decoder's has one. Not to be changed."""
    found = opening.load_tokenizer(tiny.resolve("tiny:distilbert"))
    found.bos_token = "[CLS]"
    return found
