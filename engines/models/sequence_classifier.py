"""A finished encoder with a classification head."""

from collections.abc import Sequence
from pathlib import Path

from engines.answers.classifier import Answer, answers
from engines.models.forward import forward, tokenized


class SequenceClassifier:
    """A `save_pretrained` folder with a sequence-classification head; labels from its `id2label`."""

    def __init__(self, path: Path, max_length: int, device: str) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._tokenizer = AutoTokenizer.from_pretrained(path)
        model = AutoModelForSequenceClassification.from_pretrained(path, dtype=torch.float32)
        self._model = model.to(device).eval()
        self._max_length = max_length
        self._device = device
        self.labels = tuple(str(model.config.id2label[n]) for n in range(model.config.num_labels))

    def classify(self, texts: Sequence[str]) -> list[Answer]:
        ids, total = tokenized(self._tokenizer, texts, self._max_length)
        pad_id = self._tokenizer.pad_token_id or 0
        logits = forward(ids, pad_id, self._device, lambda batch: self._model(**batch).logits)
        probabilities = logits.double().softmax(-1).tolist() if texts else []
        return answers(self.labels, probabilities, [len(row) for row in ids], total)
