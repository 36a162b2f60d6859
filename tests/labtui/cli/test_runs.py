import json
from functools import partial
from pathlib import Path

import pytest

from engines import catalog
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.summary import RUNNING, list_runs, summarize
from labtui.cli import main
from labtui.cli.common import FAILURE, LOST_CODE, OK, STOPPED_CODE, USAGE
from tests.labtui.cli.conftest import Captured, Scripted
from tests.support import wait_until


def test_run_follow_prints_the_run_on_stdout_narrates_on_stderr_and_exits_0(config: str, capsys: Captured) -> None:
    assert main(["run", config, "--follow"]) == OK
    out, err = capsys.readouterr()
    (name,) = out.split()
    assert "-mine-" in name and "started on cpu" in err and "finished" in err


def test_run_follow_exits_1_when_the_run_fails(config: str, capsys: Captured) -> None:
    assert main(["run", config, "--set", "fail=no luck today", "--follow"]) == FAILURE
    assert "no luck today" in capsys.readouterr().err


def test_follow_exits_3_when_the_run_is_stopped_and_4_when_it_is_lost(scripted: Scripted, capsys: Captured) -> None:
    def is_running(run: RunFolder) -> bool:
        return summarize(run).state == RUNNING

    for flags, code in (([], STOPPED_CODE), (["--kill"], LOST_CODE)):
        folder = scripted(steps=2000, pause_s=0.02)
        wait_until(partial(is_running, folder))
        assert main(["stop", folder.name, *flags]) == OK
        assert main(["follow", folder.name]) == code
    assert "SIGKILL to 1 process" in capsys.readouterr().err


def test_a_stopped_run_resumes_and_finishes(scripted: Scripted) -> None:
    folder = scripted(steps=100, pause_s=0.02)
    wait_until(lambda: summarize(folder).done > 2)
    main(["stop", folder.name])
    assert main(["follow", folder.name]) == STOPPED_CODE
    assert main(["resume", folder.name[-4:], "--follow"]) == OK
    assert main(["resume", folder.name]) == USAGE


def test_list_json_is_one_object_a_run_with_the_promised_keys(config: str, capsys: Captured) -> None:
    assert main(["list", "--json"]) == OK
    assert json.loads(capsys.readouterr().out) == []
    main(["run", config, "--follow"])
    capsys.readouterr()
    main(["list", "--json"])
    (row,) = json.loads(capsys.readouterr().out)
    assert {"run", "config", "engine", "state"} <= row.keys()
    assert (row["config"], row["engine"], row["state"]) == ("mine", "scripted", "finished")


@pytest.mark.parametrize("name", [n for n in catalog.experiments() if "/" not in n])
def test_every_shipped_experiment_is_estimated_offline(name: str, capsys: Captured) -> None:
    assert main(["estimate", name, "--json"]) == OK
    document = json.loads(capsys.readouterr().out)
    assert document["config"] == name and sum(document["components"].values()) == document["total_bytes"] > 1 << 26


def test_an_estimate_learns_from_finished_runs(home: Home, capsys: Captured) -> None:
    main(["run", "quickstart/bag-of-words", "--follow"])
    capsys.readouterr()
    assert main(["estimate", "quickstart/bag-of-words"]) == OK
    out = capsys.readouterr().out
    assert "corrected by 1 finished run" in out and "by 1 earlier run on this device" in out


def test_show_describes_a_run(config: str, capsys: Captured) -> None:
    main(["run", config, "--follow"])
    name = capsys.readouterr().out.strip()
    main(["show", name])
    text = capsys.readouterr().out
    assert "finished" in text and "steps" in text and "accuracy" in text
    main(["show", name, "--json"])
    assert json.loads(capsys.readouterr().out)["settings"]["steps"] == 3


def test_relative_paths_in_a_config_mean_the_callers_directory(
    tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["run", "bag-of-words", "--set", "data.source=reviews.csv", "--set", "features.min_document_count=99"]
    command += ["--set", "data.train=0.8", "--set", "data.validation=0.1", "--set", "data.test=0.1"]
    (tmp_path / "reviews.csv").write_text("review,label\n")
    assert main(command) == USAGE and not list_runs(home)
    assert capsys.readouterr().err == "labtui: reviews.csv holds a header and no rows; check data.source\n"
    rows = "".join(f"{n} is the number,{n % 2}\n" for n in range(60))
    (tmp_path / "reviews.csv").write_text(f"review,label\n{rows}")
    code = main([*command, "--follow"])
    err = capsys.readouterr().err
    assert code == FAILURE and "features.min_document_count = 99 leaves no feature" in err and "Traceback" not in err
    (folder,) = list_runs(home)
    assert folder.read_document()["data"]["source"] == str(tmp_path / "reviews.csv")
