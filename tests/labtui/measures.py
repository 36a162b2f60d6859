"""What an analyst says of runs, made of confusion matrices, and an analyst that says it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from engines.answers import scoring
from engines.answers.intervals import wilson_interval
from engines.answers.variant import Variant
from engines.errors import UserError
from engines.study.values import AnswerSet, Measures, RunMeasures, Share, Spread, Warning, WarningKind

KINDS: dict[str, WarningKind] = {
    "model": "untrained_head",
    "items": "few_items",
    "invalid": "many_invalid",
    "loss": "loss_rose",
    "accuracy": "trained_on_test",
}
LABELS = ["negative", "positive"]


def row(run: str, variant: Variant = Variant.OWN, repeat: int = 0) -> AnswerSet:
    return {"run": run, "variant": variant, "repeat": repeat}


def measures(of: AnswerSet, confusion: list[list[int]], value: str = "") -> Measures:
    """Of one set of answers, with macro intervals of 0.01 on both sides."""
    scores = scoring.scores(confusion, LABELS)
    items = sum(map(sum, confusion))
    correct = sum(line[at] for at, line in enumerate(confusion))
    low, high = wilson_interval(correct, items)

    def macro(name: str) -> Share:
        value = scores.value(name) or 0.0
        return {"value": value, "low": value - 0.01, "high": value + 0.01}

    return {
        "row": of,
        "value": value,
        "items": items,
        "correct": correct,
        "invalid": sum(line[2] for line in confusion),
        "accuracy": {"value": correct / items, "low": low, "high": high},
        "accuracy_answered": None,
        "recall": {},
        "precision": {},
        "figures": {
            **{name: macro(name) for name in ("macro_precision", "macro_recall", "macro_f1")},
            "brier": {"value": 0.125, "low": None, "high": None},
            "calibration_error": {"value": 0.0625, "low": None, "high": None},
        },
        "reliability": [],
        "confusion": confusion,
    }


def spread(rows: list[AnswerSet], accuracies: list[float], same_items: bool = True) -> Spread:
    return {
        "rows": rows,
        "accuracies": accuracies,
        "mean": sum(accuracies) / len(accuracies),
        "sd": None,
        "lowest": min(accuracies),
        "highest": max(accuracies),
        "same_items": same_items,
        "interval": (0.71, 0.79) if same_items else None,
        "interval_over": "items and repeats" if same_items else "",
        "no_interval": "",
        "items_interval": (0.74, 0.76) if same_items else None,
        "kappa": 0.25 if same_items else None,
        "all_agree": 0.5 if same_items else None,
        "flips": 50 if same_items else None,
    }


def run_measures(
    run: str,
    repeats: list[list[list[int]]],
    before: list[list[int]] | None = None,
    varied: str = "",
    warnings: Sequence[tuple[str, str]] = (),
    same_items: bool = True,
    tuning: Sequence[tuple[str, str]] = (),
) -> RunMeasures:
    own = [
        measures(row(run, Variant.OWN, at), table, f"rows {at}" if varied else "") for at, table in enumerate(repeats)
    ]
    found = [*own, *([measures(row(run, Variant.BEFORE), before)] if before else [])]
    told: list[Warning] = [
        {"kind": KINDS[figure], "figure": figure, "text": text, "variant": variant}
        for variant, some in ((None, warnings), (Variant.OWN, tuning))
        for figure, text in some
    ]
    several = spread([m["row"] for m in own], [m["accuracy"]["value"] for m in own], same_items)
    return {
        "run": run,
        "labels": LABELS,
        "test_set": "t",
        "varied": varied,
        "measures": found,
        "spreads": {Variant.OWN: several} if len(own) > 1 else {},
        "validation": [],
        "estimate_bytes": 3 * 2**30,
        "warnings": told,
    }


class FakeAnalyst:
    """Knows what `says` holds by run; while `gate` is closed, it has not come to an answer yet."""

    def __init__(self) -> None:
        self.says: dict[str, RunMeasures] = {}
        self.asked: list[str] = []
        self.same_items = True
        self.gate = threading.Event()
        self.gate.set()

    def measure_all(self, runs: list[str], progress: Callable[[int, int], object]) -> Iterator[Any]:
        for done, run in enumerate(runs):
            progress(done, len(runs))
            self.gate.wait(20)
            self.asked.append(run)
            yield self.says.get(run) or UserError(f"{run} has no answers\x1b[31m")

    def spread(self, rows: list[AnswerSet]) -> Spread:
        return spread(rows, [self.says[r["run"]]["measures"][0]["accuracy"]["value"] for r in rows], self.same_items)
