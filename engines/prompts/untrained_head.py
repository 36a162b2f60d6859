"""A classification head that was never trained, as a pipeline puts it on a language model: where the study's
randomness came from."""

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from engines.answers.classifier import Answer, answers, checked_repeat
from engines.models.forward import padded
from engines.prompts.encoding import PromptTokenizer
from engines.prompts.likelihood import Batches

if TYPE_CHECKING:
    import torch

_HYPOTHESIS = "This example is {}."


def spread_of(config: Any) -> float:
    """Standard deviation of the weights that a kind of model is drawn with; 0.02, as most, where it names none."""
    names = ("initializer_range", "init_std", "initializer_factor")
    return float(next((value for name in names if (value := getattr(config, name, None))), 0.02))


class Headed:
    """What `pipeline("zero-shot-classification")` makes of a language model: a head drawn at random.

    A class's score is the last logit for the pair of the text and "This example is <class>.", as the pipeline
    takes it where a model names no entailment. The model is gone through once; each head only reads its states.
    """

    def __init__(self, model: Any, tokenizer: Any, device: str) -> None:
        self.prompt_tokenizer = PromptTokenizer(tokenizer, chat=False)
        self._model = model
        self._device = device
        self._batches = Batches(device)

    def states(
        self, texts: Sequence[str], labels: Sequence[str], done: Callable[[int], None] = lambda n: None
    ) -> "torch.Tensor":
        """(texts, classes, width): the state at the end of each pair, float32 on the CPU."""
        import torch

        tokenizer = self.prompt_tokenizer.tokenizer
        pairs = [(text, _HYPOTHESIS.format(label)) for text in texts for label in labels]
        ids = tokenizer(pairs, verbose=False)["input_ids"] if pairs else []

        result = torch.empty((len(ids), self._model.config.get_text_config().hidden_size))
        finished = 0

        def run(rows: list[int]) -> None:
            nonlocal finished
            batch = padded([ids[n] for n in rows], tokenizer.pad_token_id or 0)
            batch = {name: tensor.to(self._device) for name, tensor in batch.items()}
            states = self._model.base_model(**batch).last_hidden_state
            last = batch["attention_mask"].sum(1) - 1
            result[torch.tensor(rows)] = states[torch.arange(len(rows), device=states.device), last].float().cpu()
            finished += len(rows)
            done(finished // len(labels))

        with torch.inference_mode():
            self._batches.run([len(row) for row in ids], run)
        return result.reshape(len(texts), len(labels), -1)

    def head(self, seed: str) -> "torch.Tensor":
        """The weights (classes of the head, width) that `seed` draws, as a new head of this model is drawn."""
        import torch

        config = self._model.config.get_text_config()
        generator = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(f"{seed}/head".encode()).digest()[:7]))
        shape = (self._model.config.num_labels, config.hidden_size)
        return torch.normal(0.0, spread_of(config), shape, generator=generator)

    def probabilities(self, states: "torch.Tensor", seed: str) -> list[list[float]]:
        """One row per text, one column per class."""
        logits = states.double() @ self.head(seed)[-1].double()
        probabilities: list[list[float]] = logits.softmax(-1).tolist()
        return probabilities


class HeadClassifier:
    """The head that a repeat of a run drew; `seeds` holds one per repeat."""

    def __init__(
        self, labels: tuple[str, ...], headed: Headed, seeds: Sequence[str], max_length: int, repeat: int = 0
    ) -> None:
        self.labels = labels
        self._headed, self._seeds, self._max_length = headed, seeds, max_length
        self._seed = seeds[repeat]

    def of_repeat(self, repeat: int) -> "HeadClassifier":
        """The same model under the head of another repeat of the run."""
        checked_repeat(repeat, len(self._seeds))
        return HeadClassifier(self.labels, self._headed, self._seeds, self._max_length, repeat)

    def classify(self, texts: Sequence[str]) -> list[Answer]:
        if not texts:
            return []
        cut, read, total = self._headed.prompt_tokenizer.cut(texts, self._max_length)
        probabilities = self._headed.probabilities(self._headed.states(cut, self.labels), self._seed)
        return answers(self.labels, probabilities, read, total)
