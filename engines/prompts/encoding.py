"""Prompts and their answers as tokens: the same for scoring, for writing and for tuning."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from engines.errors import ConfigError
from engines.prompts.templates import SEPARATOR, Prompt

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
    answers: list[list[int]]  # a label's words, a class each; none of them begins another


class PromptTokenizer:
    """Turns prompts into tokens, by the tokenizer's chat form (`chat`) or as plain text after its first token.

    `tuned` says that the model has learned to close its answers, as rows for tuning do.
    """

    def __init__(self, tokenizer: Any, chat: bool, tuned: bool = False) -> None:
        self.tokenizer = tokenizer
        self.chat = chat
        self.tuned = tuned
        first = tokenizer.bos_token_id
        marked = tokenizer("a")["input_ids"]
        # closing tokens, as BERT's, would stand between a prompt and its answer
        self._opening = [first] if first is not None and marked[:1] == [first] else []
        special = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
        self._control = [token for token in special if len(token) > 1]

    def cut(self, texts: Sequence[str], max_length: int) -> tuple[list[str], list[int], list[int]]:
        """Each text truncated to `max_length` tokens, how many tokens are left of it, and how many it has.

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
        """Token ids of each label's words, as they follow the prompt.

        Where one label's tokens begin another's ("1" and "10"), each label gets an end, or the longer one could never
        be the likelier: what closes a turn in chats and after tuning, and in plain prompts the separator that follows
        the answers of examples, since base models write no closing token there. Raises `ConfigError` where the
        tokenizer cannot tell labels apart.
        """
        answers = self._answers(prompt, ended=False)
        if _begins_another(answers) is not None:
            answers = self._answers(prompt, ended=True)
            if (at := _begins_another(answers)) is not None:
                raise ConfigError(
                    f'the tokenizer cannot tell where the answer "{prompt.words[at]}" ends, which begins another; '
                    "choose another prompt.template or other label words"
                )
        return answers

    def _answers(self, prompt: Prompt, ended: bool) -> list[list[int]]:
        asked = self.render(prompt, "")
        (before,) = self.ids(prompt, [asked])
        answers: list[list[int]] = []
        for word in prompt.words:
            lead, end, closing = self._around(prompt, asked, word)
            (whole,) = self.ids(prompt, [asked + lead + word + (end if ended else "")])
            if whole[: len(before)] != before or len(whole) == len(before) or whole[len(before) :] in answers:
                raise ConfigError(
                    f'the tokenizer cannot tell the answer "{word}" from the end of the prompt "{prompt.template.name}"'
                    " or from another label; choose another prompt.template or other label words"
                )
            answers.append(whole[len(before) :] + (closing if ended else []))
        return answers

    def _around(self, prompt: Prompt, asked: str, word: str) -> tuple[str, str, list[int]]:
        """What stands before an answer, what text ends it, and what tokens end it that no text stands for."""
        eos = [] if self.tokenizer.eos_token_id is None else [int(self.tokenizer.eos_token_id)]
        if self._chats(prompt):
            answered = [*prompt.messages(""), {"role": "assistant", "content": word}]
            whole: str = self.tokenizer.apply_chat_template(answered, tokenize=False)
            if whole.startswith(asked) and word in whole[len(asked) :]:
                lead, _, end = whole[len(asked) :].partition(word)
                return lead, end, [] if end else eos
            return "", "", eos
        return " ", "" if self.tuned and eos else SEPARATOR, eos if self.tuned else []

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


def _begins_another(answers: Sequence[list[int]]) -> int | None:
    """The first answer whose tokens are the beginning of another's; None without one."""
    for at, answer in enumerate(answers):
        if any(other[: len(answer)] == answer for n, other in enumerate(answers) if n != at):
            return at
    return None
