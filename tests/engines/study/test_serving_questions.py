import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from engines.runs.home import Home
from engines.study import __main__
from engines.study.reader import ResultsReader
from tests.support import wait_until
from tests.support.answered import answered, row

N, P = "negative", "positive"
ROOT = Path(__file__).parents[3]
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(home: Home) -> Iterator[Start]:
    """Start the process; `before` is code that it runs first."""
    started = []

    def begin(before: str = "") -> subprocess.Popen[bytes]:
        main = f"from engines.study.__main__ import main; sys.exit(main(['', {str(home.path)!r}]))"
        code = f"import sys\n{before}\n{main}"
        argv = [sys.executable, "-c", code]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(argv, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        with process:  # closes its pipes
            process.wait()


def ask(process: subprocess.Popen[bytes], what: str, **arguments: Any) -> dict[str, Any]:
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps({"id": 7, "ask": what, "with": arguments}).encode() + b"\n")
    process.stdin.flush()
    reply: dict[str, Any] = json.loads(process.stdout.readline())
    assert reply.pop("id") == 7
    return reply


def test_answers_are_those_of_the_study(home: Home, start: Start) -> None:
    folder = answered(home, [N, P] * 50, [N, P] * 50, [P, P] * 50)
    process, here = start(), ResultsReader(home)
    rows = [row(folder, repeat=n) for n in range(2)]
    query = {"rows": rows, "which": "wrong", "label": "", "fewest_words": 0, "most_words": 0, "offset": 0, "limit": 2}
    questions: list[tuple[str, dict[str, Any]]] = [
        ("measure", {"run": folder.name}),
        ("spread", {"rows": rows}),
        ("compare", {"rows": rows, "names": ["A", "B"]}),
        ("repeats", {"run": folder.name, "variant": ""}),
        ("items", {"query": query}),
        ("item", {"run": folder.name, "hash": "0" * 64}),
        ("disagreement", {"source": "quickstart", "engine": "qlora"}),
    ]
    assert {what for what, _ in questions} == set(__main__.QUESTIONS)
    for what, arguments in questions:
        expected = json.loads(json.dumps(getattr(here, what)(**arguments)))
        assert ask(process, what, **arguments) == {"answer": expected}


def test_what_cannot_be_answered_is_a_sentence_and_a_fault_has_its_traceback(start: Start) -> None:
    process = start()
    reply = ask(process, "measure", run="nothing")
    assert reply.keys() == {"error"} and reply["error"].startswith("no run nothing in ")
    assert "no question" in ask(process, "__class__")["error"]
    reply = ask(process, "measure")
    assert reply["error"].startswith("measure failed: TypeError: ") and "\n" not in reply["error"]
    assert reply["traceback"].startswith("Traceback") and "TypeError" in reply["traceback"]


def test_only_answers_reach_the_standard_output(home: Home, start: Start) -> None:
    folder = answered(home, [N, P], [N, P])
    process = start(
        "import os, warnings; from engines.study import reader\n"
        "def loud(*rest, real=reader.measure_answers):\n"
        "    print('printed'); os.system('echo from a child'); warnings.warn('warned'); return real(*rest)\n"
        "reader.measure_answers = loud"
    )
    assert ask(process, "measure", run=folder.name)["answer"]["run"] == folder.name
    out, errors = process.communicate(timeout=20)
    assert out == b"" and all(word in errors for word in (b"printed", b"from a child", b"warned"))


def test_it_ends_with_its_input_even_while_it_works(home: Home, start: Start) -> None:
    process = start()
    ask(process, "measure", run="nothing")
    assert process.stdin
    process.stdin.close()
    assert process.wait(timeout=20) == 0
    folder = answered(home, [N, P], [N, P])
    busy = start(
        "from engines.runs import folder; import os, time\n"
        "os.fsync = lambda fd: (print('stored', file=sys.stderr, flush=True), time.sleep(60))"
    )
    assert busy.stdin and busy.stderr
    busy.stdin.write(json.dumps({"id": 1, "ask": "measure", "with": {"run": folder.name}}).encode() + b"\n")
    busy.stdin.flush()
    assert busy.stderr.readline() == b"stored\n"
    busy.stdin.close()
    assert busy.wait(timeout=20) == 0
    assert not [path.name for path in folder.path.iterdir() if "npz" in path.name], "nothing half-written stays"


def test_it_is_gone_when_its_parent_was_killed(home: Home) -> None:
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-m', 'engines.study', {str(home.path)!r}],\n"
        "                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert parent.stdout
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, what="the child has ended")


def test_it_leaves_the_processor_to_training(start: Start) -> None:
    process = start()
    ask(process, "measure", run="nothing")
    assert os.getpriority(os.PRIO_PROCESS, process.pid) == os.getpriority(os.PRIO_PROCESS, 0) + 5
    reply = ask(process, "disagreement", source="quickstart", engine="qlora")
    assert reply == {"answer": {"share": None, "pairs": 0}}
    threads = psutil.Process(process.pid).num_threads()
    assert threads <= 3, f"{threads} threads: questions, answers and what prepares the next"


def test_the_first_idle_moment_prepares_for_comparisons(start: Start) -> None:
    process = start()
    ask(process, "measure", run="nothing")
    maps = Path(f"/proc/{process.pid}/maps")
    wait_until(lambda: "/scipy/stats/" in maps.read_text(), what="SciPy is there before it is asked for")


def test_it_says_how_it_is_called() -> None:
    done = subprocess.run([sys.executable, "-m", "engines.study"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "usage: python -m engines.study HOME\n")
