"""What a language model is asked: wordings, label words, examples, and how a written answer is read.

Wordings and label words are data; how they become tokens is `engines.prompts.encoding`'s business.
"""

import string
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from engines.errors import ConfigError
from engines.settings import nearest

if TYPE_CHECKING:
    from engines.data.items import Example

SEPARATOR = "\n\n"
"""What stands between the examples of a plain prompt, and so follows every answer in it."""
POLARITY = ("negative", "positive")
"""Classes for which the wordings speak of reviews and sentiment; all others are categories of texts."""


@dataclass(frozen=True)
class Template:
    """One wording. Fields are format strings over `thing`, `quality` (also capitalised) and `choices`.

    `item` holds the text under test as `{text}`; the answer follows `cue`, which ends in no space. A `chat`
    wording is put into the model's own chat form where it has one; others carry their form in themselves.
    """

    name: str
    instruction: str
    item: str
    cue: str
    chat: bool = True


TEMPLATES = {
    template.name: template
    for template in (
        Template("plain", "", "{Thing}: {text}", "{Quality}:"),
        Template("classify", "Classify the {quality} of the {thing} as {choices}.", "{Thing}: {text}", "{Quality}:"),
        Template("question", "Is the {quality} of the {thing} {choices}?", "{Thing}: {text}", "Answer:"),
        Template(
            "one_word",
            "Give the {quality} of each {thing} in one word: {choices}.",
            "{Thing}: {text}",
            "{Quality} in one word:",
        ),
        Template("quoted", "", 'Someone wrote: "{text}"', "Of {choices}, the {quality} of this {thing} is"),
        Template("tags", "The tags hold a {thing}. Label it {choices}.", "<{thing}>{text}</{thing}>", "Label:"),
        Template("verdict", "", "{text}", "All in all, the {quality} of this {thing} is"),
        Template(
            "reader",
            "You are a careful reader who sorts {thing}s by their {quality}. The only answers are "
            "{choices}; nothing else is said.",
            "{Thing}: {text}",
            "Answer:",
        ),
        Template("dialogue", "", "Q: What is the {quality} of this {thing}, {choices}? {text}", "A:"),
        Template(
            "study",
            "",
            "[INST]Determine the {quality} of the {thing} in square brackets and answer with one "
            "label, {choices}.[/INST]\n[{text}]",
            "=",
            chat=False,
        ),
    )
}
"""The shipped wordings by name. `study` keeps the form of the founding study's Mistral prompt: the question inside the
instruction marks, the review in square brackets after them, the label after an equals sign."""

_POLARITY_WORDS = (
    ("negative", "positive"),
    ("bad", "good"),
    ("terrible", "great"),
    ("awful", "wonderful"),
    ("poor", "excellent"),
    ("horrible", "fantastic"),
    ("disappointing", "satisfying"),
    ("unfavourable", "favourable"),
)


def template_order(first: str) -> list[Template]:
    """All wordings, `first` ahead of the others."""
    if first not in TEMPLATES:
        raise ConfigError(f'prompt.template = "{first}": no such wording{nearest(first, TEMPLATES)}')
    return [TEMPLATES[first], *(t for name, t in TEMPLATES.items() if name != first)]


def label_words(labels: Sequence[str]) -> list[tuple[str, ...]]:
    """Ways to write the classes, one word per class in the order of `labels`, the names themselves first.

    Negative and positive have eight pairs; other classes are written in other cases.
    """
    if set(labels) == set(POLARITY):
        return [tuple(words[POLARITY.index(label)] for label in labels) for words in _POLARITY_WORDS]
    cases: tuple[Callable[[str], str], ...] = (str, str.lower, str.capitalize, str.upper, str.title)
    ways = dict.fromkeys(tuple(case(label) for label in labels) for case in cases)
    return [way for way in ways if len({word.casefold() for word in way}) == len(labels)]


@dataclass(frozen=True)
class Prompt:
    """A wording with its label words and its examples: everything but the text under test."""

    template: Template
    words: tuple[str, ...]  # one word per class
    shots: tuple[tuple[str, int], ...] = ()  # text and class number
    _fields: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        thing, quality = ("text", "category")
        if set(self.words) in [set(words) for words in _POLARITY_WORDS]:
            thing, quality = ("review", "sentiment")
        choices = f"{', '.join(self.words[:-1])} or {self.words[-1]}"
        fields = {"thing": thing, "quality": quality, "choices": choices}
        object.__setattr__(self, "_fields", fields | {"Thing": thing.capitalize(), "Quality": quality.capitalize()})

    def plain(self, text: str) -> str:
        """The prompt as one text, for a base model; the answer follows it after a space."""
        parts = [self._worded(self.template.instruction)] if self.template.instruction else []
        parts += [f"{self._asked(shot)} {self.words[label]}" for shot, label in self.shots]
        return SEPARATOR.join([*parts, self._asked(text)])

    def messages(self, text: str) -> list[dict[str, str]]:
        """The prompt as a conversation that waits for the assistant; examples are earlier turns."""
        messages: list[dict[str, str]] = []
        for shot, label in self.shots:
            messages.append({"role": "user", "content": self._asked(shot)})
            messages.append({"role": "assistant", "content": self.words[label]})
        messages.append({"role": "user", "content": self._asked(text)})
        if self.template.instruction:  # part of the first turn: not every chat form knows a system's
            messages[0]["content"] = f"{self._worded(self.template.instruction)}\n\n{messages[0]['content']}"
        return messages

    def _asked(self, text: str) -> str:
        return f"{self._worded(self.template.item, text)}\n{self._worded(self.template.cue)}"

    def _worded(self, words: str, text: str = "") -> str:
        return words.format(**self._fields, text=text)


def draw_shots(
    train: Sequence["Example"],
    labels: Sequence[str],
    per_class: int,
    seed: int,
    repeat: int,
    under_test: Collection[str],
) -> list["Example"]:
    """`per_class` examples of every class in a drawn order, none of whose texts is under test.

    Every training review draws its place from `seed`, `repeat` and its own hash: the draw does not depend on
    the order of the file. One draw serves all reviews of a repeat, so that their common beginning is computed
    once. `under_test` holds hashes; copies ("#n") count as the text they copy.
    """
    barred = {hashed.partition("#")[0] for hashed in under_test}
    candidates: list[list[tuple[float, float, int]]] = [[] for _ in labels]
    taken: set[str] = set()
    for place, example in enumerate(train):
        text = example.hash.partition("#")[0]
        if text in barred or text in taken:
            continue
        taken.add(text)
        random = Random(f"{seed}/{repeat}/{text}")
        candidates[example.label].append((random.random(), random.random(), place))
    chosen = []
    for label, drawn in zip(labels, candidates, strict=True):
        if len(drawn) < per_class:
            raise ConfigError(
                f'prompt.shots = {per_class} needs {per_class} examples of "{label}", the training split has '
                f"{len(drawn)} that are not under test; lower prompt.shots or raise data.train"
            )
        chosen += sorted(drawn)[:per_class]
    return [train[place] for _, _, place in sorted(chosen, key=lambda place: place[1])]


_AROUND = string.whitespace + string.punctuation


def parse_answer(text: str, words: Sequence[str]) -> int | None:
    """The class a written answer names, None when it is no label: the first line has to be one of `words`.

    Case, and spaces and punctuation around it, do not matter; anything said besides does.
    """
    lines = text.strip().splitlines()
    answer = lines[0].strip(_AROUND).casefold() if lines else ""
    for label, word in enumerate(words):
        if answer == word.strip(_AROUND).casefold():
            return label
    return None
