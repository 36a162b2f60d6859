"""The metrics, each declared once: its words, how it is computed, its interval, and where it is shown.

The scores of a run, the measures of a study, the results table and panel, every export, the model card and the report
are made of `METRICS`: a further declaration appears in all of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from engines.answers.calibration import Bins, brier_score, calibration
from engines.answers.intervals import Interval, wilson_interval
from engines.answers.macro import MacroScore, macro_scores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Answered:
    """One set of answers to all test items, as metrics read it.

    `confusion` is (classes, classes + 1): one row per true class, one column per predicted one, then invalid. `true`
    (items,) are class numbers and `probabilities` (items, classes), NaN where an item has none; both are None while a
    run scores itself.
    """

    confusion: Sequence[Sequence[int]]
    true: "NDArray[np.integer] | None" = None
    probabilities: "NDArray[np.floating] | None" = None

    @cached_property
    def items(self) -> int:
        return sum(map(sum, self.confusion))

    @cached_property
    def correct(self) -> int:
        return sum(row[at] for at, row in enumerate(self.confusion))

    @cached_property
    def invalid(self) -> int:
        return sum(row[-1] for row in self.confusion)

    @cached_property
    def recall(self) -> dict[int, float]:
        """By number of each class with test items."""
        return {at: row[at] / sum(row) for at, row in enumerate(self.confusion) if sum(row)}

    @cached_property
    def precision(self) -> dict[int, float]:
        """By number of each class with test items or answers, as `f1`; 0 where it is never predicted."""
        return {c: share(row[c], predicted) for c, row, predicted in self._named}

    @cached_property
    def f1(self) -> dict[int, float]:
        return {c: 2 * row[c] / (sum(row) + predicted) for c, row, predicted in self._named}

    @cached_property
    def _named(self) -> list[tuple[int, Sequence[int], int]]:
        """The classes with test items or answers: number, row and how often it is predicted."""
        predicted = [sum(row[at] for row in self.confusion) for at in range(len(self.confusion))]
        return [(c, row, predicted[c]) for c, row in enumerate(self.confusion) if sum(row) or predicted[c]]

    @cached_property
    def macro(self) -> dict[str, MacroScore]:
        """By the metric's name."""
        return macro_scores(self.confusion)

    @cached_property
    def has_probabilities(self) -> bool:
        """Whether at least one answer has any."""
        import numpy as np

        return self.probabilities is not None and bool(np.isfinite(self.probabilities).any())

    @cached_property
    def calibration(self) -> tuple[float | None, Bins]:
        """The expected calibration error and the bins of the reliability diagram; none without probabilities."""
        if not self.has_probabilities or self.probabilities is None or self.true is None:
            return None, []
        return calibration(self.probabilities, self.true)


@dataclass(frozen=True)
class Metric:
    """A figure of one set of answers; of several executions, their mean is shown."""

    name: str  # in events, files and `--sort`
    heading: str  # of a column
    words: str  # in a sentence
    compute: Callable[[Answered], float | None]  # None: it does not apply to these answers
    interval: Callable[[Answered], Interval | str] | None = None  # 95 %, or why there is none
    unit: str = ""  # stands behind the words; empty: a share, 0 to 1
    needs_probabilities: bool = False  # then it is read from the answers, and is no score that a run ends with
    prominent: bool = False  # among the first columns, which stay longest on a narrow terminal
    hub_name: str = ""  # of the same metric on the hub; empty: `name`
    of_the_data: bool = False  # says how hard the test is, not how good the answers are

    def value(self, answered: Answered) -> float | None:
        """The figure; None where it does not apply."""
        return None if self.needs_probabilities and not answered.has_probabilities else self.compute(answered)

    @property
    def words_with_unit(self) -> str:
        return f"{self.words} ({self.unit})" if self.unit else self.words


def share(part: float, whole: float) -> float:
    """`part` of `whole`; of nothing it is 0."""
    return part / whole if whole else 0.0


def _brier(answered: Answered) -> float | None:
    if answered.probabilities is None or answered.true is None:
        return None
    return brier_score(answered.probabilities, answered.true)


def _macro(name: str, heading: str, hub_name: str, prominent: bool = False) -> Metric:
    return Metric(
        name,
        heading,
        name.replace("_", " ").replace("f1", "F1"),
        lambda a: a.macro[name].value,
        lambda a: a.macro[name].interval or a.macro[name].reason,
        prominent=prominent,
        hub_name=hub_name,
    )


ACCURACY = Metric(
    "accuracy",
    "accuracy",
    "accuracy",  # an invalid answer counts as wrong
    lambda a: share(a.correct, a.items),
    lambda a: wilson_interval(a.correct, a.items),
)
METRICS: tuple[Metric, ...] = (
    ACCURACY,
    _macro("macro_precision", "prec.", "precision"),
    _macro("macro_recall", "recall", "recall"),
    _macro("macro_f1", "F1", "f1", prominent=True),
    Metric(
        "largest_class",
        "largest",
        "largest class",  # its share: the accuracy of always answering it
        lambda a: share(max(map(sum, a.confusion), default=0), a.items),
        of_the_data=True,
    ),
    Metric("brier", "Brier", "Brier score", _brier, needs_probabilities=True),
    Metric("calibration_error", "ECE", "calibration error", lambda a: a.calibration[0], needs_probabilities=True),
)


def scored_by_runs() -> list[Metric]:
    """The metrics that a run scores itself: those that need no probabilities."""
    return [metric for metric in METRICS if not metric.needs_probabilities]


def beside_accuracy() -> list[Metric]:
    """All metrics but the accuracy, which every place shows first and on its own."""
    return [metric for metric in METRICS if metric.name != ACCURACY.name]
