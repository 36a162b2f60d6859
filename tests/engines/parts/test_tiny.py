"""The shipped tiny models: small, safe to load, offline, and base models without a classifier."""

import json
import socket
from pathlib import Path

import pytest

from engines.parts import tiny

FOLDER = tiny.resolve("tiny:distilbert")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a shipped model reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_the_folder_holds_safetensors_and_json_alone() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {
        "config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors",
    }  # fmt: skip


def test_the_folder_is_at_most_4_megabytes() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 4_000_000


def test_no_path_of_a_building_machine_is_shipped() -> None:
    configs = "".join((FOLDER / name).read_text() for name in ("config.json", "tokenizer_config.json"))
    assert str(Path.home()) not in configs
    assert json.loads((FOLDER / "config.json").read_text())["model_type"] == "distilbert"


@pytest.mark.parametrize("name", ["tiny:distilbret", "tiny:bert", "tiny:", "distilbert", "tiny:../distilbert"])
def test_an_unknown_name_names_the_nearest(name: str) -> None:
    with pytest.raises(ValueError, match="tiny:distilbert"):
        tiny.resolve(name)


def test_the_tokenizer_is_fast_and_frames_the_text(no_network: None) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    assert tokenizer.is_fast
    assert tokenizer.model_max_length == 512
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("The FILM was dull.")["input_ids"])
    assert tokens == ["[CLS]", "the", "film", "was", "dull", ".", "[SEP]"]


def test_any_english_text_is_tokenised_without_unknowns(no_network: None) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    ids = tokenizer('Quixotic? Zany & $9.99 jazz (3rd) vs. "WWII"; o\'er ~100% #1 {x}|y_z\\ café')["input_ids"]
    assert tokenizer.unk_token_id not in ids


def test_the_base_model_loads_whole_as_float32(no_network: None) -> None:
    import torch
    from transformers import AutoModel

    model, loading = AutoModel.from_pretrained(FOLDER, dtype=torch.float32, output_loading_info=True)
    assert not loading["missing_keys"]
    assert not loading["unexpected_keys"]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert all(bool(parameter.isfinite().all()) for parameter in model.parameters())


def test_a_classifier_gets_a_new_head_and_nothing_else_new(no_network: None) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    model, loading = AutoModelForSequenceClassification.from_pretrained(
        FOLDER, num_labels=2, dtype=torch.float32, output_loading_info=True
    )
    assert set(loading["missing_keys"]) == {
        "classifier.weight", "classifier.bias", "pre_classifier.weight", "pre_classifier.bias",
    }  # fmt: skip
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[2, 5, 6, 3]])).logits
    assert logits.shape == (1, 2)
