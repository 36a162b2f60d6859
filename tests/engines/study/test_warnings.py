from typing import Any

import pytest
from msgspec.structs import replace

from engines.runs import events as ev
from engines.runs.event_files import EventWriter
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.scores import Scores
from engines.runs.writing import write_atomic
from engines.study.reader import ResultsReader
from tests.support.answered import N, P, answered, row, truth, wrong_on


def warnings_of(home: Home, folder: RunFolder) -> dict[str, str]:
    return {w["figure"]: w["text"] for w in ResultsReader(home).measure(folder.name)["warnings"]}


def test_a_sound_run_has_no_warning(home: Home) -> None:
    folder = answered(home, truth(100), [None, *truth(100)[1:]], validated=[(1, 0.5), (2, 0.505)])
    assert warnings_of(home, folder) == {}, "1 % invalid and 1 % more loss"


def test_an_untrained_head_is_called_one(home: Home) -> None:
    folder = answered(home, truth(100), wrong_on(truth(100), range(40)), scores=Scores(untrained_head=True))
    assert warnings_of(home, folder) == {
        "model": "UNTRAINED HEAD: the weights that answer were drawn at random, so that the accuracy of 0.600 says "
        "nothing about the model"
    }


def test_an_imported_run_is_called_one(home: Home) -> None:
    folder = answered(home, truth(100), truth(100), engine="imported")
    assert warnings_of(home, folder)["model"].startswith("imported: answers to 100 items were read from a file")


def test_answers_that_do_not_score_what_the_run_ended_with_are_warned_of(home: Home) -> None:
    folder = answered(home, truth(100), truth(100))
    write_atomic(
        folder.predictions,
        folder.predictions.read_bytes().replace(b'"predicted": "positive"', b'"predicted": "negative"', 3),
    )
    assert warnings_of(home, folder) == {
        "accuracy": "the run ended with an accuracy of 1.0000, and its answers score "
        "0.9700: predictions.jsonl was changed since"
    }


def test_few_items_are_counted(home: Home) -> None:
    folder = answered(home, truth(98), truth(98))
    assert warnings_of(home, folder) == {
        "items": "only 98 test items: an accuracy anywhere from 0.96 to 1.00 fits them"
    }
    tuned = answered(home, truth(50), truth(50), original=wrong_on(truth(50), range(25)))
    warnings = ResultsReader(home).measure(tuned.name)["warnings"]
    of_each = {w["variant"]: w["text"][-36:] for w in warnings if w["kind"] == "few_items"}
    assert of_each == {"": "anywhere from 0.93 to 1.00 fits them", "before": "anywhere from 0.37 to 0.63 fits them"}
    repeated = answered(home, truth(50), truth(50), wrong_on(truth(50), range(50)))
    assert "a mean accuracy anywhere from 0.40 to 0.60 fits them" in warnings_of(home, repeated)["items"]


def test_many_invalid_answers_are_counted(home: Home) -> None:
    true = truth(100)
    one, two = [None, *true[1:]], [None, None, *true[2:]]
    assert warnings_of(home, answered(home, true, two)) == {
        "invalid": "2 of 100 answers (2.0 %) are no label; they count as wrong"
    }
    repeated = warnings_of(home, answered(home, true, one, two))
    assert repeated == {"invalid": "2 of 100 answers of repeat 2 (2.0 %) are no label; they count as wrong"}


def test_a_rising_validation_loss_is_said_with_both_losses(home: Home) -> None:
    folder = answered(home, truth(100), truth(100), validated=[(1, 0.5), (2, 0.4), (3, 0.45)])
    assert warnings_of(home, folder) == {
        "loss": "the validation loss rose while training went on: 0.4000 at epoch 2, 0.4500 at epoch 3"
    }


@pytest.mark.parametrize(
    ("step", "end"),
    [
        (20, "; tested is the model of epoch 2, from before the rise"),
        (30, "; tested is the model of epoch 3, the best on the validation split by accuracy"),
        (25, ""),
    ],
)
def test_a_rising_loss_says_which_model_was_tested(home: Home, step: int, end: str) -> None:
    folder = answered(home, truth(100), truth(100), validated=[(1, 0.5), (2, 0.4), (3, 0.45)])
    writer = EventWriter(folder.events)
    writer.write(ev.Selected(step, "validation", "accuracy", 0.9))
    writer.close()
    assert warnings_of(home, folder)["loss"].endswith(f"0.4500 at epoch 3{end}")


def test_the_answers_before_tuning_are_warned_of_apart(home: Home) -> None:
    true = truth(100)
    blank: list[str | None] = [None, None, *true[2:]]
    tuned = answered(
        home,
        true,
        true,
        original=blank,
        facts=[ev.Overlap("test", "train", 1)],
        validated=[(1, 0.4), (2, 0.5)],
    )
    warnings = ResultsReader(home).measure(tuned.name)["warnings"]
    assert {w["figure"]: w["variant"] for w in warnings} == {"invalid": "before", "loss": "", "accuracy": ""}
    (invalid,) = [w["text"] for w in warnings if w["figure"] == "invalid"]
    assert invalid.startswith("2 of 100 answers before tuning (2.0 %) are no label")
    assert [w["text"] for w in warnings if w["figure"] == "accuracy"][0].startswith(
        "1 of the 100 test items stands in "
    )


def test_too_few_items_of_a_class_for_macro_intervals_are_told(home: Home) -> None:
    true = [P] * 100 + [N] * 4
    folder = answered(home, true, true)
    assert warnings_of(home, folder) == {
        "macro_precision": "no interval of macro precision, macro recall, macro F1: too few items in 1 class (fewer "
        "than 5)"
    }
    (measures,) = ResultsReader(home).measure(folder.name)["measures"]
    assert measures["figures"]["macro_f1"] == {
        "value": 1,
        "low": None,
        "high": None,
        "reason": "too few items in 1 class",
    }


def test_a_class_without_test_items_is_told(home: Home) -> None:
    told = warnings_of(home, answered(home, [P] * 100, [P] * 90 + [N] * 10))
    assert told["macro_recall"].startswith("no test item is of class negative: macro recall is over the other classes")


def test_one_item_is_spoken_of_as_one(home: Home) -> None:
    one, other, same = (answered(home, [P], [answer]) for answer in (P, N, P))
    assert warnings_of(home, one)["items"] == "only 1 test item: an accuracy anywhere from 0.21 to 1.00 fits it"
    asked = ResultsReader(home)
    (pair,) = asked.compare([row(one), row(other)], ["A", "B"])["pairs"]
    assert pair["sentence"] == (
        "A and B are not told apart on this 1 item (A alone right on 1, B alone on 0, p = 1); "
        "so few items could not show any difference"
    )
    assert asked.compare([row(one), row(same)], ["A", "B"])["pairs"][0]["sentence"] == (
        "A and B are right on the very same of this 1 item"
    )
    assert asked.compare([row(one), row(other)], ["A", "B"])["detectable"] is None


def test_a_run_whose_settings_cannot_be_read_is_measured_all_the_same(home: Home) -> None:
    folder = answered(home, truth(100), truth(100))
    for text in ("no settings", "data = 3"):
        folder.config.write_text(text)
        assert warnings_of(home, folder) == {}
        assert ResultsReader(home).disagreement("quickstart", "bag_of_words")["pairs"] == 0


@pytest.mark.parametrize(("last", "warned"), [(0.51, False), (0.5101, True)])
def test_a_loss_has_risen_where_it_ends_more_than_two_percent_above_its_lowest(
    home: Home, last: float, warned: bool
) -> None:
    folder = answered(home, truth(100), truth(100), validated=[(1, 0.6), (2, 0.5), (3, last)])
    assert ("loss" in warnings_of(home, folder)) == warned


def test_a_loss_that_rises_within_an_epoch_may_still_fall(home: Home) -> None:
    folder = answered(home, truth(100), truth(100), validated=[(0.25, 0.4), (0.5, 0.5)])
    assert warnings_of(home, folder) == {}


def test_test_items_that_were_trained_on_are_counted(home: Home) -> None:
    def warned(*facts: ev.Overlap, **document: Any) -> dict[str, str]:
        return warnings_of(home, answered(home, truth(100), truth(100), facts=facts, **document))

    allowed = ev.Overlap("test", "train", 2)
    expected = {
        "accuracy": "2 of the 100 test items stand in the training set too, so that the accuracy is too high "
        "to be believed"
    }
    assert warned(allowed) == expected
    assert warned(replace(allowed, run="the run that it scores"), engine="evaluate") == expected
    assert warned(allowed, engine="prompting") == {}, "a prompted model is not trained"
    assert warned(replace(allowed, dropped=3, dropped_from="train")) == {}, "the copies were left out"
    assert warned(ev.Overlap("validation", "train", 2), ev.Overlap("test", "validation", 2)) == {}
    assert "the record of the training items is gone" in warned(replace(allowed, items=None))["accuracy"]


def test_answers_at_chance_and_labels_turned_round_are_said_unless_the_head_is_untrained(home: Home) -> None:
    turned = answered(home, truth(200), wrong_on(truth(200), range(180)))
    kinds = {w["kind"] for w in ResultsReader(home).measure(turned.name)["warnings"]}
    assert {"not_above_largest_class", "labels_turned_round"} <= kinds
    fine = answered(home, truth(200), wrong_on(truth(200), range(10)))
    assert ResultsReader(home).measure(fine.name)["warnings"] == []
