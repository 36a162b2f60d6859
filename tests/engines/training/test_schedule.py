import pytest

from engines.training.schedule import cosine


def test_the_rate_falls_from_the_warm_up_to_nothing_by_a_cosine() -> None:
    assert [cosine(step, 4, 20) for step in (0, 2, 4, 12, 20, 30)] == pytest.approx([0, 0.5, 1, 0.5, 0, 0])
    assert cosine(0, 0, 1) == 1
