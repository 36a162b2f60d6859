"""Stand-ins that need no download: the founding study's models with random weights, and texts as long as IMDB's."""

import csv
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from benchmarks import harness
from engines.data import corpus
from engines.models import tiny
from engines.models.architectures import read_config

MODELS = {
    "mistral": "mistralai/Mistral-7B-Instruct-v0.2",
    "gemma": "google/gemma-2b",
    "distilbert": "distilbert/distilbert-base-uncased",
}
SMALL = {
    "mistral": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "vocab_size": 2048,
        "max_position_embeddings": 2048,
    },
    "gemma": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "vocab_size": 2048,
        "max_position_embeddings": 2048,
    },
    "distilbert": {"dim": 64, "hidden_dim": 128, "n_layers": 2, "n_heads": 4, "vocab_size": 2048},
}
IMDB_MEDIAN_TOKENS, IMDB_SIGMA = 230, 0.74
"""IMDB's lengths, as a log-normal: half are longer than the median, 14 % reach 512."""
TOKENS_PER_WORD = 1.2
"""Of the tiny models' tokenizers on their own corpus."""


def write_model(folder: Path, name: str, small: bool) -> None:
    """A folder with config and tokenizer of a model of the founding study, its weights a file without tensors."""
    shutil.copytree(tiny.resolve(f"tiny:{name}"), folder, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    config = read_config(MODELS[name]) | (SMALL[name] if small else {})
    (folder / "config.json").write_text(json.dumps(config))
    header = b'{"__metadata__":{}}'
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)


class RandomWeight:
    """A weight that is drawn when it is asked for, where it is asked for."""

    def __init__(self, shape: Any, dtype: Any, device: str) -> None:
        self.shape, self.dtype, self.device = shape, dtype, device

    def __getitem__(self, key: Any) -> Any:
        import torch

        weight = torch.empty(self.shape, dtype=self.dtype, device=self.device)
        return weight.fill_(1) if weight.ndim == 1 else weight.normal_(std=0.02)


@contextmanager
def drawn_weights(device: str) -> Iterator[None]:
    """Let every language model that is loaded be drawn on `device`; all else about loading, nf4 too, is as ever."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    def load(path: Path, *, dtype: Any, trust_remote_code: bool, **more: Any) -> Any:
        config = AutoConfig.from_pretrained(path)
        with torch.device("meta"):
            shapes = AutoModelForCausalLM.from_config(config)
        weights = {name: RandomWeight(weight.shape, dtype, device) for name, weight in shapes.named_parameters()}
        more = {"device_map": {"": device}, **more}
        model = type(shapes).from_pretrained(None, config=config, state_dict=weights, dtype=dtype, **more)
        harness.reset_peak(device)
        return model

    with patch.object(AutoModelForCausalLM, "from_pretrained", load):
        yield


def write_texts(path: Path, words: list[int]) -> Path:
    """A CSV of made-up reviews of so many words each, labelled."""
    random = Random("benchmark")
    pool = [review.text.split() for review in corpus.generate(400, corpus.QUICKSTART_SEED)]
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["review", "sentiment"])
        for n, count in enumerate(words):
            text: list[str] = []
            while len(text) < count:
                text += random.choice(pool)
            out.writerow([" ".join(text[:count]), n % 2])
    return path


def imdb_words(count: int) -> list[int]:
    """Words of `count` reviews whose tokens are distributed like IMDB's."""
    random = Random("lengths")
    tokens = [random.lognormvariate(0, IMDB_SIGMA) * IMDB_MEDIAN_TOKENS for _ in range(count)]
    return [max(8, round(min(n, 600) / TOKENS_PER_WORD)) for n in tokens]


def draw_encoder(folder: Path) -> None:
    """Put random weights into the folder of an encoder."""
    import torch
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.from_pretrained(folder)).save_pretrained(folder)
