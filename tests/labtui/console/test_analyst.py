import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from engines.answers.variant import Variant
from engines.errors import UserError
from engines.runs.home import Home
from engines.study.reader import ResultsReader
from engines.study.values import ItemQuery
from labtui.console.analyst import Analyst
from labtui.console.app import LabApp
from tests.support import wait_until
from tests.support.answered import answered, item_hash, row

N, P = "negative", "positive"


class Log:
    def __init__(self) -> None:
        self.text = ""

    def __call__(self, traceback: str) -> None:
        self.text += traceback


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def analyst(home: Home, log: Log) -> Iterator[Analyst]:
    found = Analyst(home, log)
    yield found
    found.close()


def children() -> list[psutil.Process]:
    """The analysis processes of this test."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if "engines.study" in child.cmdline():
                found.append(child)
    return found


def test_its_answers_are_those_of_the_study(home: Home, analyst: Analyst) -> None:
    folder = answered(home, [N, P] * 50, [N, P] * 50, [P, P] * 50)
    here = ResultsReader(home)
    rows = [row(folder, repeat=n) for n in range(2)]
    assert analyst.compare(rows, ["A", "B"])["pairs"] == here.compare(rows, ["A", "B"])["pairs"]
    assert analyst.repeats(folder.name)["agreement"] == here.repeats(folder.name, Variant.OWN)["agreement"]
    assert analyst.spread(rows)["kappa"] == here.spread(rows)["kappa"]
    assert analyst.item(folder.name, item_hash(4)) == here.item(folder.name, item_hash(4))
    query: ItemQuery = {
        "rows": rows,
        "which": "disagree",
        "label": "",
        "fewest_words": 0,
        "most_words": 0,
        "offset": 0,
        "limit": 5,
    }
    assert analyst.items(query) == here.items(query)
    assert analyst.disagreement("quickstart", "bag_of_words") == {"share": None, "pairs": 0}


def test_all_runs_are_measured_with_progress_and_why_some_are_not(home: Home, analyst: Analyst) -> None:
    folder = answered(home, [N, P], [N, P])
    told: list[tuple[int, int]] = []
    first, second = analyst.measure_all([folder.name, "gone"], lambda done, total: told.append((done, total)))
    assert not isinstance(first, UserError) and first["run"] == folder.name
    assert isinstance(second, UserError) and "no run gone" in str(second)
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_its_process_starts_with_the_first_question(home: Home, analyst: Analyst) -> None:
    assert not children()
    with pytest.raises(UserError, match="no run nothing"):
        analyst.measure("nothing")
    assert len(children()) == 1
    analyst.close()
    assert not children()


def test_a_dead_process_is_started_anew(home: Home, analyst: Analyst) -> None:
    folder = answered(home, [N, P], [N, P])
    before = analyst.measure(folder.name)
    (child,) = children()
    child.kill()
    assert analyst.measure(folder.name) == before
    (other,) = children()
    assert other.pid != child.pid


def test_a_process_that_dies_while_it_answers_is_started_anew(home: Home, analyst: Analyst) -> None:
    folder = answered(home, [N, P], [N, P])
    analyst.measure(folder.name)
    (child,) = children()
    child.suspend()
    found = []
    thread = threading.Thread(target=lambda: found.append(analyst.measure(folder.name)))
    thread.start()
    wait_until(lambda: analyst._turn.locked(), what="the question has been asked")
    child.kill()
    thread.join(20)
    assert found and found[0]["run"] == folder.name


def test_a_process_that_cannot_live_is_reported_with_its_last_words(
    home: Home, analyst: Analyst, log: Log, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho out of order >&2\nexit 1\n")
    broken.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(UserError, match=r"ended twice \(out of order\); try again"):
        analyst.measure("any")
    assert log.text == "out of order\n"


def test_a_fault_is_a_sentence_for_the_user_and_a_traceback_for_the_log(home: Home, analyst: Analyst, log: Log) -> None:
    with pytest.raises(UserError, match="^spread failed: TypeError"):
        analyst.spread(3)  # type: ignore[arg-type]
    assert log.text.startswith("Traceback")


def test_questions_of_many_threads_get_their_own_answers(home: Home, analyst: Analyst) -> None:
    folders = [answered(home, [N, P] * n, [N, P] * n) for n in range(1, 6)]
    found: dict[str, str] = {}

    def ask(name: str) -> None:
        for _ in range(20):
            found[name] = analyst.measure(name)["run"]

    threads = [threading.Thread(target=ask, args=(folder.name,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {folder.name: folder.name for folder in folders} and len(children()) == 1


def test_a_question_gets_its_turn_among_those_of_who_asks_on_and_on(
    home: Home, analyst: Analyst, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = answered(home, [N, P], [N, P])
    analyst.measure(folder.name)
    order: list[str] = []
    reply = analyst._reply

    def noted(what: str, given: Any) -> Any:
        order.append(what)
        return reply(what, given)

    monkeypatch.setattr(analyst, "_reply", noted)
    (child,) = children()
    child.suspend()
    on_and_on = threading.Thread(target=lambda: list(analyst.measure_all([folder.name] * 3)))
    one = threading.Thread(target=lambda: analyst.item(folder.name, item_hash(0)))
    on_and_on.start()
    wait_until(lambda: order, what="the first has been asked")
    one.start()
    wait_until(lambda: analyst._next.locked(), what="the other waits")
    child.resume()
    for thread in (one, on_and_on):
        thread.join(20)
    assert order == ["measure", "item", "measure", "measure"]


def test_closing_frees_whoever_waits_and_answers_nobody_after(home: Home, analyst: Analyst) -> None:
    folder = answered(home, [N, P], [N, P])
    analyst.measure(folder.name)
    (child,) = children()
    os.kill(child.pid, signal.SIGSTOP)  # it will not answer
    said: list[str] = []

    def ask() -> None:
        try:
            list(analyst.measure_all([folder.name, folder.name]))
        except UserError as error:
            said.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(lambda: analyst._turn.locked(), what="the question has been asked")
    analyst.close()
    thread.join(20)
    assert said == ["results are closed: the console is leaving"] and not children()
    with pytest.raises(UserError, match="results are closed"):
        analyst.measure(folder.name)


async def test_the_console_has_one_and_ends_its_process_on_leaving(home: Home) -> None:
    folder = answered(home, [N, P], [N, P])
    app = LabApp(home)
    async with app.run_test() as pilot:
        assert not children(), "nobody has asked yet"
        found: list[str] = []
        app.in_background(lambda: app.analyst.measure(folder.name)["run"], found.append)
        while not found:
            await pilot.pause(0.02)
        assert found == [folder.name] and len(children()) == 1
        app.in_background(lambda: app.analyst.spread(3))  # type: ignore[arg-type]
        log = home.path / "console.log"
        while not log.exists():
            await pilot.pause(0.02)
    assert not children()
    assert "Traceback" in log.read_text()
