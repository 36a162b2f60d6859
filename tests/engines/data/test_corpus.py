"""The generated corpus: the same everywhere, balanced, within bounds, and never the text of the pretraining."""

import hashlib
import json
from collections import Counter

import pytest

from engines.data import corpus

FIRST_50_SHA256 = "bd5f60ecb232dfdb141dd194ea3ec0a8ee6877803dfac489737e2c47040d39ed"


@pytest.fixture(scope="module")
def quickstart() -> list[corpus.Review]:
    return corpus.generate(6000, corpus.QUICKSTART_SEED)


def _word_count(review: corpus.Review) -> int:
    return len(review.text.replace("<br />", " ").split())


def test_first_reviews_of_the_quickstart_are_pinned(quickstart: list[corpus.Review]) -> None:
    rows = json.dumps([[review.label, review.text] for review in quickstart[:50]])
    assert hashlib.sha256(rows.encode()).hexdigest() == FIRST_50_SHA256


def test_a_review_does_not_depend_on_how_many_are_generated(quickstart: list[corpus.Review]) -> None:
    assert corpus.generate(37, corpus.QUICKSTART_SEED) == quickstart[:37]


def test_reviews_have_10_to_120_words(quickstart: list[corpus.Review]) -> None:
    counts = [_word_count(review) for review in quickstart]
    assert min(counts) >= 10
    assert max(counts) <= 120


def test_lengths_spread_over_the_range(quickstart: list[corpus.Review]) -> None:
    counts = [_word_count(review) for review in quickstart]
    assert sum(count < 30 for count in counts) > 500
    assert sum(count > 80 for count in counts) > 300


def test_each_pair_of_reviews_holds_both_labels(quickstart: list[corpus.Review]) -> None:
    labels = [review.label for review in quickstart]
    assert all({first, second} == set(corpus.LABELS) for first, second in zip(labels[::2], labels[1::2], strict=True))


def test_the_label_cannot_be_read_off_the_row_number(quickstart: list[corpus.Review]) -> None:
    assert 0.45 < Counter(review.label for review in quickstart[::2])["positive"] / 3000 < 0.55


def test_under_one_percent_of_the_reviews_are_duplicates(quickstart: list[corpus.Review]) -> None:
    assert len({review.text for review in quickstart}) > 0.99 * len(quickstart)


def test_some_reviews_hold_line_breaks(quickstart: list[corpus.Review]) -> None:
    assert 0.02 < sum("<br />" in review.text for review in quickstart) / len(quickstart) < 0.3


def test_no_template_field_is_left_unfilled(quickstart: list[corpus.Review]) -> None:
    assert not [review.text for review in quickstart if "{" in review.text or "  " in review.text]


def test_pretraining_and_quickstart_share_no_text(quickstart: list[corpus.Review]) -> None:
    seen = {review.text for review in corpus.generate(20_000, corpus.PRETRAINING_SEED)}
    seen |= {review.text for review in corpus.generate_opinions(20_000, corpus.PRETRAINING_SEED)}
    assert not [review.text for review in quickstart[:4000] if review.text in seen]


def test_opinions_are_single_and_carry_both_labels() -> None:
    opinions = corpus.generate_opinions(1000, corpus.PRETRAINING_SEED)
    assert max(map(_word_count, opinions)) <= 40
    assert 0.4 < Counter(opinion.label for opinion in opinions)["positive"] / 1000 < 0.6


def test_a_bag_of_words_lands_near_85_percent(quickstart: list[corpus.Review]) -> None:
    """Hard enough that counting words is not the answer, easy enough that it is a floor worth beating."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    train, test = quickstart[:2000], quickstart[2000:3000]
    features = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    classifier = LogisticRegression(max_iter=1000)
    classifier.fit(features.fit_transform([review.text for review in train]), [review.label for review in train])
    accuracy = classifier.score(features.transform([review.text for review in test]), [review.label for review in test])
    assert 0.80 < accuracy < 0.88
