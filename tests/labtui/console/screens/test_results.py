import shutil
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen

from engines.answers.variant import Variant
from engines.runs.folder import RunFolder
from labtui import actions
from labtui.console.screens.details import DetailsScreen
from labtui.console.screens.launch import EvaluateScreen
from labtui.console.screens.results import ResultsScreen
from labtui.console.widgets.bars import TextLine
from labtui.console.widgets.chart import PALETTE
from tests.labtui.console.screens.conftest import Host, until
from tests.labtui.console.shown import lines_of, text_of
from tests.labtui.measures import FakeAnalyst, row, run_measures

Finished = Callable[..., RunFolder]
GOOD, FAIR, POOR = [[45, 5, 0], [5, 45, 0]], [[40, 10, 0], [10, 40, 0]], [[30, 15, 5], [20, 30, 0]]


@pytest.fixture
def analyst(host: Host) -> FakeAnalyst:
    fake = host.analyst = FakeAnalyst()
    return fake


async def opened(host: Host, pilot: Pilot[None], published: bool = True) -> ResultsScreen:
    screen = ResultsScreen()
    await host.push_screen(screen)
    await until(pilot, lambda: said(screen) and "reading answers" not in said(screen))
    if not published:
        await pilot.press("p")
    return screen


def names(screen: ResultsScreen) -> list[str]:
    """The names as they stand in the table, without the signs before them."""
    return ["".join(text for text, _ in row.cells[0]).lstrip(" ▸▾├└●○") for row in screen.table.rows]


def cell(screen: ResultsScreen, at: int, column: str = "run") -> str:
    """The text of a row's cell, by the key of its column."""
    number = [c.key for c in screen.results.columns].index(column)
    return "".join(text for text, _ in screen.table.rows[at].cells[number]).rstrip()


def cursor(screen: ResultsScreen) -> int:
    return [row.key for row in screen.table.rows].index(str(screen.table.key))


def lines(screen: ResultsScreen) -> list[str]:
    """What the table shows."""
    return lines_of(screen.table)


def first_visible(screen: ResultsScreen) -> int:
    """The place of the row that stands in the table's first line."""
    return next(at for at, name in enumerate(names(screen)) if name in lines(screen)[0])


def heads(screen: ResultsScreen) -> str:
    return str(screen.query_one("#heads", TextLine).render())


def said(screen: ResultsScreen) -> str:
    return str(screen.query_one(".message").render())


def facts(screen: ResultsScreen) -> str:
    return str(screen.query_one(".facts").render())


async def test_without_runs_the_screen_says_what_to_do(host: Host) -> None:
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        assert "Launch one from the Lab" in str(screen.query_one(".message").render())
        await pilot.press("c")
        assert host.classified_with == []


async def test_without_any_row_there_is_nothing_to_export_and_the_published_figures_are_offered(host: Host) -> None:
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, published=False)
        assert "Key p shows the published figures" in " ".join(said(screen).split())
        await pilot.press("x")
        assert host.screen is screen and "nothing to export" in screen_says(host)


async def test_a_run_that_is_deleted_leaves_the_cursor_where_it_stood(host: Host, finished: Finished) -> None:
    runs = [finished(name, table) for name, table in (("a", GOOD), ("b", FAIR), ("c", POOR))]
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, published=False)
        await pilot.press("down")
        shutil.rmtree(runs[1].path)
        await pilot.press("r")
        await until(pilot, lambda: [name[0] for name in names(screen)] == ["a", "c"])
        assert cursor(screen) == 1


async def test_published_rows_are_dim_named_so_and_can_be_hidden(host: Host, finished: Finished) -> None:
    finished("quickstart/a", [[40, 10, 0], [5, 45, 0]])
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot)
        published = [at for at, name in enumerate(names(screen)) if name.startswith("published: ")]
        assert len(published) == 5, "the three executions of Gemma are one row"
        assert all(screen.table.rows[at].cells[1][0][1] == "faint" for at in published)
        await pilot.press("p")
        assert names(screen) == [f"quickstart/a {screen.results.rows[0].run[-4:]}"]
        await pilot.press("p")
        assert len(names(screen)) == 6


async def test_keys_choose_the_column_and_turn_the_order_round(host: Host, finished: Finished) -> None:
    finished("a", [[40, 10, 0], [5, 45, 0]])
    finished("b", [[400, 0, 0], [0, 1, 0]])
    finished("c", [[1, 1, 0], [1, 2, 0]])
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        await pilot.press("p")
        assert [name[0] for name in names(screen)] == ["b", "a", "c"]
        await pilot.press("s")
        assert [name[0] for name in names(screen)] == ["c", "a", "b"]
        await pilot.press(*["greater_than_sign"] * 5)
        assert screen.results.column == "items" and [name[0] for name in names(screen)] == ["b", "a", "c"]
        await pilot.press(*["less_than_sign"] * 6)
        assert screen.results.column == "run" and [name[0] for name in names(screen)] == ["a", "b", "c"]
        for _ in screen.results.columns:  # every column can be sorted by, also those out of sight
            await pilot.press("greater_than_sign")
        assert screen.results.column == "run"


async def test_the_cursor_stays_on_its_run_when_another_one_finishes(host: Host, finished: Finished) -> None:
    kept = finished("a", [[40, 10, 0], [5, 45, 0]])
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot)
        await pilot.press("p")
        finished("better", [[50, 0, 0], [0, 50, 0]])
        await pilot.press("r")
        await until(pilot, lambda: len(screen.table.rows) == 2)
        assert names(screen)[0].startswith("better")
        assert screen.selected is not None and screen.selected.run == kept.name


async def test_a_resized_table_shows_every_row_in_full(host: Host, finished: Finished) -> None:
    finished("quickstart/a-run-with-a-long-name", [[40, 10, 0], [5, 45, 0]])
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot)
        for width, name in ((80, "a-run-with-a"), (140, "quickstart/a-run-with-a-long-name")):
            await pilot.resize_terminal(width, 30)
            await until(pilot, lambda name=name: any(f" {name}" in line for line in lines(screen)))  # type: ignore[misc]
            assert sum(line.lstrip(" ▸").startswith("publ") for line in lines(screen)) == 5
            assert sum(line.lstrip("› ").startswith(name) and " 0.850 " in line for line in lines(screen)) == 1


async def test_columns_out_of_sight_are_reached_sideways_and_sorted_by_a_click(host: Host, finished: Finished) -> None:
    finished("a", GOOD)
    finished("b", FAIR)
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, published=False)
        assert heads(screen).split()[:2] == ["run", "accuracy"] and heads(screen).endswith("→")
        assert "model" not in heads(screen)
        await pilot.press("right")
        assert heads(screen).split()[1:4] == ["←", "95", "%"] or heads(screen).split()[1:3] == ["←", "95"]
        await pilot.press(*["right"] * 40)
        assert heads(screen).split()[-1] == "model" and lines(screen)[0].split()[-1] == "tiny"
        assert lines(screen)[0].split()[1] == "a", "the first column stays"
        await pilot.press(*["left"] * 40)
        await pilot.click("#heads", offset=(heads(screen).index("95 %"), 0))
        await until(pilot, lambda: screen.results.column == "interval")
        await pilot.click("#heads", offset=(heads(screen).index("95 %"), 0))
        await until(pilot, lambda: [name[0] for name in names(screen)] == ["b", "a"])
        await pilot.press(*["right"] * 40)
        await pilot.click("#heads", offset=(heads(screen).index("model"), 0))
        await until(pilot, lambda: "model ↑" in heads(screen))


async def test_the_confusion_matrix_follows_the_cursor(host: Host, finished: Finished) -> None:
    finished("a", [[400, 90, 10], [5, 495, 0]])
    finished("b", [[30, 20, 0], [0, 50, 0]])
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        await pilot.press("p")
        shown = str(screen.query_one(".matrix").render())
        assert "invalid" in shown and "80.0 %" in shown and "400" in shown
        await pilot.press("down")
        await until(pilot, lambda: "60.0 %" in str(screen.query_one(".matrix").render()))
        assert "invalid" not in str(screen.query_one(".matrix").render())


async def test_classify_and_evaluate_take_the_selected_run_but_no_published_figure(
    host: Host, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished("a", [[40, 10, 0], [5, 45, 0]])
    launched: list[Any] = []

    def evaluate(home: Any, folder: RunFolder, overrides: dict[str, Any], device: str) -> RunFolder:
        launched.append((folder.name, overrides, device))
        return folder

    monkeypatch.setattr(actions, "evaluate", evaluate)
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot)
        assert screen.selected and screen.selected.run == run.name  # though a published figure is on top
        await pilot.press("home", "c")
        assert host.classified_with == [] and screen.selected.published
        await pilot.press("p", "c")
        await until(pilot, lambda: host.classified_with == [run.name])
        await pilot.press("e")
        await until(pilot, lambda: isinstance(host.screen, EvaluateScreen))
        form = host.screen
        assert isinstance(form, EvaluateScreen)
        assert form.form.field("data.overlap").value == "refuse"  # its error names this setting
        form.form.field("data.source").editor.value = "reviews.csv"  # type: ignore[attr-defined]
        await until(pilot, lambda: form.form.overrides == {"data.source": "reviews.csv"})
        command = str(form.query_one(".command").render())
        assert command.startswith(f"labtui evaluate {run.name} --set data.source=reviews.csv --device ")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: bool(launched) and host.screen is screen)
        assert launched == [(run.name, {"data.source": "reviews.csv"}, "auto")]


async def test_details_show_settings_and_events_as_inert_text(host: Host, finished: Finished) -> None:
    finished("[@click=app.bell]x[/]\x1b[31m", [[40, 10, 0], [5, 45, 0]], model="[/i] model\x1b]0;t\x07")
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot)
        await pilot.press("p")
        assert names(screen)[0].startswith("[@click=app.bell]x[/]")
        assert "[@click=app.bell]x[/]" in text_of(screen).partition("test items")[0].splitlines()[-1]
        assert "[/i] model" in str(screen.query_one(".about").render())
        await pilot.press("enter")
        await until(pilot, lambda: "settings" in str(host.screen.query("Static").first().render()))
        details = host.screen
        assert isinstance(details, DetailsScreen)
        assert "\x1b" not in str(details.query("Static").first().render())
        await pilot.press("escape")
        assert host.screen is screen


# -- groups, marks, and what is found in the answers ---------------------------------------------------------------


async def test_a_group_opens_and_closes_and_the_cursor_goes_up_with_it(
    host: Host, analyst: FakeAnalyst, finished: Finished
) -> None:
    finished("a", GOOD, seed=1)
    finished("a", FAIR, seed=2, repeats=[FAIR, POOR])
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot, published=False)
        assert names(screen) == ["a"] and cell(screen, 0, "n") == "2" and cell(screen, 0, "varied") == "seed"
        await pilot.press("o")
        assert [name.rpartition(" ")[0][5:] for name in names(screen)[1:]] == ["seed", "seed"]
        at = next(at for at in (1, 2) if cell(screen, at, "n") == "2")
        await pilot.press(*["down"] * at, "o")
        assert names(screen)[at + 1] == "repeat 1 rows 0" and cell(screen, at, "varied") == "exemplars"
        await pilot.press("down", "o")
        assert cursor(screen) == at and len(names(screen)) == 3
        await pilot.press("up", "up", "o")
        assert names(screen) == ["a"] and cursor(screen) == 0


async def test_a_run_asked_once_has_nothing_to_open(host: Host, analyst: FakeAnalyst, finished: Finished) -> None:
    finished("a", GOOD)
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, published=False)
        await pilot.press("o")
        assert len(names(screen)) == 1 and "nothing is under this row" in screen_says(host)


def screen_says(host: Host) -> str:
    return " ".join(host.said)


async def test_rows_are_there_before_their_answers_are_read_and_fill_in(
    host: Host, analyst: FakeAnalyst, finished: Finished
) -> None:
    run = finished("a", GOOD, repeats=[GOOD, FAIR])
    analyst.says = {run.name: run_measures(run.name, [GOOD, FAIR], varied="exemplars")}
    analyst.gate.clear()
    async with host.run_test(size=(140, 40)) as pilot:
        screen = ResultsScreen()
        await host.push_screen(screen)
        await until(pilot, lambda: "reading answers: 0 of 1 run" in said(screen))
        await pilot.press("p")
        assert cell(screen, 0, "accuracy") == "0.850" and cell(screen, 0, "sd") == "0.071"
        unread = ("interval", "kappa", "all_agree", "brier", "calibration_error")
        assert {cell(screen, 0, column) for column in unread} == {"–"}
        assert "have not been read yet" in facts(screen)
        analyst.gate.set()
        await until(pilot, lambda: cell(screen, 0, "interval") == "0.710–0.790")
        assert [cell(screen, 0, column) for column in unread[1:]] == ["0.250", "50.0 %", "0.125", "0.062"]
        assert "of est. 3.00" in cell(screen, 0, "memory_peak_bytes")
        await until(pilot, lambda: "reading" not in said(screen))
        assert "kappa 0.25: they agree a little more than by chance" in facts(screen)
        assert "all 2 agree on 50.0 % of the items; 50 of 100 flip" in facts(screen)
        assert "mean 0.850   0.800 to 0.900   sd 0.071   2 repeats, varied: exemplars" in facts(screen)
        assert "the sum of 2 repeats" in str(screen.query_one(".matrix").render())


async def test_a_run_is_measured_once_and_a_new_one_while_the_screen_is_open(
    host: Host, analyst: FakeAnalyst, finished: Finished
) -> None:
    first = finished("a", GOOD)
    analyst.says = {first.name: run_measures(first.name, [GOOD])}
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot, published=False)
        await until(pilot, lambda: cell(screen, 0, "brier") == "0.125")
        second = finished("b", FAIR)
        await pilot.press("r")
        await until(pilot, lambda: second.name in analyst.asked and "cannot be read" in said(screen))
        assert analyst.asked == [first.name, second.name] and cell(screen, 1, "brier") == "–"
        assert "the answers of 1 run cannot be read" in said(screen)
        await pilot.press("down")
        assert f"{second.name} has no answers" in facts(screen) and "\x1b" not in facts(screen)
        analyst.says[second.name] = run_measures(second.name, [FAIR])
        await pilot.press("r")
        await until(pilot, lambda: cell(screen, 1, "brier") == "0.125")
        assert analyst.asked == [first.name, second.name, second.name] and "cannot" not in said(screen)


async def test_the_agreement_within_a_group_is_asked_when_its_runs_have_been_read(
    host: Host, analyst: FakeAnalyst, finished: Finished
) -> None:
    for seed in (1, 2):
        run = finished("a", GOOD, seed=seed)
        analyst.says[run.name] = run_measures(run.name, [GOOD])
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot, published=False)
        await until(pilot, lambda: cell(screen, 0, "kappa") == "0.250")
        assert cell(screen, 0, "interval") == "0.710–0.790" and cell(screen, 0, "sd") == "0.000"


async def test_nothing_varied_is_said_in_words(host: Host, analyst: FakeAnalyst, finished: Finished) -> None:
    for _ in range(2):
        finished("a", GOOD)
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot, published=False)
        assert (cell(screen, 0, "varied"), cell(screen, 0, "sd")) == ("nothing: same seed", "–")
        assert "2 runs, nothing: same seed" in facts(screen) and "sd" not in facts(screen)


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_warnings_stand_beside_their_figure_and_in_words_in_the_panel(
    host: Host, analyst: FakeAnalyst, finished: Finished, size: tuple[int, int]
) -> None:
    run = finished("a", POOR)
    untrained = finished("b", FAIR, repeats=[FAIR, POOR], varied="head", untrained_head=True)
    told = [("invalid", "5 of 100 are no label"), ("loss", "the loss rose"), ("accuracy", "seen in training")]
    analyst.says = {
        run.name: run_measures(run.name, [POOR], warnings=told),
        untrained.name: run_measures(
            untrained.name, [FAIR, POOR], varied="head", warnings=[("model", "UNTRAINED HEAD: says nothing")]
        ),
    }
    async with host.run_test(size=size) as pilot:
        screen = await opened(host, pilot, published=False)
        await until(pilot, lambda: cell(screen, 0, "brier") == cell(screen, 1, "brier") == "0.125")
        assert [name[0] for name in names(screen)] == ["b", "a"]
        assert cell(screen, 0, "accuracy") == "0.700 !" and cell(screen, 0, "varied") == "head UNTRAINED"
        shown = lines(screen)[0]
        assert "0.700 !" in shown and "head UNTRAINED" in shown, "without scrolling"
        assert "UNTRAINED HEAD: says nothing" in facts(screen)
        for column, figure in (("accuracy", "0.600 !"), ("invalid", "5.0 % !"), ("training_seconds", "0:00 !")):
            assert cell(screen, 1, column) == figure
        assert cell(screen, 1, "items") == "100"
        await pilot.press("down")
        assert [line for line in facts(screen).splitlines() if line.startswith("!")] == [f"! {t}" for _, t in told]


async def test_marks_cursor_openings_and_scrolling_outlive_a_refresh(
    host: Host, analyst: FakeAnalyst, finished: Finished
) -> None:
    runs = [finished(f"run-{n:02}", [[50 - n, n, 0], [n, 50 - n, 0]]) for n in range(12)]
    repeated = finished("repeated", FAIR, repeats=[FAIR, POOR])
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, published=False)
        table = screen.table
        at = names(screen).index(f"repeated {repeated.name[-4:]}")
        await pilot.press(*["down"] * at, "o", "down", "space", "up", "space", "right")
        top, marks = first_visible(screen), dict(screen.results.marks)
        assert top > 0 and len(set(marks.values())) == 2 and "2 marked" in said(screen)
        analyst.says = {run.name: run_measures(run.name, [[[1, 0, 0], [0, 1, 0]]]) for run in runs}
        await pilot.press("r")
        await until(pilot, lambda: cell(screen, 0, "brier") == "0.125")
        finished("newest", GOOD)
        await pilot.press("r")
        await until(pilot, lambda: len(screen.results.rows) == 14)
        assert screen.selected is not None and screen.selected.run == repeated.name
        assert screen.results.opened == {repeated.name} and screen.results.marks == marks
        assert table.first == 2 and first_visible(screen) in (top, top + 1), (
            "as far as the new row above moved the cursor"
        )
        assert cell(screen, cursor(screen)).startswith("▾●repeated")
        await pilot.press("s")
        assert screen.results.marks == marks and screen.selected.run == repeated.name
        await pilot.press("o", "space")
        assert cell(screen, cursor(screen)).startswith("▸○repeated"), "one inside"


async def test_a_new_seed_makes_a_group_of_a_marked_run_and_the_mark_stays_on_the_run(
    host: Host, analyst: FakeAnalyst, finished: Finished
) -> None:
    run = finished("a", GOOD, seed=1)
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot, published=False)
        await pilot.press("space")
        finished("a", FAIR, seed=2)
        await pilot.press("r")
        await until(pilot, lambda: cell(screen, 0, "n") == "2")
        assert [marked.key for marked in screen.results.marked()] == [run.name]
        assert screen.selected is not None and screen.selected.level == "group"


class Opened(Screen[None]):
    """A screen of someone else, and what it was opened with."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__()
        self.arguments = arguments


async def test_keys_hand_the_marked_rows_to_the_other_screens(
    host: Host, analyst: FakeAnalyst, finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, screen_name in (
        ("compare", "CompareScreen"),
        ("plots", "PlotsScreen"),
        ("items", "ItemsScreen"),
        ("repeats", "RepeatsScreen"),
        ("export", "ExportScreen"),
    ):
        monkeypatch.setitem(sys.modules, f"labtui.console.screens.{name}", SimpleNamespace(**{screen_name: Opened}))
    good = finished("x/good", GOOD, before=[[33, 17, 0], [17, 33, 0]])
    fair = [finished("x/fair", FAIR, seed=seed).name for seed in (1, 2)]
    poor = finished("x/poor", POOR, repeats=[POOR, POOR])

    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot, published=False)
        assert [name.split()[0] for name in names(screen)] == ["x/good", "x/fair", "x/good", "x/poor"]

        async def arguments(*keys: str) -> tuple[Any, ...]:
            await pilot.press(*keys)
            assert isinstance(host.screen, Opened)
            given = host.screen.arguments
            host.pop_screen()
            await pilot.pause()
            return given

        await pilot.press("v")
        assert "mark two or more rows with space" in screen_says(host) and host.screen is screen
        ((every,),) = [await arguments("g")]
        assert [entry[0] for entry in every] == [
            row(good.name),
            row(fair[-1]),
            row(good.name, Variant.BEFORE),
            row(poor.name),
        ]
        assert len({colour for _, _, colour in every}) == 4

        assert (await arguments("i"))[0] == [row(good.name)] and host.screen is screen
        rows, called, colours, executions = await arguments("space", "down", "space", "v")
        assert rows == [row(good.name), row(fair[-1])]
        assert executions == [[row(good.name)], [row(fair[-1]), row(fair[0])]]
        assert called == [f"good {good.name[-4:]}", "fair (2 runs)"]
        rows, called, _ = await arguments("i")
        assert rows == [row(good.name), row(fair[-1])]
        assert called == [f"good {good.name[-4:]}", f"fair {fair[-1][-4:]} (newest of 2 runs)"]
        ((plotted,),) = [await arguments("g")]
        assert plotted == list(zip(rows, called, colours, strict=True)), "each row in one colour on every screen"
        assert colours == list(screen.results.marks.values()) and len(set(colours) & set(PALETTE)) == 2

        await pilot.press("t")
        assert "open it with o and choose a run" in screen_says(host)
        assert await arguments("down", "down", "t") == (poor.name, "", f"poor {poor.name[-4:]}")
        assert await arguments("o", "down", "t") == (poor.name, "", f"poor {poor.name[-4:]}")
        shown, columns, marked = await arguments("x")
        assert [r.level for r in shown] == ["run", "group", "run", "run", "repeat", "repeat"]
        assert columns == screen.results.columns and marked[0] == good.name and set(marked[1:]) == set(fair)


async def test_published_figures_and_imported_runs_say_what_they_lack(
    host: Host, analyst: FakeAnalyst, finished: Finished
) -> None:
    finished("study", GOOD, engine="imported")
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot)
        await pilot.press("home", "space")
        assert screen.results.marks == {} and "a published figure has no answers" in screen_says(host)
        await pilot.press("p", "c", "e")
        assert names(screen)[0].startswith("imported: study ") and host.classified_with == []
        assert "without a model to classify with" in screen_says(host)
        await pilot.press("space", "t")
        assert len(screen.results.marked()) == 1 and "was asked once" in screen_says(host)


async def test_thirty_runs_block_no_key_for_50_ms(host: Host, analyst: FakeAnalyst, finished: Finished) -> None:
    for n in range(30):
        run = finished(f"experiment-{n}", FAIR, repeats=[GOOD, FAIR, POOR])
        analyst.says[run.name] = run_measures(run.name, [GOOD, FAIR, POOR], varied="exemplars")
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot, published=False)
        await until(pilot, lambda: all(cell(screen, at, "brier") == "0.125" for at in range(30)))
        await pilot.pause()
        times = []
        for _ in range(5):  # of this thread alone: other work on the machine does not count
            began = time.thread_time()
            screen.action_reverse()
            screen.action_reverse()
            times.append(time.thread_time() - began)
        assert min(times) < 0.1, f"twice the table: {times} s"
