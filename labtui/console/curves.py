"""The curves of one run, folded from its events."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from engines.runs import events as ev

Floats: TypeAlias = "array[float]"

# Curve name to field of `Step`. Units: loss in nats, memory in bytes, rates per second.
STEP_CURVES = {
    "loss": "loss",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "examples_per_s": "examples_per_s",
    "tokens_per_s": "tokens_per_s",
    "memory_allocated_bytes": "memory_allocated_bytes",
    "memory_reserved_bytes": "memory_reserved_bytes",
    "memory_peak_bytes": "memory_peak_bytes",
    "host_memory_bytes": "host_memory_bytes",
}
VALIDATION_LOSS, VALIDATION_ACCURACY = "validation_loss", "validation_accuracy"
NAMES = (*STEP_CURVES, VALIDATION_LOSS, VALIDATION_ACCURACY)


def _floats() -> Floats:
    return array("d")


@dataclass
class Curve:
    """Points in the order of steps; a value that is not a number stays in, for the chart to mark."""

    steps: Floats = field(default_factory=_floats)
    values: Floats = field(default_factory=_floats)
    taken: int = 0

    def add(self, step: float, value: float) -> None:
        self.steps.append(step)
        self.values.append(value)

    def drop_above(self, step: float) -> None:
        keep = bisect_right(self.steps, step)
        del self.steps[keep:], self.values[keep:]


class Curves:
    """Every curve of a run, by name (`NAMES`), with the optimiser step as x.

    After a resume the steps above the resumed one are done again: their first values are dropped, so that no curve
    holds a step twice.
    """

    def __init__(self) -> None:
        self.total: int | None = None
        self._curves = {name: Curve() for name in NAMES}
        self._anew = True

    def __getitem__(self, name: str) -> Curve:
        return self._curves[name]

    def apply(self, records: Iterable[ev.Record]) -> None:
        """Fold in further records, in their order."""
        for record in records:
            event = record.event
            match event:
                case ev.Step():
                    self.total = event.total
                    if self._curves["loss"].steps and event.step <= self._curves["loss"].steps[-1]:
                        self._drop_above(event.step - 1)
                    for name, attribute in STEP_CURVES.items():
                        value = getattr(event, attribute)
                        if value is not None:
                            self._curves[name].add(event.step, value)
                case ev.Evaluated(split="validation", step=int(step)):
                    for name, value in (
                        (VALIDATION_LOSS, event.loss),
                        (VALIDATION_ACCURACY, event.scores.get("accuracy")),
                    ):
                        if value is not None:
                            self._curves[name].drop_above(step - 1)
                            self._curves[name].add(step, value)
                case ev.Resumed():
                    self._drop_above(event.step)

    def _drop_above(self, step: float) -> None:
        self._anew = True
        for curve in self._curves.values():
            curve.drop_above(step)

    def rewind(self) -> None:
        """Hand out all points again at the next `take`."""
        self._anew = True

    def take(self) -> tuple[bool, dict[str, tuple[Floats, Floats]]]:
        """The points since the last call, by curve; True first when they are all points and what was drawn is void."""
        anew, self._anew = self._anew, False
        points = {}
        for name, curve in self._curves.items():
            start = 0 if anew else curve.taken
            curve.taken = len(curve.steps)
            if curve.taken > start:
                points[name] = curve.steps[start:], curve.values[start:]
        return anew, points
