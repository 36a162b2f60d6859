import shlex
import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

import engines.methods
from engines import catalog
from engines.errors import UserError
from engines.memory.estimate import Estimate
from engines.memory.history import Pace
from engines.runs import queue
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.study.values import Disagreement
from labtui import actions, cli
from labtui.console.screens.form import Choice
from labtui.console.screens.launch import LaunchScreen, NameScreen, command_text, cut_to, estimate_text
from labtui.devices import Device, DeviceSampler
from tests.labtui.console.screens.conftest import Host, until
from tests.labtui.console.shown import text_of

PACE = Pace(20.0, None, 1)
ENGINE = '''
from dataclasses import dataclass
from engines.settings import ConfigError, group, option

TITLE = "An engine to fill a form"
USES_GPU = True

@dataclass(frozen=True)
class Training:
    """Training."""
    epochs: int = option(3, "Passes over the data.", unit="epochs", minimum=1, maximum=10)
    learning_rate: float = option(5e-5, "Peak learning rate.", minimum=0)
    schedule: str = option("linear", "How it decays.", choices=("linear", "cosine"))
    shuffle: bool = option(True, "Shuffle each epoch.")

@dataclass(frozen=True)
class Config:
    """Settings."""
    training: Training = group(Training)
    text: str = option("", "Any text.")
    seed: int = option(0, "Seed.")

    def check(self) -> None:
        if self.training.epochs == 7 and self.seed == 7:
            raise ConfigError("training.epochs = 7 does not go with seed = 7; change one")
'''


@pytest.fixture(autouse=True)
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The engine "formed" and the experiment "mine/formed"."""
    methods = tmp_path / "methods"
    methods.mkdir()
    (methods / "formed.py").write_text(ENGINE)
    monkeypatch.setattr(engines.methods, "__path__", [*engines.methods.__path__, str(methods)])
    path = catalog.user_configs() / "mine" / "formed.toml"
    path.parent.mkdir(parents=True)
    path.write_text('engine = "formed"\n[training]\nepochs = 2\n')
    devices = [Device("GPU-1", "gpu0 H100", 2**30), Device("cpu", "cpu", 2**31)]
    monkeypatch.setattr(DeviceSampler, "list_devices", lambda self: devices)
    return path


class Analyst:
    """Answers what earlier runs differ by, once `held` is set; remembers the sources and threads that asked."""

    def __init__(self, seen: dict[str, Disagreement]) -> None:
        self.seen = seen
        self.asked: list[str] = []
        self.threads: set[threading.Thread] = set()
        self.held = threading.Event()

    def disagreement(self, source: str, engine: str) -> Disagreement:
        assert engine == "bag_of_words", "the experiment's own"
        self.asked.append(source)
        self.threads.add(threading.current_thread())
        self.held.wait(10)
        if source not in self.seen:
            raise UserError("no such source")
        return self.seen[source]


@pytest.fixture
def analyst(host: Host, experiment: Path) -> Analyst:
    """The experiment has 2,500 test items of the quickstart's reviews, on which runs differ by 12 %."""
    experiment.write_text('engine = "bag_of_words"\n[data]\ntest = 2500\n')
    found = Analyst({"quickstart": {"share": 0.12, "pairs": 3}})
    host.analyst = found
    return found


def power(screen: LaunchScreen) -> str:
    line = screen.query_one(".power")
    return str(line.render()) if line.display else ""


async def opened(host: Host, pilot: Pilot[None], name: str = "mine/formed") -> LaunchScreen:
    screen = LaunchScreen(name)
    await host.push_screen(screen, host.dismissed.append)
    await pilot.pause()
    return screen


def fill(screen: LaunchScreen, name: str, text: str) -> None:
    editor = screen.form.field(name).editor
    assert isinstance(editor, Input | Choice)
    editor.value = text


def devices_offered(screen: LaunchScreen) -> list[str]:
    options = screen.query_one("#device", Choice).query_one(OptionList).options
    return [str(option.prompt) for option in options]


def command(screen: LaunchScreen) -> str:
    return str(screen.query_one(".command").render())


def said(screen: LaunchScreen, name: str) -> str:
    field = screen.form.field(name)
    return str(field.query_one(".error").render()) if field.has_class("-wrong") else ""


async def test_every_setting_has_a_field_with_its_value_help_and_unit(host: Host) -> None:
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot)
        assert [f.setting.name for f in screen.form.fields] == [
            "training.epochs",
            "training.learning_rate",
            "training.schedule",
            "training.shuffle",
            "text",
            "seed",
        ]
        epochs = screen.form.field("training.epochs")
        assert isinstance(epochs.editor, Input) and epochs.editor.value == "2"
        assert str(epochs.query_one(".help").render()) == "epochs · Passes over the data. Default 3."
        assert str(epochs.query_one(".name").render()).split() == ["○", "epochs"]  # the file sets it
        assert isinstance(screen.form.field("training.shuffle").editor, Choice)


async def test_a_wrong_value_is_named_under_its_field_and_nothing_starts(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[Any] = []
    monkeypatch.setattr(actions, "launch", lambda *a: launched.append(a))
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot)
        for text, error in (
            ("many", "training.epochs = 'many' is not a whole number"),
            ("99", "training.epochs = 99 is above the most, 10 epochs"),
        ):
            fill(screen, "training.epochs", text)
            await until(pilot, lambda error=error: said(screen, "training.epochs") == error)  # type: ignore[misc]
        assert command(screen) == "1 setting to mend before there is a command"
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert launched == [] and host.screen is screen
        assert host.focused is screen.form.field("training.epochs").editor
        fill(screen, "training.epochs", "4")
        await until(pilot, lambda: not said(screen, "training.epochs"))
        assert "--set training.epochs=4" in command(screen)


async def test_settings_that_do_not_go_together_are_named_under_the_first_of_them(host: Host) -> None:
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot)
        fill(screen, "training.epochs", "7")
        fill(screen, "seed", "7")
        await until(pilot, lambda: said(screen, "training.epochs"))
        assert said(screen, "training.epochs") == "training.epochs = 7 does not go with seed = 7; change one"
        await pilot.press("ctrl+s")
        assert host.screen is screen
        fill(screen, "seed", "8")
        await until(pilot, lambda: not said(screen, "training.epochs"))


async def test_the_command_holds_what_was_changed_and_reads_back_the_same(host: Host) -> None:
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot)
        await until(pilot, lambda: command(screen) == "labtui run mine/formed --device auto")
        fill(screen, "training.learning_rate", "3e-6")
        fill(screen, "training.shuffle", "false")
        text = "it's a $HOME of its own"
        fill(screen, "text", text)
        await until(pilot, lambda: "text=" in command(screen))
        words = shlex.split(command(screen))
        arguments = cli._parser().parse_args(words[1:])
        config_class = type(catalog.read("mine/formed").config)
        overrides = catalog.parse_overrides(arguments.settings, config_class)
        assert overrides == {"training.learning_rate": 3e-6, "training.shuffle": False, "text": text}
        assert catalog.read("mine/formed", overrides).config == screen.resolved().config
        fill(screen, "text", "")
        await until(pilot, lambda: "text=" not in command(screen))


async def test_ctrl_s_starts_the_run_in_a_thread_and_dismisses_with_it(
    host: Host, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(home.runs / "new")
    seen: list[Any] = []

    def start(home: Home, experiment: catalog.Experiment, device: str) -> RunFolder:
        seen.append((experiment.config.training.epochs, experiment.name, device, threading.current_thread()))
        return folder

    monkeypatch.setattr(actions, "launch", start)
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        fill(screen, "training.epochs", "5")
        await until(pilot, lambda: screen.form.overrides)
        await until(pilot, lambda: len(devices_offered(screen)) == 3)
        screen.query_one("#device", Choice).value = "gpu0"
        await until(pilot, lambda: command(screen).endswith("--device gpu0"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: host.dismissed)
    assert host.dismissed == [folder]
    assert seen[0][:3] == (5, "mine/formed", "gpu0") and seen[0][3] is not threading.main_thread()


async def test_enter_in_a_field_starts_too_and_a_refusal_is_shown(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> RunFolder:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(actions, "launch", refuse)
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        screen.form.field("training.epochs").editor.focus()
        await pilot.press("enter")
        await until(pilot, lambda: "No space left" in str(screen.query_one(".problem").render()))
        assert host.screen is screen and host.dismissed == []
        await pilot.press("escape")
        await until(pilot, lambda: host.dismissed == [None])


async def test_a_broken_experiment_shows_why_and_can_only_be_left(host: Host, experiment: Path) -> None:
    experiment.write_text('engine = "formd"\n')
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        sentence = str(screen.query_one(".broken").render())
        assert 'engine = "formd": no such engine; did you mean "formed"?' in sentence.replace("\n", " ")
        await pilot.press("ctrl+s", "w", "escape")
        await until(pilot, lambda: host.dismissed == [None])


async def test_saving_writes_only_the_differences_and_asks_before_writing_over(host: Host, experiment: Path) -> None:
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot)
        fill(screen, "seed", "3")
        await until(pilot, lambda: screen.form.overrides)
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(host.screen, NameScreen))
        asked = host.screen.query_one(Input)
        assert asked.value == "mine/formed"
        await pilot.press("enter")
        await until(pilot, lambda: "writes over it" in str(host.screen.query_one(".message").render()))
        asked.value = "../escape"
        await pilot.press("enter")
        await until(pilot, lambda: "small letters" in str(host.screen.query_one(".message").render()))
        asked.value = "mine/other"
        await pilot.press("enter")
        saved = catalog.user_configs() / "mine" / "other.toml"
        await until(pilot, saved.exists)
    assert tomllib.loads(saved.read_text()) == {
        "engine": "formed",
        "title": "An engine to fill a form",
        "training": {"epochs": 2},
        "seed": 3,
    }
    assert catalog.read("mine/other").config.seed == 3
    assert not (catalog.user_configs().parent / "escape.toml").exists()


async def test_an_engine_without_gpu_can_be_sent_to_the_cpu_only(host: Host, experiment: Path) -> None:
    experiment.write_text('engine = "bag_of_words"\n')
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        assert devices_offered(screen) == ["cpu"]
        assert command(screen) == "labtui run mine/formed --device cpu"


async def test_leaving_while_a_thread_still_asks_does_no_harm(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    held, answered = threading.Event(), threading.Event()

    def slow(home: Home, devices: list[str]) -> int:
        held.wait(10)
        answered.set()
        return 3

    monkeypatch.setattr(queue, "runs_ahead", slow)
    async with host.run_test(size=(80, 24)) as pilot:
        await opened(host, pilot)
        await pilot.press("escape")
        await until(pilot, lambda: host.dismissed == [None])
        held.set()
        await until(pilot, answered.is_set)
        await host.workers.wait_for_complete()
        await pilot.pause()
        assert host.is_running


async def test_a_pasted_value_is_cleaned(host: Host) -> None:
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        screen.form.field("text").editor.focus()
        await pilot.pause()
        host.post_message(events.Paste("\x1b]0;title\x07reviews.csv\n"))
        await until(pilot, lambda: screen.form.overrides == {"text": "reviews.csv"})


async def test_up_and_down_walk_through_the_fields(host: Host) -> None:
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        screen.form.field("training.epochs").editor.focus()
        await pilot.press("down", "down", "down")
        assert host.focused is screen.form.field("training.shuffle").editor
        assert "Shuffle each epoch" in str(screen.query_one(".asked").render())
        await pilot.press("up", "up")
        assert host.focused is screen.form.field("training.learning_rate").editor


def test_the_command_is_quoted_for_a_shell() -> None:
    text = command_text(["run", "mine/a b"], {"data.source": "/x y/z.csv", "flag": True}, "gpu0")
    assert text == "labtui run 'mine/a b' --set 'data.source=/x y/z.csv' --set flag=true --device gpu0"


# -- what the test split can show ---------------------------------------------------------------------------

ASSUMED = (
    "2,500 test items: differences under 1.8 points cannot be seen reliably "
    "(80 % power, alpha 0.05, 10 % disagreement assumed)"
)
SEEN = (
    "2,500 test items: differences under 1.9 points cannot be seen reliably "
    "(80 % power, alpha 0.05, 12 % disagreement seen "
    "between 3 pairs of earlier runs above chance and not told apart)"
)


async def test_the_assumption_stands_until_earlier_runs_are_read_in_the_background(
    host: Host, analyst: Analyst
) -> None:
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot)
        await until(pilot, lambda: analyst.asked and power(screen) == ASSUMED)
        analyst.held.set()
        await until(pilot, lambda: power(screen) == SEEN)
        fill(screen, "data.test", "10000")
        await until(pilot, lambda: power(screen).startswith("10,000 test items: differences under 1.0 points"))
        assert "12 % disagreement seen" in power(screen)
        assert analyst.asked == ["quickstart"] and threading.main_thread() not in analyst.threads


async def test_only_a_count_of_test_items_is_judged(host: Host, analyst: Analyst) -> None:
    analyst.held.set()
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        await until(pilot, lambda: power(screen) == SEEN)
        fill(screen, "data.test", "0.25")  # of how many is known once the data is read
        await until(pilot, lambda: not power(screen))
        fill(screen, "data.test", "1000")
        await until(pilot, lambda: power(screen).startswith("1,000 test items"))
        fill(screen, "data.test", "0")
        await until(pilot, lambda: not power(screen))


async def test_another_source_is_asked_for_by_its_full_path_and_may_be_unknown(
    host: Host, analyst: Analyst, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyst.held.set()
    monkeypatch.chdir(tmp_path)
    async with host.run_test(size=(140, 40)) as pilot:
        screen = await opened(host, pilot)
        await until(pilot, lambda: power(screen) == SEEN)
        fill(screen, "data.source", "mine.csv")
        await until(pilot, lambda: str(tmp_path / "mine.csv") in analyst.asked)
        await host.workers.wait_for_complete()
        await until(pilot, lambda: power(screen) == ASSUMED)
        fill(screen, "data.source", "quickstart")
        await until(pilot, lambda: power(screen) == SEEN)


async def test_an_engine_without_data_settings_says_nothing_of_test_items(host: Host) -> None:
    async with host.run_test(size=(80, 24)) as pilot:
        screen = await opened(host, pilot)
        await until(pilot, lambda: command(screen))
        assert power(screen) == ""


def test_the_estimate_says_first_what_decides_and_leaves_out_what_is_nothing() -> None:
    estimate = Estimate(
        "e", "bert", "cpu", {"train": {"weights": 300 << 20, "labels": 4000, "activations": 2 << 30}}, {}, pace=PACE
    )
    text = estimate_text(estimate, 8 << 30)
    assert text == (
        "fits, 8.00 GiB free: memory 2.29 GiB; time: about 20 seconds, by 1 earlier run on this device; "
        "of it activations 2.00 GiB + weights 300 MiB"
    )
    cut = cut_to(text, 30, 3).split("\n")
    assert len(cut) == 3 and max(map(len, cut)) <= 30 and cut[-1].endswith(" …")
    assert " ".join(cut_to(text, 60, 3).split("\n")) == text


@pytest.mark.parametrize(("width", "is_cut"), [(60, True), (200, False)])
async def test_an_estimate_that_has_no_room_shows_that_there_is_more(
    host: Host, monkeypatch: pytest.MonkeyPatch, width: int, is_cut: bool
) -> None:
    parts = {f"component number {n}": (n + 1) << 30 for n in range(9)}
    estimate = Estimate("e", "bert", "cpu", {"train": parts}, {}, pace=PACE)
    monkeypatch.setattr(actions, "estimate", lambda *asked: (estimate, 64 << 30))
    async with host.run_test(size=(width, 40)) as pilot:
        await host.push_screen(LaunchScreen("quickstart/bag-of-words"))
        await until(pilot, lambda: "fits, 64.00 GiB free" in text_of(host.screen))
        assert ("…" in text_of(host.screen).split("fits, 64")[1].split("labtui run")[0]) is is_cut
        assert ("number 0 1.00 GiB" in text_of(host.screen)) is not is_cut
