"""What a confusion matrix warns of: answers that tell nothing apart, and classes that are turned round."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from engines.answers.intervals import wilson_interval
from engines.study.values import WarningKind

FAR_BETTER = 0.2
"""By so much the accuracy has to rise when two classes are swapped, beyond both intervals, to be worth a word."""


@dataclass(frozen=True)
class ClassWarning:
    """A doubt about the answers of one set."""

    kind: WarningKind
    text: str


def class_warnings(confusion: Sequence[Sequence[int]], labels: Sequence[str]) -> Iterator[ClassWarning]:
    """`confusion` is (classes, classes + 1): one row per true class, one column per predicted one, then invalid."""
    items = sum(map(sum, confusion))
    if items < 2 or len(labels) < 2:
        return
    classes = range(len(labels))
    answered = [sum(row[at] for row in confusion) for at in classes]
    correct = sum(confusion[at][at] for at in classes)
    present = sum(any(row) for row in confusion)
    if present > 1 and sum(map(bool, answered)) == 1:
        only = labels[next(at for at in classes if answered[at])]
        yield ClassWarning("one_answer", f'every answer is "{only}": nothing is told apart')
    elif present > 1:
        largest = max(classes, key=lambda at: sum(confusion[at]))
        share = sum(confusion[largest]) / items
        low, high = wilson_interval(correct, items)
        if low <= share:
            never = "is below" if high < share else "may be no more than"
            yield ClassWarning(
                "not_above_largest_class",
                f'the accuracy of {correct / items:.3f} {never} that of always answering "{labels[largest]}", '
                f"{share:.3f}",
            )
    yield from _turned_round(confusion, labels, correct, items)


def _turned_round(
    confusion: Sequence[Sequence[int]], labels: Sequence[str], correct: int, items: int
) -> Iterator[ClassWarning]:
    """Where two classes swapped would make the accuracy far better, of all pairs the best one."""
    swapped = {
        (a, b): correct - confusion[a][a] - confusion[b][b] + confusion[a][b] + confusion[b][a]
        for a, b in combinations(range(len(labels)), 2)
    }
    a, b = max(swapped, key=lambda pair: swapped[pair])
    better = swapped[a, b]
    apart = wilson_interval(better, items)[0] > wilson_interval(correct, items)[1]
    if apart and better - correct >= FAR_BETTER * items:
        yield ClassWarning(
            "labels_turned_round",
            f'with "{labels[a]}" and "{labels[b]}" swapped the accuracy would be {better / items:.3f} instead of '
            f"{correct / items:.3f}: the labels are probably turned round",
        )
