"""Reviews dealt into splits: in order, shuffled, balanced, or as the source itself splits them."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from random import Random
from typing import Protocol

from engines.data.files import Source
from engines.data.items import Example
from engines.errors import DataError

SPLITS = ("train", "validation", "test")


class Sizes(Protocol):
    """What is asked of the settings of data: how many reviews each split takes, as a count or a fraction."""

    @property
    def train(self) -> int | float: ...

    @property
    def validation(self) -> int | float: ...

    @property
    def test(self) -> int | float: ...

    @property
    def seed(self) -> int: ...


def in_order(data: Sizes, source: Source, examples: list[Example]) -> list[list[Example]]:
    first, second, third = _sizes(data, source, len(examples), "labelled")
    ends = (0, first, first + second, first + second + third)
    return [examples[start:end] for start, end in zip(ends, ends[1:], strict=False)]


def dealt(
    data: Sizes, source: Source, examples: list[Example], classes: int, together: Mapping[int, int]
) -> list[list[Example]]:
    """Shuffled splits, or with `classes` above 1 balanced ones: as many of each class in every split."""
    if classes == 1:
        sizes = _sizes(data, source, len(examples), "labelled")
        rooms = [[size] for size in sizes]
        return _deal(source, examples, rooms, lambda _: 0, Random(f"{data.seed}/split"), together)
    least = min(Counter(example.label for example in examples)[label] for label in range(classes))
    sizes = _sizes(data, source, least * classes, f"in {classes} classes of equal size", classes)
    rooms = [[size // classes] * classes for size in sizes]
    return _deal(source, examples, rooms, lambda example: example.label, Random(f"{data.seed}/split"), together)


def check_official(source: Source) -> None:
    """Raise `DataError` where a source comes without splits of its own."""
    if not source.parts:
        raise DataError(f'{source.name} has no official splits; set data.split = "shuffled", "balanced" or "in_order"')


def official(data: Sizes, source: Source, examples: list[Example], together: Mapping[int, int]) -> list[list[Example]]:
    """The splits a hub data set comes with; validation is carved out of training where there is none."""
    held: dict[str, list[Example]] = {split: [] for split in SPLITS}
    check_official(source)
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
        sizes, rng = [[room] for room in rooms], Random(f"{data.seed}/split/{split}")
        return _deal(source, held[split], sizes, lambda _: 0, rng, together)

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


def _sizes(data: Sizes, source: Source, total: int, what: str, multiple: int = 1) -> list[int]:
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


def _deal(
    source: Source,
    examples: list[Example],
    rooms: list[list[int]],
    key: Callable[[Example], int],
    rng: Random,
    together: Mapping[int, int],
) -> list[list[Example]]:
    """Deal shuffled examples to splits so that copies of a text, and near copies, never stand in two of them.

    `together` numbers the group of each row; rows of one group stay together.

    `rooms[split][key]` is how many examples of each key a split takes, exactly. The last split is dealt first,
    so that the test items stay the same whatever is trained on, unless copies leave no slack. What is left over is
    not used; where copies fit nowhere together, some of them are left over too, and `DataError` when none may be.
    """
    shuffled = rng.sample(examples, len(examples))
    rank = {example.row: position for position, example in enumerate(shuffled)}
    grouped: dict[int, list[Example]] = {}
    for example in shuffled:
        grouped.setdefault(together[example.row], []).append(example)
    filled = _in_turn(grouped.values(), rooms, key) or _squeezed(source, grouped.values(), rooms, key, rng)
    return [sorted(split, key=lambda example: rank[example.row]) for split in filled]


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
