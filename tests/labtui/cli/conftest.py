from collections.abc import Callable
from pathlib import Path

import pytest

from engines.runs.folder import RunFolder
from engines.runs.home import Home
from labtui.cli import main
from labtui.cli.common import OK

Scripted = Callable[..., RunFolder]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def config(scripted: Scripted, tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text('engine = "scripted"\nsteps = 3\n')
    return str(path)


@pytest.fixture
def theirs(tmp_path: Path, home: Home, capsys: Captured) -> str:
    """The name of a run imported from a file with two columns of predictions, 12 and 6 of 12 right."""
    path = tmp_path / "their predictions.csv"
    path.write_text("label,first,second\n" + "1,1,0\n" * 6 + "0,0,0\n" * 6)
    assert main(["import", str(path), "--name", "theirs", "--varied", "head"]) == OK
    out, err = capsys.readouterr()
    assert "predictions in columns first, second" in err and "warning" not in err
    return out.strip()
