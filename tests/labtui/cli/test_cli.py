import subprocess
import sys

import pytest

from engines.runs.summary import FINISHED
from labtui.cli import main
from labtui.cli.common import STATE_CODES, USAGE
from tests.labtui.cli.conftest import Captured


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["run", "distilbert-lop"], 'did you mean "distilbert-loop"?'),
        (["run", "distilbert-loop", "--set", "training.epoch=2"], 'did you mean "training.epochs"?'),
        (["run", "distilbert-loop", "--set", "training.epochs=two"], "is not a whole number"),
        (["run", "distilbert-loop", "--device", "gpu99"], 'no device "gpu99"'),
        (["show", "nothing"], "no run matches"),
        (["classify", "  ", "--run", "x"], "the review is empty"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_2(argv: list[str], sentence: str, capsys: Captured) -> None:
    assert main(argv) == USAGE
    out, err = capsys.readouterr()
    assert out == "" and sentence in err and len(err.splitlines()) == 1


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m labtui experiments | head -n 1", shell=True, capture_output=True, text=True
    )
    assert done.stderr == "" and done.stdout.count("\n") == 1


def test_the_state_of_every_run_maps_to_an_exit_code() -> None:
    assert STATE_CODES[FINISHED] == 0 and len(set(STATE_CODES.values())) == 4
