"""Answers that another program gave, as they are read from a file of its own: their classes and their items."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from engines.answers.columns import WITHOUT_TEXT
from engines.data.files import Source
from engines.data.items import Example, examples_of
from engines.data.labels import first_rows, unified_name, whole_number
from engines.reporter import Notes

NO_ANSWER = frozenset(("", "-", "?", "error", "invalid", "n/a", "na", "nan", "no answer", "none", "null", "unknown"))
"""What stands for no answer, in small letters; these are never classes unless a label is called so."""
_CLASS_NAME = re.compile(r"\w[\w /&.+-]{0,39}")


@dataclass
class ImportedRepeat:
    """One series of predictions, an entry per item."""

    value: str  # the column or filter, which tells it from the others
    predicted: list[int | None]
    probabilities: list[list[float]]
    texts: dict[int, str] = field(default_factory=dict)  # as generated, by item


@dataclass
class ImportedAnswers:
    """What a file of another program holds."""

    form: str
    labels: tuple[str, ...]
    examples: list[Example]
    repeats: list[ImportedRepeat]
    varied: str
    model: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)  # for config.toml


def foreign_classes(
    source: Source, notes: Notes | None, choices: Sequence[Any] = ()
) -> tuple[tuple[str, ...], list[int], Callable[[Any], int | None]]:
    """Class names as they are unified everywhere, the class of each row, and what class a prediction means.

    A class may be written as the labels write it or by its name; None is an answer that is no label. `choices` are
    classes too, whether or not an item has them. Without `notes` nothing is said.
    """
    first = first_rows(source, "--label", choices)
    whole = {value: whole_number(value) for value in first}
    numbers = sorted({number for number in whole.values() if number is not None})
    numbered = len(numbers) > 0 and None not in whole.values()
    if numbered:
        names = ("negative", "positive") if numbers == [0, 1] else tuple(map(str, numbers))
        if numbers == [0, 1] and notes:
            notes.note(f"{source.name}: label 0 is read as negative, 1 as positive")
    else:
        names = tuple(sorted({unified_name(value) for value in first}))

    def class_of(value: Any) -> int | None:
        if value is None or isinstance(value, list | dict):
            return None
        if numbered and (number := whole_number(value)) in numbers:
            return numbers.index(number)
        word = unified_name(value)
        return names.index(word) if word in names else None

    classes = [class_of(value) for value in source.labels]
    return names, [c for c in classes if c is not None], class_of


def classes_only_predicted(
    source: Source, class_of: Callable[[Any], int | None], values: Iterable[Any]
) -> Counter[str]:
    """The classes among predicted `values` that no label names, with how often each is predicted.

    `class_of` knows the labels. Where all labels are whole numbers such a class is one too; else it is a short word
    that does not stand for "no answer" and is not a label in other letters. Labels of 0 and 1 are all there are.
    """
    numbered = all(whole_number(label) is not None for label in source.labels)
    known = {unified_name(label).casefold() for label in source.labels}
    found: Counter[str] = Counter()
    if {whole_number(label) for label in source.labels} == {0, 1}:
        return found
    for value in values:
        if value is None or value != value or isinstance(value, list | dict) or class_of(value) is not None:
            continue
        word, number = unified_name(value), whole_number(value)
        if word.casefold() in known or word.casefold() in NO_ANSWER or numbered != (number is not None):
            continue
        if number is not None or _CLASS_NAME.fullmatch(word):
            found[word if number is None else str(number)] += 1
    return found


def foreign_examples(source: Source, classes: Sequence[int], digest: str, rows: Sequence[int] = ()) -> list[Example]:
    """The items of a file with this sha256 `digest`, by which items without texts are known; `rows` are their numbers
    in the source where these are not their places."""
    if source.texts:
        examples = examples_of(source, classes, range(len(classes)))
        return [Example(e.text, e.label, rows[n], e.hash) for n, e in enumerate(examples)] if rows else examples
    numbers = rows or range(len(classes))
    known_by = f"{WITHOUT_TEXT}{digest}:"
    return [Example("", c, row, f"{known_by}{row}") for row, c in zip(numbers, classes, strict=True)]


def note_identity(name: str, texts: bool, notes: Notes, remedy: str) -> None:
    """Say of a file without `texts` what its answers can be compared with; `remedy` is how to give it texts."""
    if not texts:
        notes.note(f"{name} holds no texts: its columns can be compared with each other, not with other runs; {remedy}")


def note_invalid(place: str, values: Sequence[Any], predicted: Sequence[int | None], notes: Notes) -> None:
    """Warn of the `values` in `place` that `predicted` no label, None, with the commonest of them."""
    odd = Counter(repr(v)[:40] for v, p in zip(values, predicted, strict=True) if p is None)
    if count := sum(odd.values()):
        shown = ", ".join(value for value, _ in odd.most_common(3)) + (", ..." if len(odd) > 3 else "")
        be, they = ("is", "it counts") if count == 1 else ("are", "they count")
        notes.note(
            f"{place}: {count:,} of {len(values):,} answers {be} no label ({shown}); {they} as invalid", "warning"
        )
