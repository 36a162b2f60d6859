"""Data before a run reads them: what the lab sees of a source, as lines for the terminal and the console."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import cast

from engines.data import files
from engines.data.settings import Data
from engines.inputs import asking
from engines.inputs.values import Description, Lengths
from engines.runs import events as ev
from engines.runs.home import Home
from engines.study.statistics import smallest_detectable_difference
from engines.study.values import Disagreement
from labtui import narrate
from labtui.format import count
from labtui.sanitize import clean

DISAGREEMENT = 0.10  # share of the items that one of two models gets right, where no earlier runs say
POWER = 0.80
ALPHA = 0.05
TEXT_WIDTH = 160  # characters that are shown of an example
CLASSES_SHOWN = 20


def describe(
    home: Home,
    data: Data,
    model: str = "",
    revision: str = "",
    max_length: int = 512,
    meanwhile: Callable[[], object] = lambda: None,
) -> Description:
    """What the lab sees of `data`, found by a process of its own; `meanwhile` is called until it answers.

    Raises `UserError` in a sentence, and `engines.inputs.asking.InputsError` for a fault of ours.
    """
    return cast(
        Description,
        asking.ask(
            "describe",
            meanwhile,
            data=asdict(replace(data, source=files.absolute(data.source))),
            home=str(home.path),
            model=files.absolute(model),
            revision=revision,
            max_length=max_length,
        ),
    )


def smallest_difference(description: Description) -> float | None:
    """The smallest difference in accuracy that the test split is likely to show; None without one."""
    items = test_items(description)
    return smallest_detectable_difference(items, DISAGREEMENT, POWER, ALPHA) if items else None


def test_items(description: Description) -> int:
    return sum(split["items"] for split in description["splits"] if split["split"] == "test")


def notes(description: Description) -> list[str]:
    """What a run would note on the data, in cleaned sentences."""
    records = (ev.decode(json.dumps(event).encode()) for event in description["events"])
    return [narrate.sentence(record.event) for record in records if record is not None]


def power_text(items: int, seen: Disagreement | None) -> str:
    """The smallest difference that so many test items can show, and what that rests on; `seen` is of earlier runs."""
    share, source = DISAGREEMENT, "assumed"
    if seen and seen["share"]:
        share, pairs = seen["share"], f"{count(seen['pairs'])} pair{'s' if seen['pairs'] > 1 else ''}"
        source = f"seen between {pairs} of earlier runs above chance and not told apart"
    smallest = smallest_detectable_difference(items, share, POWER, ALPHA)
    given = f"{100 * POWER:.0f} % power, alpha {ALPHA:g}"
    tested = f"{count(items)} test item{'s' if items > 1 else ''}"
    if smallest >= 1:
        return f"{tested}: no difference can be seen ({given})"
    unseen = f"differences under {100 * smallest:.1f} points cannot be seen reliably"
    if smallest > share:  # then so is the disagreement: one model is right wherever the two differ
        return f"{tested}: {unseen} ({given}, one model never worse)"
    return f"{tested}: {unseen} ({given}, {100 * share:.3g} % disagreement {source})"


def lines(description: Description) -> Iterator[str]:
    """A description as cleaned lines, its problems left out."""
    for line in _lines(description):
        yield clean(line)


def _lines(seen: Description) -> Iterator[str]:
    yield f"source      {seen['name']} ({seen['layout'].replace('_', ' ')}), {count(seen['rows'])} rows"
    marks = {seen["label_column"]: " (label)", **dict.fromkeys(seen["text_column"].split(" and "), " (text)")}
    yield "columns     " + ", ".join(f"{column or '(no name)'}{marks.get(column, '')}" for column in seen["columns"])
    shown = [f"{c['name']} {count(c['count'])} ({_percent(c['share'])})" for c in seen["classes"][:CLASSES_SHOWN]]
    more = len(seen["classes"]) - len(shown)
    yield f"classes     {len(seen['classes'])}: {', '.join(shown)}" + (f", and {more} more" if more else "")
    yield f"words       {_lengths(seen['words'])}"
    yield f"characters  {_lengths(seen['characters'])}"
    if tokens := seen["tokens"]:
        yield f"tokens      {_lengths(tokens['lengths'])} ({tokens['model']}, {count(tokens['texts'])} texts)"
        yield f"truncated   {_percent(tokens['truncated'])} of them, longer than {count(tokens['max_length'])} tokens"
        if tokens["unknown"] is not None:
            yield f"unknown     {_percent(tokens['unknown'])} of the tokens stand for what the tokenizer cannot read"
    near = seen["near_copies"]
    nearly = "near copies were not searched for" if near is None else f"{count(near)} pairs nearly do"
    yield f"copies      {count(seen['copies'])} texts equal an earlier one, {nearly}"
    for pair in seen["near_pairs"]:
        yield f"            {pair['first']} and {pair['second']}: {_percent(pair['similarity'])} of their word triples"
    for split in seen["splits"]:
        classes = list(split["classes"].items())[:CLASSES_SHOWN]
        per_class = ", ".join(f"{name} {count(number)}" for name, number in classes)
        yield f"{split['split']:<11} {count(split['items'])}" + (f": {per_class}" if split["items"] else "")
    if items := test_items(seen):
        yield f"difference  {power_text(items, None)}"
    yield from (f"note        {note}" for note in notes(seen))
    for name, examples in seen["examples"].items():
        yield f"examples of {name}"
        for example in examples:
            text = example["text"]
            yield f"  {example['place']}: {text[:TEXT_WIDTH]}" + (" …" if len(text) > TEXT_WIDTH else "")


def _lengths(lengths: Lengths) -> str:
    return (
        f"mean {count(lengths['mean'])}, median {count(lengths['median'])}, 95 % up to {count(lengths['p95'])}, "
        f"longest {count(lengths['longest'])}"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
