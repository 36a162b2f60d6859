import json
from pathlib import Path

import pytest

from engines.runs.home import Home
from labtui.cli import main
from labtui.cli.common import OK, USAGE
from tests.labtui.cli.conftest import Captured


@pytest.fixture
def reviews(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"opinion {n} of its own,{n % 2},{n}\n" for n in range(40))
    (tmp_path / "reviews.csv").write_text(f"review,stars,id\n{rows}")


def test_a_look_at_data_launches_nothing(reviews: None, home: Home, capsys: Captured) -> None:
    assert main(["data", "reviews.csv", "--set", "data.label=stars"]) == OK
    out = capsys.readouterr().out
    assert out.startswith(
        "source      reviews.csv (delimited), 40 rows\ncolumns     review (text), stars (label), id\n"
    )
    assert "classes     2: negative 20 (50.0 %), positive 20 (50.0 %)" in out and "examples of positive" in out
    assert not list(home.runs.iterdir())


def test_a_look_at_data_as_json_holds_notes_and_the_smallest_difference(reviews: None, capsys: Captured) -> None:
    assert main(["data", "reviews.csv", "--set", "data.label=stars", "--json"]) == OK
    document = json.loads(capsys.readouterr().out)
    assert document["columns"] == ["review", "stars", "id"] and document["smallest_difference"] == 1.0
    assert any("label 0 is read as negative" in note for note in document["notes"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("nothing.csv", "nothing.csv: no such file"),
        ("reviews.csv", "no column is called label or sentiment; set data.label to one of review, stars, id"),
        ("reviews.csv --set data.label=star", 'data.label = "star": no such column; did you mean "stars"'),
        ("reviews.csv --set data.label=stars --set data.test=90", "are asked for, there are 40"),
        ("reviews.csv --set data.labl=stars", 'no such setting; did you mean "data.label"'),
    ],
)
def test_data_that_cannot_be_used_are_refused_in_a_sentence(
    reviews: None, capsys: Captured, arguments: str, sentence: str
) -> None:
    assert main(["data", *arguments.split()]) == USAGE
    error = capsys.readouterr().err
    assert sentence in error and "Traceback" not in error and error.count("\n") == 1
