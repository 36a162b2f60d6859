"""A part of the matrix of models and jobs: one of each family, and the kinds that once crashed."""

import pytest

from benchmarks.model_matrix import CRASHED, KINDS, REFUSED, WORKS, row

BY_NAME = {kind.name: kind for kind in KINDS}
WRITES_NO_TEXT = dict.fromkeys(("likelihood", "shots", "generate", "qlora float32", "qlora nf4"), REFUSED)
EXPECTED: dict[str, dict[str, str]] = {
    "llama": {},
    "mixtral": {"estimate": REFUSED},
    "roberta": WRITES_NO_TEXT,
    "t5": dict.fromkeys((*WRITES_NO_TEXT, "untrained head", "loop", "trainer", "estimate"), REFUSED),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_job_works_or_is_refused_in_a_sentence(name: str) -> None:
    cells = row(BY_NAME[name])
    assert {job: cell.sentence for job, cell in cells.items() if cell.outcome == CRASHED} == {}
    assert {job: cell.outcome for job, cell in cells.items() if cell.outcome != WORKS} == EXPECTED[name]
    assert all("; " in cell.sentence or "estimated" in cell.sentence for cell in cells.values() if cell.sentence)
