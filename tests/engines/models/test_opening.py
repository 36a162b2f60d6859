import shutil
from pathlib import Path

import pytest

from engines.errors import UserError
from engines.models import opening, tiny


def test_an_encoder_is_refused_as_a_model_that_writes_no_text() -> None:
    with pytest.raises(UserError, match="distilbert, which fills gaps and writes no text"):
        opening.load_model(tiny.resolve("tiny:distilbert"), "float32", "cpu")


def test_a_model_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny.resolve("tiny:mistral"), tmp_path, dirs_exist_ok=True)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["model.norm.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"model\.norm\.weight, they would be random"):
        opening.load_model(tmp_path, "float32", "cpu")
