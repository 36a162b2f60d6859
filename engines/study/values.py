"""What is found in the answers of finished runs: the values that `ResultsReader` answers with, and their
parts. Plain values, as JSON has them, so that they go from process to process. Shares are fractions, 0 to 1."""

import math
from typing import Literal, NotRequired, TypedDict

from engines.answers.variant import Variant

Which = Literal["all", "wrong", "disagree", "confident errors", "invalid"]


class AnswerSet(TypedDict):
    """One set of answers: one repeat of one variant of a run."""

    run: str  # name of the run folder
    variant: Variant
    repeat: int  # from 0


class Share(TypedDict):
    """A figure and its 95 % interval; None where there is none."""

    value: float
    low: float | None
    high: float | None
    reason: NotRequired[str]  # why there is no interval; empty where none is made


class Bin(TypedDict):
    """Items whose confidence (the largest probability) lies between `low` and `high`; empty bins are left out."""

    low: float
    high: float
    items: int
    confidence: float  # mean
    accuracy: float


class Measures(TypedDict):
    """What one set of answers scores."""

    row: AnswerSet
    value: str  # what this repeat was given (a template's name, a seed); empty where nothing varied
    items: int
    correct: int
    invalid: int  # answers that are no label; counted as wrong
    accuracy: Share  # Wilson
    accuracy_answered: float | None  # without the invalid ones
    recall: dict[str, Share]  # by class with items; Wilson
    precision: dict[str, float]  # by class with items or answers
    figures: dict[str, Share]  # of the other metrics (`engines.answers.metrics`) that apply, by name
    reliability: list[Bin]
    confusion: list[list[int]]  # one row per true label; one column per predicted one, then invalid


class Spread(TypedDict):
    """How several sets of answers differ. From `interval` on it takes two or more with the same items, else None."""

    rows: list[AnswerSet]
    accuracies: list[float]
    mean: float
    sd: float | None  # of the sample; None for a single one
    lowest: float
    highest: float
    same_items: bool
    interval: tuple[float, float] | None  # 95 %, of the mean
    interval_over: Literal["items and repeats", "items", ""]  # what `interval` takes as a sample; items: nothing varied
    no_interval: str  # why there is no `interval`
    items_interval: tuple[float, float] | None  # 95 %, over further items alone: these repeats as given
    kappa: float | None  # Fleiss; None also where all answers of all items are one label
    all_agree: float | None  # share of the items
    flips: int | None  # items on which not all agree


WarningKind = Literal[
    "untrained_head",  # the weights that answer were drawn at random
    "imported",  # another program made the answers
    "answers_changed",  # they do not score what the run ended with
    "few_items",
    "many_invalid",
    "absent_class",  # no test item is of it
    "no_interval",  # of the macro scores
    "loss_rose",  # the validation loss, while training went on
    "trained_on_test",  # test items stand in the training set
    "one_answer",  # every answer is of one class
    "not_above_largest_class",  # always answering the commonest class may be as good
    "labels_turned_round",  # two classes swapped would be far better
    "unknown_tokens",  # the tokenizer knows too few of the words
]


class Warning(TypedDict):
    """What to know before a figure is believed."""

    kind: WarningKind
    figure: str  # the column it touches: "accuracy", "items", "invalid", "loss", "model"
    text: str
    variant: Variant | None  # whose figures it touches; None: those of all of the run's variants


class Validation(TypedDict):
    """One evaluation on the validation split."""

    step: int | None
    epoch: float | None
    loss: float | None
    accuracy: float | None


class RunMeasures(TypedDict):
    """All that is known of a run's answers."""

    run: str
    labels: list[str]
    test_set: str  # names the items and their labels: equal exactly where these are
    varied: str  # what the repeats varied: "template", ...; empty without repeats
    measures: list[Measures]  # the variants' repeats, in order
    spreads: dict[Variant, Spread]  # by variant; only variants with more than one repeat
    validation: list[Validation]
    estimate_bytes: int | None  # the peak memory that was estimated before the start
    warnings: list[Warning]


class Pair(TypedDict):
    """Two sides of a comparison on the same items, `a` and `b` as places in `Comparison.rows`.

    `about` "answers": one set of answers a side. Else a side has several executions and their means are compared, as
    "methods" with items and repeats both a sample, or as these "runs" where a side has one alone or nothing varied
    (`engines.study.repeats.compare_groups`); `a_only` is then where more of a's executions are right than of b's, and
    `both_right` where all of both are, `both_wrong` where none is.
    """

    a: int
    b: int
    about: Literal["answers", "methods", "runs"]
    both_right: int
    a_only: int  # a right, b wrong
    b_only: int
    both_wrong: int
    difference: Share  # accuracy of a less that of b
    p: float  # two-sided: exact McNemar, of several executions that of `compare_groups`
    p_holm: float  # corrected for the number of pairs
    verdict: Literal["a", "b", ""]  # which is better at 5 % after the correction; empty: not told apart
    sentence: str  # the same in words


class Comparison(TypedDict):
    """Two or more sides of answers. Without the same items there are no pairs, and `reason` says why."""

    rows: list[AnswerSet]  # of each side the first execution
    executions: list[int]  # how many each side has
    names: list[str]  # as they were given with the question
    measures: list[Measures]  # of several executions their means; counts are sums
    items: int  # in common
    same_items: bool
    reason: str
    pairs: list[Pair]
    detectable: float | None  # the smallest difference that a test at 5 % of so many items shows with 80 % power, from
    # the mean disagreement of the pairs about answers; None where they never disagree, or no difference would show


class RepeatTable(TypedDict):
    """The repeats of one variant of a run."""

    run: str
    variant: Variant
    varied: str
    labels: list[str]
    measures: list[Measures]
    spread: Spread
    agreement: list[list[float]]  # share of items on which two repeats agree, a row and a column per repeat
    cohen: list[list[float | None]]  # Cohen's kappa of the same pairs
    majority: Measures  # of the label that most repeats gave; a tie is invalid; its row's repeat is -1


class ItemQuery(TypedDict):
    """Which test items to show. The first row is the one that "wrong", "invalid" and "confident errors" look at;
    "disagree" takes all rows, whose answers differ. A page starts at `offset` and has at most `limit` items."""

    rows: list[AnswerSet]
    which: Which
    label: str  # the true class; empty: all
    fewest_words: int
    most_words: int  # 0: no limit
    offset: int
    limit: int


class ItemAnswer(TypedDict):
    """What one row answered."""

    predicted: str | None  # None: invalid
    probability: float | None  # of the predicted label
    tokens_read: int | None
    text: str | None  # as generated, where it was kept


class Item(TypedDict):
    """One test item."""

    hash: str
    number: int | None  # its row in the source
    label: str
    words: int
    start: str  # its first characters, on one line
    answers: list[ItemAnswer]  # in the order of the query's rows


class ItemPage(TypedDict):
    """A page of items; "confident errors" come most confident first, all others in the order of the source."""

    total: int
    offset: int
    items: list[Item]


class ItemText(TypedDict):
    """One item in full; `text` is empty where the run was imported without texts."""

    hash: str
    number: int | None
    label: str
    text: str


class Disagreement(TypedDict):
    """How often earlier runs differ that are hard to tell apart."""

    share: float | None  # of the items that one run gets right and the other wrong: the median over the pairs
    pairs: int  # how many were counted


def finite(value: float | None) -> float | None:
    """None for infinities and NaN, which JSON does not have."""
    return value if value is not None and math.isfinite(value) else None


def share(value: float, interval: tuple[float, float]) -> Share:
    """A figure and its interval."""
    return {"value": value, "low": interval[0], "high": interval[1]}
