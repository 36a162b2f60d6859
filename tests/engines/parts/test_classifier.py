import math
from pathlib import Path

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.parts import classifier, tiny
from engines.parts.classifier import LinearHead, SequenceClassifier
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.settings import UserError

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


def test_a_cut_text_keeps_its_closing_token() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny.resolve("tiny:distilbert"))
    ids, total = classifier.tokenized(tokenizer, TEXTS, 8)
    assert all(row[0] == tokenizer.cls_token_id and row[-1] == tokenizer.sep_token_id for row in ids)
    assert [len(row) for row in ids] == [min(8, n) for n in total]


@settings(deadline=None)
@given(st.lists(st.integers(1, 512), max_size=50), st.integers(1, 2000))
def test_batches_hold_every_row_once_within_their_tokens(lengths: list[int], batch_tokens: int) -> None:
    batches = list(classifier.batches_by_length([[0] * n for n in lengths], batch_tokens))
    assert sorted(n for batch in batches for n in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[n] for n in batch) <= batch_tokens


def test_a_linear_head_is_scikit_learns_logistic_regression() -> None:
    from sklearn.linear_model import LogisticRegression

    generator = numpy.random.default_rng(0)
    features = generator.normal(size=(90, 5))
    for classes in (2, 3):
        true = (features[:, 0] * 2 + generator.normal(size=90) > 0).astype(int) + (classes - 2) * (features[:, 1] > 0)
        head, converged = LinearHead.fit(features, true.tolist(), classes, 0.7)
        expected = LogisticRegression(C=0.7, max_iter=1000).fit(features, true).predict_proba(features)
        assert converged
        numpy.testing.assert_allclose(head.probabilities(features), expected, atol=1e-9)


def test_a_class_that_training_lacks_is_never_predicted() -> None:
    head, _ = LinearHead.fit(numpy.eye(4), [0, 2, 0, 2], 3, 10.0)
    assert head.probabilities(numpy.eye(4))[:, 1].tolist() == [0, 0, 0, 0]


def test_a_run_without_a_model_is_named(home: Home) -> None:
    folder = RunFolder.create(home, {"engine": "bag_of_words", "experiment": "x"})
    with pytest.raises(UserError, match=f"{folder.name} has no finished model"):
        classifier.open_classifier(folder, "cpu")


def test_an_evaluate_run_leads_to_the_run_it_scored(home: Home) -> None:
    source = RunFolder.create(home, {"engine": "bag_of_words", "experiment": "x"})
    first = RunFolder.create(home, {"engine": "evaluate", "experiment": "y", "run": source.name})
    second = RunFolder.create(home, {"engine": "evaluate", "experiment": "z", "run": first.name})
    assert classifier.source_run(second).path == source.path
    lost = RunFolder.create(home, {"engine": "evaluate", "experiment": "z", "run": "gone"})
    with pytest.raises(UserError, match="no run gone"):
        classifier.source_run(lost)
