"""A run in words: narration of its events as they come, and a description of where it stands."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from engines.runs import events as ev
from engines.runs.event_files import EventReader, read_last
from engines.runs.folder import RunFolder
from engines.runs.summary import ALIVE, Summary, open_summary
from engines.settings import flatten
from labtui import format
from labtui.sanitize import clean

STEP_EVERY_S = 2.0


def narrate(folder: RunFolder, say: Callable[[str], None]) -> str:
    """Say what happens in a run until it has ended; returns its last state."""
    summary = open_summary(folder)
    reader = EventReader(folder.events)
    step_at = 0.0
    while True:
        alive_before = summary.settle().state in ALIVE  # read once more after the end, or the last events are missed
        for record in summary.read(reader):
            if isinstance(record.event, ev.Step | ev.Progress):
                if time.monotonic() - step_at < STEP_EVERY_S:
                    continue
                step_at = time.monotonic()
            line = sentence(record.event)
            if line:
                say(f"{time.strftime('%H:%M:%S', time.localtime(record.time))}  {line}")
        if not alive_before:
            state = summary.settle().state
            if state == "lost":
                say(f"{folder.name}: the worker died without reporting an end{loss(summary)}; see {folder.log}")
            if summary.damage:
                say(f"{folder.name}: damaged: {clean(summary.damage)}")
            return state
        time.sleep(0.1)


def loss(summary: Summary) -> str:
    """What most often ends a worker without a word, to follow on that it died; empty where no memory was measured."""
    if not summary.host_memory_bytes:
        return ""
    total = summary.host_memory_total_bytes
    of = f" of {format.bytes_text(total)}" if total else ""
    return f"; most often the machine ran out of memory: last seen {format.bytes_text(summary.host_memory_bytes)}{of}"


def is_warning(event: ev.Event) -> bool:
    """Whether an event tells of something to mind before the run's figures are believed."""
    return isinstance(event, ev.Overlap | ev.Untrained | ev.Adjusted) or (
        isinstance(event, ev.Note) and event.level == "warning"
    )


def sentence(event: ev.Event) -> str:
    """One line of plain, cleaned text for an event; empty for one that needs no words."""
    return clean(f"warning: {_sentence(event)}" if is_warning(event) else _sentence(event))


def _sentence(event: ev.Event) -> str:
    match event:
        case ev.Queued():
            return f"queued: {event.ahead} ahead on {', '.join(event.devices)}"
        case ev.Started():
            return f"started on {event.device}" + (f", seed {event.seed}" if event.seed is not None else "")
        case ev.Resumed():
            return f"resumed from step {event.step}"
        case ev.Phase():
            unit = event.unit
            total = format.bytes_text(event.total) if unit == "bytes" else f"{format.count(event.total)} {unit}"
            return f"{event.name}: {total}" if event.total else event.name
        case ev.Progress():
            of = f" of {format.count(event.total)}" if event.total else ""
            return f"{event.phase} {format.count(event.done)}{of}"
        case ev.Step():
            return (
                f"step {event.step}/{event.total}  epoch {event.epoch:.2f}  loss {event.loss:.4f}  "
                f"{format.rate(event.examples_per_s, 'items')}"
            )
        case ev.Evaluated():
            loss = f", loss {event.loss:.4f}" if event.loss is not None else ""
            return (
                f"{event.split}: accuracy {format.score(event.scores.accuracy)}{loss} on "
                f"{format.count(event.items)} items"
            )
        case ev.Repeat():
            given = f" ({event.varied} {event.value})" if event.value else ""
            return f"repeat {event.index + 1}{given}: accuracy {format.score(event.scores.accuracy)}"
        case ev.Checkpoint():
            return f"checkpoint at step {event.step} complete ({format.bytes_text(event.size_bytes)})"
        case ev.Note():
            return event.text
        case ev.Fact():
            return _fact(event)
        case ev.Finished():
            return f"finished after {format.duration(event.seconds)}"
        case ev.Failed():
            return f"failed: {event.message}" + (f" ({event.hint})" if event.hint else "")
        case ev.Stopped():
            return f"stopped ({event.reason})"
    return ""


def _fact(fact: ev.Fact) -> str:
    match fact:
        case ev.Dropped():
            why = {"no_label": "without a label", "empty_text": "without a text"}.get(fact.reason, fact.reason)
            rows, are = ("row", "is") if fact.rows == 1 else ("rows", "are")
            return f"{fact.source}: {format.count(fact.rows)} {rows} {why} {are} left out"
        case ev.Overlap():
            where = "training" if fact.found_in == "train" else fact.found_in
            where += f" of {fact.run}" if fact.run else ""
            if fact.items is None:
                return f"whether {fact.split} items are found in {where} is not known: no record of it is left"
            nearly = "nearly " if fact.near else ""
            overlap = f"{format.count(fact.items)} {fact.split} items are {nearly}found in {where} as well"
            if fact.dropped_from:
                whose = "training" if fact.dropped_from == "train" else fact.dropped_from
                return f"{overlap}; {format.count(fact.dropped)} {whose} items are left out"
            if fact.near:
                return f'{overlap}; data.near_copies = "drop" takes those out of training'
            allowed = (fact.split, fact.found_in) == ("test", "train")
            return f"{overlap}, allowed by data.overlap" if allowed else overlap
        case ev.Unread():
            share = 100 * fact.unknown / max(1, fact.tokens)
            return f"{share:.1f} % of the {fact.split} tokens are unknown to the model's tokenizer"
        case ev.Truncated():
            return (
                f"{format.count(fact.items)} of {format.count(fact.total)} {fact.split} texts are truncated to "
                f"{format.count(fact.max_length)} tokens"
            )
        case ev.Untrained():
            return (
                f"{format.UNTRAINED}: the weights that answer were drawn at random and never trained; their "
                "accuracy says nothing about the model"
            )
        case ev.Selected():
            return f"selected: the model of step {fact.step}, {fact.split} {fact.metric} {fact.value:.4f}"
        case ev.Adjusted():
            changes = ", ".join(f"{name} = {value}" for name, value in fact.after.items())
            before = ", ".join(f"{name} = {value}" for name, value in fact.before.items())
            why = fact.reason.replace("_", " ")
            return f"{why} with {before}: a fresh process goes on from the last checkpoint with {changes}"
    return ""


def _block(title: str, rows: list[tuple[str, Any]]) -> Iterator[str]:
    """A heading, and under it names and values, the values in one column; nothing without rows."""
    if rows:
        yield title
    width = max((len(clean(str(name))) for name, _ in rows), default=0)
    for name, value in rows:
        yield f"  {clean(str(name)):<{width}}  {clean(str(value))}"


def describe(summary: Summary) -> Iterator[str]:
    """The lines of `labtui show`."""
    yield f"run       {clean(summary.name)}"
    yield f"config    {clean(summary.experiment)} ({clean(summary.engine)})"
    model = format.model_name(summary.model, summary.untrained_head)
    for name, text in (("model", model), ("device", summary.device)):
        if text:
            yield f"{name:<9} {clean(text)}"
    where = f", {summary.phase} {summary.done}/{summary.total}" if summary.state == "running" and summary.total else ""
    eta = f", {format.duration(summary.eta_s)} to go" if summary.eta_s is not None else ""
    yield f"state     {summary.state}{where}{eta}"
    if summary.damage:
        yield f"damage    {clean(summary.damage)}"
    yield f"folder    {summary.folder.path}"
    if summary.end and summary.end.seconds:
        trained = f", training {format.duration(end)}" if (end := summary.end.training_seconds) else ""
        yield f"took      {format.duration(summary.end.seconds)}{trained}"
    yield from _block("scores", [(n, f"{v:.4f}") for n, v in flatten(summary.scores.as_json()) if isinstance(v, float)])
    yield from _block("settings", [(n, v if v != "" else format.MISSING) for n, v in flatten(summary.document)])
    yield "last events"
    lines = [
        (r.time, sentence(r.event))
        for r in read_last(summary.folder.events)
        if not isinstance(r.event, ev.Step | ev.Progress)
    ]
    for at, line in lines[-12:]:
        yield f"  {time.strftime('%H:%M:%S', time.localtime(at))}  {line}"
    if isinstance(summary.end, ev.Failed) and summary.end.traceback:
        yield "traceback"
        for line in summary.end.traceback.splitlines():
            yield "  " + clean(line)
