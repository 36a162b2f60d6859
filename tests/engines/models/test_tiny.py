"""The shipped tiny models: small, safe to load, offline; what each is made of and what it can do untuned."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from engines.data import corpus, files
from engines.errors import ModelError
from engines.models import opening, tiny
from engines.prompts import encoding, likelihood
from engines.prompts.templates import TEMPLATES, Prompt

FOLDER = tiny.resolve("tiny:distilbert")
EVERY = pytest.mark.parametrize("name", ["distilbert", "gemma", "mistral"])
LANGUAGE = pytest.mark.parametrize("name", ["gemma", "mistral"])
FOREIGN = 'Señor Łukasz said: "naïve 99% — 映画は良かった 🎬"\nand\tleft.'


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a shipped model reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@EVERY
def test_the_folder_holds_safetensors_and_text_alone(name: str) -> None:
    texts = {"chat_template.jinja"} if name == "mistral" else set()
    texts |= set() if name == "distilbert" else {"generation_config.json"}
    assert {path.name for path in tiny.resolve(f"tiny:{name}").iterdir()} == texts | {
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors",
    }


@EVERY
def test_the_folder_is_at_most_4_megabytes(name: str) -> None:
    assert sum(path.stat().st_size for path in tiny.resolve(f"tiny:{name}").iterdir()) <= 4_000_000


@EVERY
def test_no_path_of_a_building_machine_is_shipped(name: str) -> None:
    folder = tiny.resolve(f"tiny:{name}")
    configs = "".join((folder / file).read_text() for file in ("config.json", "tokenizer_config.json"))
    assert str(Path.home()) not in configs
    assert json.loads((folder / "config.json").read_text())["model_type"] == name


@pytest.mark.parametrize("name", ["tiny:distilbret", "tiny:bert", "distilbert", "tiny:../distilbert"])
def test_an_unknown_name_names_the_nearest(name: str) -> None:
    with pytest.raises(ModelError, match="tiny:distilbert"):
        tiny.resolve(name)


def test_a_bare_prefix_is_no_model() -> None:
    with pytest.raises(ModelError, match='"tiny:" is no tiny model'):
        tiny.resolve(tiny.PREFIX)


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
        "classifier.weight",
        "classifier.bias",
        "pre_classifier.weight",
        "pre_classifier.bias",
    }
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[2, 5, 6, 3]])).logits
    assert logits.shape == (1, 2)


def language_model(name: str) -> tuple[Any, Any]:
    return opening.load_model(tiny.resolve(f"tiny:{name}"), "float32", "cpu")


@LANGUAGE
def test_a_language_model_loads_whole_as_its_own_architecture_in_float32(name: str, no_network: None) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    opened: Any = AutoModelForCausalLM.from_pretrained(tiny.resolve(f"tiny:{name}"), output_loading_info=True)
    model, loading = opened
    assert type(model).__name__ == f"{name.capitalize()}ForCausalLM"
    assert not loading["missing_keys"]
    assert not loading["unexpected_keys"]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert 900_000 < model.num_parameters() < 1_800_000


def test_the_two_differ_as_the_originals_do() -> None:
    gemma, mistral = (json.loads((tiny.resolve(f"tiny:{n}") / "config.json").read_text()) for n in ("gemma", "mistral"))
    assert gemma["num_key_value_heads"] == 1
    assert mistral["sliding_window"] is None
    assert 1 < mistral["num_key_value_heads"] < mistral["num_attention_heads"]
    (gemma_model, _), (mistral_model, _) = language_model("gemma"), language_model("mistral")
    assert gemma_model.lm_head.weight is gemma_model.model.embed_tokens.weight
    assert mistral_model.lm_head.weight is not mistral_model.model.embed_tokens.weight


@LANGUAGE
def test_any_text_has_tokens_that_give_it_back(name: str, no_network: None) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny.resolve(f"tiny:{name}"))
    ids = tokenizer(FOREIGN)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == FOREIGN


@LANGUAGE
def test_a_text_begins_with_one_bos_and_ends_with_no_token_of_its_own(name: str) -> None:
    tokenizer = opening.load_tokenizer(tiny.resolve(f"tiny:{name}"))
    ids = tokenizer("It was dull.")["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert not set(ids[1:]) & set(tokenizer.all_special_ids)


@LANGUAGE
def test_every_wording_begins_with_one_bos_and_is_answered_in_one_token(name: str) -> None:
    tokenizer = opening.load_tokenizer(tiny.resolve(f"tiny:{name}"))
    prompt_tokenizer = encoding.PromptTokenizer(tokenizer, bool(tokenizer.chat_template))
    for template in TEMPLATES.values():
        prompt = Prompt(template, corpus.LABELS, (("It was dull.", 0), ("It was fine.", 1)))
        (ids,) = prompt_tokenizer.ids(prompt, [prompt_tokenizer.render(prompt, "I liked it.")])
        assert [place for place, token in enumerate(ids) if token == tokenizer.bos_token_id] == [0]
        assert [len(answer) for answer in prompt_tokenizer.answers(prompt)] == [1, 1]


def test_mistral_alone_has_a_chat_form() -> None:
    tokenizer = opening.load_tokenizer(tiny.resolve("tiny:mistral"))
    turns = [{"role": "user", "content": "Dull?"}, {"role": "assistant", "content": "no"}]
    assert tokenizer.apply_chat_template(turns, tokenize=False) == "<s>[INST] Dull? [/INST] no</s>"
    with pytest.raises(Exception, match="turns alternate"):
        tokenizer.apply_chat_template(turns[1:], tokenize=False)
    assert not opening.load_tokenizer(tiny.resolve("tiny:gemma")).chat_template


def accuracy(model: Any, tokenizer: Any, shots: tuple[tuple[str, int], ...], count: int) -> float:
    """On so many of the quickstart's reviews, after these examples."""
    prompt_tokenizer = encoding.PromptTokenizer(tokenizer, bool(tokenizer.chat_template))
    reviews = corpus.generate(count, corpus.QUICKSTART_SEED)
    prompt = Prompt(TEMPLATES["classify"], corpus.LABELS, shots)
    encoded = prompt_tokenizer.encode(prompt, [files.clean(review.text) for review in reviews])
    rows = likelihood.Scorer(model, "cpu").score(encoded)
    right = [row.index(max(row)) == corpus.LABELS.index(r.label) for row, r in zip(rows, reviews, strict=True)]
    return sum(right) / len(right)


@LANGUAGE
def test_an_untuned_language_model_classifies_better_than_chance_and_leaves_room(name: str) -> None:
    assert 0.65 < accuracy(*language_model(name), (), 200) < 0.85


@LANGUAGE
def test_examples_of_whole_reviews_do_not_lead_a_language_model_astray(name: str) -> None:
    model, tokenizer = language_model(name)
    reviews = corpus.generate(1024, corpus.QUICKSTART_SEED)[1000:]
    shown = [(files.clean(review.text), corpus.LABELS.index(review.label)) for review in reviews]
    without = accuracy(model, tokenizer, (), 150)
    after = [accuracy(model, tokenizer, tuple(shown[n : n + 8]), 150) for n in (0, 8, 16)]
    assert sum(after) / len(after) > without - 0.05
