import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from engines.errors import UserError
from engines.prompts import likelihood
from engines.prompts.encoding import Encoded, PromptTokenizer
from engines.prompts.likelihood import Batches, Scorer
from engines.prompts.templates import TEMPLATES, Prompt
from tests.support import language_models

SHAPE: dict[str, Any] = {
    "vocab_size": 2500,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "initializer_range": 0.3,
}
TEXTS = ["A dull film.", "The acting is superb and the plot is clever. " * 3, "I left the cinema glad.", "Cheap."]
SHOTS = (("A gem of a film, funny and warm.", 1), ("Every scene drags, and the jokes are stale.", 0))


def mistral(**more: Any) -> Any:
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(1)
    config = MistralConfig(**(SHAPE | {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": None} | more))
    return MistralForCausalLM(config).eval()


def gemma(**more: Any) -> Any:
    from transformers import GemmaConfig, GemmaForCausalLM

    torch.manual_seed(1)
    config = GemmaConfig(**(SHAPE | {"num_key_value_heads": 1, "head_dim": 8} | more))
    return GemmaForCausalLM(config).eval()


def gemma2(**more: Any) -> Any:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(1)
    config = Gemma2Config(**(SHAPE | {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 9} | more))
    return Gemma2ForCausalLM(config).eval()


def recurrent() -> Any:
    from transformers import Qwen3NextConfig, Qwen3NextForCausalLM

    torch.manual_seed(1)
    config = Qwen3NextConfig(
        **(SHAPE | {"num_key_value_heads": 2, "head_dim": 8}),
        linear_key_head_dim=8,
        linear_value_head_dim=8,
        linear_num_key_heads=2,
        linear_num_value_heads=2,
        num_experts=2,
        num_experts_per_tok=1,
        moe_intermediate_size=16,
        shared_expert_intermediate_size=16,
        layer_types=["linear_attention", "full_attention"],
    )
    return Qwen3NextForCausalLM(config).eval()


def mamba() -> Any:
    from transformers import MambaConfig, MambaForCausalLM

    torch.manual_seed(1)
    return MambaForCausalLM(MambaConfig(**SHAPE)).eval()


MODELS: dict[str, Callable[[], Any]] = {
    "mistral": mistral,
    "mistral, window shorter than the prefix": lambda: mistral(sliding_window=7),
    "mistral, window of the whole": lambda: mistral(sliding_window=500),
    "gemma": gemma,
    "gemma2, every other layer in a window, soft caps": gemma2,
    "recurrent layers": recurrent,
    "no attention at all": mamba,
}


def alone(model: Any, prompts: Encoded) -> list[list[float]]:
    """Each full prompt with each label in a pass of its own, over all logits: what the scorer has to equal."""
    rows = []
    for text in prompts.rows:
        row = []
        for answer in prompts.answers:
            ids = prompts.prefix + text + answer
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
            start = len(ids) - len(answer)
            row.append(sum(logits[start + n - 1, token].item() for n, token in enumerate(answer)))
        rows.append(row)
    return rows


def log_odds(rows: list[list[float]]) -> torch.Tensor:
    log_probabilities = torch.tensor(rows, dtype=torch.float64)
    return log_probabilities - log_probabilities[:, :1]


@pytest.mark.parametrize("words", [("bad", "good"), ("not good", "good"), ("bad in the end", "bad in a plot", "fine")])
@pytest.mark.parametrize("name", MODELS)
def test_scores_equal_those_of_each_full_prompt_alone(name: str, words: tuple[str, ...], tokenizer: Any) -> None:
    model = MODELS[name]()
    prompts = PromptTokenizer(tokenizer, chat=False).encode(Prompt(TEMPLATES["classify"], words, SHOTS), TEXTS)
    assert len(prompts.prefix) > likelihood.SHARED_MIN_TOKENS
    expected = log_odds(alone(model, prompts))
    assert expected.abs().max() > 0.1, "labels that all score alike would prove nothing"
    for batch_tokens in (4096, 60, 1):
        odds = log_odds(Scorer(model, "cpu", batch_tokens).score(prompts))
        torch.testing.assert_close(odds, expected, atol=1e-4, rtol=0)


NUMBERS = tuple(str(n) for n in range(1, 11))


@pytest.mark.parametrize(("chat", "tuned"), [(False, False), (False, True), (True, False)])
@pytest.mark.parametrize("words", [NUMBERS, ("art", "art history", "art history of france", "music")])
@pytest.mark.parametrize("name", ["mistral", "gemma2, every other layer in a window, soft caps", "recurrent layers"])
def test_labels_that_begin_another_are_scored_with_their_end(
    name: str, words: tuple[str, ...], chat: bool, tuned: bool
) -> None:
    model, words_of = MODELS[name](), language_models.tokenizer(chat)
    prompts = PromptTokenizer(words_of, chat, tuned).encode(Prompt(TEMPLATES["classify"], words, SHOTS), TEXTS)
    end = "</s>" if chat or tuned else "\n\n"
    assert [words_of.decode(answer) for answer in prompts.answers] == [f" {word}{end}" for word in words]
    torch.testing.assert_close(
        log_odds(Scorer(model, "cpu").score(prompts)), log_odds(alone(model, prompts)), atol=1e-4, rtol=0
    )


def test_without_an_end_the_longer_label_could_never_be_the_answer() -> None:
    model, words_of = mistral(), language_models.tokenizer(False)
    prompts = PromptTokenizer(words_of, chat=False).encode(Prompt(TEMPLATES["classify"], ("1", "10")), TEXTS * 20)
    end = words_of("\n\n", add_special_tokens=False)["input_ids"]
    one, ten = (answer[: -len(end)] for answer in prompts.answers)
    assert ten[: len(one)] == one, "the tokens of one begin the other's"
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for row in prompts.rows[: 4 * 8]:  # it learns to answer 10
        ids = torch.tensor([prompts.prefix + row + prompts.answers[1]])
        hidden = torch.full_like(ids[:, : -len(prompts.answers[1])], -100)
        model(input_ids=ids, labels=torch.cat([hidden, ids[:, hidden.shape[1] :]], 1)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    endless = Encoded(prompts.prefix, prompts.rows[:4], [one, ten])
    assert all(row[0] > row[1] for row in alone(model, endless))
    assert all(row[1] > row[0] for row in Scorer(model, "cpu").score(prompts)), "with an end it is"


def test_labels_that_begin_no_other_have_no_end(tokenizer: Any) -> None:
    encoded = PromptTokenizer(tokenizer, chat=False).encode(Prompt(TEMPLATES["classify"], ("bad", "good")), TEXTS)
    assert [tokenizer.decode(answer) for answer in encoded.answers] == ["bad", "good"]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", ["mistral", "gemma"])
def test_the_side_on_which_a_tokenizer_pads_changes_nothing(name: str, side: str, tokenizer: Any) -> None:
    model = MODELS[name]()
    before, tokenizer.padding_side = tokenizer.padding_side, side
    try:
        prompts = PromptTokenizer(tokenizer, chat=False).encode(
            Prompt(TEMPLATES["plain"], ("not bad", "good"), SHOTS), TEXTS
        )
    finally:
        tokenizer.padding_side = before
    odds = log_odds(Scorer(model, "cpu").score(prompts))
    torch.testing.assert_close(odds, log_odds(alone(model, prompts)), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", MODELS)
def test_written_answers_equal_those_after_each_full_prompt_alone(name: str, tokenizer: Any) -> None:
    model = MODELS[name]()
    prompts = PromptTokenizer(tokenizer, chat=False).encode(
        Prompt(TEMPLATES["classify"], ("bad", "good"), SHOTS), TEXTS
    )
    expected = []
    for text in prompts.rows:
        ids = prompts.prefix + text
        with torch.inference_mode():
            for _ in range(5):
                ids = [*ids, int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax())]
        written = ids[len(prompts.prefix) + len(text) :]
        expected.append(written[: written.index(3)] if 3 in written else written)
    assert Scorer(model, "cpu").write(prompts, 5) == expected


def test_sampled_answers_depend_on_the_key_and_not_on_the_batches(tokenizer: Any) -> None:
    model = gemma()
    prompts = PromptTokenizer(tokenizer, chat=False).encode(Prompt(TEMPLATES["plain"], ("bad", "good")), TEXTS)
    keys = [f"0/0/{n}" for n in range(len(TEXTS))]
    texts = Scorer(model, "cpu").write(prompts, 4, 1.0, keys)
    assert Scorer(model, "cpu", 1).write(prompts, 4, 1.0, keys) == texts
    assert Scorer(model, "cpu").write(prompts, 4, 1.0, [key + "x" for key in keys]) != texts


def test_the_prefix_is_read_once_and_the_head_sees_one_position_and_two_rows(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = gemma()
    read, headed = [], []
    forward, linear = model.model.forward, torch.nn.functional.linear

    def reading(*given: Any, **named: Any) -> Any:
        read.append(named["input_ids"].numel())
        return forward(*given, **named)

    monkeypatch.setattr(model.model, "forward", reading)

    def counted(states: torch.Tensor, weight: torch.Tensor, bias: Any = None) -> torch.Tensor:
        if len(weight) in (2, SHAPE["vocab_size"]):
            headed.append((states.shape[1], len(weight)))
        return linear(states, weight, bias)

    monkeypatch.setattr(torch.nn.functional, "linear", counted)
    prompts = PromptTokenizer(tokenizer, chat=False).encode(
        Prompt(TEMPLATES["plain"], ("bad", "good"), SHOTS), TEXTS * 4
    )
    scorer = Scorer(model, "cpu", 1)
    scorer.score(prompts)
    assert sum(read) == len(prompts.prefix) + sum(map(len, prompts.rows))
    assert set(headed[1:]) == {(1, 2)}
    scorer.score(prompts)
    assert read.count(len(prompts.prefix)) == 1, "the same beginning is not read again"


def test_out_of_memory_halves_the_batch_and_loses_no_finished_text(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = mistral()
    prompts = PromptTokenizer(tokenizer, chat=False).encode(
        Prompt(TEMPLATES["plain"], ("bad", "good"), SHOTS), TEXTS * 8
    )
    expected = Scorer(model, "cpu").score(prompts)
    sizes: list[int] = []
    scorer, forward = Scorer(model, "cpu", 1000), model.forward

    def short_of_memory(**inputs: Any) -> Any:
        sizes.append(len(inputs["input_ids"]))
        if len(inputs["input_ids"]) * inputs["input_ids"].shape[1] > 100:
            raise torch.OutOfMemoryError("out of memory")
        return forward(**inputs)

    monkeypatch.setattr(model, "forward", short_of_memory)
    said: list[int] = []
    found = scorer.score(prompts, said.append)
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), atol=1e-5, rtol=0)
    assert said == sorted(set(said)) and said[-1] == len(prompts.rows), "no text is scored twice"
    assert sizes[0] == 1 and sizes[1] == 2 * sizes[2] > 2, "the longest texts are tried first, then half of them"
    assert scorer.batches.tokens <= 100


def test_a_text_that_does_not_fit_alone_ends_in_a_remedy(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = mistral()
    prompts = PromptTokenizer(tokenizer, chat=False).encode(Prompt(TEMPLATES["plain"], ("bad", "good"), SHOTS), TEXTS)

    def never(**_: Any) -> Any:
        raise MemoryError

    scorer = Scorer(model, "cpu")
    monkeypatch.setattr(model, "forward", never)
    with pytest.raises(UserError, match=r"tokens before every review .*lower prompt\.shots"):
        scorer.score(prompts)
    with pytest.raises(UserError, match=r"one text of \d+ tokens .*lower prompt\.max_length"):
        Batches("cpu").run([3, 7], lambda rows: model.forward())


def test_another_error_is_not_taken_for_a_lack_of_memory(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = mistral()
    prompts = PromptTokenizer(tokenizer, chat=False).encode(Prompt(TEMPLATES["plain"], ("bad", "good")), TEXTS)

    def broken(**_: Any) -> Any:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(model, "forward", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        Scorer(model, "cpu").score(prompts)


def test_the_prior_of_one_prompt_is_subtracted_as_mutual_information() -> None:
    text, domain = [-1.0, -3.0], [-0.5, -4.0]
    calibrated = likelihood.probabilities(text, likelihood.log_prior([domain]))
    assert math.log(calibrated[1] / calibrated[0]) == pytest.approx((text[1] - domain[1]) - (text[0] - domain[0]))
    assert likelihood.probabilities(text, [0.0, 0.0])[0] == pytest.approx(1 / (1 + math.exp(-2)))


def test_a_prior_of_many_prompts_is_the_log_of_their_mean_probability() -> None:
    prior = likelihood.log_prior([[math.log(0.9), math.log(0.1)], [math.log(0.5) + 7, math.log(0.5) + 7]])
    assert prior == pytest.approx([math.log(0.7), math.log(0.3)])
    assert likelihood.probabilities(prior, prior) == pytest.approx([0.5, 0.5])
