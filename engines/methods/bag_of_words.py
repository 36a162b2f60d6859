"""TF-IDF of words and word pairs with logistic regression: the floor that every table shows."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.answers import scoring
from engines.answers.classifier import Answer, answers, classify_reported
from engines.data.near_copies import has_spaces
from engines.data.splits import Data, load_training_splits
from engines.errors import UserError
from engines.memory.components import Machine, Need, texts
from engines.reporter import Reporter
from engines.runs.folder import RunFolder
from engines.runs.writing import write_folder
from engines.settings import group, option
from engines.training import provenance
from engines.training.logistic_regression import LinearHead, Regression

if TYPE_CHECKING:
    import numpy
    from sklearn.feature_extraction.text import TfidfVectorizer

TITLE = "Bag of words"
USES_GPU = False
CHARACTER_RUNS = 4
"""Longest run of characters that is counted."""


@dataclass(frozen=True)
class Features:
    """What is counted of a text."""

    unit: str = option(
        "auto",
        "What is counted: words; characters in runs of 1 to 4; auto takes characters where most training texts are "
        "written without spaces between words.",
        choices=("auto", "words", "characters"),
    )
    ngrams: int = option(2, "Longest run of words counted as one feature.", unit="words", minimum=1, maximum=5)
    max_features: int = option(200_000, "Most features kept, the most frequent ones.", unit="features", minimum=1)
    min_document_count: int = option(
        2, "A feature counts only if so many training texts hold it.", unit="texts", minimum=1
    )


@dataclass(frozen=True)
class Config:
    """Settings of `bag_of_words`."""

    data: Data = group(Data)
    features: Features = group(Features)
    classifier: Regression = group(lambda: Regression(inverse_regularisation=10.0))

    def check(self) -> None:
        """Raise `ConfigError` where settings do not fit together; reads nothing."""
        self.data.check_splits("train", "test")


def run(config: Config, report: Reporter) -> None:
    report.model = "bag of words"
    splits = load_training_splits(config.data, report)

    report.phase("features", len(splits.train), "texts")
    unit = config.features.unit
    if unit == "auto":
        spaced = sum(has_spaces(example.text) for example in splits.train)
        unit = "words" if 2 * spaced >= len(splits.train) else "characters"
        if unit == "characters":
            report.note("most training texts are written without spaces: characters are counted instead of words")
    vectorizer = _vectorizer(
        unit,
        config.features.ngrams,
        min_df=config.features.min_document_count,
        max_features=config.features.max_features,
    )
    try:
        features = vectorizer.fit_transform(report.track(e.text for e in splits.train))
    except ValueError as error:  # "empty vocabulary", "no terms remain"
        raise UserError(
            f"features.min_document_count = {config.features.min_document_count} leaves no feature of "
            f"{len(splits.train)} training texts; lower it"
        ) from error
    report.note(f"{features.shape[1]:,} features of {features.shape[0]:,} texts")

    report.phase("train")
    true = [e.label for e in splits.train]
    head = LinearHead.fit(features, true, len(splits.labels), config.classifier, report)
    model = BagOfWords(tuple(splits.labels), unit, config.features.ngrams, vectorizer, head)

    def save(folder: Path) -> None:
        model.save(folder)
        provenance.record(folder, splits.train)

    write_folder(report.folder.model, save)

    if splits.validation:
        report.phase("validate", len(splits.validation), "texts")
        validated = classify_reported(model, [e.text for e in splits.validation], report)
        probabilities = [a.probabilities for a in validated]
        scoring.report_validation(report, [e.label for e in splits.validation], splits.labels, probabilities)
    report.phase("test", len(splits.test), "texts")
    tested = classify_reported(model, [e.text for e in splits.test], report)
    scoring.conclude(
        report,
        splits.test,
        splits.labels,
        [a.probabilities for a in tested],
        tokens_read=[a.tokens_read for a in tested],
    )


def memory_needs(config: Config, machine: Machine) -> Need:
    reviews = config.data.expected_reviews("train")
    # measured with one and two words per feature; the vocabulary before its cut grows less than the texts do
    counts = round((70 << 20) * (max(reviews, 1) / 2000) ** 0.815 * config.features.ngrams / 2)
    regression = 8 * 25 * config.features.max_features  # gradient, coefficients and ten pairs of both
    held = {"words and their counts": counts, "regression": min(regression, counts), **texts(config.data)}
    return Need("bag of words", {"train": held}, scoring="train", libraries="scikit-learn", on_host=True)


def load(folder: RunFolder, device: str) -> "BagOfWords":
    """The finished model of a run; it computes on the CPU whatever `device` says."""
    return BagOfWords.load(folder.model)


class BagOfWords:
    """The fitted vectorizer and its linear head. Tokens are words, or characters; all of them are read."""

    def __init__(
        self, labels: tuple[str, ...], unit: str, ngrams: int, vectorizer: "TfidfVectorizer", head: LinearHead
    ) -> None:
        self.labels = labels
        self._unit = unit
        self._ngrams = ngrams
        self._vectorizer = vectorizer
        self._tokens: Callable[[str], Sequence[str]] = str if unit == "characters" else vectorizer.build_tokenizer()
        self._head = head

    def classify(self, texts: Sequence[str]) -> list[Answer]:
        if not texts:
            return []
        tokens = [len(self._tokens(text)) for text in texts]
        probabilities = self._head.probabilities(self._vectorizer.transform(texts)).tolist()
        return answers(self.labels, probabilities, tokens, tokens)

    def save(self, path: Path) -> None:
        """Write vocabulary and settings as JSON, all numbers as safetensors."""
        from safetensors.numpy import save_file

        save_file(
            {
                "inverse_document_frequency": self._vectorizer.idf_,
                "coefficients": self._head.coefficients,
                "intercepts": self._head.intercepts,
            },
            path / "model.safetensors",
        )
        words = sorted(self._vectorizer.vocabulary_.items(), key=lambda item: item[1])
        vocabulary = [word for word, _ in words]
        document = {"labels": self.labels, "unit": self._unit, "ngrams": self._ngrams, "vocabulary": vocabulary}
        (path / "model.json").write_text(json.dumps(document))

    @classmethod
    def load(cls, path: Path) -> "BagOfWords":
        from safetensors.numpy import load_file

        document = json.loads((path / "model.json").read_bytes())
        arrays: dict[str, numpy.ndarray] = load_file(path / "model.safetensors")
        unit = document.get("unit", "words")  # models made before there was a choice count words
        vectorizer = _vectorizer(unit, document["ngrams"], vocabulary=document["vocabulary"])
        vectorizer.idf_ = arrays["inverse_document_frequency"]
        head = LinearHead(arrays["coefficients"], arrays["intercepts"])
        return cls(tuple(document["labels"]), unit, document["ngrams"], vectorizer, head)


def _vectorizer(unit: str, ngrams: int, **settings: Any) -> "TfidfVectorizer":
    from sklearn.feature_extraction.text import TfidfVectorizer

    if unit == "characters":
        return TfidfVectorizer(analyzer="char", ngram_range=(1, CHARACTER_RUNS), sublinear_tf=True, **settings)

    # one-letter words and sublinear counts: 0.9219 against 0.9180 on 10,000 IMDB reviews
    return TfidfVectorizer(ngram_range=(1, ngrams), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b", **settings)
