"""Finished runs made by the real reporter."""

from collections.abc import Callable
from statistics import fmean
from typing import Any

import pytest
from msgspec import structs

from engines.answers import scoring
from engines.reporter import Reporter
from engines.runs.folder import RunFolder
from engines.runs.home import Home

LABELS = ["negative", "positive"]


@pytest.fixture
def finished(home: Home) -> Callable[..., RunFolder]:
    """Write a finished run: `finished("quickstart/a", [[40, 10, 0], [5, 45, 0]])`; the first of `repeats` is what
    `confusion` says."""

    def make(
        experiment: str,
        confusion: list[list[int]],
        engine: str = "bag_of_words",
        model: str = "tiny",
        labels: list[str] = LABELS,
        split: str = "test",
        before: list[list[int]] | None = None,
        seed: int = 0,
        settings: dict[str, Any] | None = None,
        repeats: list[list[list[int]]] | None = None,
        varied: str = "exemplars",
        untrained_head: bool = False,
    ) -> RunFolder:
        folder = RunFolder.create(
            home,
            {
                "engine": engine,
                "title": f"Title of {experiment}",
                "family": "quickstart",
                "experiment": experiment,
                "seed": seed,
                **(settings or {}),
            },
        )
        report = Reporter(folder)
        report.model = model
        report.started("cpu", 0, "", {})
        report.phase("train", 1, "steps")
        report.step(1, 1, 1.0, 0.5, 1e-4)
        report.phase(split, sum(map(sum, confusion)))
        report.progress(sum(map(sum, confusion)))
        scores = scoring.scores(confusion, labels)
        if untrained_head:
            scores = structs.replace(scores, untrained_head=True)
        if repeats:
            each = [scoring.scores(table, labels) for table in repeats]
            for at, (table, own) in enumerate(zip(repeats, each, strict=True)):
                report.repeat(at, varied, f"rows {at}", own, labels, table)
            accuracies = [own.accuracy or 0.0 for own in each]
            scores = structs.replace(scores, repeats=accuracies, accuracy=fmean(accuracies))
        if before is not None:
            scores = structs.replace(scores, before=structs.replace(scoring.scores(before, labels), confusion=before))
        report.evaluated(split, scores, labels, confusion)
        report.finished()
        report.close()
        return folder

    return make
