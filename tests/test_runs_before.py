"""Run folders written by an earlier version still open, and still say what must be known of them.

`data/runs_before` holds an untrained head in three repeats and a QLoRA run with validation, of 30 test items each,
without weights; host, paths and process numbers are replaced.
"""

import json
import shutil
from pathlib import Path

import pytest

from engines.runs import events as ev
from engines.runs.event_files import read_all
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from labtui.cli import main
from labtui.cli.common import OK

WRITTEN = Path(__file__).parent / "data" / "runs_before"
HEAD = "20261125-171114-quickstart-gemma-untrained-head-e252"
TUNED = "20261125-171135-quickstart-gemma-qlora-0adb"
UNTRAINED = "UNTRAINED HEAD: the weights that answer were drawn at random"
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def runs(home: Home) -> None:
    """The runs in a home of their own: opening results writes columns beside the answers."""
    shutil.copytree(WRITTEN, home.runs, dirs_exist_ok=True)


def test_they_are_listed_and_shown(capsys: Captured) -> None:
    assert main(["list"]) == OK
    newest, oldest = capsys.readouterr().out.splitlines()
    assert newest.split() == [TUNED, "finished", "accuracy", "0.867"]
    assert oldest.split() == [HEAD, "finished", "accuracy", "0.467"]
    assert main(["show", "e252"]) == OK
    head = capsys.readouterr().out
    assert "prompt.method          untrained_head" in head and "warning: UNTRAINED HEAD" in head
    assert main(["show", "0adb"]) == OK
    tuned = capsys.readouterr().out
    assert "the model of step 12, validation accuracy 0.7000" in tuned and "finished after 0:14" in tuned


def test_their_results_have_the_figures_of_then(capsys: Captured) -> None:
    assert main(["results", "--format", "json"]) == OK
    tuned, before, head = json.loads(capsys.readouterr().out)
    assert (tuned["run"], tuned["confusion"], tuned["items"]) == (TUNED, [[13, 2, 0], [2, 13, 0]], 30)
    assert tuned["accuracy"] == pytest.approx(26 / 30) and not tuned["untrained_head"]
    assert (before["variant"], before["confusion"]) == ("before tuning", [[11, 4, 0], [2, 13, 0]])
    assert head["run"] == HEAD and head["untrained_head"] and head["varied"] == "head"
    assert head["accuracies"] == [0.5, 0.5, 0.4] and head["accuracy_sd"] == pytest.approx(0.0577, abs=1e-4)
    assert head["model"] == "tiny:gemma, UNTRAINED HEAD"
    assert head["confusion"] == [[12, 33, 0], [15, 30, 0]], "the sum over the repeats"


def test_the_facts_that_their_notes_told_are_fields(home: Home) -> None:
    head, tuned = ([r.event for r in read_all(RunFolder(home.runs / run).events)] for run in (HEAD, TUNED))
    assert [e for e in head if isinstance(e, ev.Fact)] == [ev.Untrained("head")]
    assert [e for e in tuned if isinstance(e, ev.Fact)] == [
        ev.Truncated("train", 30, 48, 48),
        ev.Truncated("validation", 11, 20, 48),
        ev.Truncated("test", 20, 30, 48),
        ev.Selected(12, "validation", "accuracy", 0.7),
    ]


def test_the_untrained_head_warns_in_results_comparison_and_report(tmp_path: Path, capsys: Captured) -> None:
    assert main(["results"]) == OK
    assert UNTRAINED in capsys.readouterr().out
    assert main(["compare", "e252:1", "0adb"]) == OK
    compared = capsys.readouterr().out
    assert "gemma-qlora 0adb is better on these 30 items" in compared and f"e252 repeat 1: {UNTRAINED}" in compared
    page = tmp_path / "report.html"
    assert main(["report", "--output", str(page)]) == OK
    assert UNTRAINED in page.read_text()


def test_a_rising_loss_still_says_which_model_was_tested(capsys: Captured) -> None:
    assert main(["results"]) == OK
    assert (
        "the validation loss rose while training went on: 0.3064 at epoch 1, 0.4655 at epoch 3; tested is the model of "
        "epoch 2, the best on the validation split by accuracy"
    ) in capsys.readouterr().out
