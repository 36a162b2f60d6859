"""Rows to learn from: prompts with their answers, as token ids, in which only the answer has a loss."""

from collections.abc import Sequence
from typing import Any

from engines.prompts.encoding import PromptTokenizer
from engines.prompts.templates import Prompt


class TuningRows(Sequence[list[int]]):
    """Prompts with their answers as token ids, `starts` saying where each answer begins."""

    def __init__(self, ids: list[list[int]], starts: list[int]) -> None:
        self._ids, self.starts = ids, starts
        self.lengths = [len(row) for row in ids]

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, n: Any) -> Any:
        return self._ids[n]

    def labels(self, n: int) -> list[int]:
        """What row `n` is to predict: -100, without a loss, but for its answer."""
        return [-100] * self.starts[n] + self._ids[n][self.starts[n] :]

    @property
    def answer_tokens(self) -> list[int]:
        return [length - start for length, start in zip(self.lengths, self.starts, strict=True)]


def conversations(
    prompt_tokenizer: PromptTokenizer, prompt: Prompt, texts: Sequence[str], classes: Sequence[int]
) -> tuple[list[list[int]], list[int | None]]:
    """Token ids of each prompt with its answer and what closes it, and where the answer begins.

    That is None where the ids do not begin with those of the prompt alone and of the answer as it is scored: such
    a row would teach something else.
    """
    tokenizer = prompt_tokenizer.tokenizer
    asked = [prompt_tokenizer.render(prompt, text) for text in texts]
    words = [prompt.words[label] for label in classes]
    closing: list[int] = []
    if prompt_tokenizer.chat and prompt.template.chat:
        whole = [
            tokenizer.apply_chat_template(
                [*prompt.messages(text), {"role": "assistant", "content": word}], tokenize=False
            )
            for text, word in zip(texts, words, strict=True)
        ]
    else:
        whole = [f"{before} {word}" for before, word in zip(asked, words, strict=True)]
        closing = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
    scored = prompt_tokenizer.answers(prompt)
    rows, starts = [], []
    before_ids = prompt_tokenizer.ids(prompt, asked)
    for before, ids, label in zip(before_ids, prompt_tokenizer.ids(prompt, whole), classes, strict=True):
        closed, expected = ids + closing, before + scored[label]
        starts.append(len(before) if closed[: len(expected)] == expected else None)
        rows.append(closed)
    return rows, starts
