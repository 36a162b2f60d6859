"""A metric is declared once: whatever shows figures shows one that is declared here, and no place names it."""

import json
import math

import pytest

from engines.answers import metrics
from engines.answers.metrics import Answered, Metric
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.summary import summarize
from engines.study.reader import ResultsReader
from labtui.console.widgets.result_panel import facts_text
from labtui.narrate import describe
from labtui.results import exports, groups, report, tables
from labtui.results.columns import known_columns, left_out_first, sort_rows
from labtui.results.rows import ResultRow, collect_rows
from tests.support.answered import answered

N, P = "negative", "positive"


def _log_loss(a: Answered) -> float | None:
    if a.probabilities is None or a.true is None:
        return None
    return -sum(math.log(row[true]) for row, true in zip(a.probabilities.tolist(), a.true.tolist(), strict=True)) / len(
        a.true
    )


YOUDEN = Metric(
    "youden", "Youden", "Youden's index", lambda a: sum(a.recall.values()) - 1, lambda a: (0.25, 0.75), unit="J"
)
LOG_LOSS = Metric("log_loss", "log loss", "logarithmic loss", _log_loss, unit="nats", needs_probabilities=True)


@pytest.fixture
def folder(home: Home, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run whose classes have recalls of 1 and 0.5, each answer given with 0.9."""
    monkeypatch.setattr(metrics, "METRICS", (*metrics.METRICS, YOUDEN, LOG_LOSS))
    return answered(home, [N, N, P, P], [N, N, P, N])


@pytest.fixture
def row(home: Home, folder: RunFolder) -> ResultRow:
    """Its row, the answers read."""
    (top,) = groups.read(ResultsReader(home), collect_rows(home)).tops
    return top


LOSS = -(3 * math.log(0.9) + math.log(0.1)) / 4


def test_a_run_scores_what_needs_no_probabilities_and_ends_with_it(folder: RunFolder) -> None:
    summary = summarize(folder)
    assert summary.scores.value("youden") == 0.5 and summary.scores.value("log_loss") is None
    assert any(line.split() == ["youden", "0.5000"] for line in describe(summary))


def test_measures_hold_all_that_apply_with_their_intervals(home: Home, folder: RunFolder) -> None:
    (measures,) = ResultsReader(home).measure(folder.name)["measures"]
    assert measures["figures"]["youden"] == {"value": 0.5, "low": 0.25, "high": 0.75}
    log_loss = measures["figures"]["log_loss"]
    assert log_loss["value"] == pytest.approx(LOSS) and log_loss["low"] is log_loss["high"] is None
    bare = answered(home, [N, N, P, P], [N, N, P, N], bare=True)
    (measures,) = ResultsReader(home).measure(bare.name)["measures"]
    assert "youden" in measures["figures"] and "log_loss" not in measures["figures"]


def test_table_panel_and_sorting_show_it(row: ResultRow) -> None:
    shown = {column.key: (column.header, column.text(row)) for column in known_columns([row])}
    assert shown["youden"] == ("Youden", "0.500") and shown["log_loss"] == ("log loss", f"{LOSS:.3f}")
    assert sort_rows([row], "log loss") == [row]
    assert {"youden", "log_loss"} <= set(left_out_first())
    for wide in (True, False):
        facts = " ".join(facts_text(row, (0.0, 1.0), wide=wide).plain.split())
        assert "Youden 0.500 0.250–0.750" in facts and f"logarithmic loss (nats) {LOSS:.3f}" in facts


def test_files_of_the_table_hold_it(row: ResultRow) -> None:
    columns = known_columns([row])
    (values,) = json.loads(tables.table_json([row], columns))
    assert (values["youden"], values["log_loss"]) == (0.5, pytest.approx(LOSS))
    head, line = tables.table_csv([row], columns).splitlines()
    assert dict(zip(head.split(","), line.split(","), strict=True))["youden"] == "0.5"
    for form in (tables.table_markdown, tables.table_latex):
        assert "Youden" in form([row], columns) and "log loss" in form([row], columns)


def test_records_of_the_command_line_hold_what_runs_score(home: Home, folder: RunFolder) -> None:
    rows = collect_rows(home)
    (values,) = json.loads(tables.to_json(rows))
    assert values["youden"] == 0.5 and "log_loss" not in values
    head, line = tables.to_csv(rows).splitlines()
    assert dict(zip(head.split(","), line.split(","), strict=True))["youden"] == "0.5"


def test_card_and_report_hold_it(home: Home, folder: RunFolder) -> None:
    card = exports.model_card(folder)
    assert "| Youden's index (J) | 0.5000 |" in card and "type: youden" in card
    page = report.write(home)
    assert ">Youden</th>" in page and ">log loss</th>" in page and f"logarithmic loss (nats) {LOSS:.4f}" in page


def test_several_executions_show_its_mean(home: Home, folder: RunFolder) -> None:
    answered(home, [N, N, P, P], [N, N, P, P], [N, N, N, N], experiment="several")
    rows = {row.experiment: row for row in groups.read(ResultsReader(home), collect_rows(home)).tops}
    assert rows["several"].figure("youden") == pytest.approx(0.5)
    assert [child.figure("youden") for child in rows["several"].children] == [1.0, 0.0]
