import csv
import gzip
import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import precision_score

from engines.answers import columns, predictions, scoring
from engines.answers.variant import Variant
from engines.data import files
from engines.errors import DataError, UserError
from engines.importing import importer
from engines.methods.evaluate import open_classifier
from engines.runs import events as ev
from engines.runs.event_files import read_all
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.summary import FINISHED, list_runs, summarize
from engines.study.reader import ResultsReader
from engines.study.values import AnswerSet
from tests.support import known

STUDY = Path(__file__).parents[4] / "shared" / "data" / "gemma_zero_shot_runs.csv"
Imported = Callable[..., RunFolder]


class Heard:
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str, level: str = "info") -> None:
        self.notes.append(f"warning: {text}" if level == "warning" else text)

    def fact(self, fact: ev.Fact) -> None:
        raise AssertionError(fact)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def imported(home: Home, tmp_path: Path, heard: Heard) -> Imported:
    """Import a file of that content: `imported("label,prediction\\n1,0\\n")`."""

    def make(content: str | bytes, file: str = "their.csv", **options: Any) -> RunFolder:
        path = tmp_path / file
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return importer.import_file(home, path, heard, **options)[0]

    return make


def lines_of(folder: RunFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in folder.predictions.read_text().splitlines()]


def probabilities(folder: RunFolder) -> list[list[float]]:
    return [[round(p, 6) for p in line["probabilities"]] for line in lines_of(folder)]


# -- tables -----------------------------------------------------------------------------------------------


@pytest.mark.real_data
@pytest.mark.skipif(not STUDY.is_file(), reason=f"{STUDY.name} is not there")
def test_the_studys_three_executions_have_the_reference_accuracies(home: Home, heard: Heard) -> None:
    folder = importer.import_file(home, STUDY, heard, name="Gemma zero-shot", varied="head", model="Gemma-2b")[0]
    summary = summarize(folder)
    assert (summary.state, summary.engine, summary.model) == (FINISHED, "imported", "Gemma-2b")
    assert [round(a, 4) for a in summary.scores.repeats] == [0.4936, 0.6216, 0.5996]
    assert summary.scores.accuracy == pytest.approx(0.5716) and summary.as_dict()["items"] == 2500
    assert summary.scores.accuracy_sd == pytest.approx(0.06844, abs=5e-6)
    repeats = [r.event for r in read_all(folder.events) if isinstance(r.event, ev.Repeat)]
    assert [(r.index, r.varied, r.value) for r in repeats] == [
        (0, "head", "run1"),
        (1, "head", "run2"),
        (2, "head", "run3"),
    ]
    assert [round(known(r.scores.macro_precision), 4) for r in repeats] == [0.4819, 0.6232, 0.7105]
    answers = columns.read(folder)
    assert answers.rows == (("", 0), ("", 1), ("", 2)) and answers.imported_without_texts
    digest = hashlib.sha256(STUDY.read_bytes()).hexdigest()
    assert lines_of(folder)[0]["hash"] == f"file:{digest}:0"


def test_a_file_with_texts_meets_runs_of_this_program_by_their_hashes(imported: Imported, heard: Heard) -> None:
    texts = ["A <br />fine   film &amp; cast", "Dull, and long", "A fine film & cast"]
    with_breaks = imported(
        json.dumps({"review": texts[0], "sentiment": 1, "prediction": "positive"})
        + "\n"
        + json.dumps({"review": texts[1], "sentiment": 0, "prediction": 1})
        + "\n"
        + json.dumps({"review": texts[2], "sentiment": 1, "prediction": 1.0})
        + "\n",
        "a.jsonl",
    )
    first = hashlib.sha256(files.clean(texts[0]).encode()).hexdigest()
    second = hashlib.sha256(b"Dull, and long").hexdigest()
    assert [line["hash"] for line in lines_of(with_breaks)] == [first, second, f"{first}#2"]
    assert [line["predicted"] for line in lines_of(with_breaks)] == ["positive"] * 3
    items = [json.loads(line) for line in with_breaks.items.read_text().splitlines()]
    assert items[0] == {"hash": first, "row": 0, "text": "A fine film & cast", "label": "positive"}
    again = imported(
        'text,label,pred\nA fine film & cast,pos,neg\n"Dull, and long",neg,neg\nA fine film & cast,pos,pos\n'
    )
    assert columns.read(again).test_set == columns.read(with_breaks).test_set
    assert again.items.stat().st_ino == with_breaks.items.stat().st_ino, "one file for the same items"
    assert "label 0 is read as negative, 1 as positive" in " ".join(heard.notes)


def test_without_texts_an_item_is_known_by_its_file_alone(imported: Imported, heard: Heard) -> None:
    one = imported("label,prediction\n1,1\n0,1\n", "one.csv")
    other = imported("label,prediction\n1,1\n0,0\n", "other.csv")
    assert not {line["hash"] for line in lines_of(one)} & {line["hash"] for line in lines_of(other)}
    assert any("not with other runs" in note for note in heard.notes)


def test_a_class_that_is_only_predicted_is_one_unless_the_classes_are_given(
    home: Home, imported: Imported, heard: Heard
) -> None:
    rows = 60 * ["sadness,sadness,sadness"] + 40 * ["neutral,neutral,neutral"] + 20 * ["neutral,joy,anger"]
    content = "\n".join(["label,prediction_1,prediction_2", *rows, ""])
    measured = ResultsReader(home).measure(imported(content, "all.csv").name)
    assert measured["labels"] == ["anger", "joy", "neutral", "sadness"]
    spread = measured["spreads"][Variant.OWN]
    assert spread["all_agree"] == pytest.approx(100 / 120) and spread["kappa"] == pytest.approx(0.7333, abs=1e-4)
    true, predicted = zip(*((row.split(",")[0], row.split(",")[1]) for row in rows), strict=True)
    oracle = precision_score(true, predicted, average="macro", zero_division=0)
    assert (
        measured["measures"][0]["figures"]["macro_precision"]["value"] == pytest.approx(oracle) == pytest.approx(2 / 3)
    )
    assert any("joy (20), anger (20)" in note for note in heard.notes)
    two = imported(content, "two.csv", classes=["neutral", "sadness"])
    assert summarize(two).scores.invalid == 20


def test_words_for_no_answer_numbers_among_words_and_words_among_numbers_are_no_classes(imported: Imported) -> None:
    words = imported("label,prediction\nspam,spam\nham,N/A\nham,unknown\nspam,1\nham,HAM\nham,it is spam!\n")
    assert [line["predicted"] for line in lines_of(words)] == ["spam", *[None] * 5]
    numbers = imported("label,prediction\n1,1\n2,3\n2,no\n", "n.csv")
    assert [line["predicted"] for line in lines_of(numbers)] == ["1", "3", None]


def test_a_repeat_of_invalid_answers_alone_counts(imported: Imported) -> None:
    scores = summarize(imported("text,label,prediction_1,prediction_2\na,1,1,x\nb,0,1,y\n")).scores
    assert scores.repeats == [0.5, 0.0]


@pytest.mark.parametrize("content", ["label,prediction\n1,1\n", "label,prediction\na,a\na,a\n"])
def test_one_class_and_one_item_are_imported_and_measured(home: Home, imported: Imported, content: str) -> None:
    measured = ResultsReader(home).measure(imported(content).name)
    assert len(measured["labels"]) == 1 and measured["measures"][0]["accuracy"]["value"] == 1
    assert measured["measures"][0]["figures"]["macro_f1"]["reason"] == "too few items in 1 class"


MODELS = "text,label,pred_bert,pred_gpt\na,0,0,0\nb,1,1,0\nc,0,0,1\n"


def test_columns_of_models_are_a_run_each_and_numbered_ones_repeats(home: Home, tmp_path: Path, heard: Heard) -> None:
    path = tmp_path / "models.csv"
    path.write_text(MODELS)
    runs = importer.import_file(home, path, heard)
    assert [summarize(run).scores.accuracy for run in runs] == [1, pytest.approx(1 / 3)]
    assert [summarize(run).experiment for run in runs] == ["models pred_bert", "models pred_gpt"]
    assert any("a run each for pred_bert, pred_gpt" in note for note in heard.notes)
    rows: list[AnswerSet] = [{"run": run.name, "variant": Variant.OWN, "repeat": 0} for run in runs]
    assert ResultsReader(home).compare(rows, ["bert", "gpt"])["same_items"]
    (one,) = importer.import_file(home, path, heard, columns_are="repeats")
    assert summarize(one).scores.repeats == [1, pytest.approx(1 / 3)]


def test_numbered_columns_are_repeats_unless_they_are_said_to_be_models(
    home: Home, tmp_path: Path, heard: Heard
) -> None:
    path = tmp_path / "both.csv"
    path.write_text("label,prediction_1,prediction_2,predicted_before\n1,1,1,0\n0,0,1,0\n")
    tuned, before = importer.import_file(home, path, heard)
    assert summarize(tuned).scores.repeats == [1, 0.5] and summarize(before).scores.accuracy == 0.5
    assert len(importer.import_file(home, path, heard, columns_are="models")) == 3


def test_unknown_answers_are_invalid_counted_and_said(imported: Imported, heard: Heard) -> None:
    folder = imported("label,prediction\nspam,spam\nham,\nham,Ham!\nspam,ham\n")
    assert [line["predicted"] for line in lines_of(folder)] == ["spam", None, None, "ham"]
    assert summarize(folder).scores.invalid == 2
    assert any(note.startswith("warning") and "2 of 4 answers are no label" in note for note in heard.notes)


def test_columns_that_hold_no_labels_are_left_out_and_named(imported: Imported, heard: Heard) -> None:
    folder = imported("id,label,a,b,comment\n1,0,0,1,x\n2,1,1,1,y\n3,1,0,1,z\n4,0,0,0,w\n", columns_are="repeats")
    assert folder.read_document()["imported"]["predictions"] == ["a", "b"]
    assert any("not read: id, comment" in note for note in heard.notes)
    assert any("columns a, b" in note for note in heard.notes)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "csv.gz", "parquet", "jsonl"])
def test_every_kind_of_table_gives_the_same_answers(imported: Imported, tmp_path: Path, suffix: str) -> None:
    rows = [("good", "1", "1", "0"), ("bad", "0", "0", "0"), ("fine, so far", "1", "0", "1")]
    header = ["text", "label", "run 1", "run 2"]
    if suffix == "parquet":
        import pyarrow
        from pyarrow import parquet

        path = tmp_path / "x.parquet"
        parquet.write_table(pyarrow.table({h: [row[at] for row in rows] for at, h in enumerate(header)}), path)
        content = path.read_bytes()
    elif suffix == "jsonl":
        content = "".join(json.dumps(dict(zip(header, row, strict=True))) + "\n" for row in rows).encode()
    else:
        path = tmp_path / "x"
        with open(path, "w", newline="") as file:
            csv.writer(file, delimiter="\t" if suffix == "tsv" else ",").writerows([header, *rows])
        content = gzip.compress(path.read_bytes()) if suffix.endswith("gz") else path.read_bytes()
    folder = imported(content, f"t.{suffix}")
    assert summarize(folder).scores.repeats == [2 / 3, 2 / 3]
    assert [(line["repeat"], line["predicted"]) for line in lines_of(folder)][:4] == [
        (0, "positive"),
        (0, "negative"),
        (0, "negative"),
        (1, "negative"),
    ]


# -- whose probability ------------------------------------------------------------------------------------


def test_a_probability_never_below_one_half_is_that_of_the_predicted_label(imported: Imported) -> None:
    folder = imported("label,prediction,probability\n1,1,0.9\n0,0,0.7\n0,1,0.5\n1,5,\n")
    assert probabilities(folder) == [[0.1, 0.9], [0.7, 0.3], [0.5, 0.5], []]


def test_a_probability_above_one_half_where_one_class_is_predicted_is_that_of_the_class(imported: Imported) -> None:
    positive = imported("label,prediction,probability\n1,1,0.9\n0,0,0.2\n0,1,0.6\n")
    assert probabilities(positive) == [[0.1, 0.9], [0.8, 0.2], [0.4, 0.6]]
    negative = imported("label,prediction,probability\n1,1,0.1\n0,0,0.8\n0,1,0.4\n")
    assert probabilities(negative) == [[0.1, 0.9], [0.8, 0.2], [0.4, 0.6]]


def test_a_header_that_names_a_class_decides(imported: Imported, heard: Heard) -> None:
    assert probabilities(imported("label,prediction,probability_positive\n1,1,0.4\n0,0,0.2\n1,8,0.7\n")) == [
        [0.6, 0.4],
        [0.8, 0.2],
        [],
    ]
    assert any("1 predictions are not of the most probable class" in note for note in heard.notes)
    assert probabilities(imported("label,prediction,probability_neg\n1,1,0.4\n0,0,0.8\n", "b.csv")) == [
        [0.4, 0.6],
        [0.8, 0.2],
    ]
    three = imported(
        "label,prediction,probability_a,probability_b,probability_c\na,a,.5,.3,.2\nb,c,0,0,1\nc,c,0,.5,.5\n"
    )
    assert probabilities(three) == [[0.5, 0.3, 0.2], [0, 0, 1], [0, 0.5, 0.5]]


def test_a_header_may_name_a_class_as_the_labels_are_written(imported: Imported, heard: Heard) -> None:
    folder = imported("label,prediction,probability_0,probability_1\n1,1,0.1,0.9\n0,0,0.8,0.2\n")
    assert probabilities(folder) == [[0.1, 0.9], [0.8, 0.2]]
    of_repeats = imported("label,prediction,prediction_1,probability_1\n1,1,1,0.9\n0,1,0,0.8\n", "b.csv")
    assert probabilities(of_repeats) == [[], [], [0.1, 0.9], [0.8, 0.2]]


def test_probabilities_that_fit_no_column_are_named(imported: Imported, heard: Heard) -> None:
    folder = imported("label,prediction,probability_neutral,probability_neg\n1,1,0.4,nan\n0,0,0.1,0.9\n")
    assert probabilities(folder) == [[], [0.9, 0.1]], "what is no number is no probability"
    assert [n for n in heard.notes if "probabilities that are not read" in n and n.endswith("probability_neutral")]
    assert not any(n.endswith("probability_neg") for n in heard.notes)


def test_a_column_that_is_only_called_like_predictions_is_left_out(imported: Imported, heard: Heard) -> None:
    folder = imported("label,prediction,predicted_by\n1,1,gemma\n0,0,gemma\n")
    assert len(lines_of(folder)) == 2 and any(n.endswith("not read: predicted_by") for n in heard.notes)


def test_columns_of_repeats_have_probabilities_of_their_own(imported: Imported) -> None:
    folder = imported(
        "label,predicted_1,probability_positive_1,predicted_2,probability_positive_2\n1,1,0.9,0,0.3\n0,0,0.2,1,0.8\n"
    )
    assert probabilities(folder) == [[0.1, 0.9], [0.8, 0.2], [0.7, 0.3], [0.2, 0.8]]
    named = imported(
        "label,a,a_probability,b,probability_b\n1,1,0.9,1,0.7\n0,0,0.8,0,0.6\n", "named.csv", columns_are="repeats"
    )
    assert probabilities(named) == [[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]]


def test_one_probability_of_three_classes_is_not_read_and_that_is_said(imported: Imported, heard: Heard) -> None:
    folder = imported("label,prediction,probability\na,a,0.5\nb,c,0.4\nc,c,0.9\n")
    assert probabilities(folder) == [[], [], []]
    assert any(note.startswith("warning") and "one probability of 3" in note for note in heard.notes)


# -- what cannot be read ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "file", "sentence"),
    [
        (
            "label,prediction,probability\n1,1,0.9\n0,1,0.3\n0,0,0.2\n1,0,0.8\n",
            "t.csv",
            'line 3: column "probability" holds a probability below one half.*line 3 does not fit.*_positive',
        ),
        ("label,prediction,probability\n1,1,87\n0,0,0.5\n", "t.csv", 'line 2: column "probability" holds 87.*by 100'),
        ("label,prediction,probability\n1,1,high\n0,0,1\n", "t.csv", "line 2: column \"probability\" holds 'high'"),
        ("label,prediction,probability_a,probability_b\na,a,.5,.3\nb,b,1,0\n", "t.csv", "line 2.*sums to 0.8"),
        ("label,prediction\n1,1\n,0\n", "t.csv", 'line 3: the label in column "label" is empty'),
        ("label,prediction\n1,yes\n0,no\n", "t.csv", "line 2: column \"prediction\" holds 'yes', and no value"),
        ("label,note\n1,yes\n0,no\n", "t.csv", "no column of predictions.*rename the column to prediction"),
        ("truth,prediction\n1,1\n0,0\n", "t.csv", "no column is called label or sentiment; set --label to one of"),
        ("label,prediction\n1,1,1\n", "t.csv", "line 2: 3 columns where the first line has 2"),
        ("label,prediction\n", "t.csv", "holds a header and no rows"),
        ("", "t.csv", "is empty; check FILE"),
        ("label,prediction,prediction\n1,1,0\n", "t.csv", 'line 1: the column "prediction" stands there 2 times'),
        ("text,label,prediction\n ,1,1\nx,0,0\n", "t.csv", 'empty in column "text" .line 2.'),
        ('{"label": 1, "prediction": 1}\n{"label": 0}\n', "t.jsonl", 'line 2: the key "prediction"'),
        ("{]\n", "t.jsonl", "line 1: not JSON"),
        ("no parquet", "t.parquet", "no readable Parquet file"),
        ("x", "t.xlsx", "t.xlsx is .*workbook"),
        ("{}", "results_2026.json", "import that"),
    ],
)
def test_wrong_input_ends_with_a_sentence_and_leaves_nothing(
    imported: Imported, home: Home, content: str, file: str, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        imported(content, file)
    assert list_runs(home) == [] and list(home.runs.iterdir()) == []


def test_a_column_that_is_not_there_names_the_nearest(imported: Imported) -> None:
    with pytest.raises(DataError, match='no column "lable"; did you mean "label"'):
        imported("label,prediction\n1,1\n0,0\n", label="lable")


def test_a_write_that_fails_leaves_no_run(imported: Imported, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(predictions, "write_atomic", full)
    with pytest.raises(OSError):
        imported("label,prediction\n1,1\n0,0\n")
    assert list(home.runs.iterdir()) == []


# -- lm-evaluation-harness --------------------------------------------------------------------------------


def sample(number: int, label: int, likelihoods: tuple[float, ...], **more: Any) -> dict[str, Any]:
    """A line as the harness writes it for a task of multiple choice."""
    choices = more.pop("choices", (" negative", " positive"))
    doc = more.pop("doc", {"text": f"review number {number}", "label": label})
    answers_given = [[str(value), "False"] for value in likelihoods]
    best = max(range(len(likelihoods)), key=likelihoods.__getitem__)
    return {
        "doc_id": number,
        "doc": doc,
        "target": str(label),
        "arguments": {f"gen_args_{n}": {"arg_0": f"Review {number}:", "arg_1": c} for n, c in enumerate(choices)},
        "resps": [[answer] for answer in answers_given],
        "filtered_resps": answers_given,
        "filter": "none",
        "metrics": ["acc"],
        "acc": float(best == label),
        **more,
    }


def written(number: int, target: str, answer: str, **more: Any) -> dict[str, Any]:
    """A line as the harness writes it for written answers."""
    return {
        "doc_id": number,
        "doc": {"text": f"review {number}"},
        "target": target,
        "arguments": {},
        "resps": [[answer]],
        "filtered_resps": [answer],
        "filter": "none",
        "exact_match": 0.0,
        **more,
    }


def jsonl(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_log_likelihoods_of_choices_become_probabilities(imported: Imported, tmp_path: Path, heard: Heard) -> None:
    results = {
        "model_name": "org/model-2b",
        "lm_eval_version": "0.4.13",
        "transformers_version": "5.23.0",
        "n-shot": {"own_task": 3},
        "task_hashes": {"own_task": "abc"},
    }
    (tmp_path / "results_2026-11-23T16-44-21.568035.json").write_text(json.dumps(results))
    name = "samples_own_task_2026-11-23T16-44-21.568035.jsonl"
    folder = imported(jsonl(sample(1, 1, (-3.0, -1.0)), sample(0, 0, (-2.0, -2.5)), sample(2, 1, (-1.0, -4.0))), name)
    found = lines_of(folder)
    assert [line["predicted"] for line in found] == ["negative", "positive", "negative"]
    assert [line["label"] for line in found] == ["negative", "positive", "positive"]
    assert found[1]["probabilities"][1] == pytest.approx(1 / (1 + math.exp(-2)))
    assert found[0]["hash"] == hashlib.sha256(b"review number 0").hexdigest()
    summary = summarize(folder)
    assert (summary.model, summary.experiment) == ("org/model-2b", "own_task")
    assert summary.accuracy == pytest.approx(2 / 3)
    started = next(r.event for r in read_all(folder.events) if isinstance(r.event, ev.Started))
    assert started.versions == {"lm_eval": "0.4.13", "transformers": "5.23.0"}
    assert folder.read_document()["imported"]["shots"] == 3
    assert summary.end is not None
    likeliest = scoring.predicted_classes([line["probabilities"] for line in found])
    assert [summary.end.labels[c] for c in likeliest if c is not None] == [line["predicted"] for line in found]


def test_choices_in_another_order_and_numbers_with_gaps_keep_their_places(imported: Imported) -> None:
    swapped = (" positive", " negative")
    folder = imported(
        jsonl(sample(7, 0, (-1.0, -3.0), choices=swapped), sample(3, 1, (-1.0, -2.0), choices=swapped)),
        "samples_x.jsonl",
    )
    assert [(line["label"], line["predicted"]) for line in lines_of(folder)] == [
        ("negative", "positive"),
        ("positive", "positive"),
    ]
    assert lines_of(folder)[1]["probabilities"][1] == pytest.approx(1 / (1 + math.exp(-2)))
    assert [json.loads(line)["row"] for line in folder.items.read_text().splitlines()] == [3, 7]


def test_written_answers_are_read_and_what_is_no_label_keeps_its_text(imported: Imported, heard: Heard) -> None:
    rows = jsonl(written(0, "negative", " Negative"), written(1, "positive", "great fun!"))
    folder = imported(rows, "samples_x.jsonl")
    assert [(line["predicted"], line["text"]) for line in lines_of(folder)] == [
        ("negative", " Negative"),
        (None, "great fun!"),
    ]
    assert any("model and versions are not known" in note for note in heard.notes)


def test_the_filters_of_one_file_are_repeats(imported: Imported) -> None:
    folder = imported(
        jsonl(
            *(
                written(n, t, "the answer is a", filter="strict", filtered_resps=["[invalid]" if n else t])
                for n, t in enumerate(("a", "b"))
            ),
            *(
                written(n, t, "the answer is a", filter="flexible", filtered_resps=["a"])
                for n, t in enumerate(("a", "b"))
            ),
        ),
        "samples_x.jsonl",
    )
    repeats = [r.event for r in read_all(folder.events) if isinstance(r.event, ev.Repeat)]
    assert [(r.varied, r.value, r.scores.invalid) for r in repeats] == [
        ("filter", "strict", 1),
        ("filter", "flexible", 0),
    ]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([sample(0, 0, (-1, -2)), sample(0, 1, (-1, -2))], "line 2: doc_id 0 stands here a second time"),
        ([sample(0, 0, (-1, -2)), sample(1, 1, (-1, -2), choices=(" cold", " warm"))], "line 2: the choices .cold"),
        ([sample(0, 0, (-1, -2)), {"doc_id": 1}], 'line 2: the key "arguments" is missing'),
        ([sample(0, 0, (-1, -2), acc=0.0), sample(1, 1, (-2, -1))], "line 1: target '0' is none of the choices"),
        ([sample(0, 0, (-1, -2)), sample(1, 1, (-1, -2), filtered_resps=[["-1", "x"]])], "line 2.*1 log-likelihoods"),
        ([written(0, "a", "a"), written(1, "b", "b", filtered_resps=[-3.5])], "line 2: filtered_resps hold no text"),
        ([written(0, "a", "a"), written(1, "b", "b", filter="other")], 'the filter "other" has 1 items, another 1'),
    ],
)
def test_samples_that_cannot_be_classes_are_refused(
    imported: Imported, home: Home, rows: list[dict[str, Any]], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        imported(jsonl(*rows), "samples_x.jsonl")
    assert list(home.runs.iterdir()) == []


def test_the_item_whose_target_is_no_choice_is_the_one_that_is_named(imported: Imported) -> None:
    rows = [sample(0, 1, (-3.0, -1.0)), sample(1, 2, (-1.0, -3.0))]
    with pytest.raises(DataError, match="line 2: target '2' is none of the choices"):
        imported(jsonl(*rows), "samples_t_1.jsonl")


def test_choices_that_are_numbers_themselves_are_read_by_the_accuracy_of_the_items(imported: Imported) -> None:
    stars = (" 1", " 2", " 3")
    rows = [sample(n, n % 3, tuple(0.0 if c == n % 3 else -3.0 for c in range(3)), choices=stars) for n in range(6)]
    folder = imported(jsonl(*rows), "samples_stars.jsonl")
    assert [line["label"] for line in lines_of(folder)][:3] == ["1", "2", "3"]
    assert summarize(folder).accuracy == 1.0


# -- what an imported run is not --------------------------------------------------------------------------


def test_an_imported_run_opens_no_model(imported: Imported) -> None:
    folder = imported("label,prediction\n1,1\n0,0\n")
    with pytest.raises(UserError, match="was imported: it holds answers and no model"):
        open_classifier(folder, "cpu")
