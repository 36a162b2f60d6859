"""Every command with hostile names, labels, paths, titles and messages, in front of a terminal and into pipes."""

import argparse
import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.answers import predictions
from engines.answers.predictions import Prediction
from engines.data.items import Example, write_items
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.scores import Scores
from labtui.cli import _parser
from labtui.cli.common import FAULT
from tests.labtui.fabric import append, finished

ROOT = Path(__file__).parents[3]
CLIPBOARD, COLOUR, TURNED = "\x1b]52;c;aGFjaw==\x07", "\x9b31m\x1b[2J", "\u202egnp\u2066"
HOSTILE = f"a{CLIPBOARD}b{COLOUR}c{TURNED}d\x00\x7f"
IN_A_NAME = HOSTILE.replace("\x00", "")
LABELS = [f"no{COLOUR}{TURNED}", f"yes{CLIPBOARD}"]
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
PROGRAM = """
import json, os, sys
from labtui.cli import main, runs
for number, argv in enumerate(json.loads(os.environ["CALLS"])):
    if argv == ["fault"]:
        def list_runs(home):
            raise LookupError(os.environ["HOSTILE"])
        runs.list_runs, argv = list_runs, ["list"]
    try:
        code = main(argv)
    except SystemExit as left:
        code = left.code
    for stream in (sys.stdout, sys.stderr):
        print(f"<<{number} {code}>>", file=stream, flush=True)
"""


@pytest.fixture
def hostile_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home under a hostile path with two finished runs, a failed one, and an experiment in a hostile file."""
    monkeypatch.setenv("LABTUI_HOME", str(tmp_path / f"home{IN_A_NAME}"))
    home = Home()
    for name in ("one", "two"):
        document = {"engine": "prompting", "title": HOSTILE, "family": HOSTILE, "experiment": f"{name} {HOSTILE}"}
        folder = RunFolder.create(home, {**document, "model": {"name": HOSTILE}, "data": {"source": HOSTILE}})
        folder.path.rename(folder.path.with_name(f"{name}-{IN_A_NAME}-1234"))
        folder = RunFolder(folder.path.with_name(f"{name}-{IN_A_NAME}-1234"))
        examples = [Example(f"{n} {HOSTILE}", n % 2, n, f"{n:064x}") for n in range(8)]
        write_items(folder, examples, LABELS)
        answers = [Prediction(e.hash, LABELS[e.label], LABELS[e.row // 4], [0.5, 0.5], text=HOSTILE) for e in examples]
        predictions.write(folder, answers)
        note = ev.Note(HOSTILE, "warning")
        repeats = [ev.Repeat(0, HOSTILE, HOSTILE, Scores(accuracy=0.5), LABELS, [[2, 2, 0], [2, 2, 0]])]
        scores = Scores(accuracy=0.5, recall=dict.fromkeys(LABELS, 0.5))
        matrix = [[2, 2, 0], [2, 2, 0]]
        end = finished(items=8, labels=LABELS, confusion=matrix, model=HOSTILE, scores=scores)
        append(folder, ev.Started(HOSTILE, "", {HOSTILE: HOSTILE}, 0), note, *repeats, end)
    failed = RunFolder.create(home, {"engine": HOSTILE, "title": HOSTILE, "family": "", "experiment": "failed"})
    append(failed, ev.Failed(HOSTILE, f"{HOSTILE}\n{HOSTILE}", f"Traceback {HOSTILE}\n{HOSTILE}", HOSTILE))
    configs = tmp_path / f"configs{IN_A_NAME}"
    configs.mkdir()
    monkeypatch.setenv("LABTUI_CONFIGS", str(configs))
    text = f"engine = {json.dumps(HOSTILE)}\n"
    (configs / f"theirs{IN_A_NAME}.toml").write_text(text.replace("\x7f", "\\u007f"), encoding="utf-8")
    yield home


def calls(tmp_path: Path) -> list[list[str]]:
    """At least one call of every command."""
    header = tmp_path / f"header{IN_A_NAME}.csv"
    header.write_text(f"te{CLIPBOARD}xt,lab{COLOUR}el,{TURNED}\n1,2,3\n", encoding="utf-8")
    answers = tmp_path / f"answers{IN_A_NAME}.csv"
    labels = [label.replace(",", ";") for label in LABELS]
    rows = "".join(f"{HOSTILE} {n},{labels[n % 2]},{labels[n % 2] if n else HOSTILE}\n" for n in range(6))
    answers.write_text(f"text,label,prediction\n{rows}".replace("\x00", ""), encoding="utf-8")
    config = tmp_path / f"config{IN_A_NAME}.toml"
    config.write_text('engine = "bag_of_words"\n"\\u001b[2J\\u009b" = 1\n', encoding="utf-8")
    named, runs = str(tmp_path / IN_A_NAME), ["one", "two"]
    return [
        ["quickstart"],
        *(["experiments", *json_] for json_ in ([], ["--json"])),
        ["run", str(config)],
        ["run", named],
        ["run", "bag-of-words", "--set", f"data.source={named}", "--follow"],
        ["run", "bag-of-words", "--set", f"{IN_A_NAME}=1"],
        ["run", "bag-of-words", "--device", IN_A_NAME],
        *(["data", str(answers), *json_] for json_ in ([], ["--json"])),
        ["data", str(header)],
        ["data", named, "--model", named],
        ["estimate", str(config)],
        *(["list", *json_] for json_ in ([], ["--json"])),
        *(["show", run, *json_] for run in ("one", "failed") for json_ in ([], ["--json"])),
        ["show", IN_A_NAME],
        ["show", "1234"],
        ["follow", "one"],
        ["follow", "failed"],
        ["stop", "one"],
        ["resume", "one"],
        *(["results", "--format", form] for form in ("table", "json", "csv", "md", "latex")),
        *(["compare", *runs, *json_] for json_ in ([], ["--json"])),
        ["compare", f"one:{IN_A_NAME}", "two"],
        *(["export", "one", "--format", form] for form in ("csv", "json", "card")),
        ["export", "one", "--output", named + "/x"],
        ["export", "one", "--output", named],
        ["import", str(header)],
        ["import", str(answers), "--name", IN_A_NAME, "--model", IN_A_NAME],
        ["import", named],
        ["report", "one", "--output", named + ".html"],
        *(["classify", HOSTILE.replace("\x00", ""), "--run", "one", *json_] for json_ in ([], ["--json"])),
        ["evaluate", "one", "--set", f"data.source={named}"],
        ["evaluate", "failed"],
        ["predict", "failed", named],
        ["predict", "one", named],
        ["doctor"],
        ["doctor", "--json"],
        [IN_A_NAME],
        ["list", IN_A_NAME],
        ["fault"],
    ]


def test_no_command_lets_anything_through_that_steers_a_terminal(hostile_home: Home, tmp_path: Path) -> None:
    called = [argv for argv in calls(tmp_path) if "--json" not in argv]
    subparsers = next(a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction))
    assert set(subparsers.choices) - {argv[0] for argv in called} == set()

    pieces = _pieces(_in_a_terminal(called), len(called))
    for argv, (text, code) in zip(called, pieces, strict=True):
        assert not RAW.search(text), (argv, text)
        assert "Traceback (most" not in text and (code != str(FAULT) or argv == ["fault"]), (argv, text)
    assert pieces[-1][1] == str(FAULT)
    assert "LookupError: ab" in pieces[-1][0]


def test_pipes_get_narration_and_lines_for_people_clean_and_data_as_it_is(hostile_home: Home, tmp_path: Path) -> None:
    slow = ("classify", "doctor")  # once is enough
    called = [argv for argv in calls(tmp_path) if argv[0] not in slow or "--json" in argv]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=_environment(called),
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    for argv, (text, code) in zip(called, _pieces(done.stderr, len(called)), strict=True):
        assert not RAW.search(text), (argv, text)
        assert code != str(FAULT) or argv == ["fault"], (argv, text)
    for argv, (text, code) in zip(called, _pieces(done.stdout, len(called)), strict=True):
        if "csv" in argv:
            assert code == "0" and "\x1b" in text
            continue
        assert not RAW.search(text), (argv, text)
        if "json" in argv or ("--json" in argv and code in ("0", "1") and text):
            json.loads(text)
    items = json.loads(
        next(
            t
            for a, (t, _) in zip(called, _pieces(done.stdout, len(called)), strict=True)
            if a == ["export", "one", "--format", "json"]
        )
    )
    assert items[0]["text"] == f"0 {HOSTILE}" and items[0]["label"] == LABELS[0]


def _environment(called: list[list[str]]) -> dict[str, str]:
    return {
        **os.environ,
        "CALLS": json.dumps(called),
        "HOSTILE": HOSTILE.replace("\x00", ""),
        "PYTHONIOENCODING": "utf-8",
    }


def _in_a_terminal(called: list[list[str]]) -> bytes:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={**_environment(called), "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    output = b""
    with contextlib.suppress(OSError):  # what reading says when the last writer has gone
        while data := os.read(ours, 1 << 16):
            output += data
    os.close(ours)
    process.wait()
    return output.replace(b"\r\n", b"\n")


def _pieces(output: bytes, count: int) -> list[tuple[str, str]]:
    """What each call wrote, and its exit code; a terminal shows the mark of both streams."""
    pieces = []
    rest = output.decode("utf-8", "backslashreplace")
    for number in range(count):
        match = re.search(rf"<<{number} (\S+)>>\n(<<{number} \S+>>\n)?", rest)
        assert match, (number, rest[:2000])
        pieces.append((rest[: match.start()], match[1]))
        rest = rest[match.end() :]
    return pieces
