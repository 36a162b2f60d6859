import json

import pytest

from engines.answers import scoring
from engines.runs import events as ev
from engines.runs.scores import Scores, of_json


def test_scores_come_back_from_their_event_with_what_this_version_does_not_know() -> None:
    before = scoring.scores([[1, 1, 0], [0, 2, 0]], ["no", "yes"])
    scores = Scores(
        accuracy=0.75, recall={"no": 0.5}, invalid=0, mended=1, before=before, extra={"kappa": 0.5, "tags": ["a"]}
    )
    line = ev.encode(ev.Evaluated("test", 4, scores, ["no", "yes"], [[1, 1, 0], [0, 2, 0]]), 0, 0.0)
    written = json.loads(line)["scores"]
    assert written["kappa"] == 0.5 and written["before"]["accuracy"] == 0.75 and "extra" not in written
    record = ev.decode(line)
    assert record is not None and isinstance(record.event, ev.Evaluated)
    assert record.event.scores == scores


def test_scores_that_older_versions_wrote_are_read() -> None:
    scores = of_json(
        {"accuracy": 1, "invalid": 2.5, "original": {"accuracy": 0.5, "confusion": [[1, 0, 0], [0, 1, 0]]}}
    )
    assert (scores.accuracy, scores.invalid, scores.extra) == (1.0, 2.5, {})
    assert scores.before == Scores(accuracy=0.5, confusion=[[1, 0, 0], [0, 1, 0]])
    assert of_json({}) == Scores() and Scores().as_json() == {}


def test_a_value_is_found_by_name_whether_or_not_it_has_a_field() -> None:
    scores = Scores(accuracy=0.5, invalid=3, recall={"no": 1.0}, untrained_head=True, extra={"kappa": 0.25, "tag": "a"})
    names = ("accuracy", "invalid", "kappa", "recall", "tag", "untrained_head", "extra", "macro_f1", "unheard_of")
    assert [scores.value(name) for name in names] == [0.5, 3, 0.25, None, None, None, None, None, None]


@pytest.mark.parametrize(
    "scores", ['{"accuracy": "high"}', '{"before": {"recall": 1}}', '"none"', '{"repeats": [null]}']
)
def test_a_line_whose_scores_are_none_is_no_event(scores: str) -> None:
    with pytest.raises(ValueError, match="no scores"):
        ev.decode(f'{{"seq": 0, "time": 1.0, "kind": "finished", "scores": {scores}}}'.encode())
