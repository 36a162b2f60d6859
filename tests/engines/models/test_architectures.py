"""Counts against published ones and real instantiation."""

import json
from pathlib import Path
from typing import Any

import pytest

from engines import hub as hub_client
from engines.errors import ArchitectureError
from engines.memory.formulas import LINEAR_NAMES
from engines.models.architectures import Architecture, architecture, read_config
from tests.engines.conftest import Recorder
from tests.stub_hub import StubHub

MISTRAL, GEMMA, DISTILBERT = (
    "mistralai/Mistral-7B-Instruct-v0.2",
    "google/gemma-2b",
    "distilbert/distilbert-base-uncased",
)


def shipped(name: str) -> Architecture:
    return architecture(read_config(name), name)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        (DISTILBERT, 66_362_880),
        ("distilbert-base-uncased", 66_362_880),
        (MISTRAL, 7_241_732_096),
        (GEMMA, 2_506_172_416),
        ("google/gemma-2b-it", 2_506_172_416),
        ("google/gemma-3-270m", 268_098_176),
        ("Qwen/Qwen3-0.6B", 596_049_920),
        ("FacebookAI/roberta-large", 355_359_744),
    ],
)
def test_parameters_of_the_shipped_configs_are_the_published_ones(name: str, published: int) -> None:
    model = shipped(name)
    assert model.parameters + (model.head_parameters if model.is_decoder else 0) == published


_TINY = {
    "hidden_size": 32,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "vocab_size": 90,
    "max_position_embeddings": 64,
}
_TINY_DECODER = {**_TINY, "num_key_value_heads": 2, "head_dim": 12}


@pytest.mark.parametrize(
    ("family", "sizes"),
    [
        ("DistilBert", {"dim": 32, "hidden_dim": 80, "n_layers": 3, "n_heads": 4, "vocab_size": 90}),
        ("Bert", _TINY),
        ("Roberta", _TINY),
        ("Roberta", {**_TINY, "type_vocab_size": 1}),
        ("Mistral", _TINY_DECODER),
        ("Gemma", _TINY_DECODER),
        ("Llama", _TINY_DECODER),
        ("Llama", {**_TINY_DECODER, "attention_bias": True, "mlp_bias": True}),
        ("Qwen2", {**_TINY, "num_key_value_heads": 2}),
        ("Qwen3", _TINY_DECODER),
    ],
)
def test_parameters_counted_from_a_config_are_those_of_the_real_model(family: str, sizes: dict[str, Any]) -> None:
    import torch
    import transformers

    config = getattr(transformers, f"{family}Config")(**sizes)
    config.num_labels = 3
    counted = architecture(json.loads(config.to_json_string(use_diff=False)), family)
    with torch.device("meta"):
        assert transformers.AutoModel.from_config(config).num_parameters() == counted.parameters
        classifier = transformers.AutoModelForSequenceClassification.from_config(config)
        assert classifier.num_parameters() == counted.classifier_parameters(3)
        if counted.is_decoder:
            causal = transformers.AutoModelForCausalLM.from_config(config)
            assert causal.num_parameters() == counted.parameters + counted.head_parameters


def test_a_config_is_found_in_the_hub_cache_before_the_shipped_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--google--gemma-2b"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    snapshot = folder / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text('{"model_type": "gemma", "hidden_size": 8}')
    assert read_config(GEMMA)["hidden_size"] == 8
    assert read_config(GEMMA, "abc")["hidden_size"] == 8
    with pytest.raises(ArchitectureError, match="no config.json of it on this machine"):
        read_config(GEMMA, "other")


def test_the_hub_is_asked_only_when_wanted(hub: StubHub, recorder: Recorder) -> None:
    hub.repos["models/someone/small"] = {"config.json": b'{"model_type": "gemma"}', "model.safetensors": b"w" * 10}

    def fetch(name: str, revision: str) -> Path:
        return hub_client.fetch(name, "model", ("config.json",), recorder.report, revision)

    with pytest.raises(ArchitectureError, match="someone/small: no config.json"):
        read_config("someone/small")
    assert not hub.requests
    assert read_config("someone/small", fetch=fetch) == {"model_type": "gemma"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"model_type": "new"}', "has no hidden_size"),
        ('{"model_type": "mixtral", "num_local_experts": 8}', "mixture of experts"),
        ("[1]", "holds no JSON object"),
        ("{", "cannot be read"),
    ],
)
def test_a_config_that_does_not_suffice_is_named(content: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ArchitectureError, match=sentence):
        architecture(read_config(str(tmp_path)), str(tmp_path))


def test_adapters_on_all_linear_layers_of_mistral_are_the_known_count() -> None:
    assert shipped(MISTRAL).lora_parameters(64, LINEAR_NAMES) == 167_772_160
