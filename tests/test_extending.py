"""docs/extending.md, followed to the letter in a copy of the source: what it adds works, in as few files as it says."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES_AT_MOST = {
    "An engine": 2,
    "A metric": 1,
    "A chart of a recorded value": 1,
    "A data format": 1,
    "A source of models": 1,
}
WALKS = dict(re.findall(r"^## ([^:\n]+).*\n((?:(?!## ).*\n)*)", (ROOT / "docs" / "extending.md").read_text(), re.M))


def test_the_page_holds_the_walks_that_are_followed_here() -> None:
    assert set(WALKS) == set(FILES_AT_MOST)


class Copy:
    """A copy of the packages, and programs run in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        nothing_built = shutil.ignore_patterns("__pycache__")
        for package in ("engines", "labtui", "configs", "tests"):
            shutil.copytree(ROOT / package, root / package, ignore=nothing_built)
        shutil.copy(ROOT / "pyproject.toml", root)
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(root),
            "LABTUI_HOME": str(root / "home"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def follow(self, walk: str) -> None:
        """Create the files and apply the differences of a walk."""
        files = {}
        for name, text in re.findall(r"^`([^`\n]+)`:\n```\w+\n(.*?)^```", WALKS[walk], re.M | re.S):
            assert not (self.root / name).exists(), f"{name} is there already"
            files[name] = text
        for name, hunks in re.findall(r"^```diff\n--- ([^\n]+)\n(.*?)^```", WALKS[walk], re.M | re.S):
            text = (self.root / name).read_text()
            for hunk in hunks.split("@@\n"):
                lines = [line if line.strip() else " \n" for line in hunk.splitlines(keepends=True)]
                before = "".join(line[1:] for line in lines if line[0] in " -")
                assert text.count(before) == 1, f"{name} does not hold once:\n{before}"
                text = text.replace(before, "".join(line[1:] for line in lines if line[0] in " +"))
            files[name] = text
        assert 0 < len(files) <= FILES_AT_MOST[walk]
        for name, text in files.items():
            (self.root / name).write_text(text)

    def run(self, *arguments: str, module: str = "labtui", **environment: str) -> str:
        """What a program writes to standard output; its failure is the test's."""
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=self.root,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "copy")


def test_a_new_engine_runs_is_in_the_results_and_is_covered_by_the_test_of_every_engine(copy: Copy) -> None:
    copy.follow("An engine")
    copy.run("run", "quickstart/majority", "--set", "data.test=50", "--follow")
    (row,) = json.loads(copy.run("results", "--format", "json"))
    assert row["model"] == "most frequent class" and row["items"] == 50 and 0.3 < row["accuracy"] < 0.7
    tests = ["-q", "-p", "no:cacheprovider", "tests/engines/methods/test_every_engine.py", "-k", "majority"]
    assert "2 passed" in copy.run(*tests, module="pytest")


def test_a_new_metric_is_scored_shown_and_exported(copy: Copy) -> None:
    copy.follow("A metric")
    copy.run("run", "quickstart/bag-of-words", "--set=data.train=60", "--set=data.test=50", "--follow")
    (row,) = json.loads(copy.run("results", "--format", "json", "--sort", "youden"))
    assert row["youden"] == pytest.approx(sum(row["recall"].values()) - 1) and row["youden"] != 0
    outputs = [copy.run("results", "--format", form) for form in ("table", "csv", "md", "latex")]
    assert all("youden" in output.lower() for output in outputs)
    assert "Youden's index" in copy.run("export", row["run"], "--format", "card")


CHART = """
import asyncio

from engines.runs.home import Home
from labtui.console.app import LabApp
from labtui.console.widgets.chart import Chart
from tests.labtui.fabric import make_run, started, steps

async def main():
    home = Home()
    make_run(home, *started(), *steps(1, 30, tokens_per_s=1234.0))
    app = LabApp(home)
    for size in ((140, 40), (80, 24)):
        async with app.run_test(size=size) as pilot:
            for _ in range(500):
                await pilot.pause(0.02)
                drawn = [c for c in app.screen.query("#token-rate").results(Chart) if "tokens/s" in c.plot.series]
                if drawn and drawn[0].region and drawn[0].plot.series["tokens/s"].ys:
                    break
            inside = drawn[0].region in app.screen.query_one("#charts").region
            print(inside, drawn[0].region.height > 0, drawn[0].plot.series["tokens/s"].ys[-1])
        app = LabApp(home)

asyncio.run(main())
"""


def test_a_new_chart_is_drawn_on_large_and_small_terminals(copy: Copy) -> None:
    copy.follow("A chart of a recorded value")
    (copy.root / "look.py").write_text(CHART)
    assert copy.run(module="look").splitlines() == ["True True 1234.0"] * 2


def test_a_new_format_is_read_by_its_content(copy: Copy) -> None:
    copy.follow("A data format")
    words = (("A superb", "positive"), ("A dull", "negative"))
    rows = [f"{label} | {word} film, seen {n} times" for n in range(30) for word, label in words]
    (copy.root / "reviews.vw").write_text("\n".join(rows) + "\n")
    sizes = ["--set=data.source=reviews.vw", "--set=data.train=30", "--set=data.validation=0", "--set=data.test=20"]
    copy.run("run", "quickstart/bag-of-words", *sizes, "--follow")
    (row,) = json.loads(copy.run("results", "--format", "json"))
    assert row["accuracy"] == 1.0


def test_a_new_source_of_models_serves_the_estimate_and_the_engines(copy: Copy) -> None:
    copy.follow("A source of models")
    team = copy.root / "team"
    shutil.copytree(copy.root / "engines" / "models" / "tiny_models" / "distilbert", team / "mini")
    model = ["quickstart/distilbert-frozen", "--set", "model.name=team:mini"]
    assert "weights" in copy.run("estimate", *model, TEAM_MODELS=str(team))
    sizes = ["--set=data.train=40", "--set=data.validation=0", "--set=data.test=20", "--set=features.max_length=32"]
    copy.run("run", *model, *sizes, "--follow", TEAM_MODELS=str(team))
    (row,) = json.loads(copy.run("results", "--format", "json"))
    assert row["model"] == "team:mini" and row["items"] == 20
