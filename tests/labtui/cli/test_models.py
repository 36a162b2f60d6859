import json

import pytest

from engines.runs import events as ev
from engines.runs.home import Home
from engines.runs.scores import Scores
from engines.runs.serving import Client, Reply
from labtui.cli import main, models
from labtui.cli.common import OK, USAGE
from tests.labtui.cli.conftest import Captured
from tests.labtui.fabric import MATRIX, finished, make_run


def test_a_repeat_is_asked_by_its_number_from_1_or_by_what_it_was_given(
    home: Home, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    class FakeClient(Client):
        def start(self, idle_s: float = 0.0) -> None:
            pass

        def classify(self, texts: list[str], timeout_s: float = 0, idle_s: float = 0, repeat: int = 0) -> Reply:
            asked.append(repeat)
            answer = {"label": "positive", "probabilities": [0.9], "tokens_read": 1, "tokens_total": 1}
            return Reply([answer], 1.0, "cpu")

    monkeypatch.setattr(models, "Client", FakeClient)
    repeats = [
        ev.Repeat(n, "template", value, Scores(accuracy=0.7), ["negative", "positive"], MATRIX)
        for n, value in enumerate(("plain", "one_word"))
    ]
    run = make_run(home, *repeats, finished(scores=Scores(accuracy=0.7, repeats=[0.7, 0.7])), experiment="many")
    make_run(home, finished(), experiment="single")

    chosen = ["--run", "many", "--run", "many:1", "--run", "many:2", "--run", "many:One_word"]
    assert main(["classify", "good", *chosen, "--json"]) == OK
    rows = json.loads(capsys.readouterr().out)
    assert asked == [0, 0, 1, 1] and [row.get("repeat") for row in rows] == [None, 1, 2, 2]
    assert main(["classify", "good", "--run", "many:2"]) == OK
    assert capsys.readouterr().out.endswith(f"  {run.name}:2\n")
    for wrong, sentence in (
        ("many:3", f'{run.name} has no repeat "3"; choose one of 1 (plain), 2 (one_word)'),
        ("many:0", 'no repeat "0"'),
        ("single:1", 'has no repeats to choose from; leave ":1" out'),
    ):
        assert main(["classify", "good", "--run", wrong]) == USAGE
        assert sentence in capsys.readouterr().err
