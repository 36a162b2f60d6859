"""The curves of one run, folded from its events."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from engines.runs import events as ev
from engines.runs.attempts import Attempts

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

    The steps of a curve rise: a value at a step that is done again replaces the earlier ones from there on.
    """

    def __init__(self) -> None:
        self.total: int | None = None
        self._curves = {name: Curve() for name in NAMES}
        self._attempts = Attempts()
        self._anew = True

    def __getitem__(self, name: str) -> Curve:
        return self._curves[name]

    def apply(self, records: Iterable[ev.Record]) -> None:
        """Fold in further records, in their order."""
        for record in records:
            event = record.event
            if (step := self._attempts.repeated_above(event)) is not None:
                for name in NAMES:
                    self._drop_above(name, step)
            match event:
                case ev.Step():
                    self.total = event.total
                    for name, attribute in STEP_CURVES.items():
                        self._add(name, event.step, getattr(event, attribute))
                case ev.Evaluated(split="validation", step=int(step)):
                    self._add(VALIDATION_LOSS, step, event.loss)
                    self._add(VALIDATION_ACCURACY, step, event.scores.accuracy)

    def _add(self, name: str, step: int, value: float | None) -> None:
        if value is not None:
            self._drop_above(name, step - 1)
            self._curves[name].add(step, value)

    def _drop_above(self, name: str, step: int) -> None:
        curve = self._curves[name]
        if curve.steps and curve.steps[-1] > step:
            curve.drop_above(step)
            self._anew = True

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
