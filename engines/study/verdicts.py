"""What answers come to: figures with intervals, tested pairs, sentences and warnings."""

import math
from collections.abc import Sequence
from decimal import Decimal
from itertools import combinations
from statistics import fmean
from typing import TYPE_CHECKING, Any

from engines.answers import scoring
from engines.answers.calibration import brier_score, calibration
from engines.answers.columns import Answers
from engines.answers.intervals import macro_intervals, paired_difference_interval, wilson_interval
from engines.answers.variant import Variant
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.study import statistics
from engines.study.story import Story, finite
from engines.study.values import ItemAnswer, Measures, Pair, Row, RunMeasures, Share, Validation, Warning, WarningKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALPHA = 0.05
FEW_ITEMS = 100
MANY_INVALID = 0.01
LOSS_ROSE = 0.02


# -- figures -----------------------------------------------------------------------------------------------


def scored(
    row: Row, value: str, answers: Answers, predicted: "NDArray[Any]", probabilities: "NDArray[Any] | None"
) -> Measures:
    """What one set of answers scores: `predicted` (items,), places in the labels of `answers` or -1, and their
    `probabilities` (items, classes)."""
    import numpy as np

    labels, classes = answers.labels, len(answers.labels)
    column = np.where(predicted < 0, classes, predicted).astype(np.int64)
    cells = np.bincount(answers.true * (classes + 1) + column, minlength=classes * (classes + 1))
    confusion: list[list[int]] = cells.reshape(classes, classes + 1).tolist()
    scores = scoring.scores(confusion, labels)
    items, correct = len(predicted), sum(confusion[c][c] for c in range(classes))
    intervals = macro_intervals(confusion)
    brier = error = None
    bins: list[tuple[float, float, int, float, float]] = []
    if probabilities is not None and np.isfinite(probabilities).any():
        brier = brier_score(probabilities, answers.true)
        error, bins = calibration(probabilities, answers.true)

    def macro(name: str) -> Share:
        return share(scores[name], intervals[name])

    return {
        "row": row,
        "value": value,
        "items": items,
        "correct": correct,
        "invalid": scores["invalid"],
        "accuracy": share(scores["accuracy"], wilson_interval(correct, items)),
        "accuracy_answered": scores["accuracy_answered"] if scores["invalid"] < items else None,
        "recall": {
            label: share(scores["recall"][label], wilson_interval(line[c], sum(line)))
            for c, (label, line) in enumerate(zip(labels, confusion, strict=True))
            if sum(line)
        },
        "precision": scores["precision"],
        "macro_precision": macro("macro_precision"),
        "macro_recall": macro("macro_recall"),
        "macro_f1": macro("macro_f1"),
        "brier": brier,
        "calibration_error": error,
        "reliability": [
            {"low": low, "high": high, "items": count, "confidence": confidence, "accuracy": accuracy}
            for low, high, count, confidence, accuracy in bins
        ],
        "confusion": confusion,
    }


def share(value: float, interval: tuple[float, float]) -> Share:
    """A figure and its interval."""
    return {"value": value, "low": interval[0], "high": interval[1]}


def are_right(predicted: "NDArray[Any]", labels: Sequence[str], answers: Answers) -> "NDArray[Any]":
    """Which answers are the true label, (rows, items) bool. `predicted` (rows, items) are places in `labels`, its items
    in the order of `answers`."""
    import numpy as np

    right: NDArray[Any] = predicted == np.array([labels.index(label) for label in answers.labels])[answers.true]
    return right


def answer_of(answers: Answers, row: int, item: int) -> ItemAnswer:
    """What a row of `answers` says of an item, both by their places."""
    predicted, read = int(answers.predicted[row, item]), int(answers.tokens_read[row, item])
    chance = float(answers.probabilities[row, item, predicted]) if predicted >= 0 else math.nan
    return {
        "predicted": answers.labels[predicted] if predicted >= 0 else None,
        "probability": finite(chance),
        "tokens_read": read if read >= 0 else None,
        "text": answers.text(row, item),
    }


def pair_up(correct: "NDArray[Any]") -> list[Pair]:
    """Each two rows of `correct` (rows, items) tested; their sentences are for `put_into_words`."""
    pairs: list[Pair] = []
    for a, b in combinations(range(len(correct)), 2):
        both, a_only, b_only, neither = cells = statistics.paired_table(correct[a], correct[b])
        low, high = paired_difference_interval(*cells)
        p = statistics.mcnemar_exact(a_only, b_only)
        pairs.append(
            {
                "a": a,
                "b": b,
                "both_right": both,
                "a_only": a_only,
                "b_only": b_only,
                "both_wrong": neither,
                "difference": share((a_only - b_only) / sum(cells), (low, high)),
                "p": p,
                "p_holm": p,
                "verdict": "",
                "sentence": "",
            }
        )
    for pair, p in zip(pairs, statistics.holm([pair["p"] for pair in pairs]), strict=True):
        pair["p_holm"] = p
        if p < ALPHA:
            pair["verdict"] = "a" if pair["a_only"] > pair["b_only"] else "b"
    return pairs


def why_apart(every: Sequence[Answers], names: Sequence[str]) -> tuple[str, int]:
    """Why these answers cannot be compared, empty where they can, and how many items they have in common."""
    if len({answers.test_set for answers in every}) == 1:
        return "", len(every[0].true)
    sets = [dict(zip(answers.hashes.tolist(), answers.true.tolist(), strict=True)) for answers in every]
    common = set(sets[0]).intersection(*sets[1:])
    if all(len(each) == len(common) for each in sets):
        torn = sum(
            len({answers.labels[each[hashed]] for answers, each in zip(every, sets, strict=True)}) > 1
            for hashed in common
        )
        carry = "carries" if torn == 1 else "carry"
        return f"{torn:,} of the {len(common):,} items {carry} different true labels", len(common)
    if strangers := [name for name, answers in zip(names, every, strict=True) if answers.imported_without_texts]:
        return (
            f"{' and '.join(dict.fromkeys(strangers))}: imported without texts, so that columns of one file "
            "compare with each other, not with other runs"
        ), len(common)
    counts = ", ".join(f"{name} {len(each):,}" for name, each in zip(names, sets, strict=True))
    return f"the items differ: {counts}; {len(common):,} are common to all", len(common)


# -- sentences ---------------------------------------------------------------------------------------------


def _counted(count: int, what: str) -> str:
    """ "1 item", "2,500 items"."""
    return f"{count:,} {what}{'s' * (count != 1)}"


def p_words(p: float) -> str:
    """A p value as people write it: "p = 0.0012"; below 0.00001 the power of ten that it does not reach."""
    if p < 1e-5:
        power = math.ceil(-math.log10(p)) - 1 if p else 300
        return f"p < 1e-{power}"
    written = (f"{p:.{digits}g}" for digits in range(2, 18))
    exact = next(text for text in written if float(text) != ALPHA or p == ALPHA)  # never on the wrong side of it
    return f"p = {Decimal(exact):f}"


def detectable(items: int, disagreement: float, pairs: int = 1) -> float | None:
    """The smallest difference that shows when `pairs` are tested; None where none would, or no item sets two apart."""
    if not disagreement:
        return None
    found = statistics.smallest_detectable_difference(items, disagreement, alpha=ALPHA / pairs)
    return found if found < 1 else None


def put_into_words(pairs: Sequence[Pair], names: Sequence[str], items: int) -> None:
    """Put each pair into a sentence; what could not be seen goes by the pair's own disagreement, at the level that
    Holm's first step asks."""
    these = f"{'this' if items == 1 else 'these'} {_counted(items, 'item')}"
    for pair in pairs:
        sides = [(names[pair["a"]], pair["a_only"]), (names[pair["b"]], pair["b_only"])]
        if pair["verdict"] == "b":
            sides.reverse()
        (one, one_only), (other, other_only) = sides
        counts = f"{one} alone right on {one_only:,}, {other} alone on {other_only:,}"
        p = p_words(pair["p_holm"]) + (f" after Holm over {len(pairs)} pairs" if len(pairs) > 1 else "")
        if pair["verdict"]:
            pair["sentence"] = f"{one} is better on {these}: {counts}, {p}"
        elif not one_only + other_only:
            same = "the very same" if pair["both_right"] else "none"
            pair["sentence"] = f"{one} and {other} are right on {same} of {these}"
        else:
            unseen = detectable(items, (one_only + other_only) / items, len(pairs))
            least = (
                f"a difference under {unseen * 100:.1f} points could not be seen reliably"
                if unseen
                else "so few items could not show any difference"
            )
            pair["sentence"] = f"{one} and {other} are not told apart on {these} ({counts}, {p}); {least}"


# -- warnings ----------------------------------------------------------------------------------------------


def warnings_of(
    folder: RunFolder, document: dict[str, Any], story: Story, answers: Answers, found: RunMeasures
) -> list[Warning]:
    """What to know before the figures `found` are believed; `document` are the run's settings."""
    warnings: list[Warning] = []

    def warn(kind: WarningKind, figure: str, text: str, variant: Variant | None = None) -> None:
        warnings.append({"kind": kind, "figure": figure, "text": text, "variant": variant})

    if story.untrained_head:
        warn(
            "untrained_head",
            "model",
            "UNTRAINED HEAD: the weights that answer were drawn at random, so that the accuracy of "
            f"{_mean_accuracy(found):.3f} says nothing about the model",
        )
    if document.get("engine") == "imported":
        warn(
            "imported",
            "model",
            f"imported: answers to {_counted(len(answers.true), 'item')} were read from a file, and how "
            "they came about is not known here",
        )
    for variant in dict.fromkeys(m["row"]["variant"] for m in found["measures"]):
        own = [m for m in found["measures"] if m["row"]["variant"] == variant]
        told = story.scores.get("repeats") or [story.scores.get("accuracy")]
        for said, m in zip(told, own, strict=False) if not variant else ():
            if said is not None and abs(said - m["accuracy"]["value"]) > 1e-6:
                warn(
                    "answers_changed",
                    "accuracy",
                    f"the run ended with an accuracy of {said:.4f}, and its answers score "
                    f"{m['accuracy']['value']:.4f}: {folder.predictions.name} was changed since",
                    variant,
                )
                break
        if (items := own[0]["items"]) < FEW_ITEMS:
            spread, one = found["spreads"].get(variant), own[0]["accuracy"]
            low, high = spread["interval"] if spread and spread["interval"] else (one["low"], one["high"])
            of_mean = "a mean accuracy" if spread else "an accuracy"
            warn(
                "few_items",
                "items",
                f"only {_counted(items, 'test item')}: {of_mean} anywhere from {low:.2f} to {high:.2f} "
                f"fits {'it' if items == 1 else 'them'}",
                variant,
            )
        worst = max(own, key=lambda m: m["invalid"])
        if worst["invalid"] > MANY_INVALID * worst["items"]:
            of = f" {variant.words}" if variant else ""
            of += f" of repeat {worst['row']['repeat'] + 1}" if len(own) > 1 else ""
            be, they = ("is", "it counts") if worst["invalid"] == 1 else ("are", "they count")
            percent = 100 * worst["invalid"] / worst["items"]
            warn(
                "many_invalid",
                "invalid",
                f"{worst['invalid']:,} of {_counted(worst['items'], 'answer')}{of} ({percent:.1f} %) "
                f"{be} no label; {they} as wrong",
                variant,
            )
    if rose := _rose(story):
        warn("loss_rose", "loss", rose, Variant.OWN)  # of the tuning, as is what follows
    if story.trained_on and document.get("engine") != "prompting":  # a prompt takes no example from the test
        warn("trained_on_test", "accuracy", _trained_on(story.trained_on, len(answers.true)), Variant.OWN)
    return warnings


def _trained_on(overlap: ev.Overlap, items: int) -> str:
    if overlap.items is None:
        return "whether test items were trained on cannot be said: the record of the training items is gone"
    stand = "stands" if overlap.items == 1 else "stand"
    return (
        f"{overlap.items:,} of the {_counted(items, 'test item')} {stand} in the training set too, so that the "
        "accuracy is too high to be believed"
    )


def _mean_accuracy(found: RunMeasures) -> float:
    return fmean(m["accuracy"]["value"] for m in found["measures"])


def _rose(story: Story) -> str:
    """A sentence where the last validation loss lies above the lowest, an epoch or more before it, and which of the
    models was tested, where that is known."""
    known = [v for v in story.validation if v["loss"] is not None]
    if len(known) < 2:
        return ""
    best, last = min(known, key=lambda v: v["loss"] or 0.0), known[-1]
    lowest, end = best["loss"] or 0.0, last["loss"] or 0.0
    epochs = (last["epoch"] or 0.0) - (best["epoch"] or 0.0)
    if end <= lowest * (1 + LOSS_ROSE) or (last["epoch"] is not None and epochs < 0.99):
        return ""

    def at(one: Validation) -> str:
        return f"step {one['step']}" if one["epoch"] is None else f"epoch {one['epoch']:.3g}"

    rose = f"the validation loss rose while training went on: {lowest:.4f} at {at(best)}, {end:.4f} at {at(last)}"
    selected = story.selected
    tested = next((v for v in known if selected and v["step"] == selected.step), None)
    if selected is None or tested is None:
        return rose
    when = "from before the rise" if tested is best else f"the best on the {selected.split} split by {selected.metric}"
    return f"{rose}; tested is the model of {at(tested)}, {when}"
