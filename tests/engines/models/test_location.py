import json
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from safetensors.numpy import save_file

from engines.errors import ModelError
from engines.models.location import Model, locate
from tests.engines.conftest import Recorder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "mine"
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    save_file({"weight": numpy.zeros(4, numpy.float32)}, path / "model.safetensors")
    (path / "tokenizer.json").write_text("{}")
    return path


def test_a_local_folder_is_taken_as_it_is(folder: Path, recorder: Recorder) -> None:
    assert locate(Model(str(folder)), recorder.report) == folder


def test_a_tiny_model_ships_with_the_project(recorder: Recorder) -> None:
    place = locate(Model("tiny:distilbert"), recorder.report)
    assert (place / "config.json").is_file() and (place / "model.safetensors").is_file()


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


def test_a_model_without_its_tokenizer_is_refused_before_it_trains_on_nothing(folder: Path, recorder: Recorder) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"holds no tokenizer \(none of tokenizer.json, .*copy its tokenizer's files"):
        locate(Model(str(folder)), recorder.report)
    (folder / "vocab.json").write_text("{}")
    with pytest.raises(ModelError, match="lacks merges.txt"):
        locate(Model(str(folder)), recorder.report)


def test_missing_shards_are_named(folder: Path, recorder: Recorder) -> None:
    shards = {f"layer.{n}": f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)}
    (folder / "model.safetensors").rename(folder / "model-00001-of-00003.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    with pytest.raises(ModelError, match="lacks model-00002-of.*, model-00003-of.*, 2 of the files"):
        locate(Model(str(folder)), recorder.report)


@pytest.mark.parametrize("damage", [lambda b: b[:-4], lambda b: b"<html>" + b, lambda b: b + b"more", lambda b: b[:6]])
def test_damaged_weights_are_named_before_they_are_opened(
    folder: Path, recorder: Recorder, damage: Callable[[bytes], bytes]
) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(damage(weights.read_bytes()))
    with pytest.raises(ModelError, match="model.safetensors is damaged or cut off; copy or download it again"):
        locate(Model(str(folder)), recorder.report)


def test_code_that_a_model_brings_along_is_refused_alike_by_all_but_who_trusts_it(
    folder: Path, recorder: Recorder
) -> None:
    own = {"model_type": "their_own_kind", "auto_map": {"AutoModelForCausalLM": "modeling.Theirs"}}
    (folder / "config.json").write_text(json.dumps(own))
    with pytest.raises(ModelError, match="brings code of its own, .*trust_remote_code = true, the other engines"):
        locate(Model(str(folder)), recorder.report)
    assert locate(Model(str(folder)), recorder.report, trust_remote_code=True) == folder
    (folder / "config.json").write_text(json.dumps({**own, "model_type": "bert"}))
    assert locate(Model(str(folder)), recorder.report) == folder, "a kind that is known needs no code"
