"""The founding study in small: every row of it from one command, on the shipped models, and what the rows must show."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from engines import catalog
from engines.settings import flatten

FOUNDING = ("bag-of-words", "distilbert", "mistral-7b", "gemma-2b")  # how the experiments of the founding study begin
STUDY = [name for name in catalog.experiments() if name.startswith(FOUNDING)]
# what a twin does not say: its model, its data and what a small model is trained with
OWN = ("model.", "data.", "training.", "lora.")
TWINS = {
    "bag-of-words": "bag-of-words",
    "distilbert-frozen": "distilbert-frozen",
    "distilbert-loop": "distilbert-loop",
    "distilbert-trainer": "distilbert-trainer",
    "mistral-7b-zero-shot": "mistral-zero-shot",
    "mistral-7b-qlora": "mistral-qlora",
    "gemma-2b-zero-shot": "gemma-zero-shot",
    "gemma-2b-it-zero-shot": "gemma-zero-shot",
    "gemma-2b-one-shot": "gemma-one-shot",
    "gemma-2b-few-shot": "gemma-few-shot",
    "gemma-2b-untrained-head": "gemma-untrained-head",
    "gemma-2b-qlora": "gemma-qlora",
}


@pytest.mark.parametrize("name", STUDY)
def test_every_experiment_of_the_study_has_a_twin_that_differs_in_its_model_and_sizes_alone(name: str) -> None:
    full, small = catalog.read(name), catalog.read(f"quickstart/{TWINS[name]}")
    assert small.engine == full.engine
    assert _shared(small) == _shared(full)


def _shared(experiment: catalog.Experiment) -> dict[str, Any]:
    return {key: value for key, value in flatten(asdict(experiment.config)) if not key.startswith(OWN)}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """What `labtui quickstart` leaves, by experiment, an untuned model under "NAME before tuning"."""
    place: Path = tmp_path_factory.mktemp("study")
    own = {"LABTUI_HOME": str(place / "home"), "LABTUI_CONFIGS": str(place / "configs"), "HF_HUB_OFFLINE": "1"}
    environment = {**os.environ, **own}
    labtui = [sys.executable, "-m", "labtui"]
    done = subprocess.run([*labtui, "quickstart", "--follow"], env=environment, capture_output=True, timeout=840)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    listed = subprocess.run([*labtui, "results", "--format", "json"], env=environment, capture_output=True, check=True)
    document = json.loads(listed.stdout)
    yield {f"{row['config'].removeprefix('quickstart/')} {row['variant']}".rstrip(): row for row in document}


@pytest.mark.timeout(900)
def test_the_quickstart_shows_every_row_of_the_study(rows: dict[str, dict[str, Any]]) -> None:
    assert set(rows) == {*TWINS.values(), "mistral-qlora before tuning", "gemma-qlora before tuning"}
    assert {row["items"] for row in rows.values()} == {1000}


@pytest.mark.timeout(900)
def test_what_the_study_could_not_show_is_shown(rows: dict[str, dict[str, Any]]) -> None:
    accuracy = {name: row["accuracy"] for name, row in rows.items()}
    assert accuracy["bag-of-words"] > 0.8
    assert accuracy["distilbert-loop"] == pytest.approx(accuracy["distilbert-trainer"], abs=0.01)
    assert accuracy["distilbert-loop"] > accuracy["distilbert-frozen"] > accuracy["bag-of-words"]
    for model in ("mistral", "gemma"):
        assert accuracy[f"{model}-qlora"] > accuracy[f"{model}-qlora before tuning"] + 0.02
    assert 0.4 < accuracy["gemma-untrained-head"] < 0.6 < accuracy["gemma-zero-shot"]
    assert "UNTRAINED HEAD" in rows["gemma-untrained-head"]["model"]
