"""Tokens that were planted where libraries and people leave them, and everything that a person can be shown."""

from pathlib import Path

import pytest

from engines import catalog
from engines.errors import ConfigError
from engines.runs import events as ev
from engines.runs.home import Home
from engines.runs.summary import list_runs
from labtui.cli import main
from labtui.cli.common import USAGE
from tests.labtui.cli.conftest import Captured
from tests.labtui.fabric import finished, make_run

TOKEN = "hf_" + "aB3dE6gH9jK" * 3
URL = f"https://bob:{TOKEN}@huggingface.co/a?token={TOKEN}"


@pytest.mark.parametrize("setting", ["data.source", "model.name", "model.revision", "data.text", "data.split"])
def test_a_secret_in_a_setting_is_refused_before_anything_is_written(
    setting: str, home: Home, tmp_path: Path, capsys: Captured
) -> None:
    table, key = setting.split(".")
    config = tmp_path / "config.toml"
    config.write_text(f'engine = "finetune_loop"\n[{table}]\n{key} = "{TOKEN}"\n')
    for argv in (
        ["run", str(config)],
        ["run", "distilbert-loop", "--set", f"{setting}={URL}"],
        ["estimate", str(config)],
    ):
        assert main(argv) == USAGE
        out, err = capsys.readouterr()
        assert f"{setting} holds an access token" in err and "HF_TOKEN" in err and TOKEN not in out + err
    assert not home.path.exists() or list_runs(home) == []


@pytest.mark.parametrize("key", ["title", "family", "experiment", "engine"])
def test_a_secret_in_what_names_an_experiment_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key} holds an access token"):
        catalog.from_document({"engine": "bag_of_words", key: URL}, place="here", name="x")


def test_a_secret_in_what_names_an_imported_run_is_refused(home: Home, tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "their.csv"
    path.write_text("label,prediction\n1,1\n0,1\n")
    for option in ("--model", "--name"):
        assert main(["import", str(path), option, URL]) == USAGE
        assert "holds an access token" in (err := capsys.readouterr().err) and TOKEN not in err
    assert list_runs(home) == []


def test_a_token_in_logs_messages_and_older_settings_is_shown_nowhere(
    home: Home, tmp_path: Path, capsys: Captured
) -> None:
    failed = make_run(
        home, ev.Note(URL, "warning"), ev.Failed("E", f"no {URL}", f"Trace\n{URL}", URL), experiment="bad"
    )
    good = make_run(home, ev.Note(f"got {URL}"), finished(), experiment="good")
    for run in (failed, good):  # as older versions kept it
        run.config.write_text(run.config.read_text() + f'[model]\nname = "{URL}"\n')
        run.log.write_text(f"GET {URL}\n")
    for argv in (
        *(["show", run.name, *form] for run in (failed, good) for form in ([], ["--json"])),
        *(["list", *form] for form in ([], ["--json"])),
        *(["follow", run.name] for run in (failed, good)),
        *(["results", "--format", form] for form in ("table", "md", "latex", "json", "csv")),
        ["export", good.name, "--format", "card"],
        ["report", good.name, "--output", str(tmp_path / "report.html")],
        ["resume", good.name],
    ):
        main(argv)
        out, err = capsys.readouterr()
        assert TOKEN not in out + err, argv
        assert out + err, argv
    assert TOKEN not in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("url", ["https://example.org/reviews.csv", "s3://bucket/reviews.csv", "hf://datasets/a/b.csv"])
def test_urls_are_not_read_as_data(url: str, home: Home, capsys: Captured) -> None:
    for argv in (["run", "bag-of-words", "--set", f"data.source={url}"], ["import", url]):
        assert main(argv) == USAGE
        assert "URLs are not read; download it first" in capsys.readouterr().err
    assert list_runs(home) == []
