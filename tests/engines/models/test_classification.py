"""Models of any kind opened as classifiers of the data's classes."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from engines.errors import ModelError
from engines.models import tiny
from engines.models.classification import open_classifier, padding_tokenizer
from engines.models.kinds import usable_positions
from engines.runs import events as ev

SHAPE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "distilbert": ("DistilBert", {"dim": 32, "hidden_dim": 48, "n_layers": 1, "n_heads": 2}),
    "roberta": ("Roberta", SHAPE),
    "modernbert": ("ModernBert", {**SHAPE, "pad_token_id": 0}),
    "mistral": ("Mistral", {**SHAPE, "num_key_value_heads": 1}),
    "opt": (
        "OPT",
        {"hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 1, "num_attention_heads": 2, "word_embed_proj_dim": 32},
    ),
}


class Kept:
    def __init__(self) -> None:
        self.text = ""

    def note(self, text: str, level: str = "info") -> None:
        self.text += text + "\n"

    def fact(self, fact: ev.Fact) -> None:
        raise AssertionError(fact)


def tuned(folder: Path, kind: str, labels: list[str] | None) -> Path:
    """A saved classifier whose head has these classes, None for classes without names."""
    import transformers

    name, shape = KINDS[kind]
    torch.manual_seed(3)
    names = (
        {}
        if labels is None
        else {"id2label": dict(enumerate(labels)), "label2id": {n: i for i, n in enumerate(labels)}}
    )
    config = getattr(transformers, f"{name}Config")(
        vocab_size=300, num_labels=3, **{"pad_token_id": 1, **shape}, **names
    )
    getattr(transformers, f"{name}ForSequenceClassification")(config).save_pretrained(folder)
    return folder


IDS = torch.tensor([[5, 9, 12, 7, 2]])


def scores(model: torch.nn.Module) -> list[float]:
    with torch.inference_mode():
        logits: list[float] = model.eval()(input_ids=IDS).logits[0].tolist()
    return logits


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_of_the_same_classes_is_kept_with_its_rows_in_the_order_of_the_data(tmp_path: Path, kind: str) -> None:
    path, notes = tuned(tmp_path, kind, ["neg", "neutral", "Positive"]), Kept()
    straight = open_classifier(path, "m", ["negative", "neutral", "positive"], 1, "auto", notes)
    turned: Any = open_classifier(path, "m", ["positive", "negative", "neutral"], 1, "auto", notes)
    a, b = scores(straight), scores(turned)
    assert b == pytest.approx([a[2], a[0], a[1]], abs=1e-6) and len(set(a)) == 3
    assert turned.config.id2label == {0: "positive", 1: "negative", 2: "neutral"}
    assert "it has the same classes" in notes.text and "its rows in the order of the data" in notes.text


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_of_other_classes_is_replaced_and_noted(tmp_path: Path, kind: str) -> None:
    path, notes = tuned(tmp_path, kind, ["a", "b", "c"]), Kept()
    old = scores(open_classifier(path, "m", ["a", "b", "c"], 1, "auto", notes))
    new = scores(open_classifier(path, "m", ["ham", "spam", "eggs"], 1, "auto", notes))
    fewer = open_classifier(path, "m", ["ham", "spam"], 1, "auto", notes)
    assert new != pytest.approx(old, abs=1e-4) and len(scores(fewer)) == 2
    assert (
        "the model's head is for a, b, c, the data's classes are ham, spam, eggs: a new head is trained" in notes.text
    )


def test_a_head_without_names_is_kept_only_where_that_is_asked_for(tmp_path: Path) -> None:
    path, notes = tuned(tmp_path, "roberta", None), Kept()
    labels = ["negative", "neutral", "positive"]
    kept = scores(open_classifier(path, "m", labels, 1, "keep", notes))
    assert scores(open_classifier(path, "m", labels, 1, "keep", notes)) == kept
    assert scores(open_classifier(path, "m", labels, 1, "auto", notes)) != pytest.approx(kept, abs=1e-4)
    with pytest.raises(ModelError, match='classes without names; set head = "new", or data.labels'):
        open_classifier(path, "m", ["ham", "spam"], 1, "keep", notes)


def test_nothing_to_keep_is_an_error_and_a_base_model_gets_a_head(tmp_path: Path) -> None:
    base, notes = tiny.resolve("tiny:distilbert"), Kept()
    model: Any = open_classifier(base, "tiny:distilbert", ["negative", "positive"], 0, "auto", notes)
    assert model.config.num_labels == 2 and notes.text == ""
    with pytest.raises(ModelError, match="has no head of 2 classes to keep"):
        open_classifier(base, "tiny:distilbert", ["negative", "positive"], 0, "keep", notes)


def test_a_tokenizer_without_a_padding_token_pads_with_its_end() -> None:
    notes = Kept()
    tokenizer = padding_tokenizer(tiny.resolve("tiny:mistral"), "tiny:mistral", notes)
    assert tokenizer.pad_token_id == tokenizer.eos_token_id and "the end-of-text token pads" in notes.text


def test_positions_are_those_that_hold_tokens() -> None:
    import transformers as t

    assert usable_positions(t.BertConfig(max_position_embeddings=512)) == 512
    assert usable_positions(t.RobertaConfig(max_position_embeddings=514, pad_token_id=1)) == 512
    assert usable_positions(t.MPNetConfig(max_position_embeddings=514, pad_token_id=1)) == 512
    assert usable_positions(t.T5Config()) is None and usable_positions(t.XLNetConfig()) is None


def test_a_tokenizer_that_ships_as_its_sentencepiece_model_alone_is_opened(tmp_path: Path) -> None:
    import sentencepiece

    lines = [f"the film number {n} was dull and long, the acting is superb in place {n % 7}" for n in range(300)]
    (tmp_path / "lines.txt").write_text("\n".join(lines))
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "lines.txt"), model_prefix=str(tmp_path / "spm"), vocab_size=60, hard_vocab_limit=False
    )
    shape = {**SHAPE, "model_type": "deberta-v2", "vocab_size": 100}
    (tmp_path / "config.json").write_text(json.dumps(shape))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"vocab_type": "spm"}))
    tokenizer = padding_tokenizer(tmp_path, "deberta", Kept())
    ids = tokenizer("the film was dull")["input_ids"]
    assert len(ids) > 4 and tokenizer.unk_token_id not in ids and tokenizer.pad_token_id is not None
