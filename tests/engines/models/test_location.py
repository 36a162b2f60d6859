from pathlib import Path

import pytest

from engines.errors import ModelError
from engines.models.location import Model, locate
from tests.engines.conftest import Recorder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "mine"
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    (path / "model.safetensors").write_bytes(b"w")
    return path


def test_a_local_folder_is_taken_as_it_is(folder: Path, recorder: Recorder) -> None:
    assert locate(Model(str(folder)), recorder.report) == folder


def test_a_tiny_model_ships_with_the_project(recorder: Recorder) -> None:
    found = locate(Model("tiny:distilbert"), recorder.report)
    assert (found / "config.json").is_file() and (found / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("tiny:distilbrt", 'nearest is "tiny:distilbert"'),
        ("{folder}x", 'no such folder; did you mean "mine"'),
        ("{folder}/config.json", "is a file; set it to the folder"),
        ("{folder}/..", "holds no config.json"),
        ("", "model.name is empty"),
    ],
)
def test_a_wrong_name_is_answered_with_the_remedy(name: str, sentence: str, folder: Path, recorder: Recorder) -> None:
    with pytest.raises(ModelError, match=sentence):
        locate(Model(name.format(folder=folder)), recorder.report)


def test_pickled_weights_are_never_opened(folder: Path, recorder: Recorder) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="no weights as .*safetensors"):
        locate(Model(str(folder)), recorder.report)


@pytest.mark.parametrize("name", ["tiny:distilbert", "{folder}"])
def test_a_revision_of_a_local_model_is_refused(name: str, folder: Path, recorder: Recorder) -> None:
    with pytest.raises(ModelError, match='revision = "v2" is for models of the hub'):
        locate(Model(name.format(folder=folder), "v2"), recorder.report)
