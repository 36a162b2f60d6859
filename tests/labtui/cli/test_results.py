import json
from pathlib import Path

import pytest

from engines.runs.home import Home
from engines.runs.summary import list_runs
from labtui.cli import main
from labtui.cli.common import OK, USAGE
from tests.labtui.cli.conftest import Captured
from tests.support.answered import answered


def test_results_json_has_the_promised_keys_and_published_rows_only_when_asked(config: str, capsys: Captured) -> None:
    main(["run", config, "--follow"])
    capsys.readouterr()
    assert main(["results", "--format", "json"]) == OK
    (row,) = json.loads(capsys.readouterr().out)
    assert {"run", "config", "engine", "state", "model", "accuracy", "items"} <= row.keys()
    assert row["accuracy"] == 0.75 and row["items"] == 80
    main(["results", "--format", "json", "--published"])
    rows = json.loads(capsys.readouterr().out)
    published = [r for r in rows if r["accuracy"] in (0.9382, 0.9356, 0.63, 0.96)]
    assert len(rows) > 5 and len(published) == 4


def test_the_table_gathers_seeds_into_a_group_with_both_kinds_of_doubt(home: Home, capsys: Captured) -> None:
    truth = ["negative", "positive"] * 60
    for seed, wrong in enumerate((10, 14, 18)):
        answered(home, truth, ["positive"] * wrong + truth[wrong:], seed=seed)
    assert main(["results", "--format", "md"]) == OK
    head, _, line, *_ = capsys.readouterr().out.splitlines()
    cells = dict(zip(head.strip("| ").split(" | "), line.strip("| ").split(" | "), strict=True))
    assert cells["run"] == "quickstart/a" and cells["n"] == "3" and cells["varied"] == "seed"
    assert cells["accuracy"] == "0.942" and cells["sd"] == "0.017" and cells["min–max"] == "0.925–0.958"
    low, high = map(float, cells["95 %"].split("–"))
    assert 0.87 < low < 0.942 < high < 0.99


def test_an_imported_run_is_listed_shown_compared_and_exported(theirs: str, tmp_path: Path, capsys: Captured) -> None:
    assert main(["show", theirs]) == OK and "imported.form" in capsys.readouterr().out
    main(["list"])
    assert f"{theirs}  finished" in capsys.readouterr().out
    assert main(["compare", f"{theirs}:1", f"{theirs}:second"]) == OK
    out = capsys.readouterr().out
    assert "repeat 1 is better on these 12 items" in out and "both right 6" in out and "exact McNemar p 0.0312" in out
    main(["compare", f"{theirs}:1", f"{theirs}:2", "--json"])
    (pair,) = json.loads(capsys.readouterr().out)["pairs"]
    assert (pair["both_right"], pair["a_only"], pair["b_only"], pair["both_wrong"]) == (6, 6, 0, 0)
    main(["export", theirs])
    assert capsys.readouterr().out.splitlines()[0] == "hash,row,label,predicted_1,predicted_2"
    output = tmp_path / "x.parquet"
    assert main(["export", theirs, "--format", "parquet", "--output", str(output)]) == OK
    assert output.read_bytes()[:4] == b"PAR1" and f"wrote {output}" in capsys.readouterr().err
    main(["export", theirs, "--format", "card"])
    assert "model-index:" in capsys.readouterr().out
    main(["results", "--format", "latex"])
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
        ("compare RUN", "name two or more runs to compare"),
        ("export RUN --format parquet", "name a file by --output"),
        ("export RUN --format json --excel", "--excel is of --format csv"),
        ("results --excel", "--excel is of --format csv"),
        ("export RUN --output .", "is a folder"),
        ("report RUN --output /nowhere/report.html", "there is no folder /nowhere"),
        ("import nothing.csv", "nothing.csv: no such file"),
    ],
)
def test_what_an_imported_run_cannot_do_ends_in_a_sentence(
    theirs: str, home: Home, command: str, sentence: str, capsys: Captured
) -> None:
    assert main([word.replace("RUN", theirs) for word in command.split()]) == USAGE
    assert sentence in capsys.readouterr().err
    assert [folder.name for folder in list_runs(home)] == [theirs]


def test_a_report_is_written_once(theirs: str, tmp_path: Path, capsys: Captured) -> None:
    output = tmp_path / "report.html"
    assert main(["report", theirs, "--output", str(output)]) == OK
    assert f"wrote {output}" in capsys.readouterr().err
    page = output.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and theirs in page
    assert main(["report", "--output", str(output)]) == USAGE
    assert "exists; name another file" in capsys.readouterr().err and output.read_text(encoding="utf-8") == page
