"""Labelled reviews in splits: settings, labels, copies, splits."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from engines.data import sources
from engines.data.files import Source
from engines.data.items import Example, examples_of, write_items
from engines.data.labels import first_rows, unified_name, whole_number
from engines.errors import ConfigError, DataError
from engines.reporter import Reporter
from engines.runs.folder import RunFolder
from engines.runs.writing import write_atomic
from engines.settings import nearest, option

SPLITS = ("train", "validation", "test")
HUB_REVIEWS = 50_000
"""Reviews of a source whose size is not known before it is read: IMDB's."""


@dataclass(frozen=True)
class Data:
    """Where reviews come from and how they are split."""

    source: str = option("quickstart", 'A file (CSV, TSV, JSONL, Parquet, also .gz), a hub data set, or "quickstart".')
    text: str = option("", "Column of the reviews; empty: found by name.")
    label: str = option("", "Column of the labels; empty: found by name.")
    labels: str = option("", "Names of the classes in class order, separated by commas; empty: taken from the data.")
    split: str = option(
        "shuffled", "How rows are dealt to the splits.", choices=("in_order", "shuffled", "balanced", "official")
    )
    overlap: str = option(
        "refuse",
        "Test items found in training: refuse, drop (from training; from the test of a model that is "
        "only scored), or allow.",
        choices=("refuse", "drop", "allow"),
    )
    seed: int = option(0, "Seed of the split: runs that differ in their own seed alone are tested on the same reviews.")
    train: int | float = option(
        0.8, "Training reviews: a count, or a fraction with a point.", unit="reviews", minimum=0
    )
    validation: int | float = option(
        0.1, "Validation reviews: a count, or a fraction with a point.", unit="reviews", minimum=0
    )
    test: int | float = option(
        0.1, "Test reviews: a count, or a fraction with a point; 1.0 takes all that remain.", unit="reviews", minimum=0
    )

    def check(self) -> None:
        """Raise `ConfigError` where settings do not fit together; reads nothing."""
        for split in SPLITS:
            size = getattr(self, split)
            if isinstance(size, float) and size > 1:
                raise ConfigError(f"data.{split} = {size} is above 1; write a count as a whole number")
        if not any(getattr(self, split) for split in SPLITS):
            raise ConfigError("data.train, data.validation and data.test are all 0; raise one of them")
        names = self.class_names()
        if self.labels and len(set(names)) < max(len(names), 2):
            raise ConfigError(f'data.labels = "{self.labels}" does not name two or more different classes')

    def class_names(self) -> tuple[str, ...]:
        """The names in `labels`, in class order; empty when they are to be taken from the data."""
        return tuple(unified_name(name) for name in self.labels.split(",")) if self.labels.strip() else ()

    def expected_reviews(self, *splits: str) -> int:
        """How many reviews `splits` will hold, as far as is known before the source is read.

        Fractions are of the source's size where that is known, else of `HUB_REVIEWS`.
        """
        whole = sources.QUICKSTART_REVIEWS if self.source == sources.QUICKSTART else HUB_REVIEWS
        sizes = [getattr(self, split) for split in splits]
        return sum(size if isinstance(size, int) else round(size * whole) for size in sizes)


@dataclass(frozen=True)
class Splits:
    """The reviews of a run; a split that was not asked for is empty."""

    labels: tuple[str, ...]
    train: list[Example]
    validation: list[Example]
    test: list[Example]


def load_splits(data: Data, report: Reporter) -> Splits:
    """Read, clean, label, split and check the reviews; say what was found in notes of the phase "data".

    Which item went to which split is recorded in `splits.jsonl` of the run folder. The result depends on
    the source and the settings alone. Raises `DataError` (or `HubError`, from a
    download) with file, row or column and remedy.
    """
    data.check()
    report.phase("data")
    source = sources.read(data.source, data.text, data.label, report)
    report.check_stop()
    labels, classes = _classes(source, data, report)
    rows = [row for row, label in enumerate(classes) if label is not None]
    if len(rows) < len(classes):
        report.note(f"{source.name}: {len(classes) - len(rows):,} rows without a label are left out")
    examples = examples_of(source, classes, rows)
    _note_copies(source, examples, labels, report)
    report.check_stop()
    if data.split == "official":
        dealt = _official(data, source, examples)
    elif data.split == "in_order":
        dealt = _in_order(data, source, examples)
    else:
        dealt = _dealt(data, source, examples, len(labels) if data.split == "balanced" else 1)
    train, validation, test = dealt
    if data.split in ("in_order", "official"):
        train = _without_overlap(data, source, train, test, report)
    _check_training(data, source, train, labels, report)
    for one, other, first, second in (
        ("validation", "training", validation, train),
        ("test", "validation", test, validation),
    ):
        if found := len(_found_in(first, second)):
            report.note(f"{found:,} {one} items are found in {other} as well", "warning")
    for split, items in zip(SPLITS, (train, validation, test), strict=True):
        if items:
            report.note(f"{split}: {len(items):,} reviews ({_per_class(items, labels)})")
    lines = [
        json.dumps({"hash": item.hash, "row": item.row, "split": split}) + "\n"
        for split, items in zip(SPLITS, (train, validation, test), strict=True)
        for item in items
    ]
    write_atomic(report.folder.splits, "".join(lines).encode())
    return Splits(labels, train, validation, test)


def load_training_splits(data: Data, report: Reporter) -> Splits:
    """`load` for engines that train and test: both splits hold items, and the test items are recorded."""
    for split in ("train", "test"):
        if not getattr(data, split):
            raise ConfigError(f"data.{split} = 0 leaves nothing to {split} on; raise it")
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


def _classes(source: Source, data: Data, report: Reporter) -> tuple[tuple[str, ...], list[int | None]]:
    """Class names, and for each row its class index, None without a label."""
    first_row = first_rows(source, "data.label")
    if not first_row:
        raise DataError(f"{source.name}: no row has a label; use a source with labels")
    whole = {value: whole_number(value) for value in first_row}
    if all(number is not None for number in whole.values()):
        names, index = _number_classes(source, data, first_row, whole, report)  # type: ignore[arg-type]
    else:
        names, index = _word_classes(source, data, first_row)
    if len({index[value] for value in first_row}) < 2:
        only = names[next(iter(index.values()))]
        raise DataError(
            f'{source.name}: every label in column "{source.label_column}" is "{only}"; '
            "two or more classes are needed: check data.label"
        )
    return names, [None if value is None else index[value] for value in source.labels]


def _number_classes(
    source: Source, data: Data, first_row: dict[Any, int], whole: dict[Any, int], report: Reporter
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


def _word_classes(source: Source, data: Data, first_row: dict[Any, int]) -> tuple[tuple[str, ...], dict[Any, int]]:
    words = {value: unified_name(value) for value in first_row}
    names = data.class_names() or tuple(sorted(set(words.values())))
    for value, word in words.items():
        if word not in names:
            raise DataError(
                f'{source.place(first_row[value])}: label "{word}" is none of data.labels '
                f"({', '.join(names)}){nearest(word, names)}; correct one of them"
            )
    return names, {value: names.index(word) for value, word in words.items()}


# -- copies -----------------------------------------------------------------------------------------------


def _base(example: Example) -> str:
    return example.hash.partition("#")[0]


def _note_copies(source: Source, examples: list[Example], labels: Sequence[str], report: Reporter) -> None:
    labels_of: dict[str, set[int]] = {}
    for example in examples:
        labels_of.setdefault(_base(example), set()).add(example.label)
    copies = len(examples) - len(labels_of)
    report.note(
        f"{source.name}: {len(examples):,} labelled reviews ({_per_class(examples, labels)}), "
        + (f"{copies:,} of them copies of another" if copies else "no text twice")
    )
    if torn := sum(len(found) > 1 for found in labels_of.values()):
        report.note(f"{source.name}: {torn:,} texts carry different labels in different copies", "warning")


def _per_class(examples: Iterable[Example], labels: Sequence[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in class_counts(examples, labels).items())


def _found_in(items: Iterable[Example], others: Iterable[Example]) -> list[Example]:
    known = {_base(other) for other in others}
    return [item for item in items if _base(item) in known]


def _without_overlap(
    data: Data, source: Source, train: list[Example], test: list[Example], report: Reporter
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
        report.note(f"{len(leaks):,} test items are found in training as well, allowed by data.overlap", "warning")
        return train
    dropped = {id(item) for item in _found_in(train, test)}
    report.note(f"{len(dropped):,} training items are left out because {len(leaks):,} test items copy them", "warning")
    return [item for item in train if id(item) not in dropped]


def _check_training(data: Data, source: Source, train: list[Example], labels: Sequence[str], report: Reporter) -> None:
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


# -- splits -----------------------------------------------------------------------------------------------


def _sizes(data: Data, source: Source, total: int, what: str, multiple: int = 1) -> list[int]:
    """How many of `total` reviews go to each split, each a multiple of `multiple`."""
    asked = [getattr(data, split) for split in SPLITS]
    sizes = [int(size * total + 1e-6) if isinstance(size, float) else size for size in asked]
    if asked[2] == 1 and isinstance(asked[2], float):
        sizes[2] = max(total - sizes[0] - sizes[1], 0)
    elif all(isinstance(size, float) or not size for size in asked) and abs(sum(asked) - 1) < 1e-9:
        sizes[next(index for index, size in enumerate(asked) if size)] += total - sum(sizes)
    for index, split in enumerate(SPLITS):
        if isinstance(asked[index], float):
            sizes[index] -= sizes[index] % multiple
        elif sizes[index] % multiple:
            near = sizes[index] - sizes[index] % multiple
            raise DataError(
                f"data.{split} = {sizes[index]:,} cannot be the same for {multiple} classes; "
                f"use {near or multiple:,} or {near + multiple:,}"
            )
    if sum(sizes) > total:
        wanted = " + ".join(f"{size:,}" for size in sizes if size)
        raise DataError(
            f"{source.name}: {wanted} = {sum(sizes):,} reviews are asked for, there are {total:,} {what}; "
            "lower data.train, data.validation or data.test"
        )
    for index, split in enumerate(SPLITS):
        if asked[index] and not sizes[index]:
            raise DataError(
                f"{source.name}: data.{split} = {asked[index]} leaves no review for this split of "
                f"{total:,} {what}; raise it, lower the others or use more data"
            )
    return sizes


def _in_order(data: Data, source: Source, examples: list[Example]) -> list[list[Example]]:
    first, second, third = _sizes(data, source, len(examples), "labelled")
    ends = (0, first, first + second, first + second + third)
    return [examples[start:end] for start, end in zip(ends, ends[1:], strict=False)]


def _dealt(data: Data, source: Source, examples: list[Example], classes: int) -> list[list[Example]]:
    """Shuffled splits, or with `classes` above 1 balanced ones: as many of each class in every split."""
    if classes == 1:
        sizes = _sizes(data, source, len(examples), "labelled")
        return _deal(source, examples, [[size] for size in sizes], lambda _: 0, Random(f"{data.seed}/split"))
    least = min(Counter(example.label for example in examples)[label] for label in range(classes))
    sizes = _sizes(data, source, least * classes, f"in {classes} classes of equal size", classes)
    rooms = [[size // classes] * classes for size in sizes]
    return _deal(source, examples, rooms, lambda example: example.label, Random(f"{data.seed}/split"))


def _official(data: Data, source: Source, examples: list[Example]) -> list[list[Example]]:
    """The splits a hub data set comes with; validation is carved out of training where there is none."""
    held: dict[str, list[Example]] = {split: [] for split in SPLITS}
    if not source.parts:
        raise DataError(f'{source.name} has no official splits; set data.split = "shuffled", "balanced" or "in_order"')
    for example in examples:
        held.setdefault(source.parts[example.row], []).append(example)
    carve = bool(data.validation) and not held["validation"]
    for split in SPLITS:
        if getattr(data, split) and not held[split] and not (split == "validation" and held["train"]):
            raise DataError(
                f'{source.name} has no official split "{split}" with labels; set data.{split} = 0, '
                'or data.split = "shuffled"'
            )

    def size(split: str, total: int) -> int:
        asked = getattr(data, split)
        count = int(asked * total + 1e-6) if isinstance(asked, float) else asked
        if count > total:
            raise DataError(f"{source.name}: data.{split} = {count:,}, its official split holds {total:,}; lower it")
        if asked and not count:
            raise DataError(f"{source.name}: data.{split} = {asked} leaves no review of {total:,}; raise it")
        return count

    def take(split: str, rooms: list[int]) -> list[list[Example]]:
        return _deal(source, held[split], [[room] for room in rooms], lambda _: 0, Random(f"{data.seed}/split/{split}"))

    test = take("test", [size("test", len(held["test"]))])[0]
    if not carve:
        train = take("train", [size("train", len(held["train"]))])[0]
        return [train, take("validation", [size("validation", len(held["validation"]))])[0], test]
    total = len(held["train"])
    validation_size = size("validation", total)
    whole = isinstance(data.train, float) and data.train == 1
    train_size = total - validation_size if whole else size("train", total)
    if train_size + validation_size > total:
        raise DataError(
            f"{source.name}: {train_size:,} + {validation_size:,} reviews are asked for training and "
            f"validation, the official training split holds {total:,}; lower data.train"
        )
    train, validation = take("train", [train_size, validation_size])
    return [train, validation, test]


def _deal(
    source: Source, examples: list[Example], rooms: list[list[int]], key: Callable[[Example], int], rng: Random
) -> list[list[Example]]:
    """Deal shuffled examples to splits so that copies of a text never stand in two of them.

    `rooms[split][key]` is how many examples of each key a split takes, exactly. The last split is dealt first,
    so that the test items stay the same whatever is trained on, unless copies leave no slack. What is left over is
    not used; where copies fit nowhere together, some of them are left over too, and `DataError` when none may be.
    """
    shuffled = rng.sample(examples, len(examples))
    rank = {example.row: position for position, example in enumerate(shuffled)}
    groups: dict[str, list[Example]] = {}
    for example in shuffled:
        groups.setdefault(_base(example), []).append(example)
    dealt = _in_turn(groups.values(), rooms, key) or _squeezed(source, groups.values(), rooms, key, rng)
    return [sorted(split, key=lambda example: rank[example.row]) for split in dealt]


def _in_turn(
    groups: Iterable[list[Example]], rooms: list[list[int]], key: Callable[[Example], int]
) -> list[list[Example]] | None:
    """Each group into the last split that has room for all of it; None where a split does not get full so."""
    left = [list(room) for room in rooms]
    dealt: list[list[Example]] = [[] for _ in rooms]
    for group in groups:
        need = Counter(map(key, group))
        for split in reversed(range(len(rooms))):
            if all(left[split][k] >= count for k, count in need.items()):
                dealt[split] += group
                for k, count in need.items():
                    left[split][k] -= count
                break
    return None if any(map(any, left)) else dealt


def _squeezed(
    source: Source,
    groups: Collection[list[Example]],
    rooms: list[list[int]],
    key: Callable[[Example], int],
    rng: Random,
) -> list[list[Example]]:
    """Copies first, wherever they fit, then the single ones: where the sizes leave no slack."""
    there = Counter(key(example) for group in groups for example in group)
    bins = [list(room) for room in rooms]
    bins.append([there[k] - sum(room[k] for room in rooms) for k in range(len(rooms[0]))])
    dealt: list[list[Example]] = [[] for _ in bins]

    def put(example: Example, to: int) -> None:
        bins[to][key(example)] -= 1
        dealt[to].append(example)

    for group in [group for group in groups if len(group) > 1]:
        need = Counter(map(key, group))
        fitting = [to for to, room in enumerate(bins) if all(room[k] >= count for k, count in need.items())]
        if fitting:
            to = rng.choices(fitting, [sum(bins[to][k] for k in need) for to in fitting])[0]
            for example in group:
                put(example, to)
            continue
        to = max(range(len(rooms)), key=lambda to: sum(min(bins[to][k], count) for k, count in need.items()))
        for example in group:
            place = to if bins[to][key(example)] else len(rooms)
            if not bins[place][key(example)]:
                first = source.number(min(copy.row for copy in group))
                raise DataError(
                    f"{source.name}: the {len(group)} copies of {first} cannot stand in one "
                    'split of these sizes; lower data.train, or use data.split = "in_order"'
                )
            put(example, place)
    for group in groups:
        if len(group) == 1:
            put(group[0], next(to for to, room in enumerate(bins) if room[key(group[0])]))
    return dealt[: len(rooms)]
