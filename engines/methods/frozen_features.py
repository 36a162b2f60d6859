"""Logistic regression on the features of a frozen encoder: what pretraining alone knows."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.answers import scoring
from engines.answers.classifier import Answer, answers
from engines.data.splits import Data, load_training_splits
from engines.errors import ConfigError
from engines.memory.components import Machine, Need, encoder_scoring, texts, unknown_family
from engines.models import location
from engines.models.forward import BATCH_TOKENS, forward, tokenized
from engines.models.kinds import NO_CLASSIFIER, read_kind, usable_positions
from engines.models.location import Model
from engines.models.opening import load_tokenizer
from engines.reporter import Reporter
from engines.runs.folder import RunFolder
from engines.runs.writing import write_folder
from engines.settings import group, option
from engines.training import provenance
from engines.training.batching import tokenize_splits
from engines.training.logistic_regression import LinearHead, Regression

if TYPE_CHECKING:
    import numpy
    import torch

TITLE = "Frozen encoder features with logistic regression"
USES_GPU = True


@dataclass(frozen=True)
class Features:
    """What the encoder gives of a text."""

    max_length: int = option(512, "Longer texts are truncated to this many tokens.", unit="tokens", minimum=4)
    pooling: str = option(
        "mean", "One vector per text: the first token's, or the mean over its tokens.", choices=("cls", "mean")
    )


@dataclass(frozen=True)
class Config:
    """Settings of `frozen_features`."""

    data: Data = group(Data)
    model: Model = group(Model)
    features: Features = group(Features)
    classifier: Regression = group(lambda: Regression(inverse_regularisation=0.1))

    def check(self) -> None:
        """Raise `ConfigError` where settings do not fit together; reads nothing."""
        self.data.check_splits("train", "test")


def run(config: Config, report: Reporter) -> None:
    splits = load_training_splits(config.data, report)
    path = location.locate(config.model, report)
    provenance.check_apart(path, config.model.name, splits.test, config.data.overlap, report)
    report.phase("load")
    encoder = FrozenEncoder(path, config.features.max_length, config.features.pooling, report.device)
    tables = tokenize_splits(encoder.tokenizer, path, splits, encoder.max_length, report)

    def done(texts: int) -> None:
        report.progress(texts)
        report.check_stop()

    def features(split: str, phase: str) -> "numpy.ndarray":
        report.phase(phase, len(tables[split]), "texts")
        return encoder.features(tables[split], done)

    train = features("train", "features")
    report.phase("train")
    mean, scale = train.mean(axis=0), train.std(axis=0)
    scale[scale == 0] = 1
    true = [e.label for e in splits.train]
    head = LinearHead.fit((train - mean) / scale, true, len(splits.labels), config.classifier, report)
    # the standardisation becomes part of the weights
    coefficients = head.coefficients / scale
    head = LinearHead(coefficients, head.intercepts - coefficients @ mean)
    classifier = FrozenClassifier(splits.labels, encoder, head)

    def save(folder: Path) -> None:
        classifier.save(folder)
        provenance.record(folder, splits.train, path)

    write_folder(report.folder.model, save)

    if splits.validation:
        probabilities = head.probabilities(features("validation", "validate")).tolist()
        scoring.report_validation(report, [e.label for e in splits.validation], splits.labels, probabilities)
    probabilities = head.probabilities(features("test", "test")).tolist()
    scoring.conclude(report, splits.test, splits.labels, probabilities, tokens_read=tables["test"].lengths)


def memory_needs(config: Config, machine: Machine) -> Need:
    model = machine.architecture(config.model)
    scoring = encoder_scoring(model, machine, config.features.max_length, 1, BATCH_TOKENS[machine.kind])
    # as they are, standardised, and the solver's copy
    features_bytes = 8 * 3 * model.width * config.data.expected_reviews("train")
    return Need(
        model.family,
        {"features": scoring},
        scoring="features",
        libraries="transformers, scikit-learn",
        host={**texts(config.data), "features": features_bytes},
        notes=unknown_family(model),
    )


def load(folder: RunFolder, device: str) -> "FrozenClassifier":
    """The finished model of a run, on `device`."""
    return FrozenClassifier.load(folder.model, device)


class FrozenEncoder:
    """A pretrained encoder that turns a text into one vector."""

    def __init__(self, path: Path, max_length: int, pooling: str, device: str) -> None:
        import torch
        from transformers import AutoModel
        from transformers.utils import logging

        logging.disable_progress_bar()
        self.max_length = max_length
        self.pooling = pooling
        self.tokenizer = load_tokenizer(path)
        model = AutoModel.from_pretrained(path, dtype=torch.float32)
        if model.config.is_encoder_decoder or read_kind(path) in NO_CLASSIFIER:
            model = model.get_encoder()
        self.model = model.to(device).eval()
        self._device = device
        positions = usable_positions(self.model.config)
        if positions and max_length > positions:
            raise ConfigError(
                f"features.max_length = {max_length} is more than the {positions} positions of {path.name}; lower it"
            )

    def features(
        self, ids: Sequence[Sequence[int]], done: Callable[[int], None] = lambda texts: None
    ) -> "numpy.ndarray":
        """(texts, width) float64 of tokenised texts; `done` is told how many are ready."""
        return forward(ids, self.tokenizer.pad_token_id or 0, self._device, self._pooled, done).double().numpy()

    def _pooled(self, batch: dict[str, "torch.Tensor"]) -> "torch.Tensor":
        states: torch.Tensor = self.model(**batch).last_hidden_state.float()
        if self.pooling == "cls":
            return states[:, 0]
        mask = batch["attention_mask"].unsqueeze(-1)
        return (states * mask).sum(1) / mask.sum(1)


class FrozenClassifier:
    """The encoder with its fitted linear head."""

    def __init__(self, labels: tuple[str, ...], encoder: FrozenEncoder, head: LinearHead) -> None:
        self.labels = labels
        self._encoder = encoder
        self._head = head

    def classify(self, texts: Sequence[str]) -> list[Answer]:
        if not texts:
            return []
        ids, total = tokenized(self._encoder.tokenizer, texts, self._encoder.max_length)
        probabilities = self._head.probabilities(self._encoder.features(ids))
        return answers(self.labels, probabilities.tolist(), [len(row) for row in ids], total)

    def save(self, path: Path) -> None:
        """Write a folder that stands alone: the encoder as `save_pretrained` does, the head as safetensors."""
        from safetensors.numpy import save_file

        self._encoder.model.save_pretrained(path / "encoder")
        self._encoder.tokenizer.save_pretrained(path / "encoder")
        save_file(
            {"coefficients": self._head.coefficients, "intercepts": self._head.intercepts}, path / "head.safetensors"
        )
        document = {
            "labels": self.labels,
            "max_length": self._encoder.max_length,
            "pooling": self._encoder.pooling,
        }
        (path / "model.json").write_text(json.dumps(document))

    @classmethod
    def load(cls, path: Path, device: str) -> "FrozenClassifier":
        from safetensors.numpy import load_file

        document: dict[str, Any] = json.loads((path / "model.json").read_bytes())
        arrays = load_file(path / "head.safetensors")
        encoder = FrozenEncoder(path / "encoder", document["max_length"], document["pooling"], device)
        return cls(tuple(document["labels"]), encoder, LinearHead(arrays["coefficients"], arrays["intercepts"]))
