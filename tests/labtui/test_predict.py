import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from engines.errors import ServingError
from engines.runs.home import Home
from engines.runs.serving import Client, Reply
from labtui import predict
from labtui.cli import main
from labtui.cli.common import OK, USAGE
from labtui.predict import CHUNK
from tests.labtui.fabric import finished, make_run

COUNT = CHUNK + 3


class Asked(Client):
    """Answers "positive" to what is good, and, where it has nothing to say, in words without probabilities."""

    def start(self, idle_s: float = 0.0) -> None:
        pass

    def status(self) -> Any:
        return type("Status", (), {"labels": ["negative", "positive"]})

    def classify(self, texts: list[str], timeout_s: float = 0, idle_s: float = 0, repeat: int = 0) -> Reply:
        def answer(text: str) -> dict[str, Any]:
            good = "good" in text
            return {
                "label": "positive" if good else "invalid",
                "probabilities": [1 / 3, 2 / 3] if good else [],
                "tokens_read": 2,
                "tokens_total": len(text.split()),
            }

        return Reply([answer(text) for text in texts], 1.0, "cpu")


@pytest.fixture
def reviews(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(predict, "Client", Asked)
    path = tmp_path / "reviews.csv"
    texts = ["a good one" if n % 2 else "no words" for n in range(COUNT)]
    path.write_text("review,extra\n" + "".join(f"{text},{n}\n" for n, text in enumerate(texts)))
    return path


def test_every_review_gets_a_row_in_the_order_of_the_file(home: Home, reviews: Path) -> None:
    run, output = make_run(home, finished()), io.StringIO()
    said: list[str] = []
    assert predict.predict(home, run, reviews, "", "csv", output, said.append) == COUNT
    rows = list(csv.DictReader(io.StringIO(output.getvalue())))
    assert [row["row"] for row in rows] == [str(n) for n in range(COUNT)] and "\r" not in output.getvalue()
    assert rows[1] == {
        "row": "1",
        "label": "positive",
        "p_negative": "0.333333",
        "p_positive": "0.666667",
        "tokens_read": "2",
        "tokens_total": "3",
    }
    assert rows[0]["label"] == "invalid" and rows[0]["p_positive"] == ""
    assert any('"review"' in line for line in said) and said[-1] == f"{COUNT} of {COUNT} reviews"


def test_json_lines_hold_the_same(home: Home, reviews: Path) -> None:
    output = io.StringIO()
    predict.predict(home, make_run(home, finished()), reviews, "review", "jsonl", output, lambda line: None)
    rows = [json.loads(line) for line in output.getvalue().splitlines()]
    assert len(rows) == COUNT and rows[0]["p_positive"] is None and rows[1]["p_positive"] == 0.666667


def test_the_command_writes_no_file_over_another(
    home: Home, reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, output = make_run(home, finished()), tmp_path / "labelled.csv"
    command = ["predict", run.name, str(reviews), "--output", str(output)]
    assert main(command) == OK and f"labelled {COUNT} reviews with {run.name}" in capsys.readouterr().err
    before = output.read_text()
    assert before.count("\n") == COUNT + 1
    assert main(command) == USAGE and "exists; name another file" in capsys.readouterr().err
    assert output.read_text() == before


def test_a_worker_that_gives_up_leaves_no_half_written_file(
    home: Home, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, output = make_run(home, finished()), tmp_path / "out" / "labelled.csv"
    output.parent.mkdir()

    class GivesUp(Asked):
        def classify(self, texts: list[str], timeout_s: float = 0, idle_s: float = 0, repeat: int = 0) -> Reply:
            if len(texts) < CHUNK:
                raise ServingError("the classify worker died")
            return super().classify(texts)

    monkeypatch.setattr(predict, "Client", GivesUp)
    assert main(["predict", run.name, str(reviews), "--output", str(output)]) == USAGE
    assert list(output.parent.iterdir()) == []
    monkeypatch.setattr(predict, "Client", Asked)
    assert main(["predict", run.name, str(reviews), "--output", str(output)]) == OK
    assert [path.name for path in output.parent.iterdir()] == ["labelled.csv"]
