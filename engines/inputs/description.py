"""What the lab sees of a source of reviews, without a run: `describe`."""

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

from engines.data.dealing import SPLITS
from engines.data.items import Example, base_hash
from engines.data.splits import Data, Labelled, class_counts, deal, label_reviews, read_source
from engines.errors import UserError
from engines.inputs.checks import Collector
from engines.inputs.values import Description, Lengths, ShownPair, ShownText, SplitSize, Tokens
from engines.models import location, opening
from engines.models.location import Model
from engines.runs import events as ev

EXAMPLES = 5
SHOWN_PAIRS = 5
TOKENIZED_TEXTS = 10_000
BATCH = 1000


def describe(data: Data, cache: Path, model: Model | None = None, max_length: int = 512) -> Description:
    """Read a source whole, find its classes and copies, and deal its splits.

    With a `model` its tokenizer counts tokens, and what exceeds `max_length` of them. Raises `UserError` where the
    reviews cannot be read or have no classes; what fails after that is among the problems.
    """
    data.check()
    collector = Collector()
    source = read_source(data, collector, cache)
    labelled = label_reviews(data, source, collector)
    examples, labels = labelled.examples, labelled.labels
    texts = [example.text for example in examples]
    problems: list[str] = []
    splits: list[SplitSize] = []
    try:
        dealt = deal(data, labelled, collector)
    except UserError as error:
        problems.append(str(error))
    else:
        for split in SPLITS:
            items: list[Example] = getattr(dealt, split)
            splits.append({"split": split, "items": len(items), "classes": class_counts(items, labels)})
    tokens = None
    if model is not None:
        try:
            tokens = _tokens(texts, model, max_length, collector)
        except UserError as error:
            problems.append(str(error))
    return {
        "source": data.source,
        "name": source.name,
        "layout": source.layout,
        "columns": list(source.columns),
        "text_column": source.text_column,
        "label_column": source.label_column,
        "rows": len(source.texts),
        "classes": [
            {"name": name, "count": count, "share": count / len(examples)}
            for name, count in class_counts(examples, labels).items()
        ],
        "words": _lengths([len(text.split()) for text in texts]),
        "characters": _lengths(list(map(len, texts))),
        "tokens": tokens,
        "copies": len(examples) - len(set(map(base_hash, examples))),
        "near_copies": None if data.near_copies == "ignore" else len(labelled.near),
        "near_pairs": _pairs(labelled),
        "examples": _examples(labelled, data.seed),
        "splits": splits,
        "problems": problems,
        "events": [json.loads(ev.encode(event, seq, 0.0)) for seq, event in enumerate(collector.events)],
    }


def _lengths(lengths: Sequence[int]) -> Lengths:
    ordered = sorted(lengths)
    last = len(ordered) - 1
    return {
        "mean": sum(ordered) / len(ordered),
        "median": ordered[last // 2],
        "p95": ordered[round(0.95 * last)],
        "longest": ordered[last],
    }


def _pairs(labelled: Labelled) -> list[ShownPair]:
    source, examples = labelled.source, labelled.examples
    return [
        {
            "first": source.number(examples[pair.first].row),
            "second": source.number(examples[pair.second].row),
            "similarity": pair.similarity,
        }
        for pair in labelled.near[:SHOWN_PAIRS]
    ]


def _examples(labelled: Labelled, seed: int) -> dict[str, list[ShownText]]:
    """Drawn at random from each class, in the order of the source."""
    by_class: dict[int, list[Example]] = {}
    for example in labelled.examples:
        by_class.setdefault(example.label, []).append(example)
    shown: dict[str, list[ShownText]] = {}
    for index, name in enumerate(labelled.labels):
        own = by_class.get(index, [])
        drawn = Random(f"{seed}/examples/{name}").sample(own, min(EXAMPLES, len(own)))
        drawn.sort(key=lambda example: example.row)
        shown[name] = [{"place": labelled.source.number(e.row), "text": e.text} for e in drawn]
    return shown


def _tokens(texts: Sequence[str], model: Model, max_length: int, collector: Collector) -> Tokens:
    tokenizer = opening.load_tokenizer(location.locate_tokenizer(model, collector))
    count = min(len(texts), TOKENIZED_TEXTS)
    counted = [texts[at * len(texts) // count] for at in range(count)]
    special = tokenizer.num_special_tokens_to_add()
    lengths: list[int] = []
    unknown = total = 0
    for start in range(0, count, BATCH):
        for ids in tokenizer(counted[start : start + BATCH], verbose=False)["input_ids"]:
            lengths.append(len(ids))
            unknown += ids.count(tokenizer.unk_token_id)
            total += len(ids) - special
    return {
        "model": model.name,
        "texts": count,
        "lengths": _lengths(lengths),
        "max_length": max_length,
        "truncated": sum(length > max_length for length in lengths) / count,
        "unknown": None if tokenizer.unk_token_id is None else unknown / max(total, 1),
    }
