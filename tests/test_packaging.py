"""What a wheel holds: everything a user needs, away from the source tree."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from engines import catalog

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def unpacked_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = target.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target / "site")
    return target / "site"


def test_a_wheel_finds_every_experiment_from_another_directory(unpacked_wheel: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(unpacked_wheel)}
    code = "import engines.catalog as c; print(c.__file__); print(*c.experiments(), sep='\\n'); c.read('bag-of-words')"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    place, *names = done.stdout.split()
    assert place.startswith(str(unpacked_wheel)), done.stderr
    assert names == list(catalog.experiments()) and "quickstart/distilbert-loop" in names


@pytest.mark.parametrize(
    "file",
    [
        "labtui/console/app.tcss",
        "labtui/results/published.toml",
        "labtui/py.typed",
        "engines/py.typed",
        "engines/models/tiny_models/distilbert/model.safetensors",
    ],
)
def test_a_wheel_holds_the_files_beside_the_code(unpacked_wheel: Path, file: str) -> None:
    assert (unpacked_wheel / file).is_file()


def test_constraints_pin_every_dependency_exactly() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    assert all("==" in line for line in lines) and "torch==2.13.0" in lines
