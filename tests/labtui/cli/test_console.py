import json
import subprocess
import sys

import pytest

from engines.runs.home import Home
from engines.runs.summary import list_runs
from labtui.cli import main
from labtui.cli.common import NO_TERMINAL, OK
from tests.labtui.cli.conftest import Captured


@pytest.mark.parametrize(("argv", "instead"), [([], "labtui list"), (["quickstart"], "labtui quickstart --follow")])
def test_without_a_terminal_the_message_names_the_command_to_use(argv: list[str], instead: str, home: Home) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "labtui", *argv], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == NO_TERMINAL and done.stdout == "" and instead in done.stderr
    assert list_runs(home) == []


def test_doctor_answers_in_json_and_finds_the_home(home: Home, capsys: Captured) -> None:
    code = main(["doctor", "--json"])
    findings = {f["name"]: f for f in json.loads(capsys.readouterr().out)}
    assert code == OK
    assert findings["torch"]["ok"] and findings["home"]["text"] == str(home.path)
    assert {"python", "hub", "hub token", "disk"} <= findings.keys()
    assert findings["access"] == {"name": "access", "ok": True, "text": "mode 700", "required": True}
