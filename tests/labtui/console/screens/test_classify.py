import time
from collections.abc import Callable, Iterator

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Static

from engines.errors import ServingError
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.scores import Scores
from engines.runs.serving import Reply, Status
from labtui.console.screens import classify
from labtui.console.screens.classify import ClassifyScreen, Verdict, mark_disagreement, verdict_text
from tests.labtui import fabric
from tests.labtui.console.screens.conftest import Host, until
from tests.labtui.fabric import MATRIX, make_run

Finished = Callable[..., RunFolder]


class FakeClient:
    """Answers by the run's experiment; what `gate` holds back stays unanswered."""

    says: dict[str, tuple[str, list[float]]] = {}
    errors: dict[str, str] = {}
    gate: set[str] = set()
    asked: list[tuple[str, str]] = []
    withdrawn: list[str] = []
    state = "ready"

    def __init__(self, home: Home, run: RunFolder) -> None:
        self.name = run.name.split("-")[2]

    def status(self) -> Status:
        return Status(self.state, idle_timeout_s=600.0)

    def ask(self, texts: list[str], repeat: int = 0) -> str:
        name = f"{self.name}:{repeat + 1}" if repeat else self.name
        self.asked.append((name, texts[0]))
        return name

    def poll(self, request: str) -> Reply | None:
        if request in self.errors:
            raise ServingError(self.errors[request])
        if request in self.gate:
            return None
        label, probabilities = self.says[request]
        answer = {"label": label, "probabilities": probabilities, "tokens_read": 128, "tokens_total": 312}
        return Reply([answer], 4.25, "cpu")

    def withdraw(self, request: str) -> None:
        self.withdrawn.append(request)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeClient]]:
    class Fresh(FakeClient):
        says: dict[str, tuple[str, list[float]]] = {}
        errors: dict[str, str] = {}
        gate: set[str] = set()
        asked: list[tuple[str, str]] = []
        withdrawn: list[str] = []

    monkeypatch.setattr(classify, "Client", Fresh)
    yield Fresh
    Fresh.gate.clear()  # no thread is left polling


async def opened(host: Host, pilot: Pilot[None], runs: int) -> ClassifyScreen:
    screen = ClassifyScreen()
    await host.push_screen(screen)
    await until(pilot, lambda: screen.models.option_count == runs)
    return screen


def lines(screen: ClassifyScreen) -> list[str]:
    return [str(line.render()) for line in screen.query(".answers Static").results(Static)]


def verdict(screen: ClassifyScreen) -> str:
    return str(screen.query_one(".verdict").render())


async def test_the_best_finished_run_is_chosen_and_asked(
    host: Host, finished: Finished, client: type[FakeClient]
) -> None:
    finished("worse", [[40, 10, 0], [5, 45, 0]])
    best = finished("better", [[50, 0, 0], [5, 45, 0]])
    finished("scored", [[50, 0, 0], [0, 50, 0]], engine="evaluate")  # holds no model of its own
    client.says["better"] = ("positive", [0.069, 0.931])
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot, 2)
        assert screen.models.selected == [best.name]
        await pilot.press(*"good", "ctrl+s")
        await until(pilot, lambda: "positive" in "".join(lines(screen)))
        assert client.asked == [("better", "good")]
        (line,) = lines(screen)
        for part in ("93.1 %", "4.2 ms model", "read 128 of 312 tokens", "cpu, warm 9:5", "█"):
            assert part in line


async def test_each_repeat_of_a_run_can_be_chosen_and_is_asked_as_such(
    host: Host, home: Home, client: type[FakeClient]
) -> None:
    scores = [Scores(accuracy=accuracy) for accuracy in (0.7, 0.8)]
    run = make_run(
        home,
        *(
            ev.Repeat(n, "template", value, scores[n], ["negative", "positive"], MATRIX)
            for n, value in enumerate(("plain", "question\x1b[31m"))
        ),
        fabric.finished(0.75, scores=Scores(accuracy=0.75, repeats=[0.7, 0.8])),
        experiment="gemma",
        engine="prompting",
    )
    client.says = {"gemma": ("positive", [0.1, 0.9]), "gemma:2": ("negative", [0.6, 0.4])}
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot, 3)
        shown = [str(screen.models.get_option_at_index(n).prompt) for n in range(3)]
        name = f"gemma {run.name[-4:]}"
        assert shown == [f"0.750  {name}", "  0.700  repeat 1  plain", "  0.800  repeat 2  question"]
        assert screen.models.selected == [run.name], "the run itself answers as its first repeat"
        await pilot.press("tab", "end", "space")
        screen.area.text = "fine"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "disagree" in verdict(screen))
        assert sorted(client.asked) == [("gemma", "fine"), ("gemma:2", "fine")]
        first, second = lines(screen)
        assert name in first and "positive" in first and f"{name}:2 " in second and "negative" in second


async def test_models_that_disagree_are_marked(host: Host, finished: Finished, client: type[FakeClient]) -> None:
    for name in ("one", "two", "three"):
        finished(name, [[40, 10, 0], [5, 45, 0]])
    client.says = {"one": ("positive", [0.1, 0.9]), "two": ("negative", [0.7, 0.3]), "three": ("positive", [0.4, 0.6])}
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, 3)
        screen.models.select_all()
        screen.area.text = "mixed"
        await pilot.press("f5")
        await until(pilot, lambda: "disagree" in verdict(screen))
        assert verdict(screen) == "the models disagree: 2 say positive, 1 says negative"
        marked = [line for line in lines(screen) if line.startswith("! ")]
        assert len(marked) == 1 and "two" in marked[0]


async def test_loading_is_said_and_an_error_is_one_sentence_beside_the_other_answers(
    host: Host, finished: Finished, client: type[FakeClient]
) -> None:
    finished("slow", [[40, 10, 0], [5, 45, 0]])
    finished("broken", [[40, 10, 0], [5, 45, 0]])
    client.state = "ended"
    client.gate = {"slow"}
    client.errors = {"broken": "broken could not be loaded: \x1b[31mout of memory [/i]"}
    client.says = {"slow": ("positive", [0.0, 1.0])}
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, 2)
        screen.models.select_all()
        screen.area.text = "text"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: any("loading model …" in line for line in lines(screen)))
        await until(pilot, lambda: any("out of memory [/i]" in line for line in lines(screen)))
        assert "\x1b" not in "".join(lines(screen))
        client.gate.clear()
        await until(pilot, lambda: any("with loading" in line for line in lines(screen)))


async def test_a_new_question_takes_the_old_one_back(host: Host, finished: Finished, client: type[FakeClient]) -> None:
    finished("slow", [[40, 10, 0], [5, 45, 0]])
    client.gate = {"slow"}
    client.says = {"slow": ("positive", [0.0, 1.0])}
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, 1)
        screen.area.text = "first"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: len(client.asked) == 1)
        screen.area.text = "second"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: client.withdrawn == ["slow"])
        client.gate.clear()
        await until(pilot, lambda: "positive" in "".join(lines(screen)))
        assert [text for _, text in client.asked] == ["first", "second"]


async def test_up_in_the_first_line_brings_back_earlier_texts_and_down_the_one_being_written(
    host: Host, finished: Finished, client: type[FakeClient]
) -> None:
    finished("one", [[40, 10, 0], [5, 45, 0]])
    client.says = {"one": ("positive", [0.0, 1.0])}
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, 1)
        for text in ("first", "second\nline"):
            screen.area.text = text
            await pilot.press("ctrl+s")
        screen.area.text = "draft"
        await pilot.press("up")
        assert screen.area.text == "second\nline"
        await pilot.press("up")
        assert screen.area.text == "first"
        await pilot.press("up", "ctrl+down", "ctrl+down")
        assert screen.area.text == "draft"


async def test_nothing_to_ask_is_said(host: Host, finished: Finished, client: type[FakeClient]) -> None:
    async with host.run_test(size=(80, 24)) as pilot:
        screen = ClassifyScreen()
        await host.push_screen(screen)
        await until(pilot, lambda: "No run has finished yet" in verdict(screen))
        run = finished("one", [[40, 10, 0], [5, 45, 0]])
        screen.choose([run.name])
        await until(pilot, lambda: screen.models.selected == [run.name])
        await pilot.press("ctrl+s")
        assert "no text yet" in verdict(screen)
        screen.models.deselect_all()
        await pilot.press("a", "ctrl+s")
        assert "No model is chosen" in verdict(screen)


async def test_a_run_sent_here_from_elsewhere_becomes_the_chosen_one(host: Host, finished: Finished) -> None:
    worse = finished("worse", [[40, 10, 0], [5, 45, 0]])
    finished("better", [[50, 0, 0], [5, 45, 0]])
    async with host.run_test(size=(80, 24)) as pilot:
        screen = ClassifyScreen()
        screen.choose([worse.name])
        await host.push_screen(screen)
        await until(pilot, lambda: screen.models.selected == [worse.name])


async def test_a_pasted_text_is_cleaned_and_keys_are_keys_again_after_escape(host: Host, finished: Finished) -> None:
    finished("one", [[40, 10, 0], [5, 45, 0]])
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, 1)
        host.post_message(events.Paste("good\x1b]52;c;aGk=\x07\r\n[/i] film"))
        await until(pilot, lambda: screen.area.text == "good\n[/i] film")
        await pilot.press("escape")
        assert host.focused is screen.models


def test_agreement_and_ties() -> None:
    def verdicts(*labels: str) -> list[Verdict]:
        return [Verdict(str(n), str(n), label=label) for n, label in enumerate(labels)]

    assert mark_disagreement(verdicts("a")) == ""
    assert mark_disagreement(verdicts("a", "a")) == "all 2 models say a"
    assert mark_disagreement(verdicts("a", "a", "")) == "2 of 3 models say a", "one has not answered yet"
    failed = [*verdicts("a", "a"), Verdict("2", "2", error="its weights are gone")]
    assert mark_disagreement(failed) == "all 2 models say a"
    tie = verdicts("a", "b", "")
    assert "disagree" in mark_disagreement(tie)
    assert [v.disagrees for v in tie] == [True, True, False]


@pytest.mark.parametrize(("wide", "rows"), [(True, 1), (False, 2)])
def test_a_verdict_fits_its_screen(wide: bool, rows: int) -> None:
    v = Verdict(
        "run",
        "n" * 60 + " 1a2b",
        label="positive",
        probability=1.0,
        model_ms=12.3,
        total_ms=2345.0,
        loaded=True,
        tokens_read=512,
        tokens_total=1312,
        device="cpu",
        cold_at=time.monotonic() + 599,
    )
    found = verdict_text(v, wide).plain.splitlines()
    assert len(found) == rows and "… 1a2b positive" in found[0]
    assert max(map(len, found)) <= (138 if wide else 78)


async def test_a_test_item_arrives_with_its_true_label_and_wrong_verdicts_are_marked(
    host: Host, finished: Finished, client: type[FakeClient]
) -> None:
    runs = [finished(name, [[40, 10, 0], [5, 45, 0]]).name for name in ("one", "two", "three")]
    client.says = {"one": ("positive", [0.1, 0.9]), "two": ("negative", [0.7, 0.3]), "three": ("negative", [0.6, 0.4])}
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, 3)
        screen.take([*runs[:2], "an imported run"], "dull\x1b]52;c;aGk=\x07 film [/i]", "positive")
        await until(pilot, lambda: sorted(screen.models.selected) == sorted(runs[:2]))
        assert screen.area.text == "dull film [/i]" and screen.area.border_subtitle == "true label: positive"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "1 of 2 right" in verdict(screen))
        assert verdict(screen).startswith("true label: positive")
        marks = (
            {line[0] for line in lines(screen) if "negative" in line},
            {line[0] for line in lines(screen) if "positive" in line},
        )
        assert marks == ({"✗"}, {"✓"})
        screen.area.text = "another text"
        await until(pilot, lambda: not screen.area.border_subtitle)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "the models disagree" in verdict(screen))
        screen.action_recall(-1)
        screen.action_recall(-1)
        await until(pilot, lambda: screen.area.border_subtitle == "true label: positive")


async def test_an_item_of_runs_without_a_model_is_asked_of_the_model_that_is_chosen(
    host: Host, finished: Finished, client: type[FakeClient]
) -> None:
    run = finished("one", [[40, 10, 0], [5, 45, 0]]).name
    imported = finished("copied", [[50, 0, 0], [0, 50, 0]], engine="imported").name
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot, 1)
        screen.take([imported], "text", "positive")
        await until(pilot, lambda: "came from no model that can be asked" in verdict(screen))
        assert screen.models.selected == [run]
        screen.take([f"{run} repeat 2"], "text", "positive")  # of no repeat that can be asked
        await until(pilot, lambda: verdict(screen) == "")
        assert screen.models.selected == [run]
