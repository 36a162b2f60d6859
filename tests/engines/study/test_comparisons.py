import numpy as np
import pytest

from engines.study import comparisons
from engines.study.comparisons import add_sentences, p_words


@pytest.mark.parametrize(
    ("p", "words"),
    [
        (1, "p = 1"),
        (0.66, "p = 0.66"),
        (0.0496, "p = 0.0496"),
        (0.0504, "p = 0.0504"),
        (0.04996, "p = 0.04996"),
        (0.0499999, "p = 0.0499999"),
        (0.05, "p = 0.05"),
        (0.000498, "p = 0.0005"),
        (1.4e-5, "p = 0.000014"),
        (9.9e-6, "p < 1e-5"),
        (7.12e-18, "p < 1e-17"),
        (0.0, "p < 1e-300"),
    ],
)
def test_p_is_written_as_people_do(p: float, words: str) -> None:
    assert p_words(p) == words


@pytest.mark.parametrize(("a_only", "b_only", "disagree"), [(9, 2, True), (12, 2, False), (5, 4, False)])
def test_a_test_and_an_interval_that_disagree_are_said_to(a_only: int, b_only: int, disagree: bool) -> None:
    sides = np.ones((2, 1, 200), bool)
    sides[1, 0, :a_only] = sides[0, 0, a_only : a_only + b_only] = False
    pairs = comparisons.tested_pairs(list(sides))
    add_sentences(pairs, ["A", "B"], list(sides))
    (pair,) = pairs
    excludes = not (pair["difference"]["low"] or 0) <= 0 <= (pair["difference"]["high"] or 0)
    assert (excludes != (pair["p"] < 0.05)) is disagree
    assert ("by another formula, excludes 0: this is close to the border" in pair["sentence"]) is disagree
