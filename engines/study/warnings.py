"""What to know before the figures of a run are believed."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from engines.answers import metrics
from engines.answers.columns import Answers
from engines.answers.macro import FEWEST_ITEMS_OF_A_CLASS
from engines.answers.variant import Variant
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.study.class_warnings import class_warnings
from engines.study.comparisons import counted
from engines.study.run_facts import RunFacts
from engines.study.values import RunMeasures, Validation, Warning, WarningKind

FEW_ITEMS = 100
MANY_INVALID = 0.01
LOSS_ROSE = 0.02
MANY_UNKNOWN = 0.05


def warnings_of(
    folder: RunFolder, document: dict[str, Any], facts: RunFacts, answers: Answers, measured: RunMeasures
) -> list[Warning]:
    """What to know before the figures `measured` are believed; `document` are the run's settings."""
    warnings: list[Warning] = []

    def warn(kind: WarningKind, figure: str, text: str, variant: Variant | None = None) -> None:
        warnings.append({"kind": kind, "figure": figure, "text": text, "variant": variant})

    if facts.untrained_head:
        warn(
            "untrained_head",
            "model",
            "UNTRAINED HEAD: the weights that answer were drawn at random, so that the accuracy of "
            f"{_mean_accuracy(measured):.3f} says nothing about the model",
        )
    if document.get("engine") == "imported":
        warn(
            "imported",
            "model",
            f"imported: answers to {counted(len(answers.true), 'item')} were read from a file, and how "
            "they came about is not known here",
        )
    for variant in dict.fromkeys(m["row"]["variant"] for m in measured["measures"]):
        own = [m for m in measured["measures"] if m["row"]["variant"] == variant]
        told: Sequence[float | None] = facts.scores.repeats or [facts.scores.accuracy]
        for reported, m in zip(told, own, strict=False) if not variant else ():
            if reported is not None and abs(reported - m["accuracy"]["value"]) > 1e-6:
                warn(
                    "answers_changed",
                    "accuracy",
                    f"the run ended with an accuracy of {reported:.4f}, and its answers score "
                    f"{m['accuracy']['value']:.4f}: {folder.predictions.name} was changed since",
                    variant,
                )
                break
        if (items := own[0]["items"]) < FEW_ITEMS:
            spread, one = measured["spreads"].get(variant), own[0]["accuracy"]
            low, high = spread["items_interval"] if spread and spread["items_interval"] else (one["low"], one["high"])
            of_mean = "a mean accuracy" if spread else "an accuracy"
            warn(
                "few_items",
                "items",
                f"only {counted(items, 'test item')}: {of_mean} anywhere from {low:.2f} to {high:.2f} "
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
                f"{worst['invalid']:,} of {counted(worst['items'], 'answer')}{of} ({percent:.1f} %) "
                f"{be} no label; {they} as wrong",
                variant,
            )
        if not facts.untrained_head:
            for doubt in class_warnings(own[0]["confusion"], measured["labels"]):
                warn(doubt.kind, "accuracy", doubt.text, variant)
        without: dict[str, list[metrics.Metric]] = {}  # by the reason
        for metric in metrics.METRICS:
            if reason := own[0]["figures"].get(metric.name, own[0]["accuracy"]).get("reason"):
                without.setdefault(reason, []).append(metric)
        for reason, some in without.items():
            words = ", ".join(metric.words for metric in some)
            least = f"fewer than {FEWEST_ITEMS_OF_A_CLASS}"
            warn("no_interval", some[0].name, f"no interval of {words}: {reason} ({least})", variant)
    if absent := [
        label for label, line in zip(answers.labels, measured["measures"][0]["confusion"], strict=True) if not sum(line)
    ]:
        warn("absent_class", "macro_recall", _absent(absent))
    if unknown := facts.unknown_tokens:
        share = unknown.unknown / max(1, unknown.tokens)
        if share > MANY_UNKNOWN:
            warn(
                "unknown_tokens",
                "accuracy",
                f"{share:.0%} of the test's tokens are unknown to the model's tokenizer: it cannot read much of them",
            )
    if rose := _rose(facts):
        warn("loss_rose", "loss", rose, Variant.OWN)  # of the tuning, as is what follows
    if facts.trained_on and document.get("engine") != "prompting":  # a prompt takes no example from the test
        warn("trained_on_test", "accuracy", _trained_on(facts.trained_on, len(answers.true)), Variant.OWN)
    return warnings


def _absent(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:3]) + (f" and {len(labels) - 3:,} more" if len(labels) > 3 else "")
    classes, they_are = ("class", "it is") if len(labels) == 1 else ("classes", "they are")
    return (
        f"no test item is of {classes} {shown}: macro recall is over the other classes, as are macro precision and F1 "
        f"unless {they_are} predicted"
    )


def _trained_on(overlap: ev.Overlap, items: int) -> str:
    if overlap.items is None:
        return "whether test items were trained on cannot be said: the record of the training items is gone"
    stand = "stands" if overlap.items == 1 else "stand"
    return (
        f"{overlap.items:,} of the {counted(items, 'test item')} {stand} in the training set too, so that the "
        "accuracy is too high to be believed"
    )


def _mean_accuracy(measured: RunMeasures) -> float:
    return fmean(m["accuracy"]["value"] for m in measured["measures"])


def _rose(facts: RunFacts) -> str:
    """A sentence where the last validation loss lies above the lowest, an epoch or more before it, and which of the
    models was tested, where that is known."""
    known = [v for v in facts.validation if v["loss"] is not None]
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
    selected = facts.selected
    tested = next((v for v in known if selected and v["step"] == selected.step), None)
    if selected is None or tested is None:
        return rose
    when = "from before the rise" if tested is best else f"the best on the {selected.split} split by {selected.metric}"
    return f"{rose}; tested is the model of {at(tested)}, {when}"
