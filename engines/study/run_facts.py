"""What is known of a finished run beside its answers: facts by its events, its settings, its estimate."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engines.runs import events as ev
from engines.runs.attempts import counting_events
from engines.runs.event_files import read_all
from engines.runs.folder import RunFolder
from engines.runs.reading import Count, read_json
from engines.runs.scores import Scores
from engines.study.values import Validation, finite


@dataclass
class RunFacts:
    """What a run's events tell beside its answers."""

    scores: Scores = Scores()
    varied: str = ""
    values: dict[int, str] = field(default_factory=dict)  # by repeat
    validation: list[Validation] = field(default_factory=list)
    selected: ev.Selected | None = None  # the model that was tested; None where the run does not say
    untrained_head: bool = False
    trained_on: ev.Overlap | None = None  # test items that were trained on
    unknown_tokens: ev.Unread | None = None  # of the test


class _Estimate(msgspec.Struct):
    """`estimate.json`, as far as it is shown."""

    peak_bytes: Count


def stamp_of(folder: RunFolder) -> tuple[int, ...]:
    """Changes with the events and the answers of a run."""
    stamp = []
    for path in (folder.events, folder.predictions):
        try:
            status = path.stat()
        except OSError:
            continue  # `answers.read` says what is missing
        stamp += [status.st_size, status.st_mtime_ns]
    return tuple(stamp)


def read_facts(folder: RunFolder) -> RunFacts:
    """What the run's events tell, those left out that no longer count."""
    facts = RunFacts()
    for event in counting_events(_telling_events(folder)):
        match event:
            case ev.Started():
                facts.selected = facts.trained_on = None
            case ev.Evaluated() if event.split == "validation":
                facts.validation.append(
                    {
                        "step": event.step,
                        "epoch": event.epoch,
                        "loss": finite(event.loss),
                        "accuracy": event.scores.accuracy,
                    }
                )
            case ev.Repeat():
                facts.varied = "" if event.varied == "nothing" else event.varied
                facts.values[event.index] = event.value
            case ev.Unread() if event.split == "test":
                facts.unknown_tokens = event
            case ev.Selected():
                facts.selected = event
            case ev.Untrained():
                facts.untrained_head = True
            case ev.Overlap(split="test", found_in="train", dropped_from="", near=False):
                facts.trained_on = event
            case ev.Ended():
                facts.scores = event.scores
                facts.untrained_head |= event.scores.untrained_head
    return facts


def _telling_events(folder: RunFolder) -> list[ev.Event]:
    """All events but the many that tell of a step or of progress."""
    return [r.event for r in read_all(folder.events) if not isinstance(r.event, ev.Step | ev.Progress)]


def read_settings(folder: RunFolder) -> dict[str, Any]:
    """Of the run; empty where they cannot be read."""
    with suppress(OSError, ValueError):
        return folder.read_document()
    return {}


def read_estimate(folder: RunFolder) -> int | None:
    """The peak memory that was estimated before the start, in bytes."""
    with suppress(OSError, ValueError):
        return read_json(folder.estimate, _Estimate).peak_bytes
    return None
