import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from engines.runs import events as ev
from engines.runs import locks, processes, queue
from engines.runs.event_files import EventReader
from engines.runs.folder import Launch, RunFolder
from engines.runs.home import Home
from engines.runs.summary import FINISHED, LOST, QUEUED, RUNNING, STOPPED, list_runs, summarize
from tests.support import wait_until

Scripted = Callable[..., RunFolder]


def state(folder: RunFolder) -> str:
    return summarize(folder).state


def started_at(folder: RunFolder) -> float:
    return next(r.time for r in EventReader(folder.events).read() if isinstance(r.event, ev.Started))


def test_one_run_a_device_and_the_rest_wait_in_order_of_launch(scripted: Scripted) -> None:
    first = scripted("first", steps=1000, pause_s=0.01)
    wait_until(lambda: state(first) == RUNNING)
    second, third = scripted("second", steps=1), scripted("third", steps=1)
    wait_until(lambda: summarize(second).ahead == 1 and summarize(third).ahead == 2, what="both say who goes first")
    assert state(second) == state(third) == QUEUED
    processes.stop(first)
    wait_until(lambda: state(third) == FINISHED)
    assert state(first) == STOPPED and state(second) == FINISHED
    assert started_at(second) < started_at(third)


def test_runs_on_different_devices_do_not_wait_for_each_other(scripted: Scripted) -> None:
    runs = [scripted(f"d{n}", devices=[f"GPU-{n}"], steps=1000, pause_s=0.02) for n in range(2)]
    wait_until(lambda: all(state(r) == RUNNING for r in runs))


def test_a_run_that_accepts_several_devices_takes_the_first_to_come_free(scripted: Scripted) -> None:
    holder = scripted("holder", devices=["GPU-a"], steps=1000, pause_s=0.02)
    wait_until(lambda: state(holder) == RUNNING)
    either = scripted("either", devices=["GPU-a", "GPU-b"], steps=1)
    wait_until(lambda: state(either) == FINISHED)
    assert summarize(holder).state == RUNNING
    events = [r.event for r in EventReader(either.events).read()]
    assert [e.device for e in events if isinstance(e, ev.Started)] == ["GPU-b"]


def test_a_killed_run_frees_its_device_and_its_place(scripted: Scripted) -> None:
    first = scripted("first", steps=1000, pause_s=0.02)
    wait_until(lambda: state(first) == RUNNING)
    waiting, last = scripted("waiting", steps=1), scripted("last", steps=1)
    wait_until(lambda: state(waiting) == state(last) == QUEUED and summarize(last).ahead == 2)
    processes.stop(waiting, "kill")
    wait_until(lambda: state(waiting) == LOST)
    processes.stop(first, "kill")
    wait_until(lambda: state(last) == FINISHED)
    left = [p for p in os.listdir(first.home.queue) if not p.endswith(".lock")]
    assert left == []


def test_a_waiting_run_can_be_stopped(scripted: Scripted) -> None:
    first = scripted("first", steps=1000, pause_s=0.02)
    wait_until(lambda: state(first) == RUNNING)
    waiting = scripted("waiting", steps=1)
    wait_until(lambda: state(waiting) == QUEUED)
    processes.stop(waiting)
    wait_until(lambda: state(waiting) == STOPPED)


def test_runs_ahead_counts_the_holder_of_the_device_and_everyone_who_waits(home: Home, scripted: Scripted) -> None:
    assert queue.runs_ahead(home, ["cpu"]) == 0
    held = locks.try_lock(queue.device_lock(home, "cpu"))
    assert held is not None
    assert queue.runs_ahead(home, ["cpu"]) == 1
    waiting = scripted(start=False)
    alive = locks.try_lock(waiting.lock)
    assert alive is not None
    launch = Launch([], "", "", 1.0, ["cpu"])
    waiting.write_launch(launch)
    queue.join(waiting, launch)
    assert queue.runs_ahead(home, ["cpu"]) == 2
    assert queue.runs_ahead(home, ["cpu", "GPU-1"]) == 0


def test_a_run_killed_while_it_waited_does_not_wait_for_itself_when_resumed(scripted: Scripted) -> None:
    first = scripted("first", steps=1000, pause_s=0.02)
    wait_until(lambda: state(first) == RUNNING)
    waiting = scripted("waiting", steps=1)
    wait_until(lambda: state(waiting) == QUEUED)
    processes.stop(waiting, "kill")
    wait_until(lambda: state(waiting) == LOST)
    processes.launch(waiting, ["cpu"])
    wait_until(lambda: state(waiting) == QUEUED and summarize(waiting).ahead == 1)
    processes.stop(first)
    wait_until(lambda: state(waiting) == FINISHED)


def test_a_clock_that_is_set_back_changes_no_order(
    home: Home, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = locks.try_lock(queue.device_lock(home, "cpu"))
    assert held is not None
    now = time.time()
    launched = []
    for name, clock_s in (("first", now), ("second", now - 86400)):
        monkeypatch.setattr(time, "time", lambda clock_s=clock_s: clock_s)
        launched.append(scripted(name, steps=1))
    first, second = launched
    wait_until(lambda: summarize(second).ahead == 2 and summarize(first).ahead == 1, what="the order of launches")
    assert queue.runs_ahead(home, ["cpu"]) == 3
    os.close(held)
    wait_until(lambda: state(second) == FINISHED)
    assert [f.name for f in list_runs(home)] == [second.name, first.name]


def test_launches_by_many_processes_at_once_get_numbers_of_their_own(home: Home) -> None:
    program = (
        "import sys; from engines.runs import order; from engines.runs.home import Home\n"
        "print(*[order.append(Home(sys.argv[1]), f'run-{n}') for n in range(50)])"
    )
    assert home.runs.is_dir()
    asked = [sys.executable, "-c", program, str(home.path)]
    workers = [subprocess.Popen(asked, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    numbers = [int(number) for worker in workers for number in worker.communicate()[0].split()]
    assert len(set(numbers)) == len(numbers) == 200
