"""What a model was trained on is carried on to the models that start from it."""

from pathlib import Path

import pytest

from engines.data.items import Example
from engines.errors import UserError
from engines.runs import events as ev
from engines.training import provenance
from tests.engines.conftest import Recorder


def examples(*names: str) -> list[Example]:
    return [Example(name, 0, row, name) for row, name in enumerate(names)]


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """A model that started from another one, each trained on two texts."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    provenance.record(tmp_path / "first", examples("a", "b#2"))
    provenance.record(tmp_path / "second", examples("c", "d"), tmp_path / "first")
    return tmp_path / "second"


def test_a_model_knows_its_own_training_texts_and_those_of_the_model_before(second: Path) -> None:
    assert provenance.trained_on(second) == {"a", "b", "c", "d"}
    assert provenance.trained_on(second.parent) is None


def test_a_test_item_that_an_earlier_training_saw_is_refused_unless_it_is_allowed(
    second: Path, recorder: Recorder
) -> None:
    provenance.check_apart(second, "mine", examples("e", "f"), "refuse", recorder.report)
    assert recorder.events(ev.Overlap) == []
    for overlap in ("refuse", "drop"):
        with pytest.raises(UserError, match="1 of the 2 test items were training items of mine, the model this run"):
            provenance.check_apart(second, "mine", examples("b", "f"), overlap, recorder.report)
    provenance.check_apart(second, "mine", examples("b", "f"), "allow", recorder.report)
    (overlap_fact,) = recorder.events(ev.Overlap)
    assert (overlap_fact.items, overlap_fact.run) == (1, "mine")
