"""Run folders with a written story, alive or not, for tests of what the console reads."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from engines.runs import events as ev
from engines.runs import locks
from engines.runs.event_files import EventWriter
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.scores import Scores

MATRIX = [[40, 10, 0], [5, 45, 0]]


def make_run(home: Home, *events: ev.Event, experiment: str = "encoders/loop", **document: Any) -> RunFolder:
    """A run folder holding these events, without a worker."""
    head = {"engine": "finetune_loop", "title": "Plain loop", "family": "encoders", "experiment": experiment}
    folder = RunFolder.create(home, {**head, **document})
    append(folder, *events)
    return folder


def append(folder: RunFolder, *events: ev.Event) -> None:
    """Write further events as the worker does."""
    writer = EventWriter(folder.events)
    for event in events:
        writer.write(event)
    writer.close()


@contextlib.contextmanager
def living(folder: RunFolder) -> Iterator[None]:
    """While inside, the run has a living worker."""
    fd = locks.try_lock(folder.lock)
    assert fd is not None
    try:
        yield
    finally:
        os.close(fd)


def started() -> list[ev.Event]:
    """How every run begins."""
    return [ev.Queued(["cpu"], 0), ev.Started("cpu", "0", {}, 0)]


def steps(first: int, last: int, total: int = 100, **more: Any) -> list[ev.Event]:
    """Training steps, the loss being 1 / step."""
    return [
        ev.Step(n, total, n / total, 1.0 / n, 1e-4, **{"examples_per_s": 80.0, **more}) for n in range(first, last + 1)
    ]


def validated(step: int | None, accuracy: float = 0.85, labels: tuple[str, str] = ("negative", "positive")) -> ev.Event:
    return ev.Evaluated("validation", 100, Scores(accuracy=accuracy), list(labels), MATRIX, 0.4, step, 1.0)


def finished(accuracy: float = 0.9, **more: Any) -> ev.Event:
    values = {
        "model": "tiny:distilbert",
        "scores": Scores(accuracy=accuracy),
        "split": "test",
        "items": 100,
        "labels": ["negative", "positive"],
        "confusion": MATRIX,
        "seconds": 12.0,
    }
    return ev.Finished(**{**values, **more})
