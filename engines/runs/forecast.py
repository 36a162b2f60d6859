"""How much of a run is done and how long the rest takes: each of its phases by what it costs.

What a phase costs is what it has cost this run; before that, what it cost an earlier run of the same settings; before
that a share of the training. Nothing is said where none of these is known.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from engines.errors import RunError
from engines.runs import events as ev
from engines.runs.event_files import read_last
from engines.runs.folder import RunFolder
from engines.runs.reading import open_regular

TRAIN, VALIDATE, TEST = "train", "validate", "test"
VALIDATE_SHARE, TEST_SHARE = 0.05, 0.15
"""Seconds of a validation and of a test, as shares of those of an epoch of training."""
PACE_OVER_S = 30.0
"""A step that is so long ago counts 1/e of the latest one."""
SAME = ("experiment", "engine", "model", "data", "training", "prompt", "run")
"""Tables of a config in which runs that take the same time are equal."""
EARLIER_MAX = 8
"""Runs that are looked at for one like this."""
BYTES_MAX = 1 << 25
"""Files of events that are not larger are read for what the phases of a run cost."""
_BOUNDS = tuple(f'"kind":"{kind}"'.encode() for kind in ("started", "resumed", "phase", "finished"))


@dataclass(frozen=True)
class PhaseCost:
    """What a phase cost an earlier run, all its visits together."""

    visits: int
    seconds: float
    first: int  # place of its first visit among those of all phases
    last: int


class Pace:
    """Seconds a unit, the latest counting most."""

    def __init__(self) -> None:
        self._seconds = self._units = 0.0

    def add(self, seconds: float, units: int) -> None:
        """`units` have taken `seconds`."""
        if seconds >= 0 and units > 0:
            kept = math.exp(-seconds / PACE_OVER_S)
            self._seconds, self._units = self._seconds * kept + seconds, self._units * kept + units

    @property
    def seconds_per_unit(self) -> float | None:
        return self._seconds / self._units if self._units else None


class Forecast:
    """Folds the events of one run. `learn` gives it what the phases cost an earlier run."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """`document`: the run's config."""
        self._document = document
        self._earlier: Mapping[str, PhaseCost] = {}
        self._steps = self._steps_before = 0  # of the training; those that an earlier worker did
        self._kept = 0.0  # share of the training that the last checkpoint holds
        self._begin(None)

    def learn(self, earlier: Mapping[str, PhaseCost]) -> None:
        """Expect of each phase what it cost a run of the same settings."""
        self._earlier = earlier

    def _begin(self, at: float | None) -> None:
        self._began = self._now = at
        self._phase = ""
        self._entered = self._counted_at = 0.0
        self._done = 0
        self._total: int | None = None
        self._paces: dict[str, Pace] = defaultdict(Pace)
        self._visits: dict[str, list[float]] = defaultdict(list)  # seconds of the visits that are over
        self._steps_total: int | None = None
        self._steps_entered = 0  # at which the training was last entered
        self._epoch = 0.0

    def apply(self, record: ev.Record) -> None:
        """Take in the next event."""
        event, at = record.event, record.time
        self._now = at
        match event:
            case ev.Started():
                self._begin(at)
                self._steps = self._steps_before = 0
            case ev.Checkpoint() if self._steps_total:
                self._kept = event.step / self._steps_total
            case ev.Resumed():
                self._steps = self._steps_before = event.step
            case ev.Phase():
                self._enter(event.name, event.total, at)
            case ev.Progress():
                if event.phase != self._phase:
                    self._enter(event.phase, event.total, at)
                self._advance(event.done, event.total, at)
            case ev.Step():
                if self._phase != TRAIN:
                    self._enter(TRAIN, event.total, at)
                self._advance(event.step, event.total, at)
                self._steps, self._steps_total, self._epoch = event.step, event.total, event.epoch

    def _enter(self, name: str, total: int | None, at: float) -> None:
        if self._phase:
            self._visits[self._phase].append(at - self._entered)
        self._phase, self._total, self._entered, self._counted_at = name, total, at, at
        self._done = self._steps if name == TRAIN else 0
        if name == TRAIN:
            self._steps_total, self._steps_entered = total, self._steps

    def _advance(self, done: int, total: int | None, at: float) -> None:
        self._paces[self._phase].add(at - self._counted_at, done - self._done)
        self._done, self._total, self._counted_at = done, total or self._total, at

    # -- what it says -------------------------------------------------------------------------------------

    @property
    def left_s(self) -> float | None:
        """Seconds until the run ends, as of its last event."""
        if not self._phase:
            return None
        parts = [self._left_in_phase(), *self._left_after_phase()]
        return None if None in parts else math.fsum(part for part in parts if part is not None)

    @property
    def share(self) -> float | None:
        """How much of the run is done, 0 to 1, by time: what it has taken, of that and what is left."""
        left_s = self.left_s
        if left_s is None or self._began is None or self._now is None:
            return None
        done_s = self._now - self._began + self._steps_before * (self._paces[TRAIN].seconds_per_unit or 0.0)
        return done_s / (done_s + left_s) if done_s + left_s > 0 else None

    @property
    def _step_s(self) -> float | None:
        return self._paces[TRAIN].seconds_per_unit

    @property
    def _spent_s(self) -> float:
        """In the current phase."""
        return (self._now or 0.0) - self._entered

    @property
    def _steps_per_epoch(self) -> float:
        return self._steps / self._epoch if self._epoch else 0.0

    def _left_in_phase(self) -> float | None:
        pace = self._paces[self._phase].seconds_per_unit
        if self._phase == TRAIN:
            return self._training_left_s()
        if self._total and pace is not None:
            return max(0, self._total - self._done) * pace
        visit_s = self._visit_s(self._phase)
        if visit_s is not None:
            return max(0.0, visit_s - self._spent_s)
        return 0.0 if self._step_s is not None else None  # what else there is beside a training takes a moment

    def _left_after_phase(self) -> list[float | None]:
        """Seconds of each phase that is to come; None for one of which nothing is known."""
        trains = self._steps_total is not None or "epochs" in self._document.get("training", {})
        if not self._earlier and not trains:  # what it does before its test is not known
            return [] if self._phase == TEST else [None]
        to_come = [self._training_left_s()] if self._phase != TRAIN else []
        visits_left = self._visits_left().items()
        return to_come + [self._visit_s(name) for name, visits in visits_left for _ in range(visits)]

    def _training_left_s(self) -> float | None:
        if self._step_s is not None and self._steps_total is not None:
            return max(0, self._steps_total - self._steps) * self._step_s
        if not self._earlier:
            return None
        expected_s = self._earlier[TRAIN].seconds * (1 - self._kept) if TRAIN in self._earlier else 0.0
        return max(0.0, expected_s - sum(self._visits[TRAIN]) - (self._spent_s if self._phase == TRAIN else 0.0))

    def _visits_left(self) -> dict[str, int]:
        """How often each phase but the training is still entered."""
        if self._earlier:
            here = self._earlier.get(self._phase)
            left = {
                name: max(0, cost.visits - len(self._visits[name]) - (name == self._phase))
                for name, cost in self._earlier.items()
                if name != TRAIN and (here is None or cost.last > here.first)
            }
        else:
            left = {TEST: 0 if self._phase == TEST and self._steps else 1}
        if self._steps_total is not None and self._steps_per_epoch:
            epochs = math.ceil(self._steps_total / self._steps_per_epoch - 1e-6)
            ended = math.floor(self._epoch + 1e-6)
            if self._phase == TRAIN and self._steps > self._steps_entered and abs(self._epoch - ended) < 1e-6:
                ended -= 1  # its last step is done, its validation is next
            validates = self._document.get("data", {}).get("validation") != 0
            left[VALIDATE] = max(0, epochs - ended) if validates else 0
        return left

    def _visit_s(self, name: str) -> float | None:
        """Seconds that a phase takes each time; None where nothing is known of it."""
        visits = self._visits[name]
        if visits:
            return sum(visits) / len(visits)
        if name in self._earlier:
            return self._earlier[name].seconds / self._earlier[name].visits
        pace = self._paces[name].seconds_per_unit
        if name == self._phase and self._total and pace is not None:
            return self._total * pace
        if name == TEST and (self._visits[VALIDATE] or self._phase == VALIDATE):
            validation_s, data = self._visit_s(VALIDATE), self._document.get("data", {})
            test, validation = data.get(TEST), data.get("validation")
            if validation_s is not None and validation and type(test) is type(validation):
                return float(validation_s * test / validation)
        if self._step_s is None or name not in (VALIDATE, TEST):
            return None
        return self._step_s * self._steps_per_epoch * (VALIDATE_SHARE if name == VALIDATE else TEST_SHARE)


def phase_costs(events: Path, device: str) -> dict[str, PhaseCost]:
    """What the phases of a run on `device` cost that went through without a break; empty for any other run."""
    costs: dict[str, PhaseCost] = {}
    try:
        tail = read_last(events, 4096)
        if not tail or not isinstance(tail[-1].event, ev.Finished) or events.stat().st_size > BYTES_MAX:
            return {}
        with open_regular(events) as file:
            lines = [line for line in file if any(kind in line[:80] for kind in _BOUNDS)]
        records = [record for line in lines if (record := ev.decode(line))]
    except (OSError, ValueError):
        return {}
    if [type(r.event) for r in records if not isinstance(r.event, ev.Phase)] != [ev.Started, ev.Finished]:
        return {}
    if getattr(records[0].event, "device", "") != device:
        return {}
    for place, (record, following) in enumerate(pairwise(records)):
        if isinstance(record.event, ev.Phase):
            before = costs.get(record.event.name, PhaseCost(0, 0.0, place, place))
            seconds = before.seconds + following.time - record.time
            costs[record.event.name] = PhaseCost(before.visits + 1, seconds, before.first, place)
    return costs


def earlier_costs(folder: RunFolder, document: Mapping[str, Any], device: str) -> dict[str, PhaseCost]:
    """What the phases cost the newest finished run of the same settings on this device; empty without one."""

    def stem(name: str) -> str:
        return name.partition("-")[2].partition("-")[2].rpartition("-")[0]  # without time and digits

    names = [p.name for p in folder.path.parent.iterdir() if stem(p.name) == stem(folder.name) and p != folder.path]
    for name in sorted(names, reverse=True)[:EARLIER_MAX]:
        earlier = RunFolder(folder.path.parent / name)
        with suppress(OSError, RunError):
            other = earlier.read_document()
            same = all(other.get(table) == document.get(table) for table in SAME)
            if same and (costs := phase_costs(earlier.events, device)):
                return costs
    return {}
