from typing import Any

import pytest
from textual.pilot import Pilot

from engines.answers.variant import Variant
from engines.errors import UserError
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.scores import Scores
from engines.study.values import AnswerSet, Pair
from labtui.console.screens.compare import CompareScreen, PairList, macro_text, pair_text, told_once
from labtui.console.screens.items import ItemsScreen
from labtui.results.comparison_limits import beyond_the_test
from tests.labtui.console.screens.analysed import AnalysedHost
from tests.labtui.console.screens.conftest import until
from tests.labtui.console.shown import text_of
from tests.support.answered import answered, row

N = 200
TRUTH = ["negative", "positive"] * (N // 2)
OTHER = {"negative": "positive", "positive": "negative"}


def wrong_on(*items: int) -> list[str]:
    return [OTHER[label] if n in items else label for n, label in enumerate(TRUTH)]


def run(home: Home, *wrong: int, **more: Any) -> RunFolder:
    return answered(home, TRUTH, wrong_on(*wrong), **more)


async def opened(host: AnalysedHost, pilot: Pilot[None], rows: list[AnswerSet], names: list[str]) -> CompareScreen:
    screen = CompareScreen(rows, names)
    await host.push_screen(screen)
    await until(pilot, lambda: "computing" not in text_of(screen))
    return screen


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_a_pair_is_told_in_a_sentence_four_cells_and_the_tests(home: Home, size: tuple[int, int]) -> None:
    good, bad = run(home, *range(10)), run(home, *range(5, 45))
    host = AnalysedHost(home)
    async with host.run_test(size=size) as pilot:
        screen = await opened(host, pilot, [row(good), row(bad)], ["quickstart/good 1", "quickstart/bad 2"])
        lines = text_of(screen).split("\n")
        assert "on the same 200 items: good 1 against bad 2" in lines[0]
        text = "\n".join(lines)
        sentence = text.index("good 1 is better on these 200")
        assert sentence < text.index("good 1 right │") < text.index("Difference")
        cells = [line.replace("│", " ").split() for line in lines]
        assert any(line[:8] == ["good", "1", "right", "155", "77.5", "%", "35", "17.5"] for line in cells)
        assert any(line[:8] == ["good", "1", "wrong", "5", "2.5", "%", "5", "2.5"] for line in cells)
        assert "+15.0 points  95 %: +9." in text and "p           < 1e-" in text and "Holm" not in text
        said = " ".join(str(screen.query_one(".tests").render()).split())
        assert "points or more a true difference that 200 items show 4 times in 5" in said and "20.0 %" in said
        assert "(80 % power, alpha 0.05)" in said
        assert not screen.query_one(PairList).display
        await pilot.press("pagedown", "pagedown")
        await until(pilot, lambda: "macro average" in text_of(screen))
        assert "0.950" in text_of(screen)


async def test_the_cursor_shows_the_table_of_its_pair_and_all_pairs_are_corrected(home: Home) -> None:
    runs = [run(home, *range(10)), run(home, *range(5, 45)), run(home, *range(11))]
    host = AnalysedHost(home)
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, [row(r) for r in runs], ["good", "bad", "alike"])
        lines = text_of(screen).split("\n")
        assert "3 sets of answers" in lines[0]
        assert [" ".join(line.split()) for line in lines[3:6]] == [
            "›good bad +15.0 <1e-5 first is better",
            "good alike +0.5 1 not told apart",
            "bad alike -14.5 <1e-5 second is better",
        ]
        assert "155   77.5 %" in text_of(screen) and "Holm" in text_of(screen)
        await pilot.press("down")
        await until(pilot, lambda: "good and alike are not told apart" in text_of(screen))
        assert "189   94.5 %" in text_of(screen) and "155   77.5 %" not in text_of(screen)
        assert screen.pair is not None and (screen.pair["a"], screen.pair["b"]) == (0, 2)


async def test_different_items_get_no_verdict_but_the_reason_and_the_next_step(home: Home) -> None:
    one = run(home, 1, 2)
    other = answered(home, TRUTH[:100], wrong_on(3)[:100], hashes=[f"{n:064x}" for n in range(100)])
    host = AnalysedHost(home)
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, [row(one), row(other)], ["a", "b"])
        text = text_of(screen)
        assert "different items" in text.split("\n")[0]
        assert "No verdict." in text and "In Results, e scores a run on other data" in text
        assert "0.990" in text and "200" in text and "100" in text  # each figure on its own items
        assert "McNemar" not in text and "better" not in text and "Items they differ on" not in text
        await pilot.press("i")
        assert host.screen is screen
        await pilot.press("escape")
        assert host.screen is not screen


async def test_i_opens_the_items_on_which_the_pair_under_the_cursor_disagrees(home: Home) -> None:
    runs = [run(home, *range(10)), run(home, *range(5, 45)), run(home, *range(11))]
    host = AnalysedHost(home)
    async with host.run_test(size=(80, 24)) as pilot:
        await opened(host, pilot, [row(r) for r in runs], ["good", "bad", "alike"])
        await pilot.press("down", "i")
        await until(pilot, lambda: isinstance(host.screen, ItemsScreen))
        shown = host.screen
        assert isinstance(shown, ItemsScreen)
        await until(pilot, lambda: "the answers differ: 1 of 200" in text_of(shown))
        assert "1 good   2 alike" in text_of(shown)


async def test_what_touches_the_accuracy_is_said_beside_it(home: Home) -> None:
    untrained = run(home, *range(100), scores=Scores(untrained_head=True))
    host = AnalysedHost(home)
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot, [row(run(home, 1)), row(untrained)], ["a", "b\x1b[31m [/i]"])
        assert "! b [/i]: UNTRAINED HEAD" in text_of(screen)


async def test_a_failure_is_a_sentence_on_the_screen(home: Home) -> None:
    class Lost:
        def compare(self, rows: list[AnswerSet], names: list[str], executions: list[list[AnswerSet]] | None) -> None:
            raise UserError("runs/x has no predictions\x1b[2J; score it again")

    host = AnalysedHost(home)
    host.analyst = Lost()
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, [{"run": "x", "variant": Variant.OWN, "repeat": 0}] * 2, ["a", "b"])
        assert "runs/x has no predictions; score it again" in text_of(screen)
        await pilot.press("i", "down", "q")
        assert host.screen is not screen


async def test_a_screen_that_shrinks_and_grows_keeps_what_it_says(home: Home) -> None:
    runs = [run(home, *range(10)), run(home, *range(5, 45)), run(home, *range(11))]
    host = AnalysedHost(home)
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot, [row(r) for r in runs], ["good", "bad", "alike"])
        for width, height in ((12, 5), (80, 24), (140, 40)):
            await pilot.resize_terminal(width, height)
            await until(pilot, lambda width=width: host.size.width == width)  # type: ignore[misc]
            await pilot.press("down", "up")
        assert "good is better on these 200" in text_of(screen) and "0.950" in text_of(screen)


async def test_with_ascii_alone_the_figures_are_drawn_of_it(home: Home) -> None:
    runs = [run(home, *range(10)), run(home, *range(5, 45))]
    host = AnalysedHost(home, ascii_only=True)
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, [row(r) for r in runs], ["a", "b"])
        for name in (".table", ".whiskers", ".macros"):
            assert str(screen.query_one(name).render()).isascii()


async def test_what_names_begin_with_is_said_once_and_a_line_too_long_says_how_many(home: Home) -> None:
    runs = [row(run(home, *range(10))), row(run(home, *range(5, 45)))]
    names = ["imported: a-study-with-a-name 1a2b repeat 1", "imported: a-study-with-a-name 1a2b repeat 2"]
    host = AnalysedHost(home)
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot, runs, names)
        lines = text_of(screen).split("\n")
        assert lines[0].rstrip().endswith("items: imported: a-study-with-a-name 1a2b, repeat 1 against repeat 2")
        assert "repeat 1 is better on these 200 items: repeat 1 alone" in "\n".join(lines)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "2 sets of answers to the same 200 items: imported: a-" in text_of(screen))


def test_repeats_of_one_run_are_not_said_to_be_two_models(home: Home) -> None:
    study = AnalysedHost(home).analyst
    name = answered(home, TRUTH, wrong_on(*range(0, N, 2)), wrong_on(*range(1, N, 2))).name
    other = row(run(home, 1))
    mine: list[AnswerSet] = [{"run": name, "variant": Variant.OWN, "repeat": at} for at in (0, 1)]
    measured = [study.measure(each["run"]) for each in (mine[0], other)]
    comparison = study.compare(mine, ["repeat 1", "repeat 2"])
    (sentence,) = beyond_the_test(comparison, comparison["pairs"][0], measured)
    assert "not two models. They agree hardly more than by chance (kappa -1.00)" in sentence
    rare = answered(home, ["negative"] * 97 + ["positive"] * 3, ["negative"] * 100, ["negative"] * 99 + ["positive"])
    rows: list[AnswerSet] = [{"run": rare.name, "variant": Variant.OWN, "repeat": at} for at in (0, 1)]
    comparison = study.compare(rows, ["repeat 1", "repeat 2"])
    (sentence,) = beyond_the_test(comparison, comparison["pairs"][0], [study.measure(rare.name)])
    assert sentence.endswith("not two models"), "kappa is 0 because one class is rare"
    comparison = study.compare([mine[0], other], ["x", "y"])
    assert beyond_the_test(comparison, comparison["pairs"][0], measured) == [
        "x: one of 2 repeats, which reach from 0.500 to 0.500"
    ]


def test_a_warning_of_several_models_is_told_once() -> None:
    assert told_once([("a", "few items"), ("b\x1b[31m", "few items"), ("b", "untrained")]) == [
        "! a, b: few items",
        "! b: untrained",
    ]


def test_two_that_are_right_on_the_same_items_are_said_to_be(home: Home) -> None:
    host = AnalysedHost(home)
    runs = [row(run(home, 1)), row(run(home, 1))]
    comparison = host.analyst.compare(runs, ["a", "b"])
    pair: Pair = comparison["pairs"][0]
    text = pair_text(comparison, pair, 80).plain
    assert "+0.0 points" in text and "p           = 1  both are right on the same items" in text
    assert all(len(line) <= 80 for line in text.split("\n"))


@pytest.mark.parametrize("width", [30, 50, 68, 80, 140])
def test_macro_figures_give_their_intervals_where_there_is_room(home: Home, width: int) -> None:
    measures = AnalysedHost(home).analyst.measure(run(home, *range(20)).name)["measures"] * 2
    text = macro_text(measures, ["a long name of a model", "b"], ["", ""], width).plain
    assert all(len(line) <= max(width, 45) for line in text.split("\n"))
    assert ("0.900 .8" in text) == (width >= 68) and "0.900" in text and "items" not in text
