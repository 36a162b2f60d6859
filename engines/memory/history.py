"""What finished runs teach about the next: how far their estimates were off, and how fast they were."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.reading import Count, read_json
from engines.runs.summary import FINISHED, list_runs, summarize
from engines.runs.writing import write_atomic

COMPARABLE = 4  # times as large or as small: so far apart may estimates be that one corrects the other
RUNS_MAX = 300
"""Newest runs that are looked at."""


@dataclass(frozen=True)
class Estimated:
    """`estimate.json`."""

    family: str
    device: str  # "cuda" or "cpu"
    peak_bytes: Count  # before any correction, what the measured peak is to be compared with


@dataclass(frozen=True)
class PastRun:
    """A finished run, as far as it teaches."""

    engine: str
    model: str
    device: str  # "cpu" or a GPU's UUID
    document: dict[str, Any]  # its config
    estimated: Estimated | None
    measured_bytes: int | None
    seconds: float
    training_seconds: float | None
    items: int  # scored in the test
    items_per_s: float | None  # in the test


@dataclass(frozen=True)
class Pace:
    """A guess of how long a run takes."""

    seconds: float
    items_per_s: float | None
    runs: int

    @property
    def text(self) -> str:
        minutes = f"{self.seconds / 60:.0f} minutes" if self.seconds >= 90 else f"{self.seconds:.0f} seconds"
        rate = f", {self.items_per_s:,.1f} items/s in the test" if self.items_per_s else ""
        return f"time: about {minutes}{rate}, by {self.runs} earlier run{'s' if self.runs > 1 else ''} on this device"


def record(folder: RunFolder, family: str, device: str, peak_bytes: int) -> None:
    """Write what was estimated of a run (`Estimate.family`, `.device`, `.uncorrected_bytes`) into its folder."""
    document = json.dumps(asdict(Estimated(family, device, peak_bytes)))
    write_atomic(folder.estimate, document.encode())


def past_runs(home: Home) -> list[PastRun]:
    """The newest finished runs, newest first."""
    return [run for folder in list_runs(home)[:RUNS_MAX] if (run := _past(folder))]


def _past(folder: RunFolder) -> PastRun | None:
    summary = summarize(folder)
    end = summary.end
    if summary.state != FINISHED or end is None:
        return None
    estimated = None
    with suppress(OSError, ValueError):
        estimated = read_json(folder.estimate, Estimated)
    return PastRun(
        engine=summary.engine,
        model=str(summary.document.get("model", {}).get("name", "")),
        device=summary.device,
        document=summary.document,
        estimated=estimated,
        measured_bytes=end.host_memory_peak_bytes if summary.device == "cpu" else end.memory_peak_bytes,
        seconds=end.seconds,
        training_seconds=end.training_seconds,
        items=end.items,
        items_per_s=end.items_per_s,
    )


def correction(history: Sequence[PastRun], family: str, device: str, engine: str, peak_bytes: int) -> tuple[float, int]:
    """Median of measured by estimated peak, and of how many runs: of this engine if any, else of the model family.

    Only runs of about the estimated size, `peak_bytes`, count: of a small model most is what libraries take, and that
    does not grow with the model.
    """
    ratios: dict[bool, list[float]] = {True: [], False: []}
    for run in history:
        estimated = run.estimated
        if not estimated or (estimated.family, estimated.device) != (family, device) or not run.measured_bytes:
            continue
        if peak_bytes / COMPARABLE <= estimated.peak_bytes <= peak_bytes * COMPARABLE and estimated.peak_bytes:
            ratios[run.engine == engine].append(run.measured_bytes / estimated.peak_bytes)
    comparable = ratios[True] or ratios[False]
    return (median(comparable), len(comparable)) if comparable else (1.0, 0)


def pace(history: Sequence[PastRun], engine: str, config: Any, device: str) -> Pace | None:
    """How long `config` takes by earlier runs of engine, model and device, their training and test scaled.

    None without such a run, and where sizes are fractions that an earlier run does not share.
    """
    name = getattr(getattr(config, "model", None), "name", "")
    guesses, rates = [], []
    for run in history:
        if (run.engine, run.model, run.device) != (engine, name, device):
            continue
        if getattr(config, "run", "") != run.document.get("run", ""):
            continue
        if _number(config, "max_length") != _number(run.document, "max_length"):
            continue
        scales = [_scale(config, run.document, split) for split in ("train", "test")]
        if None in scales:
            continue
        train_scale, test_scale = scales
        epochs = (_number(config, "epochs") or 1) / (_number(run.document, "epochs") or 1)
        training_s = run.training_seconds or 0.0
        test_s = run.items / run.items_per_s if run.items_per_s else 0.0
        rest_s = max(0.0, run.seconds - training_s - test_s)
        guesses.append(rest_s + training_s * train_scale * epochs + test_s * test_scale)  # type: ignore[operator]
        if run.items_per_s:
            rates.append(run.items_per_s)
    return Pace(median(guesses), median(rates) if rates else None, len(guesses)) if guesses else None


def _scale(config: Any, document: dict[str, Any], split: str) -> float | None:
    new, old = getattr(config.data, split), document.get("data", {}).get(split)
    same_source = config.data.source == document.get("data", {}).get("source")
    if new == old and (same_source or isinstance(new, int)):
        return 1.0
    if isinstance(old, float) and isinstance(new, float) and same_source and old:
        return new / old
    return new / old if type(new) is int and type(old) is int and old else None


def _number(config: Any, name: str) -> float | None:
    """The first number called `name`, in whatever table."""
    items = config.items() if isinstance(config, dict) else vars(config).items()
    for key, value in items:
        if isinstance(value, dict) or hasattr(value, "__dict__"):
            if (number := _number(value, name)) is not None:
                return number
        elif key == name and isinstance(value, int | float):
            return value
    return None
