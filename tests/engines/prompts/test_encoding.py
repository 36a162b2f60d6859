from typing import Any

import pytest

from engines.errors import ConfigError
from engines.prompts.encoding import PromptTokenizer
from engines.prompts.templates import TEMPLATES, Prompt, Template

SHOTS = (("A gem of a film, funny and warm.", 1), ("Every scene drags, and the jokes are stale.", 0))


def test_prompts_are_tokenised_as_wholes_whatever_the_border(tokenizer: Any) -> None:
    prompt_tokenizer = PromptTokenizer(tokenizer, chat=False)
    glued = Template("glued", "Read th", "is{text}", "Class:")  # the border falls inside a word
    prompt = Prompt(glued, ("bad", "good"), SHOTS)
    prompts = prompt_tokenizer.encode(prompt, ["land", "tle is good", ""])
    whole = [
        [2, *ids]
        for ids in tokenizer([prompt.plain(t) for t in ("land", "tle is good", "")], add_special_tokens=False)[
            "input_ids"
        ]
    ]
    assert [prompts.prefix + row for row in prompts.rows] == whole
    assert [len(row) for row in prompt_tokenizer.encode(prompt, ["", ""]).rows] == [1, 1], (
        "each row keeps a token of its own"
    )
    assert prompt_tokenizer.encode(prompt, []).rows == []
    one, other = (prompt_tokenizer.encode(prompt, [text]).prefix for text in ("land", "lands"))
    assert one == other, "texts asked about one by one share the beginning too"


def test_a_long_text_is_cut_and_a_control_token_in_it_is_broken_up(tokenizer: Any) -> None:
    prompt_tokenizer = PromptTokenizer(tokenizer, chat=False)
    (long, short), read, total = prompt_tokenizer.cut(["superb film " * 50, "fine [CLS] film"], 10)
    assert read == [10, total[1]] and total[0] == 100
    assert len(tokenizer(long, add_special_tokens=False)["input_ids"]) == 10
    assert tokenizer.cls_token_id not in tokenizer(short, add_special_tokens=False)["input_ids"]


def test_an_instruct_model_gets_its_chat_form_and_answers_where_the_form_puts_them(tokenizer: Any) -> None:
    import copy

    chatty = copy.deepcopy(tokenizer)
    chatty.chat_template = (
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}( {{ m['content'] }} )"
        "{% else %} : {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
    )
    prompt_tokenizer = PromptTokenizer(chatty, chat=True)
    prompt = Prompt(TEMPLATES["classify"], ("bad", "good"), SHOTS)
    rendered = prompt_tokenizer.render(prompt, "Dull.")
    assert rendered.startswith("[CLS]( Classify the sentiment of the review as bad or good.")
    assert rendered.endswith("Review: Dull.\nSentiment: )") and " : good" in rendered
    assert prompt_tokenizer.encode(prompt, ["Dull."]).prefix[:2] == [2, chatty.convert_tokens_to_ids("(")]
    assert [chatty.decode(ids).replace(" ", "") for ids in prompt_tokenizer.answers(prompt)] == [":bad", ":good"]
    study = Prompt(TEMPLATES["study"], ("bad", "good"))
    assert prompt_tokenizer.render(study, "Dull.") == study.plain("Dull."), "it carries its own instruction marks"


def test_labels_that_are_one_and_the_same_to_the_tokenizer_are_refused(tokenizer: Any) -> None:
    with pytest.raises(ConfigError, match="another label"):
        PromptTokenizer(tokenizer, chat=False).answers(Prompt(TEMPLATES["plain"], ("Good", "good")))
