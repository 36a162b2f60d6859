"""Labelled reviews in splits: settings, labels, copies, splits."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engines.data import sources
from engines.data.dealing import SPLITS, check_official, dealt, in_order, official
from engines.data.files import Source
from engines.data.items import Example, base_hash, examples_of, write_items
from engines.data.labels import first_rows, unified_name, whole_number
from engines.data.near_copies import SIMILARITY, NearPair, groups, near_copies
from engines.data.settings import Data as Data
from engines.errors import DataError
from engines.reporter import Listener, Reporter
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.runs.writing import write_atomic
from engines.settings import nearest


@dataclass(frozen=True)
class Splits:
    """The reviews of a run; a split that was not asked for is empty."""

    labels: tuple[str, ...]
    train: list[Example]
    validation: list[Example]
    test: list[Example]


@dataclass(frozen=True)
class Labelled:
    """The labelled reviews of a source, before they are dealt."""

    source: Source
    labels: tuple[str, ...]
    examples: list[Example]
    pairs: list[NearPair]  # copies and near copies, by place in `examples`

    @property
    def near(self) -> list[NearPair]:
        """The pairs that are no exact copies."""
        bases = [base_hash(example) for example in self.examples]
        return [pair for pair in self.pairs if bases[pair.first] != bases[pair.second]]


def load_splits(data: Data, report: Reporter) -> Splits:
    """Read, clean, label, split and check the reviews; log what it consists of in notes of the phase "data".

    Which item went to which split is recorded in `splits.jsonl` of the run folder, and pairs of near copies in
    `near_copies.jsonl`. The result depends on the source and the settings alone. Raises `DataError` (or `HubError`,
    from a download) with file, row or column and remedy.
    """
    data.check()
    report.phase("data")
    labelled = label_reviews(data, read_source(data, report, report.folder.home.cache), report)
    if labelled.near:
        report.note(f"{report.folder.near_copies.name} lists the pairs that nearly repeat each other")
        write_atomic(report.folder.near_copies, "".join(map(_pair_line(labelled.examples), labelled.near)).encode())
    splits = deal(data, labelled, report)
    for split in SPLITS:
        if items := getattr(splits, split):
            report.note(f"{split}: {len(items):,} reviews ({_per_class(items, splits.labels)})")
    lines = [
        json.dumps({"hash": item.hash, "row": item.row, "split": split}) + "\n"
        for split in SPLITS
        for item in getattr(splits, split)
    ]
    write_atomic(report.folder.splits, "".join(lines).encode())
    return splits


def read_source(data: Data, report: Listener, cache: Path, *, sample: bool = False) -> Source:
    """The source of the reviews as the settings say it; with `sample` only some rows of a large one."""
    reading = replace(data.reading, sample=sample)
    source = sources.read(data.source, data.text, data.label, report, reading, data.empty == "drop", cache)
    report.check_stop()
    return source


def label_reviews(data: Data, source: Source, report: Listener) -> Labelled:
    """Give every review its class, and find copies and near copies. Raises `DataError`."""
    labels, classes = _classes(source, data, report)
    rows = [row for row, label in enumerate(classes) if label is not None]
    if len(rows) < len(classes):
        report.fact(ev.Dropped(len(classes) - len(rows), "no_label", source.name))
    examples = examples_of(source, classes, rows)
    _note_copies(source, examples, labels, report)
    report.check_stop()
    return Labelled(source, labels, examples, _near_pairs(data, source, examples, report))


def deal(data: Data, labelled: Labelled, report: Listener) -> Splits:
    """Deal labelled reviews into the splits that the settings ask for. Raises `DataError` where they cannot be."""
    source, labels, examples, pairs = labelled.source, labelled.labels, labelled.examples, labelled.pairs
    group_of = groups(len(examples), pairs)
    together = {example.row: group_of[at] for at, example in enumerate(examples)}
    if data.split == "official":
        train, validation, test = official(data, source, examples, together)
    elif data.split == "in_order":
        train, validation, test = in_order(data, source, examples)
    else:
        train, validation, test = dealt(
            data, source, examples, len(labels) if data.split == "balanced" else 1, together
        )
    if data.split in ("in_order", "official"):
        train = _without_overlap(data, source, train, test, report)
        train = _without_near_copies(data, source, examples, pairs, train, test, report)
    _check_training(data, source, train, labels, report)
    for one, other, first, second in (
        ("validation", "train", validation, train),
        ("test", "validation", test, validation),
    ):
        if shared := len(_found_in(first, second)):
            report.fact(ev.Overlap(one, other, shared))
    return Splits(labels, train, validation, test)


def check_sample(data: Data, source: Source, report: Listener) -> None:
    """What some rows of a source show to be wrong, whatever the others hold. Raises `DataError`."""
    first_row = first_rows(source, "data.label")
    if data.class_names() and not all(whole_number(value) is not None for value in first_row):
        _word_classes(source, data, first_row, report)
    if data.split == "official":
        check_official(source)


def load_training_splits(data: Data, report: Reporter) -> Splits:
    """`load` for engines that train and test: both splits hold items, and the test items are recorded."""
    data.check_splits("train", "test")
    splits = load_splits(data, report)
    write_items(report.folder, splits.test, splits.labels)
    return splits


def read_split(folder: RunFolder, split: str) -> list[str]:
    """The item hashes of a run's split, in its order; empty when the run recorded none."""
    try:
        lines = folder.splits.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return []
    return [row["hash"] for row in map(json.loads, lines) if row["split"] == split]


def class_counts(examples: Iterable[Example], labels: Sequence[str]) -> dict[str, int]:
    """Number of examples of each class, in class order, absent classes with 0."""
    counts = Counter(example.label for example in examples)
    return {name: counts[index] for index, name in enumerate(labels)}


# -- labels -----------------------------------------------------------------------------------------------


def _classes(source: Source, data: Data, report: Listener) -> tuple[tuple[str, ...], list[int | None]]:
    """Class names, and for each row its class index, None without a label."""
    first_row = first_rows(source, "data.label")
    if not first_row:
        raise DataError(f"{source.name}: no row has a label; use a source with labels")
    whole = {value: whole_number(value) for value in first_row}
    if all(number is not None for number in whole.values()):
        names, index = _number_classes(source, data, first_row, whole, report)  # type: ignore[arg-type]
    else:
        names, index = _word_classes(source, data, first_row, report)
    if len({index[value] for value in first_row}) < 2:
        only = names[next(iter(index.values()))]
        raise DataError(
            f'{source.name}: every label in column "{source.label_column}" is "{only}"; '
            "two or more classes are needed: check data.label"
        )
    return names, [None if value is None else index[value] for value in source.labels]


def _number_classes(
    source: Source, data: Data, first_row: dict[Any, int], whole: dict[Any, int], report: Listener
) -> tuple[tuple[str, ...], dict[Any, int]]:
    numbers = sorted(set(whole.values()))
    names = data.class_names() or tuple(map(unified_name, source.class_names))
    if not names:
        names = tuple(map(str, numbers))
        if numbers == [0, 1]:
            names = ("negative", "positive")
            report.note(f"{source.name}: label 0 is read as negative, 1 as positive; data.labels names them otherwise")
    base = 0 if set(numbers) <= set(range(len(names))) else 1
    if set(numbers) <= set(range(base, base + len(names))):
        return names, {value: number - base for value, number in whole.items()}
    if len(numbers) == len(names):
        return names, {value: numbers.index(number) for value, number in whole.items()}
    odd = next(value for value, number in whole.items() if not 0 <= number < len(names))
    raise DataError(
        f"{source.place(first_row[odd])}: label {odd} does not fit the {len(names)} classes "
        f"{', '.join(names)} (numbers from 0); correct it or set data.labels"
    )


def _words(source: Source, data: Data, first_row: dict[Any, int], report: Listener) -> dict[Any, str]:
    """What each label is called; spellings that differ in case or spaces alone are united or noted."""
    words = {value: unified_name(value) for value in first_row}
    spellings: dict[str, list[str]] = {}
    for word in dict.fromkeys(words.values()):
        spellings.setdefault(" ".join(word.casefold().split()), []).append(word)
    alike = [group for group in spellings.values() if len(group) > 1]
    if not alike:
        return words
    shown = "; ".join(", ".join(f'"{word}"' for word in group) for group in alike[:3])
    if not data.fold_labels:
        report.note(
            f"{source.name}: labels that differ in case or spaces alone are classes of their own ({shown}); "
            "data.fold_labels = true unites them",
            "warning",
        )
        return words
    counts = Counter(unified_name(value) for value in source.labels if value is not None)
    chosen = {word: max(group, key=lambda word: counts[word]) for group in alike for word in group}
    report.note(f"{source.name}: labels that differ in case or spaces alone are united ({shown})")
    return {value: chosen.get(word, word) for value, word in words.items()}


def _word_classes(
    source: Source, data: Data, first_row: dict[Any, int], report: Listener
) -> tuple[tuple[str, ...], dict[Any, int]]:
    words = _words(source, data, first_row, report)
    names = data.class_names() or tuple(sorted(set(words.values())))
    for value, word in words.items():
        if word not in names:
            raise DataError(
                f'{source.place(first_row[value])}: label "{word}" is none of data.labels '
                f"({', '.join(names)}){nearest(word, names)}; correct one of them"
            )
    return names, {value: names.index(word) for value, word in words.items()}


# -- copies -----------------------------------------------------------------------------------------------


def _note_copies(source: Source, examples: list[Example], labels: Sequence[str], report: Listener) -> None:
    labels_of: dict[str, set[int]] = {}
    for example in examples:
        labels_of.setdefault(base_hash(example), set()).add(example.label)
    copies = len(examples) - len(labels_of)
    report.note(
        f"{source.name}: {len(examples):,} labelled reviews ({_per_class(examples, labels)}), "
        + (f"{copies:,} of them copies of another" if copies else "no text twice")
    )
    if torn := sum(len(labels) > 1 for labels in labels_of.values()):
        report.note(f"{source.name}: {torn:,} texts carry different labels in different copies", "warning")


def _near_pairs(data: Data, source: Source, examples: list[Example], report: Listener) -> list[NearPair]:
    """Pairs of copies and near copies, by place in `examples`."""
    bases = [base_hash(example) for example in examples]
    if data.near_copies == "ignore":
        first: dict[str, int] = {}
        return [NearPair(first[base], at, 1.0) for at, base in enumerate(bases) if first.setdefault(base, at) != at]
    pairs = near_copies([example.text for example in examples], lambda done: report.check_stop())
    near = [pair for pair in pairs if bases[pair.first] != bases[pair.second]]
    if near:
        report.note(
            f"{source.name}: {len(near):,} pairs of texts nearly repeat each other (at least {SIMILARITY:.0%} of their "
            "word triples)"
        )
    return pairs


def _pair_line(examples: Sequence[Example]) -> Callable[[NearPair], str]:
    """How a pair of near copies is written down."""

    def line(pair: NearPair) -> str:
        one, other = examples[pair.first], examples[pair.second]
        rows, similarity = [one.row, other.row], round(pair.similarity, 4)
        return json.dumps({"hashes": [one.hash, other.hash], "rows": rows, "similarity": similarity}) + "\n"

    return line


def _without_near_copies(
    data: Data,
    source: Source,
    examples: list[Example],
    pairs: list[NearPair],
    train: list[Example],
    test: list[Example],
    report: Listener,
) -> list[Example]:
    """The training items of a given split, without near copies of test items where that is asked for."""
    trained, tested = {item.row for item in train}, {item.row for item in test}
    leaked, leaking = set[int](), set[int]()  # rows of the test, and of the training
    for pair in pairs:
        one, other = examples[pair.first], examples[pair.second]
        for a, b in ((one, other), (other, one)):
            if base_hash(a) != base_hash(b) and a.row in trained and b.row in tested:
                leaking.add(a.row)
                leaked.add(b.row)
    if not leaked or data.near_copies == "ignore":
        return train
    if data.near_copies == "refuse":
        raise DataError(
            f"{source.name}: {len(leaked):,} of {len(test):,} test items nearly repeat a training item (the first is "
            f'{source.number(min(leaked))}); data.near_copies = "drop" takes those out of training, "warn" allows them'
        )
    if data.near_copies == "warn":
        report.fact(ev.Overlap("test", "train", len(leaked), near=True))
        return train
    report.fact(ev.Overlap("test", "train", len(leaked), dropped=len(leaking), dropped_from="train", near=True))
    return [item for item in train if item.row not in leaking]


def _per_class(examples: Iterable[Example], labels: Sequence[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in class_counts(examples, labels).items())


def _found_in(items: Iterable[Example], others: Iterable[Example]) -> list[Example]:
    known = {base_hash(other) for other in others}
    return [item for item in items if base_hash(item) in known]


def _without_overlap(
    data: Data, source: Source, train: list[Example], test: list[Example], report: Listener
) -> list[Example]:
    leaks = _found_in(test, train)
    if not leaks:
        return train
    if data.overlap == "refuse":
        raise DataError(
            f"{source.name}: {len(leaks):,} of {len(test):,} test items are found in training (the first is "
            f'{source.number(leaks[0].row)}); set data.overlap = "drop" to take them out of training, or "allow"'
        )
    if data.overlap == "allow":
        report.fact(ev.Overlap("test", "train", len(leaks)))
        return train
    dropped = {id(item) for item in _found_in(train, test)}
    report.fact(ev.Overlap("test", "train", len(leaks), dropped=len(dropped), dropped_from="train"))
    return [item for item in train if id(item) not in dropped]


def _check_training(data: Data, source: Source, train: list[Example], labels: Sequence[str], report: Listener) -> None:
    if not data.train:
        return
    present = {item.label for item in train}
    if len(present) < 2:
        held = f'only "{labels[present.pop()]}"' if present else "nothing"
        raise DataError(
            f"{source.name}: the training split holds {held}, two or more classes are needed; "
            'raise data.train or set data.split = "shuffled"'
        )
    if absent := [name for index, name in enumerate(labels) if index not in present]:
        report.note(f"no training review is {' or '.join(absent)}", "warning")
