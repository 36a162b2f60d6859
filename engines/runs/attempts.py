"""A run may take several workers, one after another: which events of the earlier ones still count."""

from collections.abc import Iterable

from engines.runs import events as ev


class Attempts:
    """Follows the events of a run in their order and tells which steps are done again.

    A worker that resumes repeats the steps above its checkpoint; one that reports a step, a validation, a repeat or
    its end without having resumed has started over. One that ended before either leaves all as it was.
    """

    def __init__(self) -> None:
        self._reported = False  # there is something that could be repeated
        self._started = False  # the latest worker has started, and not yet shown where

    def repeated_above(self, event: ev.Event) -> int | None:
        """The step above which what was reported before this event is void; 0: all of it is, None: nothing is."""
        match event:
            case ev.Started():
                self._started = True
            case ev.Resumed():
                self._started = False
                return event.step
            case ev.Step() | ev.Repeat() | ev.Finished() | ev.Evaluated(split="validation"):
                started_over = self._started and self._reported
                self._started, self._reported = False, True
                return 0 if started_over else None
        return None


def counting_events(events: Iterable[ev.Event]) -> list[ev.Event]:
    """The events of a run that still count, in their order: none of a step, a score or a checkpoint done again."""
    attempts = Attempts()
    kept: list[ev.Event] = []
    before = 0  # where the events of the latest worker begin
    for event in events:
        if isinstance(event, ev.Started):
            before = len(kept)
        if (step := attempts.repeated_above(event)) is not None:
            kept[:before] = [earlier for earlier in kept[:before] if _survives(earlier, step)]
        kept.append(event)
    return kept


def _survives(event: ev.Event, repeated_above: int) -> bool:
    if isinstance(event, ev.Step | ev.Evaluated | ev.Checkpoint):
        return event.step is not None and event.step <= repeated_above
    return not isinstance(event, ev.Repeat)


def seconds_in_training(records: Iterable[ev.Record]) -> float | None:
    """Time that the workers of a run spent inside the phase "train", twice where done twice; None: none got there."""
    total: float | None = None
    entered: float | None = None
    latest = 0.0
    for record in records:
        leaves = isinstance(record.event, ev.Phase | ev.Queued | ev.Started | ev.Ended)
        if entered is not None and leaves:
            # a worker that was lost left at its last event, not when the next one started
            left = record.time if isinstance(record.event, ev.Phase | ev.Ended) else latest
            total, entered = (total or 0.0) + left - entered, None
        if isinstance(record.event, ev.Phase) and record.event.name == "train":
            entered = record.time
        latest = record.time
    return total
