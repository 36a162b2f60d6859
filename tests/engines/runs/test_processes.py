import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from engines.errors import AlreadyRunningError
from engines.runs import events as ev
from engines.runs import locks, processes, queue
from engines.runs.event_files import EventReader, read_all
from engines.runs.folder import Launch, RunFolder
from engines.runs.summary import FAILED, FINISHED, LOST, RUNNING, STOPPED, list_runs, read_end, summarize
from tests.support import wait_until

Scripted = Callable[..., RunFolder]


def state(folder: RunFolder) -> str:
    return summarize(folder).state


def gapless(folder: RunFolder) -> list[ev.Event]:
    reader = EventReader(folder.events)
    records = reader.read()
    assert [r.seq for r in records] == list(range(len(records))) and reader.bad_lines == 0
    return [r.event for r in records]


def test_a_run_is_alive_from_the_moment_of_launch(scripted: Scripted) -> None:
    folder = scripted(steps=1)
    assert processes.is_alive(folder) or state(folder) == FINISHED
    wait_until(lambda: state(folder) == FINISHED)
    wait_until(lambda: not processes.is_alive(folder))
    kinds = [e.kind for e in gapless(folder)]
    assert kinds[0] == "started" and kinds[-1] == "finished"


def test_probing_life_takes_nothing(tmp_path: Path) -> None:
    lock = tmp_path / "alive.lock"
    assert not locks.is_locked(lock) and not lock.exists()
    fd = locks.try_lock(lock)
    assert fd is not None and locks.is_locked(lock) and locks.try_lock(lock) is None
    os.close(fd)
    assert not locks.is_locked(lock)


def test_a_second_worker_on_the_same_run_is_refused(scripted: Scripted) -> None:
    folder = scripted(steps=1000, pause_s=0.02)
    wait_until(lambda: state(folder) == RUNNING)
    with pytest.raises(AlreadyRunningError):
        processes.launch(folder, ["cpu"])
    by_hand = subprocess.run([sys.executable, "-m", "engines.worker", str(folder.path)], capture_output=True, text=True)
    assert by_hand.returncode == 2 and "living worker" in by_hand.stderr


def test_a_worker_killed_mid_write_loses_no_event_and_the_run_is_lost(scripted: Scripted) -> None:
    folder = scripted(steps=100000)
    wait_until(lambda: folder.events.exists() and folder.events.stat().st_size > 20000)
    assert processes.signal_tree(folder, signal.SIGKILL) == 1
    wait_until(lambda: state(folder) == LOST)
    steps = [e.step for e in gapless(folder) if isinstance(e, ev.Step)]
    assert steps == list(range(1, len(steps) + 1)) and len(steps) > 50


def test_asking_stops_at_the_next_step_and_resume_goes_on_without_double_steps(scripted: Scripted) -> None:
    folder = scripted(steps=60, pause_s=0.02)
    wait_until(lambda: state(folder) == RUNNING and summarize(folder).done > 3)
    processes.stop(folder)
    wait_until(lambda: state(folder) == STOPPED and not processes.is_alive(folder))
    done = summarize(folder).end
    assert done is not None and done.step is not None and done.step < 60
    processes.launch(folder, ["cpu"])
    wait_until(lambda: state(folder) == FINISHED)
    events = gapless(folder)
    assert [e.step for e in events if isinstance(e, ev.Resumed)] == [done.step]
    assert [e.step for e in events if isinstance(e, ev.Step)] == list(range(1, 61))


def test_sigterm_ends_the_whole_tree_even_sessions_of_their_own(scripted: Scripted) -> None:
    folder = scripted(steps=1000, pause_s=0.02, grandchild=True, ignore_requests=True)
    pid_file = folder.path / "grandchild.pid"
    wait_until(lambda: pid_file.exists() and pid_file.read_text() and state(folder) == RUNNING)
    processes.stop(folder)  # the engine does not listen
    said = processes.stop(folder, "terminate")
    assert "SIGTERM to 2 processes" in said
    wait_until(lambda: state(folder) == STOPPED)
    grandchild = int(pid_file.read_text())
    wait_until(lambda: processes.start_ticks(grandchild) == 0 or _is_zombie(grandchild))


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_reused_pid_is_never_signalled(scripted: Scripted) -> None:
    folder = scripted(start=False)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        launch = Launch(
            [],
            os.uname().nodename,
            processes.boot_id(),
            0.0,
            ["cpu"],
            bystander.pid,
            processes.start_ticks(bystander.pid) - 1,
        )
        folder.write_launch(launch)
        assert processes.signal_tree(folder, signal.SIGKILL) == 0
        folder.write_launch(
            dataclasses.replace(launch, pid_start_ticks=processes.start_ticks(bystander.pid), boot_id="another boot")
        )
        assert processes.signal_tree(folder, signal.SIGKILL) == 0
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_failing_engine_is_failed_with_type_message_and_traceback(scripted: Scripted) -> None:
    folder = scripted(steps=1, fail="the roof is on fire")
    wait_until(lambda: state(folder) == FAILED)
    last = gapless(folder)[-1]
    assert isinstance(last, ev.Failed)
    assert last.type == "RuntimeError" and last.message == "the roof is on fire" and "scripted.py" in last.traceback


def test_a_config_that_does_not_resolve_fails_with_a_sentence_and_no_traceback(scripted: Scripted) -> None:
    folder = scripted(start=False)
    folder.config.write_text('engine = "scripted"\nstepz = 3\n')
    processes.launch(folder, ["cpu"])
    wait_until(lambda: state(folder) == FAILED)
    last = gapless(folder)[-1]
    assert isinstance(last, ev.Failed) and 'did you mean "steps"?' in last.message and not last.traceback


def test_the_worker_survives_the_death_of_the_process_that_launched_it(scripted: Scripted) -> None:
    folder = scripted(start=False, steps=40, pause_s=0.02)
    code = (
        "import sys, time; from engines.runs import processes; from engines.runs.folder import RunFolder;"
        "processes.launch(RunFolder(sys.argv[1]), ['cpu']); print('up', flush=True); time.sleep(60)"
    )
    console = subprocess.Popen([sys.executable, "-c", code, str(folder.path)], stdout=subprocess.PIPE)
    assert console.stdout is not None and console.stdout.readline() == b"up\n"
    console.kill()
    console.wait()
    console.stdout.close()
    wait_until(lambda: state(folder) == FINISHED)
    assert [f.name for f in list_runs(folder.home)] == [folder.name]


def test_a_run_restarts_in_the_same_process_id_with_its_locks_and_the_changed_settings(scripted: Scripted) -> None:
    folder = scripted(steps=40, restart_above=10, start=False)
    processes.launch(folder, ["cpu"])
    seen = set()

    def finished() -> bool:
        seen.add((locks.is_locked(folder.lock), state(folder)))
        return state(folder) == FINISHED

    wait_until(finished)
    assert (False, RUNNING) not in seen and LOST not in {s for _, s in seen}, "it is alive all the while"
    launch = folder.read_launch()
    assert launch is not None and int((folder.path / "pid.txt").read_text()) == launch.pid
    assert folder.read_adjustments() == {"steps": 10}
    events = gapless(folder)
    starts = [e for e in events if isinstance(e, ev.Started)]
    assert len(starts) == 3 and len({s.config_hash for s in starts}) == 1, "the hash is of what was asked for"
    adjusted = [e for e in events if isinstance(e, ev.Adjusted)]
    assert [(e.before["steps"], e.after["steps"]) for e in adjusted] == [(40, 20), (20, 10)]
    assert [e.step for e in events if isinstance(e, ev.Step)] == list(range(1, 11))
    wait_until(lambda: not locks.is_locked(queue.device_lock(folder.home, "cpu")))


def test_the_device_stays_with_a_run_that_restarts(scripted: Scripted) -> None:
    first = scripted(steps=3000, restart_above=400, pause_s=0.002, ignore_requests=True)
    wait_until(lambda: state(first) == RUNNING)
    second = scripted(steps=1)
    wait_until(lambda: state(second) == FINISHED)
    starts = {f: [r.time for r in read_all(f.events) if isinstance(r.event, ev.Started)] for f in (first, second)}
    end = [r.time for r in read_all(first.events)][-1]
    assert len(starts[first]) == 4 and end <= starts[second][0] + 0.001


def test_a_signal_between_two_beginnings_is_not_lost(scripted: Scripted) -> None:
    folder = scripted(steps=1 << 40, restart_above=2, pause_s=0.01)
    wait_until(lambda: len(folder.read_adjustments()) > 0)
    assert processes.signal_tree(folder, signal.SIGTERM) == 1
    wait_until(lambda: state(folder) == STOPPED)
    assert len([e for e in gapless(folder) if isinstance(e, ev.Ended)]) == 1


def test_a_worker_leaves_at_its_end_whatever_threads_and_children_are_left(scripted: Scripted) -> None:
    folder = scripted(steps=1, lingering=True, grandchild=True)
    wait_until(lambda: summarize(folder).state == FINISHED)
    end = read_end(folder)
    assert end is not None
    wait_until(lambda: not processes.is_alive(folder), timeout_s=5.0)
    child = int((folder.path / "grandchild.pid").read_text())
    wait_until(lambda: is_gone(child), what="the end of its child")


def is_gone(pid: int) -> bool:
    """Ended, also where nobody has reaped it."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
