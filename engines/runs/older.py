"""Events as earlier versions wrote them, lifted into today's kinds and fields where a line is read.

They told in the English of a note what is a fact of its own today (`engines.runs.events.Fact`).
"""

import re
from collections.abc import Callable
from typing import Any

Fields = dict[str, Any]

_COUNT = r"([\d,]+)"
_UNTRAINED_MODEL = ", UNTRAINED HEAD"  # what a model's name ended with


def lifted(values: Any) -> Any:
    """The object of an event's line in today's kinds and fields; what needs no lifting, or is no event, as it is."""
    if not isinstance(values, dict):
        return values
    if values.get("kind") == "note" and isinstance(text := values.get("text"), str):
        for pattern, fields in _NOTES:
            if match := pattern.fullmatch(text):
                return {name: values[name] for name in ("seq", "time") if name in values} | fields(*match.groups())
    elif isinstance(model := values.get("model"), str) and model.endswith(_UNTRAINED_MODEL):
        return values | {"model": model.removesuffix(_UNTRAINED_MODEL)}  # its scores say so too
    return values


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def _dropped(source: str, rows: str) -> Fields:
    return {"kind": "dropped", "rows": _number(rows), "reason": "no_label", "source": source}


def _truncated(items: str, total: str, split: str, max_length: str) -> Fields:
    return {
        "kind": "truncated",
        "split": split,
        "items": _number(items),
        "total": _number(total),
        "max_length": _number(max_length),
    }


def _overlap(items: str, split: str, found_in: str) -> Fields:
    found_in = {"training": "train"}.get(found_in, found_in)
    return {"kind": "overlap", "split": split, "found_in": found_in, "items": _number(items)}


def _overlap_dropped(dropped: str, items: str) -> Fields:
    return {**_overlap(items, "test", "train"), "dropped": _number(dropped), "dropped_from": "train"}


def _overlap_with_run(items: str, run: str, handling: str) -> Fields:
    fact = {**_overlap(items, "test", "train"), "run": run}
    return fact if handling == "allowed" else {**fact, "dropped": fact["items"], "dropped_from": "test"}


def _untrained() -> Fields:
    return {"kind": "untrained", "part": "head"}


def _selected(step: str, accuracy: str) -> Fields:
    return {
        "kind": "selected",
        "step": int(step),
        "split": "validation",
        "metric": "accuracy",
        "value": float(accuracy),
    }


def _adjusted(before: str, after: str, accumulation: str, rows_per_step: str) -> Fields:
    def settings(batch_size: int, accumulation: int) -> dict[str, int]:
        return {"training.batch_size": batch_size, "training.accumulation": accumulation}

    return {
        "kind": "adjusted",
        "reason": "out_of_memory",
        "before": settings(int(before), int(rows_per_step) // int(before)),
        "after": settings(int(after), int(accumulation)),
    }


_NOTES: tuple[tuple[re.Pattern[str], Callable[..., Fields]], ...] = tuple(
    (re.compile(pattern), fields)
    for pattern, fields in (
        (rf"(.+): {_COUNT} rows without a label are left out", _dropped),
        (rf"{_COUNT} of {_COUNT} (\w+) (?:texts|reviews) are longer than {_COUNT} tokens and cut", _truncated),
        (rf"{_COUNT} (test|validation) items are found in (\w+) as well(?:, allowed by data\.overlap)?", _overlap),
        (rf"{_COUNT} training items are left out because {_COUNT} test items copy them", _overlap_dropped),
        (
            rf"{_COUNT} of the [\d,]+ items were training items of (.+), (left out|allowed) by data\.overlap",
            _overlap_with_run,
        ),
        ("UNTRAINED HEAD: .+", _untrained),
        (r"kept: the model of step (\d+), validation accuracy ([\d.]+)", _selected),
        (
            r"out of memory with (\d+) reviews at once: .+ with (\d+) at once, (\d+) times a step; "
            r"a step still reads (\d+) reviews",
            _adjusted,
        ),
    )
)
