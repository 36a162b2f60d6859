"""Prompts and their answers as tokens: the same for scoring, for writing and for tuning."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from engines.errors import ConfigError
from engines.prompts.templates import Prompt

_CHUNK = 256  # prompts tokenised at once


def chats(form: str, tokenizer: Any) -> bool:
    """Whether prompts take the model's own chat form; `form` is "auto", "chat" or "plain"."""
    if form == "chat" and not tokenizer.chat_template:
        raise ConfigError('prompt.form = "chat", but the tokenizer of this model has no chat form; set it to "plain"')
    return form != "plain" and bool(tokenizer.chat_template)


@dataclass(frozen=True)
class Encoded:
    """Prompts as token ids: `prefix + rows[n]` is prompt n, tokenised as a whole."""

    prefix: list[int]
    rows: list[list[int]]  # at least one token each
    answers: list[list[int]]  # a label's words, a class each


class Encoder:
    """Turns prompts into tokens, by the tokenizer's chat form (`chat`) or as plain text after its first token."""

    def __init__(self, tokenizer: Any, chat: bool) -> None:
        self.tokenizer = tokenizer
        self.chat = chat
        first = tokenizer.bos_token_id
        marked = tokenizer("a")["input_ids"]
        # closing tokens, as BERT's, would stand between a prompt and its answer
        self._opening = [first] if first is not None and marked[:1] == [first] else []
        special = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
        self._control = [token for token in special if len(token) > 1]

    def cut(self, texts: Sequence[str], max_length: int) -> tuple[list[str], list[int], list[int]]:
        """Each text cut to `max_length` tokens, how many tokens are left of it, and how many it has.

        Control tokens spelled out in a text are broken up by a space, so that a text cannot speak as the user.
        """
        if not texts:
            return [], [], []
        clean = [self._disarmed(text) for text in texts]
        encoded = self.tokenizer(clean, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        total = [len(ids) for ids in encoded["input_ids"]]
        cut = [
            text[: offsets[max_length - 1][1]] if length > max_length else text
            for text, offsets, length in zip(clean, encoded["offset_mapping"], total, strict=True)
        ]
        return cut, [min(length, max_length) for length in total], total

    def _disarmed(self, text: str) -> str:
        for token in self._control:
            if token in text:
                text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    def render(self, prompt: Prompt, text: str) -> str:
        """The full prompt as the text that is tokenised."""
        if not self._chats(prompt):
            return prompt.plain(text)
        rendered: str = self.tokenizer.apply_chat_template(
            prompt.messages(text), tokenize=False, add_generation_prompt=True
        )
        return rendered

    def _chats(self, prompt: Prompt) -> bool:
        return self.chat and prompt.template.chat

    def ids(self, prompt: Prompt, rendered: Sequence[str]) -> list[list[int]]:
        """Token ids of rendered prompts; a chat form writes its first token itself."""
        opening = [] if self._chats(prompt) else self._opening
        encoded = self.tokenizer(list(rendered), add_special_tokens=False, verbose=False)["input_ids"]
        return [opening + ids for ids in encoded]

    def length(self, prompt: Prompt, text: str) -> int:
        """Tokens of one full prompt."""
        return len(self.ids(prompt, [self.render(prompt, text)])[0])

    def answers(self, prompt: Prompt) -> list[list[int]]:
        """Token ids of each label's words, as they follow the prompt."""
        asked = self.render(prompt, "")
        (before,) = self.ids(prompt, [asked])
        found: list[list[int]] = []
        for word in prompt.words:
            (whole,) = self.ids(prompt, [asked + self._written(prompt, asked, word)])
            if whole[: len(before)] != before or len(whole) == len(before) or whole[len(before) :] in found:
                raise ConfigError(
                    f'the tokenizer cannot tell the answer "{word}" from the end of the prompt "{prompt.template.name}"'
                    " or from another label; choose another prompt.template or other label words"
                )
            found.append(whole[len(before) :])
        return found

    def _written(self, prompt: Prompt, asked: str, word: str) -> str:
        """The answer with what stands before it: a space, or what the chat form puts there."""
        if self._chats(prompt):
            answered = [*prompt.messages(""), {"role": "assistant", "content": word}]
            whole: str = self.tokenizer.apply_chat_template(answered, tokenize=False)
            if whole.startswith(asked) and word in whole[len(asked) :]:
                return whole[len(asked) :].partition(word)[0] + word
            return word
        return f" {word}"

    def encode(self, prompt: Prompt, texts: Sequence[str], tick: Callable[[], None] = lambda: None) -> Encoded:
        """All prompts tokenised as wholes, then parted at the longest beginning they share with the one without text.

        `tick` is called now and then.
        """
        (first,) = self.ids(prompt, [self.render(prompt, "")])
        shared = len(first) - 1
        parts: list[tuple[int, list[int]]] = []  # how much of `first` a prompt begins with, and the rest
        for start in range(0, len(texts), _CHUNK):
            chunk = texts[start : start + _CHUNK]
            for ids in self.ids(prompt, [self.render(prompt, text) for text in chunk]):
                shared = min(shared, len(ids) - 1)
                while ids[:shared] != first[:shared]:
                    shared = next(n for n in range(shared) if ids[n] != first[n])
                parts.append((shared, ids[shared:]))
            tick()
        rows = [first[shared:known] + rest for known, rest in parts]
        return Encoded(first[:shared], rows, self.answers(prompt))
