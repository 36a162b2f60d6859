import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engines import catalog
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.serving import Client, Reply
from engines.runs.summary import FINISHED, RUNNING, list_runs, summarize
from labtui import cli
from tests.labtui.fabric import MATRIX, finished, make_run
from tests.support import wait_until

Scripted = Callable[..., RunFolder]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def config(scripted: Scripted, tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text('engine = "scripted"\nsteps = 3\n')
    return str(path)


def test_run_follow_prints_the_run_on_stdout_narrates_on_stderr_and_exits_0(config: str, capsys: Captured) -> None:
    assert cli.main(["run", config, "--follow"]) == cli.OK
    out, err = capsys.readouterr()
    (name,) = out.split()
    assert "-mine-" in name and "started on cpu" in err and "finished" in err


def test_run_follow_exits_1_when_the_run_fails(config: str, capsys: Captured) -> None:
    assert cli.main(["run", config, "--set", "fail=no luck today", "--follow"]) == cli.FAILURE
    assert "no luck today" in capsys.readouterr().err


def test_follow_exits_3_when_the_run_is_stopped_and_4_when_it_is_lost(scripted: Scripted, capsys: Captured) -> None:
    for flags, code in (([], cli.STOPPED_CODE), (["--kill"], cli.LOST_CODE)):
        folder = scripted(steps=2000, pause_s=0.02)
        wait_until(lambda run=folder: summarize(run).state == RUNNING)
        assert cli.main(["stop", folder.name, *flags]) == cli.OK
        assert cli.main(["follow", folder.name]) == code
    assert "SIGKILL to 1 process" in capsys.readouterr().err


def test_a_stopped_run_resumes_and_finishes(scripted: Scripted) -> None:
    folder = scripted(steps=100, pause_s=0.02)
    wait_until(lambda: summarize(folder).done > 2)
    cli.main(["stop", folder.name])
    assert cli.main(["follow", folder.name]) == cli.STOPPED_CODE
    assert cli.main(["resume", folder.name[-4:], "--follow"]) == cli.OK
    assert cli.main(["resume", folder.name]) == cli.USAGE


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
    assert cli.main(argv) == cli.USAGE
    out, err = capsys.readouterr()
    assert out == "" and sentence in err and len(err.splitlines()) == 1


def test_list_json_is_one_object_a_run_with_the_promised_keys(config: str, capsys: Captured) -> None:
    assert cli.main(["list", "--json"]) == cli.OK
    assert json.loads(capsys.readouterr().out) == []
    cli.main(["run", config, "--follow"])
    capsys.readouterr()
    cli.main(["list", "--json"])
    (row,) = json.loads(capsys.readouterr().out)
    assert {"run", "config", "engine", "state"} <= row.keys()
    assert (row["config"], row["engine"], row["state"]) == ("mine", "scripted", "finished")


def test_results_json_has_the_promised_keys_and_published_rows_only_when_asked(config: str, capsys: Captured) -> None:
    cli.main(["run", config, "--follow"])
    capsys.readouterr()
    assert cli.main(["results", "--format", "json"]) == cli.OK
    (row,) = json.loads(capsys.readouterr().out)
    assert {"run", "config", "engine", "state", "model", "accuracy", "items"} <= row.keys()
    assert row["accuracy"] == 0.75 and row["items"] == 80
    cli.main(["results", "--format", "json", "--published"])
    rows = json.loads(capsys.readouterr().out)
    published = [r for r in rows if r["accuracy"] in (0.9382, 0.9356, 0.63, 0.96)]
    assert len(rows) > 5 and len(published) == 4


@pytest.mark.parametrize("name", [n for n in catalog.experiments() if "/" not in n])
def test_every_shipped_experiment_is_estimated_offline(name: str, capsys: Captured) -> None:
    assert cli.main(["estimate", name, "--json"]) == cli.OK
    found = json.loads(capsys.readouterr().out)
    assert found["config"] == name and sum(found["components"].values()) == found["total_bytes"] > 1 << 26


def test_an_estimate_learns_from_finished_runs(home: Home, capsys: Captured) -> None:
    cli.main(["run", "quickstart/bag-of-words", "--follow"])
    capsys.readouterr()
    assert cli.main(["estimate", "quickstart/bag-of-words"]) == cli.OK
    out = capsys.readouterr().out
    assert "corrected by 1 finished run" in out and "by 1 earlier run on this device" in out


def test_show_describes_a_run(config: str, capsys: Captured) -> None:
    cli.main(["run", config, "--follow"])
    name = capsys.readouterr().out.strip()
    cli.main(["show", name])
    text = capsys.readouterr().out
    assert "finished" in text and "steps" in text and "accuracy" in text
    cli.main(["show", name, "--json"])
    assert json.loads(capsys.readouterr().out)["settings"]["steps"] == 3


@pytest.mark.parametrize(("argv", "instead"), [([], "labtui list"), (["quickstart"], "labtui quickstart --follow")])
def test_without_a_terminal_the_message_names_the_command_to_use(argv: list[str], instead: str, home: Home) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "labtui", *argv], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == cli.NO_TERMINAL and done.stdout == "" and instead in done.stderr
    assert list_runs(home) == []


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m labtui experiments | head -n 1", shell=True, capture_output=True, text=True
    )
    assert done.stderr == "" and done.stdout.count("\n") == 1


def test_relative_paths_in_a_config_mean_the_callers_directory(
    tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    (tmp_path / "reviews.csv").write_text("review,label\n")
    monkeypatch.chdir(tmp_path)
    code = cli.main(["run", "bag-of-words", "--set", "data.source=reviews.csv", "--follow"])
    err = capsys.readouterr().err
    assert code == cli.FAILURE and "reviews.csv holds no rows" in err and "Traceback" not in err
    (folder,) = list_runs(home)
    assert folder.read_document()["data"]["source"] == str(tmp_path / "reviews.csv")


def test_doctor_answers_in_json_and_finds_the_home(home: Home, capsys: Captured) -> None:
    code = cli.main(["doctor", "--json"])
    findings = {f["name"]: f for f in json.loads(capsys.readouterr().out)}
    assert code == cli.OK
    assert findings["torch"]["ok"] and findings["home"]["text"] == str(home.path)
    assert {"python", "hub", "hub token", "disk"} <= findings.keys()


def test_the_state_of_every_run_maps_to_an_exit_code() -> None:
    assert cli.STATE_CODES[FINISHED] == 0 and len(set(cli.STATE_CODES.values())) == 4


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

    monkeypatch.setattr(cli, "Client", FakeClient)
    repeats = [ev.Repeat(n, "template", value, {"accuracy": 0.7}, ["negative", "positive"], MATRIX)
               for n, value in enumerate(("plain", "one_word"))]
    run = make_run(home, *repeats, finished(scores={"accuracy": 0.7, "repeats": [0.7, 0.7]}), experiment="many")
    make_run(home, finished(), experiment="single")

    chosen = ["--run", "many", "--run", "many:1", "--run", "many:2", "--run", "many:One_word"]
    assert cli.main(["classify", "good", *chosen, "--json"]) == cli.OK
    rows = json.loads(capsys.readouterr().out)
    assert asked == [0, 0, 1, 1] and [row.get("repeat") for row in rows] == [None, 1, 2, 2]
    assert cli.main(["classify", "good", "--run", "many:2"]) == cli.OK
    assert capsys.readouterr().out.endswith(f"  {run.name}:2\n")
    for wrong, sentence in (
        ("many:3", f'{run.name} has no repeat "3"; choose one of 1 (plain), 2 (one_word)'),
        ("many:0", 'no repeat "0"'),
        ("single:1", 'has no repeats to choose from; leave ":1" out'),
    ):
        assert cli.main(["classify", "good", "--run", wrong]) == cli.USAGE
        assert sentence in capsys.readouterr().err


@pytest.fixture
def theirs(tmp_path: Path, home: Home, capsys: Captured) -> str:
    """The name of a run imported from a file with two columns of predictions, 12 and 6 of 12 right."""
    path = tmp_path / "their predictions.csv"
    path.write_text("label,first,second\n" + "1,1,0\n" * 6 + "0,0,0\n" * 6)
    assert cli.main(["import", str(path), "--name", "theirs", "--varied", "head"]) == cli.OK
    out, err = capsys.readouterr()
    assert "predictions in columns first, second" in err and "warning" not in err
    return out.strip()


def test_an_imported_run_is_listed_shown_compared_and_exported(
    theirs: str, tmp_path: Path, capsys: Captured
) -> None:
    assert cli.main(["show", theirs]) == cli.OK and "imported.form" in capsys.readouterr().out
    cli.main(["list"])
    assert f"{theirs}  finished" in capsys.readouterr().out
    assert cli.main(["compare", f"{theirs}:1", f"{theirs}:second"]) == cli.OK
    out = capsys.readouterr().out
    assert "repeat 1 is better on these 12 items" in out and "both right 6" in out and "exact McNemar p 0.0312" in out
    cli.main(["compare", f"{theirs}:1", f"{theirs}:2", "--json"])
    (pair,) = json.loads(capsys.readouterr().out)["pairs"]
    assert (pair["both_right"], pair["a_only"], pair["b_only"], pair["both_wrong"]) == (6, 6, 0, 0)
    cli.main(["export", theirs])
    assert capsys.readouterr().out.splitlines()[0] == "hash,row,label,predicted_1,predicted_2"
    output = tmp_path / "x.parquet"
    assert cli.main(["export", theirs, "--format", "parquet", "--output", str(output)]) == cli.OK
    assert output.read_bytes()[:4] == b"PAR1" and f"wrote {output}" in capsys.readouterr().err
    cli.main(["export", theirs, "--format", "card"])
    assert "model-index:" in capsys.readouterr().out
    cli.main(["results", "--format", "latex"])
    assert r"\toprule" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("classify text --run RUN", "was imported: it holds answers and no model"),
        ("predict RUN reviews.csv", "was imported: it holds answers and no model"),
        ("evaluate RUN", "was imported: it holds answers and no model"),
        ("resume RUN", "was imported: there is nothing to go on with"),
        ("compare RUN:1 RUN:3", 'has no repeat "3"; choose one of 1 (first), 2 (second)'),
        ("compare RUN:1 RUN:original", "tuned no model that answered before"),
        ("compare RUN", "mark two or more"),
        ("export RUN --format parquet", "name a file by --output"),
        ("export RUN --output .", "is a folder"),
        ("report RUN --output /nowhere/report.html", "there is no folder /nowhere"),
        ("import nothing.csv", "nothing.csv: no such file"),
    ],
)
def test_what_an_imported_run_cannot_do_ends_in_a_sentence(
    theirs: str, home: Home, command: str, sentence: str, capsys: Captured
) -> None:
    assert cli.main([word.replace("RUN", theirs) for word in command.split()]) == cli.USAGE
    assert sentence in capsys.readouterr().err
    assert [folder.name for folder in list_runs(home)] == [theirs]


def test_a_report_is_written_once(theirs: str, tmp_path: Path, capsys: Captured) -> None:
    output = tmp_path / "report.html"
    assert cli.main(["report", theirs, "--output", str(output)]) == cli.OK
    assert f"wrote {output}" in capsys.readouterr().err
    page = output.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and theirs in page
    assert cli.main(["report", "--output", str(output)]) == cli.USAGE
    assert "exists; name another file" in capsys.readouterr().err and output.read_text(encoding="utf-8") == page
