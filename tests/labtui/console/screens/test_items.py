import threading
from typing import Any

import pytest
from textual.containers import VerticalScroll
from textual.pilot import Pilot
from textual.widgets import Static

from engines.answers.variant import Variant
from engines.errors import UserError
from engines.runs.home import Home
from engines.study.values import AnswerSet, Item, ItemAnswer, ItemPage, ItemQuery, ItemText
from labtui.console.app import LabApp
from labtui.console.screens.classify import ClassifyScreen
from labtui.console.screens.items import ItemsScreen, asked, review_text
from labtui.console.screens.results import ResultsScreen
from labtui.console.widgets.bars import TopBar
from labtui.console.widgets.item_list import PAGE_ITEMS
from tests.labtui.console.screens.conftest import Host, until


def answer(
    predicted: str | None, probability: float | None = 0.8, tokens_read: int | None = None, text: str | None = None
) -> ItemAnswer:
    return {"predicted": predicted, "probability": probability, "tokens_read": tokens_read, "text": text}


def item(n: int, *answers: ItemAnswer, label: str = "negative", words: int = 50, start: str = "") -> Item:
    return {
        "hash": f"hash{n}",
        "number": n,
        "label": label,
        "words": words,
        "start": start or f"review {n} begins",
        "answers": list(answers),
    }


class FakeAnalyst:
    """400 items that take turns in class, of which the first row is wrong on every tenth; answers wait at a gate."""

    def __init__(self) -> None:
        self.labels = ["negative", "positive"]
        self.texts = True
        self.warnings: list[dict[str, Any]] = []
        self.error = ""
        self.queries: list[ItemQuery] = []
        self.read: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.threads: set[str] = set()

    def measure(self, run: str) -> dict[str, Any]:
        return {"labels": self.labels, "warnings": self.warnings}

    def items(self, query: ItemQuery) -> ItemPage:
        self.threads.add(threading.current_thread().name)
        self.queries.append(query)
        self.gate.wait(10)
        if self.error:
            raise UserError(self.error)
        chosen = []
        for n in range(400):
            label, other = self.labels[n % 2], self.labels[1 - n % 2]
            predicted = None if n == 7 else other if n % 10 == 0 else label
            answers = [answer(predicted, text="\x1b[31mGreat [/i]" if n == 7 else None)]
            answers += [answer(label) for _ in query["rows"][1:]]
            made = item(n, *answers, label=label, words=400 if n == 20 else 50)
            differs = len({a["predicted"] for a in answers}) > 1
            keep = {
                "all": True,
                "wrong": predicted != label,
                "disagree": differs,
                "invalid": predicted is None,
                "confident errors": predicted == other,
            }[query["which"]]
            if (
                keep
                and query["label"] in ("", label)
                and made["words"] >= query["fewest_words"]
                and (not query["most_words"] or made["words"] <= query["most_words"])
            ):
                chosen.append(made)
        start = query["offset"]
        return {"total": len(chosen), "offset": start, "items": chosen[start : start + query["limit"]]}

    def close(self) -> None:
        pass

    def item(self, run: str, hash: str) -> ItemText:
        self.read.append(hash)
        n = int(hash.removeprefix("hash"))
        return {
            "hash": hash,
            "number": n,
            "label": self.labels[n % 2],
            "text": f"whole\x1b]52;c;aGk=\x07 text {n} [/i]" + "\nline" * 60 if self.texts else "",
        }


class ItemsHost(Host):
    """What `LabApp` has that these screens use."""

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        self.analyst: Any = FakeAnalyst()
        self.sent: list[tuple[list[str], str, str]] = []

    def classify_text(self, runs: list[str], text: str, true_label: str) -> None:
        self.sent.append((runs, text, true_label))


@pytest.fixture
def host(home: Home) -> ItemsHost:
    return ItemsHost(home)


def rows(n: int) -> list[AnswerSet]:
    return [{"run": "run", "variant": Variant.OWN, "repeat": repeat} for repeat in range(n)]


async def opened(host: ItemsHost, pilot: Pilot[None], n: int = 1, **more: Any) -> ItemsScreen:
    screen = ItemsScreen(rows(n), [f"gemma {name}" for name in "abcdefgh"[:n]], **more)
    await host.push_screen(screen)
    await host.workers.wait_for_complete()
    await until(pilot, lambda: "computing" not in title(screen))
    return screen


def title(screen: ItemsScreen) -> str:
    return str(screen.query_one(".title").render())


def pane(screen: ItemsScreen) -> VerticalScroll:
    return screen.query_one(VerticalScroll)


def review(screen: ItemsScreen) -> str:
    return str(pane(screen).query_one(Static).content)


def lines(screen: ItemsScreen) -> list[str]:
    return ["".join(segment.text for segment in screen.items.render_line(y)) for y in range(screen.items.size.height)]


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_wrong_items_are_listed_with_marks_and_read_in_full(host: ItemsHost, size: tuple[int, int]) -> None:
    async with host.run_test(size=size) as pilot:
        screen = await opened(host, pilot)
        assert "wrong: 41 of 400" in title(screen)
        shown = lines(screen)
        assert shown[1].startswith("› neg   ✗ pos 0.80") and "review 0 begins" in shown[1]
        assert shown[2].startswith("  pos   ?") and "review 7 begins" in shown[2]
        await until(pilot, lambda: "whole text 0 [/i]" in review(screen))
        await pilot.press("down")
        await until(pilot, lambda: "whole text 7" in review(screen))
        assert "? invalid" in review(screen) and "generated: Great [/i]" in review(screen)
        assert pane(screen).border_title == "item 2 of 41 · row 7 of the source · 50 words"
        assert "\x1b" not in review(screen)
        await pilot.press("pagedown")
        assert pane(screen).scroll_y > 0
        await pilot.press("down")
        await until(pilot, lambda: "whole text 10" in review(screen))
        assert pane(screen).scroll_y == 0


async def test_keys_choose_which_items_of_which_class_and_length(host: ItemsHost) -> None:
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot, 2)
        for key, said in (
            ("a", "all: 400"),
            ("n", "answer 1 invalid: 1 of 400"),
            ("f", "answer 1 confident errors: 40 of 400"),
            ("d", "the answers differ: 41 of 400"),
            ("w", "answer 1 wrong: 41 of 400"),
            ("l", "answer 1 wrong: 40 of 200   l class negative"),
            ("l", "answer 1 wrong: 1 of 200   l class positive"),
            ("l", "answer 1 wrong: 41 of 400   l any class"),
            ("left_square_bracket", "1 of 1 "),
            ("left_square_bracket", "0 of 0 "),
        ):
            await pilot.press(key)
            await until(pilot, lambda: said in title(screen))  # noqa: B023
        assert lines(screen)[0].strip() == "No wrong answer, 100–300 words; l and [ ] widen the choice."
        assert not pane(screen).display


async def test_only_the_pages_on_the_screen_are_asked_for_and_the_cursor_keeps_its_place(host: ItemsHost) -> None:
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, which="all")
        await pilot.press("end")
        await until(pilot, lambda: "review 399 begins" in "".join(lines(screen)))
        assert screen.items.index == 399
        offsets = [query["offset"] for query in host.analyst.queries if query["limit"] == PAGE_ITEMS]
        assert offsets == [0, 300]
        await pilot.press(*["up"] * 2, "w")
        await until(pilot, lambda: "wrong: 41" in title(screen))
        assert screen.items.index == 0
        await pilot.press("a")
        await until(pilot, lambda: screen.items.index == 397 and screen.items.item)
        await until(pilot, lambda: "whole text 397" in review(screen))
        assert lines(screen)[-1].strip()  # no hole below the cursor


async def test_keys_work_while_the_analyst_is_busy_and_what_was_left_behind_is_never_shown(host: ItemsHost) -> None:
    analyst = host.analyst
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, which="all")
        analyst.gate.clear()
        analyst.queries.clear()
        await pilot.press("n")
        await until(pilot, lambda: len(analyst.queries) == 1)
        await pilot.press("w", "f", "w", "l", "down")
        assert "wrong: computing" in title(screen) and screen.items.index == 1
        analyst.gate.set()
        await until(pilot, lambda: "wrong: 40 of 200" in title(screen))
        asked_for = [query["which"] for query in analyst.queries if query["limit"] == PAGE_ITEMS]
        assert asked_for == ["invalid", "wrong"]
        assert all(name != threading.main_thread().name for name in analyst.threads)


async def test_a_cursor_that_runs_on_asks_for_no_review_on_the_way(host: ItemsHost) -> None:
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, which="all")
        await until(pilot, lambda: "whole text 0" in review(screen))
        for _ in range(30):
            screen.items.action_move(1)
        await until(pilot, lambda: "whole text 30" in review(screen))
        assert host.analyst.read == ["hash0", "hash30"]


async def test_a_review_that_is_late_is_stood_in_for_by_its_first_words(host: ItemsHost) -> None:
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        gate = threading.Event()
        read = host.analyst.item
        host.analyst.item = lambda run, hash: (gate.wait(10), read(run, hash))[1]
        await pilot.press("down")
        await until(pilot, lambda: "review 7 begins …" in review(screen))
        await pilot.press("c")
        assert host.sent == []
        gate.set()
        await until(pilot, lambda: "whole text 7" in review(screen))


async def test_the_review_goes_to_classify_with_its_label_and_the_models_that_answered(host: ItemsHost) -> None:
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, 3)
        await until(pilot, lambda: "whole text 0" in review(screen))
        await pilot.press("c")
        ((runs, text, label),) = host.sent
        assert (runs, label) == (["run", "run repeat 1", "run repeat 2"], "negative")
        assert "text 0 [/i]" in text


async def test_the_way_to_classify_and_back_keeps_the_place_in_the_items(home: Home, finished: Any) -> None:
    run = finished("quickstart/a", [[40, 10, 0], [5, 45, 0]]).name
    app = LabApp(home, start="results")
    app.__dict__["analyst"] = FakeAnalyst()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = ItemsScreen([{"run": run, "variant": Variant.OWN, "repeat": 0}], ["a"])
        await until(pilot, lambda: app.current_mode == "results")
        await app.push_screen(screen)
        await until(pilot, lambda: "wrong: 41 of 400" in title(screen))
        await pilot.press("down", "down")
        await until(pilot, lambda: "whole text 10" in review(screen))
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, ClassifyScreen) and app.screen.models.selected == [run])
        classify = app.screen
        assert isinstance(classify, ClassifyScreen) and classify.area.border_subtitle == "true label: negative"
        await pilot.press("2")
        await until(pilot, lambda: app.screen is screen)
        assert screen.items.index == 2 and screen.items.has_focus
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ResultsScreen))
        assert len(app.screen.query(TopBar)) == 1


async def test_the_next_row_can_be_put_first(host: ItemsHost) -> None:
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot, 2)
        await pilot.press("o")
        await until(pilot, lambda: "1 b" in str(screen.query_one(".names").render()))
        assert [row["repeat"] for row in host.analyst.queries[-1]["rows"]] == [1, 0]


async def test_an_imported_run_without_texts_says_so(host: ItemsHost) -> None:
    host.analyst.texts = False
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        await until(pilot, lambda: "imported without texts" in review(screen))
        await pilot.press("c")
        assert host.sent == []


async def test_an_error_is_a_sentence_in_the_list(host: ItemsHost) -> None:
    host.analyst.error = "the rows have \x1b[31mdifferent [/i] items"
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        assert lines(screen)[0].strip() == "the rows have different [/i] items"
        host.analyst.error = ""
        await pilot.press("a")
        await until(pilot, lambda: "all: 400" in title(screen))
        await pilot.press("escape")
        await until(pilot, lambda: host.screen is not screen)


async def test_a_long_error_is_read_to_its_end(host: ItemsHost) -> None:
    host.analyst.error = "the predictions of the run " + "with a long name " * 6 + "are empty; run it again"
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        assert "run it again" in " ".join("".join(lines(screen)[:3]).split())


async def test_what_the_answers_are_of_is_said_once(host: ItemsHost) -> None:
    async with host.run_test(size=(80, 24)) as pilot:
        screen = ItemsScreen(rows(2), ["seed 0/0", "seed 0/1"], "all", of="gemma 1a2b")
        await host.push_screen(screen)
        await until(pilot, lambda: "all: 400" in title(screen))
        text = str(screen.query_one(".names").render())
        assert text.startswith("gemma 1a2b:  1 seed 0/0   2 seed 0/1")


async def test_one_set_of_answers_cannot_differ(host: ItemsHost) -> None:
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, which="disagree")
        assert "One set of answers cannot differ from itself" in lines(screen)[0]


def test_the_models_to_ask_are_named_by_the_keys_of_their_rows() -> None:
    assert asked([*rows(2), {"run": "other", "variant": Variant.BEFORE, "repeat": 1}]) == [
        "run",
        "run repeat 1",
        "other",
    ]


def test_a_text_that_was_surely_cut_is_marked() -> None:
    def said(tokens: int) -> str:
        of = item(0, answer("positive", tokens_read=tokens), words=300)
        return review_text(of, None, ["a name that is far too long for the pane"], 60).plain

    assert "read 128 tokens (cut)" in said(128)
    assert "read 300 tokens" in said(300) and "cut" not in said(300)
    assert "a name that is far …  ✗ positive  80.0 %" in said(300)
