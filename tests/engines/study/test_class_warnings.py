"""What a confusion matrix warns of."""

import pytest

from engines.study.class_warnings import class_warnings

TWO = ["negative", "positive"]
THREE = ["bad", "fair", "good"]


@pytest.mark.parametrize(
    ("confusion", "labels", "kinds"),
    [
        ([[90, 10, 0], [12, 88, 0]], TWO, []),
        ([[0, 50, 0], [0, 50, 0]], TWO, ["one_answer"]),
        ([[4, 46, 0], [0, 450, 0]], TWO, ["not_above_largest_class"]),
        ([[100, 100, 0], [90, 110, 0]], TWO, ["not_above_largest_class"]),
        ([[10, 90, 0], [88, 12, 0]], TWO, ["not_above_largest_class", "labels_turned_round"]),
        ([[80, 10, 10, 0], [10, 5, 85, 0], [10, 85, 5, 0]], THREE, ["not_above_largest_class", "labels_turned_round"]),
        ([[50, 0, 0], [0, 0, 0]], TWO, []),
        ([[1, 0, 0], [0, 0, 0]], TWO, []),
    ],
)
def test_answers_that_tell_nothing_apart_and_labels_turned_round_are_said(
    confusion: list[list[int]], labels: list[str], kinds: list[str]
) -> None:
    assert [warning.kind for warning in class_warnings(confusion, labels)] == kinds


def test_the_sentences_name_the_classes_and_the_figures() -> None:
    texts = [warning.text for warning in class_warnings([[10, 90, 0], [88, 12, 0]], TWO)]
    assert texts == [
        'the accuracy of 0.110 is below that of always answering "negative", 0.500',
        'with "negative" and "positive" swapped the accuracy would be 0.890 instead of 0.110: '
        "the labels are probably turned round",
    ]
