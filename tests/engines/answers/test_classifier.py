import math
from pathlib import Path

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.models import tiny
from engines.models.forward import batches_by_length, tokenized
from engines.models.sequence_classifier import SequenceClassifier
from engines.training.logistic_regression import LinearHead, Regression
from tests.engines.conftest import Recorder

TEXTS = ["A fine film.", "dull", "I left the cinema sorry that I had come. " * 20, "The plot is not bad at all."]


@pytest.fixture(scope="module")
def sequence_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained classifier of three classes, saved as fine-tuning saves one."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = tmp_path_factory.mktemp("model")
    source = tiny.resolve("tiny:distilbert")
    torch.manual_seed(1)
    names = {0: "bad", 1: "fair", 2: "good"}
    AutoModelForSequenceClassification.from_pretrained(
        source, num_labels=3, id2label=names, label2id={v: k for k, v in names.items()}
    ).save_pretrained(folder)
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    return folder


def test_answers_come_in_the_order_of_the_texts_whatever_the_batch(sequence_folder: Path) -> None:
    model = SequenceClassifier(sequence_folder, 512, "cpu")
    assert model.labels == ("bad", "fair", "good")
    together = model.classify(TEXTS)
    for text, answer in zip(TEXTS, together, strict=True):
        (alone,) = model.classify([text])
        numpy.testing.assert_allclose(answer.probabilities, alone.probabilities, atol=1e-5)
        assert answer.label == model.labels[int(numpy.argmax(answer.probabilities))]
        assert math.isclose(sum(answer.probabilities), 1)
    assert model.classify([]) == []


def test_a_long_text_says_how_much_of_it_was_read(sequence_folder: Path) -> None:
    short, long = SequenceClassifier(sequence_folder, 16, "cpu").classify(["dull", TEXTS[2]])
    assert short.tokens_read == short.tokens_total == 3
    assert long.tokens_read == 16 and long.tokens_total > 100


@pytest.mark.parametrize("side", ["right", "left"])
def test_texts_are_cut_as_the_tokenizer_cuts_them(side: str) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny.resolve("tiny:distilbert"), truncation_side=side)
    ids, total = tokenized(tokenizer, TEXTS, 8)
    assert all(row[0] == tokenizer.cls_token_id and row[-1] == tokenizer.sep_token_id for row in ids)
    assert ids == tokenizer(TEXTS, truncation=True, max_length=8)["input_ids"]
    assert total == [len(row) for row in tokenizer(TEXTS)["input_ids"]]


@settings(deadline=None)
@given(st.lists(st.integers(1, 512), max_size=50), st.integers(1, 2000))
def test_batches_hold_every_row_once_within_their_tokens(lengths: list[int], batch_tokens: int) -> None:
    batches = list(batches_by_length([[0] * n for n in lengths], batch_tokens))
    assert sorted(n for batch in batches for n in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[n] for n in batch) <= batch_tokens


def test_a_linear_head_is_scikit_learns_logistic_regression(recorder: Recorder) -> None:
    from sklearn.linear_model import LogisticRegression

    generator = numpy.random.default_rng(0)
    features = generator.normal(size=(90, 5))
    for classes in (2, 3):
        true = (features[:, 0] * 2 + generator.normal(size=90) > 0).astype(int) + (classes - 2) * (features[:, 1] > 0)
        head = LinearHead.fit(features, true.tolist(), classes, Regression(0.7), recorder.report)
        expected = LogisticRegression(C=0.7, max_iter=1000).fit(features, true).predict_proba(features)
        numpy.testing.assert_allclose(head.probabilities(features), expected, atol=1e-9)


def test_a_class_that_training_lacks_is_never_predicted(recorder: Recorder) -> None:
    head = LinearHead.fit(numpy.eye(4), [0, 2, 0, 2], 3, Regression(), recorder.report)
    assert head.probabilities(numpy.eye(4))[:, 1].tolist() == [0, 0, 0, 0]
