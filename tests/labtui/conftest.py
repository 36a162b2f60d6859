"""Finished runs made by the real reporter."""

from collections.abc import Callable

import pytest

from engines.parts import scoring
from engines.reporter import Reporter
from engines.runs.folder import RunFolder
from engines.runs.home import Home

LABELS = ["negative", "positive"]


@pytest.fixture
def finished(home: Home) -> Callable[..., RunFolder]:
    """Write a finished run: `finished("quickstart/a", [[40, 10, 0], [5, 45, 0]])`."""

    def make(
        experiment: str, confusion: list[list[int]], engine: str = "bag_of_words", model: str = "tiny",
        labels: list[str] = LABELS, split: str = "test", before: list[list[int]] | None = None,
    ) -> RunFolder:
        folder = RunFolder.create(home, {"engine": engine, "title": f"Title of {experiment}", "family": "quickstart",
                                         "experiment": experiment, "seed": 0})
        report = Reporter(folder)
        report.model = model
        report.started("cpu", 0, "", {})
        report.phase("train", 1, "steps")
        report.step(1, 1, 1.0, 0.5, 1e-4)
        report.phase(split, sum(map(sum, confusion)))
        report.progress(sum(map(sum, confusion)))
        scores = scoring.scores(confusion, labels)
        if before is not None:
            scores["original"] = {**scoring.scores(before, labels), "confusion": before}
        report.evaluated(split, scores, labels, confusion)
        report.finished()
        report.close()
        return folder

    return make
