"""What an engine speaks to: progress out, requests in. The only writer of `events.jsonl`."""

import errno
import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

import psutil

from engines.errors import REMEDIES, UserError, reason_of
from engines.runs import events as ev
from engines.runs.attempts import seconds_in_training
from engines.runs.event_files import EventWriter, read_all
from engines.runs.folder import RunFolder
from engines.runs.scores import Scores

T = TypeVar("T")
PROGRESS_EVERY_S = 0.25
REQUESTS_EVERY_S = 0.2


class Stop(BaseException):
    """The run was asked to stop. Not an `Exception`, so that no library takes it for a fault of its own."""


class Restart(BaseException):
    """The run has to go on in a fresh process with other settings; the worker sees to it and keeps its device.

    The settings `adjusted.after` hold for every later worker of the run. Not an `Exception`, as `Stop` is none.
    """

    def __init__(self, adjusted: ev.Adjusted) -> None:
        super().__init__(f"{adjusted.reason}: {adjusted.before} becomes {adjusted.after}")
        self.adjusted = adjusted


class Notes(Protocol):
    """Whoever takes sentences and facts: a run's reporter, or the narration of a command."""

    def note(self, text: str, level: str = "info") -> None: ...

    def fact(self, fact: ev.Fact) -> None: ...


class Listener(Notes, Protocol):
    """Whoever also takes progress, and may ask for an end: a run's reporter, or a look at data without a run."""

    def phase(self, name: str, total: int | None = None, unit: str = "items") -> None: ...

    def progress(self, done: int) -> None: ...

    def check_stop(self) -> None: ...


class Reporter:
    """One run's line to the outside. Engines call it from their main thread only."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.device = "cpu"  # what torch should use: "cpu" or "cuda"
        self.model = ""  # shown as the model of this run
        self._writer = EventWriter(folder.events)
        self._process = psutil.Process()
        self._host_peak = 0
        self._phase = ev.Phase("")
        self._phase_began = time.monotonic()
        self._began: float | None = None  # None: its turn has not come
        self._phase_done = 0
        self._progress_at = 0.0
        self._training_s: float | None = None
        self._test_items_per_s: float | None = None
        self._asked_at = 0.0
        self._stop = False
        self._step: ev.Step | None = None
        self._last: ev.Evaluated | None = None

    # -- life ---------------------------------------------------------------------------------------------

    def queued(self, devices: list[str], ahead: int) -> None:
        self._emit(ev.Queued(devices, ahead))

    def started(self, device: str, seed: int | None, config_hash: str, versions: dict[str, str]) -> None:
        """`device` is "cpu" or the GPU's UUID; the clock of the run starts here."""
        self.device = "cpu" if device == "cpu" else "cuda"
        self._began = time.monotonic()
        self._emit(ev.Started(device, config_hash, versions, seed, _host_memory_total()))

    def resumed(self, step: int) -> None:
        """Training goes on from the checkpoint of `step`; readers drop the steps above it."""
        self._training_s = seconds_in_training(read_all(self.folder.events))
        self._emit(ev.Resumed(step))

    def finished(self) -> None:
        self._close_phase()
        self._emit(ev.Finished(**self._ending()))

    def stopped(self, reason: str) -> None:
        self._close_phase()
        self._emit(ev.Stopped(reason, **self._ending()))

    def failed(self, error: BaseException) -> None:
        """Record a failure; a `UserError` explains itself and carries no traceback."""
        self._close_phase()
        own = isinstance(error, UserError)
        trace = "" if own else "".join(traceback.format_exception(error))
        self._emit(ev.Failed(type(error).__name__, reason_of(error), trace, _hint(error), **self._ending()))

    def close(self) -> None:
        self._writer.close()

    # -- what engines report ------------------------------------------------------------------------------

    def phase(self, name: str, total: int | None = None, unit: str = "items") -> None:
        """Enter a phase ("load", "tokenize", "train", "validate", "test", ...); `total` in `unit`s.

        Time inside "train" is the run's training time; the pace of "test" its items per second.
        """
        self._close_phase()
        self._phase = ev.Phase(name, total, unit)
        self._phase_began, self._phase_done, self._progress_at = time.monotonic(), 0, 0.0
        self._emit(self._phase)

    def progress(self, done: int) -> None:
        """`done` units of the current phase are complete; written a few times per second at most."""
        self._phase_done = done
        now = time.monotonic()
        if now - self._progress_at < PROGRESS_EVERY_S and done != self._phase.total:
            return
        self._progress_at = now
        elapsed = now - self._phase_began
        rate = done / elapsed if elapsed > 0 else None
        self._emit(ev.Progress(self._phase.name, done, self._phase.total, rate, **self._memory()))

    def track(self, items: Iterable[T]) -> Iterator[T]:
        """Yield `items`, each one unit of the current phase, reporting progress and minding stops."""
        for done, item in enumerate(items, 1):
            self.check_stop()
            yield item
            self.progress(done)

    def step(
        self,
        step: int,
        total: int,
        epoch: float,
        loss: float,
        learning_rate: float,
        *,
        grad_norm: float | None = None,
        examples_per_s: float | None = None,
        tokens_per_s: float | None = None,
    ) -> None:
        """An optimiser step (or the mean over the steps since the last call). `step` counts from 1."""
        self._phase_done = step
        self._step = ev.Step(
            step, total, epoch, loss, learning_rate, grad_norm, examples_per_s, tokens_per_s, **self._memory()
        )
        self._emit(self._step)

    def evaluated(
        self,
        split: str,
        scores: Scores,
        labels: list[str],
        confusion: list[list[int]],
        *,
        loss: float | None = None,
        step: int | None = None,
        epoch: float | None = None,
    ) -> None:
        """Scores of a split; `confusion` has one row per true label, one column per predicted label, then *invalid*."""
        items = sum(map(sum, confusion))
        self._last = ev.Evaluated(split, items, scores, labels, confusion, loss, step, epoch)
        self._emit(self._last)

    def repeat(
        self, index: int, varied: str, value: str, scores: Scores, labels: list[str], confusion: list[list[int]]
    ) -> None:
        """One repeat of the test; `value` is what the `varied` thing was."""
        self._emit(ev.Repeat(index, varied, value, scores, labels, confusion))

    def checkpoint(self, step: int, path: str, size_bytes: int) -> None:
        self._emit(ev.Checkpoint(step, path, size_bytes))

    def note(self, text: str, level: str = "info") -> None:
        """A sentence for the log pane; `level` "info" or "warning"."""
        self._emit(ev.Note(text, level))

    def fact(self, fact: ev.Fact) -> None:
        """What must be known of the run's data, model or settings."""
        self._emit(fact)

    # -- what engines ask ---------------------------------------------------------------------------------

    def should_stop(self) -> bool:
        """Whether somebody asked the run to stop, or removed its folder; cheap enough for every step."""
        now = time.monotonic()
        if not self._stop and now - self._asked_at >= REQUESTS_EVERY_S:
            self._asked_at = now
            self._stop = self.folder.requested("stop") or not self.folder.path.exists()
        return self._stop

    def check_stop(self) -> None:
        """Raise `Stop` if somebody asked for it: for phases that have nothing to save."""
        if self.should_stop():
            raise Stop("asked")

    # -- inside -------------------------------------------------------------------------------------------

    def _emit(self, event: ev.Event) -> None:
        self._writer.write(event)

    def _close_phase(self) -> None:
        elapsed = time.monotonic() - self._phase_began
        if self._phase.name == "train":
            self._training_s = (self._training_s or 0.0) + elapsed
        if self._phase.name == "test" and elapsed > 0 and self._phase_done:
            self._test_items_per_s = self._phase_done / elapsed
        self._phase = ev.Phase("")

    def _memory(self) -> dict[str, int | None]:
        host = int(self._process.memory_info().rss)
        self._host_peak = max(self._host_peak, host)
        device = _device_memory()
        return {**device, "host_memory_bytes": host}

    def _ending(self) -> dict[str, Any]:
        memory = self._memory()
        last = self._last
        return {
            "model": self.model,
            "scores": last.scores if last else Scores(),
            "split": last.split if last else "",
            "items": last.items if last else 0,
            "labels": last.labels if last else [],
            "confusion": last.confusion if last else [],
            "step": self._step.step if self._step else None,
            "total": self._step.total if self._step else None,
            "seconds": 0.0 if self._began is None else time.monotonic() - self._began,
            "training_seconds": self._training_s,
            "items_per_s": self._test_items_per_s,
            "memory_peak_bytes": memory.get("memory_peak_bytes"),
            "host_memory_peak_bytes": self._host_peak,
        }


def _device_memory() -> dict[str, int | None]:
    torch = sys.modules.get("torch")  # an engine that never imports torch pays nothing
    if torch is None or not hasattr(torch, "cuda") or not torch.cuda.is_initialized():
        return {}
    cuda = torch.cuda
    return {
        "memory_allocated_bytes": cuda.memory_allocated(),
        "memory_reserved_bytes": cuda.memory_reserved(),
        "memory_peak_bytes": cuda.max_memory_allocated(),
    }


_NO_HOST_MEMORY = (
    "could not create a primitive",
    "DefaultCPUAllocator: can't allocate memory",
    "Cannot allocate memory",
)
"""How libraries say that the host has no memory left: oneDNN, torch, the system."""


def _host_memory_total() -> int:
    """What this process may use of the host's memory: all of it, or the limit of its control group."""
    total = int(psutil.virtual_memory().total)
    with suppress(OSError, ValueError):  # no such group, or "max"
        group = Path("/proc/self/cgroup").read_text().rpartition("::")[2].strip().lstrip("/")
        total = min(total, int((Path("/sys/fs/cgroup") / group / "memory.max").read_text()))
    return total


def _hint(error: BaseException) -> str:
    if "OutOfMemory" in type(error).__name__:
        return "lower the batch size or max_length, choose lower precision or a device with more free memory"
    if isinstance(error, MemoryError) or any(words in str(error) for words in _NO_HOST_MEMORY):
        return "the host ran out of memory: lower data.train or training.batch_size"
    if os.strerror(errno.ENOSPC) in str(error):  # also of libraries that raise something else than OSError
        place = os.path.dirname(getattr(error, "filename", None) or "")
        return f"the disk that holds {place or 'the home folder'} is full; make room, then resume the run"
    return REMEDIES.get(error.errno or 0, "") if isinstance(error, OSError) else ""
