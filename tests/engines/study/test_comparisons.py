import pytest

from engines.study.comparisons import p_words


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
