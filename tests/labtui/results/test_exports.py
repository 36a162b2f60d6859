import csv
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from engines.answers import predictions
from engines.answers.variant import Variant
from engines.data.items import Example, write_items
from engines.errors import UserError
from engines.importing import importer
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from labtui.results import exports
from tests.support import Silent

Finished = Callable[..., RunFolder]


@pytest.fixture
def foreign_run(home: Home, tmp_path: Path) -> Callable[..., RunFolder]:
    """An imported run: `foreign_run("label,prediction\\n...")`."""

    def make(content: str, **options: Any) -> RunFolder:
        path = tmp_path / "their.csv"
        path.write_text(content)
        return importer.import_file(home, path, Silent(), **options)[0]

    return make


# -- the answers of a run ---------------------------------------------------------------------------------


def test_answers_come_back_as_they_were_when_they_are_imported_again(
    home: Home, tmp_path: Path, foreign_run: Callable[..., RunFolder]
) -> None:
    texts = "text,label,predicted_1,probability_pos_1,predicted_2,probability_pos_2\n"
    rows = ['"so, so",1,1,0.75,1,0.6', "dull,0,0,0.25,1,0.55", '"a ""great"" film",1,0,0.4,0,0.1', "so so,0,1,0.9,,"]
    folder = foreign_run(texts + "\n".join(rows) + "\n")
    for form, name in (("csv", "again.csv"), ("parquet", "again.parquet")):
        path = tmp_path / name
        path.write_bytes(exports.ITEMS[form](exports.item_table(folder)))
        again = importer.import_file(home, path, Silent())[0]
        assert again.predictions.read_text() == folder.predictions.read_text()
        assert again.items.read_text() == folder.items.read_text()
    (first, *_) = json.loads(exports.ITEMS["json"](exports.item_table(folder)))
    assert first["text"] == "so, so" and first["predicted_2"] == "positive" and first["probability_positive_1"] == 0.75
    assert "text" not in exports.item_table(folder, texts=False).columns


def test_labels_and_texts_like_formulas_come_back_from_an_export_for_spreadsheets(
    home: Home, tmp_path: Path, foreign_run: Callable[..., RunFolder]
) -> None:
    rows = ["=1+1,-1,-1,0.9", "'=quoted,+,+,0.8", "@x,-1,+,0.7", '"plain, ""so""",+,-1,0.6']
    folder = foreign_run("text,label,prediction,score\n" + "\n".join(rows) + "\n")
    table = exports.item_table(folder)
    assert set(table.columns["label"]) == {"-1", "+"}
    path = tmp_path / "for excel.csv"
    path.write_bytes(exports.items_csv(table, excel=True))
    written = list(csv.DictReader(path.open(encoding="utf-8-sig", newline="")))
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert [row["text"] for row in written] == ["'=1+1", "''=quoted", "'@x", 'plain, "so"']
    assert [row["label"] for row in written] == ["'-1", "'+", "'-1", "'+"]
    (again,) = importer.import_file(home, path, Silent())
    assert again.items.read_text() == folder.items.read_text()
    assert again.predictions.read_text() == folder.predictions.read_text()


def test_without_being_asked_an_export_changes_no_text(foreign_run: Callable[..., RunFolder]) -> None:
    table = exports.item_table(foreign_run("text,label,prediction\n=1+1,-1,-1\n+,1,1\n"))
    assert exports.items_csv(table).splitlines()[1].endswith(b"=1+1,-1,-1")


def test_a_run_that_tuned_a_model_has_columns_for_the_model_before(home: Home, finished: Finished) -> None:
    folder = finished("tuned", [[1, 0, 0], [0, 1, 0]], before=[[0, 1, 0], [0, 0, 1]])
    examples = [Example("bad", 0, 4, "h0"), Example("good", 1, 9, "h1")]
    write_items(folder, examples, ["negative", "positive"])
    labels = ["negative", "positive"]
    before = predictions.predictions_of(examples, labels, [1, None], [[0.2, 0.8], []], [3, 4], variant=Variant.BEFORE)
    own = predictions.predictions_of(examples, labels, [0, 1], [[0.9, 0.1], [0.3, 0.7]], [3, 4])
    predictions.write(folder, [*before, *own])
    columns = exports.item_table(folder).columns
    assert columns["row"] == [4, 9] and columns["predicted"] == ["negative", "positive"]
    assert columns["predicted_before"] == ["positive", None]
    assert columns["probability_positive_before"] == [0.8, None] and columns["tokens_read"] == [3, 4]


def test_probabilities_that_are_not_finite_leave_valid_json(home: Home, finished: Finished) -> None:
    folder = finished("a", [[1, 0, 0], [0, 0, 1]])
    examples = [Example("bad", 0, 4, "h0"), Example("good", 1, 9, "h1")]
    rows = [[0.75, 0.25], [math.nan, math.inf]]
    predictions.write(folder, predictions.predictions_of(examples, ["negative", "positive"], [0, None], rows))

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is not JSON")

    content = exports.ITEMS["json"](exports.item_table(folder))
    document = json.loads(content, parse_constant=refuse)
    assert [item["probability_negative"] for item in document] == [0.75, None]
    assert document[1]["predicted"] is None and document[1]["probability_positive"] is None


def test_a_damaged_line_of_the_items_is_told_with_its_file(foreign_run: Callable[..., RunFolder]) -> None:
    folder = foreign_run("text,label,prediction\ngood,1,1\nbad,0,1\n")
    for damage in (b'{"hash": 3}\n', b'{"hash": "to'):
        content = folder.items.read_bytes()
        folder.items.unlink()  # it shares its content with other runs on the same items
        folder.items.write_bytes(content + damage)
        with pytest.raises(UserError, match=r"items.jsonl is damaged \(.+\); copy it again"):
            exports.item_table(folder)


def test_without_texts_there_is_no_column_of_them(foreign_run: Callable[..., RunFolder]) -> None:
    columns = exports.item_table(foreign_run("label,prediction\n1,1\n0,1\n")).columns
    assert list(columns) == ["hash", "row", "label", "predicted"] and columns["hash"][0].startswith("file:")


def test_a_run_without_answers_says_so(home: Home, finished: Finished) -> None:
    with pytest.raises(UserError, match="holds no predictions.jsonl"):
        exports.item_table(finished("a", [[1, 0, 0], [0, 1, 0]]))
    with pytest.raises(UserError, match="has no scores of a test split"):
        exports.item_table(finished("b", [[1, 0, 0], [0, 1, 0]], split="validation"))
    with pytest.raises(UserError, match="is not finished"):
        exports.model_card(RunFolder.create(home, {"experiment": "c", "engine": "x"}))


# -- model cards ------------------------------------------------------------------------------------------


def test_a_model_card_has_a_valid_model_index(home: Home, finished: Finished, tmp_path: Path) -> None:
    folder = finished("quickstart/a: 'b'\n# c", [[40, 10, 0], [5, 45, 0]], model="tiny|x")
    path = tmp_path / "README.md"
    path.write_text(exports.model_card(folder))
    card = ModelCard.load(path)
    assert card.data.pipeline_tag == "text-classification"
    results = {result.metric_type: result for result in card.data.eval_results}
    assert results["accuracy"].metric_value == 0.85 and set(results) == {"accuracy", "f1", "precision", "recall"}
    assert results["f1"].metric_args == {"average": "macro"} and results["accuracy"].dataset_args["items"] == 100
    assert "| accuracy | 0.8500 | 0.7672 to 0.9069 (Wilson) |" in card.text and "tiny\\|x" in card.text
    assert card.text.lstrip().startswith("# quickstart/a: 'b' \\# c\n")


def test_the_card_of_an_imported_run_says_where_its_answers_come_from(foreign_run: Callable[..., RunFolder]) -> None:
    folder = foreign_run("label,a,b\n1,1,0\n0,1,0\n", name="theirs", model="org/model-2b", columns_are="repeats")
    card = ModelCard(exports.model_card(folder))
    data = card.data.to_dict()
    assert "imported" in data["tags"] and data["base_model"] == "org/model-2b"
    assert "imported from `their.csv`; none of them was measured here" in card.text
    assert "Means over 2 repeats" in card.text and "elsewhere" not in card.text


# -- files ------------------------------------------------------------------------------------------------


def test_a_file_is_written_whole_and_never_over_another_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert exports.save(Path("a.csv"), b"1") == tmp_path / "a.csv"
    with pytest.raises(UserError, match="a.csv exists; name another file"):
        exports.save(Path("a.csv"), b"2")
    assert exports.save(Path("a.csv"), b"3", overwrite=True).read_bytes() == b"3"
    with pytest.raises(UserError, match="there is no folder"):
        exports.save(Path("no/a.csv"), b"4")
    with pytest.raises(UserError, match="is a folder"):
        exports.save(tmp_path, b"5")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a.csv"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"old")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match="cannot be written .No space left"):
        exports.save(path, b"new", overwrite=True)
    assert path.read_bytes() == b"old" and list(tmp_path.glob(".*")) == []
