import json

import pytest

from engines.runs import events as ev
from engines.runs.scores import Scores


def read(values: dict[str, object]) -> ev.Record:
    record = ev.decode(json.dumps({"seq": 4, "time": 2.5, **values}).encode())
    assert record is not None
    return record


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("a.csv: 1,234 rows without a label are left out", ev.Dropped(1234, "no_label", "a.csv")),
        ("30 of 1,048 train reviews are longer than 48 tokens and cut", ev.Truncated("train", 30, 1048, 48)),
        ("9 of 20 test texts are longer than 64 tokens and cut", ev.Truncated("test", 9, 20, 64)),
        ("3 validation items are found in training as well", ev.Overlap("validation", "train", 3)),
        ("3 test items are found in validation as well", ev.Overlap("test", "validation", 3)),
        ("1,003 test items are found in training as well, allowed by data.overlap", ev.Overlap("test", "train", 1003)),
        (
            "5 training items are left out because 3 test items copy them",
            ev.Overlap("test", "train", 3, dropped=5, dropped_from="train"),
        ),
        (
            "4 of the 6 items were training items of 20260101-000000-a-1f2e, left out by data.overlap",
            ev.Overlap("test", "train", 4, dropped=4, dropped_from="test", run="20260101-000000-a-1f2e"),
        ),
        (
            "4 of the 6 items were training items of 20260101-000000-a-1f2e, allowed by data.overlap",
            ev.Overlap("test", "train", 4, run="20260101-000000-a-1f2e"),
        ),
        (
            "UNTRAINED HEAD: the head that scores the reviews is drawn at random and was never trained; its accuracy "
            "says nothing about the model",
            ev.Untrained("head"),
        ),
        (
            "kept: the model of step 12, validation accuracy 0.7000",
            ev.Selected(12, "validation", "accuracy", 0.7),
        ),
        (
            "out of memory with 8 reviews at once: a fresh process goes on from the last checkpoint with 4 at once, 2 "
            "times a step; a step still reads 8 reviews",
            ev.Adjusted(
                "out_of_memory",
                {"training.batch_size": 8, "training.accumulation": 1},
                {"training.batch_size": 4, "training.accumulation": 2},
            ),
        ),
    ],
)
def test_what_a_note_told_is_read_as_the_fact_it_was(text: str, fact: ev.Fact) -> None:
    assert read({"kind": "note", "text": text, "level": "warning"}) == ev.Record(4, 2.5, fact, {})


@pytest.mark.parametrize(
    "text",
    [
        "train: 48 reviews (25 negative, 23 positive)",
        "a.csv: the words kept: the model of step 12, validation accuracy 0.7000",
        "no UNTRAINED HEAD: here",
    ],
)
def test_a_note_that_tells_no_fact_stays_one(text: str) -> None:
    assert read({"kind": "note", "text": text}).event == ev.Note(text)


def test_a_model_is_named_without_the_warning_that_its_name_carried() -> None:
    end = read({"kind": "finished", "model": "tiny:gemma, UNTRAINED HEAD", "scores": {"untrained_head": True}})
    assert end.event == ev.Finished(model="tiny:gemma", scores=Scores(untrained_head=True))
