import hashlib
import subprocess
import sys

import pytest

from engines.data.items import Example
from engines.errors import ConfigError
from engines.prompts import templates
from engines.prompts.templates import TEMPLATES, Prompt, draw_shots, label_words, parse_answer, template_order

LABELS = ("negative", "positive")


def example(text: str, label: int, copy: str = "") -> Example:
    return Example(text, label, 0, hashlib.sha256(text.encode()).hexdigest() + copy)


TRAIN = [example(f"review {n}", n % 2) for n in range(60)]


def test_there_are_at_least_eight_wordings_no_two_alike() -> None:
    assert len(TEMPLATES) >= 8
    shown = {Prompt(template, LABELS, (("dull", 0),)).plain("THE TEXT") for template in TEMPLATES.values()}
    assert len(shown) == len(TEMPLATES)


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("words", [LABELS, ("World", "Sports", "Business", "Sci/Tech")])
def test_a_wording_holds_the_text_once_and_ends_where_the_answer_follows(name: str, words: tuple[str, ...]) -> None:
    text = "braces {text} {0} and [brackets] are only text"
    prompt = Prompt(TEMPLATES[name], words, (("an example", 1),))
    plain = prompt.plain(text)
    assert plain.count(text) == 1 and plain.count("an example") == 1 and plain == plain.strip()
    assert plain.index(f" {words[1]}\n\n") < plain.index(text), "an example ends in its answer"
    turns = prompt.messages(text)
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert turns[1]["content"] == words[1] and text in turns[2]["content"]
    other = ("category",) if words == LABELS else ("sentiment", "review")
    assert not any(word in plain.lower() for word in other)


def test_the_study_prompt_asks_inside_instruction_marks_and_shows_the_review_in_brackets() -> None:
    plain = Prompt(TEMPLATES["study"], LABELS).plain("Dull.")
    question, _, rest = plain.partition("[/INST]")
    assert question.startswith("[INST]") and "negative or positive" in question and rest == "\n[Dull.]\n="


def test_the_chosen_wording_comes_first_and_every_other_follows_once() -> None:
    order = [template.name for template in template_order("question")]
    assert order[0] == "question" and sorted(order) == sorted(TEMPLATES)
    with pytest.raises(ConfigError, match='did you mean "question"'):
        template_order("qestion")


def test_label_words_stand_in_the_order_of_the_classes() -> None:
    words = label_words(("positive", "negative"))
    assert len(words) >= 8 and words[0] == ("positive", "negative") and ("good", "bad") in words
    others = label_words(("World", "sci/tech"))
    assert others[0] == ("World", "sci/tech") and len(set(others)) == len(others) > 1
    assert all(len({word.casefold() for word in way}) == 2 for way in others)


def test_examples_are_balanced_and_depend_on_seed_repeat_and_review_alone() -> None:
    drawn = draw_shots(TRAIN, LABELS, 4, seed=1, repeat=0, under_test=())
    assert sorted(shot.label for shot in drawn) == [0] * 4 + [1] * 4
    assert draw_shots(TRAIN[::-1], LABELS, 4, 1, 0, ()) == drawn, "not on the order of the file"
    assert draw_shots(TRAIN, LABELS, 4, 1, 1, ()) != drawn != draw_shots(TRAIN, LABELS, 4, 2, 0, ())
    orders = {tuple(shot.label for shot in draw_shots(TRAIN, LABELS, 2, 1, repeat, ())) for repeat in range(20)}
    assert len(orders) > 2, "the order is drawn too"


def test_no_example_is_under_test_nor_shown_twice() -> None:
    under_test = {TRAIN[0].hash, f"{TRAIN[2].hash}#2"}
    train = [*TRAIN[:8], example(TRAIN[4].text, 0, "#2")]
    drawn = draw_shots(train, LABELS, 2, 0, 0, under_test)
    assert sorted(shot.text for shot in drawn if shot.label == 0) == ["review 4", "review 6"]
    with pytest.raises(ConfigError, match='needs 3 examples of "negative", the training split has 2'):
        draw_shots(train, LABELS, 3, 0, 0, under_test)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("positive", 1),
        (" Negative.\n\nReview: more", 0),
        ('"positive"', 1),
        ("POSITIVE!", 1),
        ("", None),
        ("positive because", None),
        ("It is negative", None),
        ("positives", None),
        ("\n\nnegative", 0),
        ("?", None),
        ("not positive", None),
        ("negative or positive", None),
    ],
)
def test_only_a_label_alone_on_the_first_line_is_an_answer(text: str, label: int | None) -> None:
    assert parse_answer(text, LABELS) == label


def test_prompts_need_nothing_but_the_standard_library() -> None:
    heavy = "{'torch', 'transformers', 'numpy', 'sklearn'}"
    script = f"import sys, {templates.__name__}; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
