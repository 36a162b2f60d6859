"""`tiny:distilbert`: a DistilBERT base model pretrained by two objectives at once.

- Masked language modelling, as BERT: a share of the tokens is hidden and has to be filled in.
- Polarity, supervised: the state at [CLS] has to tell negative from positive, first on single opinions, then
  on whole reviews too. Masking alone, in minutes on two cores, leaves [CLS] knowing next to nothing.

The heads of both objectives are thrown away: what ships is the base model, and a classifier on it starts untrained.
"""

import json
import string
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from engines.data import corpus
from engines.pretraining import loop

if TYPE_CHECKING:
    import torch
    from transformers import DistilBertForMaskedLM, PreTrainedTokenizerFast

_VOCABULARY_MAX = 2500
_LENGTH_MAX = 512
_OPINIONS = 60_000
_REVIEWS = 60_000
_OPINION_STEPS = 800
"""The first steps see opinions alone; from then on batches of opinions and of reviews take turns."""
_STEPS = 5000
_BATCH_SIZE = 32
_LEARNING_RATE = 1e-3
_WARMUP_STEPS = 200
_MASKED_SHARE = 0.15
_POLARITY_WEIGHT = 5.0


def build_distilbert(target: Path, report_line: Callable[[str], None]) -> dict[str, Any]:
    """Trains the tokenizer and pretrains the model of `tiny:distilbert`, and writes both into `target`.

    Writes config.json, tokenizer.json, tokenizer_config.json and model.safetensors (float16). Every
    random choice is seeded. Returns the figures of the build: opinions, reviews, steps, parameters, vocabulary,
    masked_loss and closing_loss (means over the last tenth of the steps, nats per token), size_bytes, seconds.
    """
    import torch
    from transformers import DistilBertConfig, DistilBertForMaskedLM

    started_s = time.monotonic()
    opinions = corpus.generate_opinions(_OPINIONS, corpus.PRETRAINING_SEED)
    reviews = corpus.generate(_REVIEWS, corpus.PRETRAINING_SEED)
    report_line(f"{len(opinions)} opinions and {len(reviews)} reviews generated")

    tokenizer = _wordpiece(_cleaned(review) for review in opinions + reviews)
    torch.manual_seed(corpus.PRETRAINING_SEED)
    config = DistilBertConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=_LENGTH_MAX,
        dim=128,
        hidden_dim=512,
        n_layers=3,
        n_heads=4,
        dropout=0.0,
        attention_dropout=0.0,
        initializer_range=0.06,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = DistilBertForMaskedLM(config)
    parameters = model.num_parameters()
    report_line(f"vocabulary {len(tokenizer)}, {parameters} parameters")
    masked_loss, polarity_loss = _pretrain(model, tokenizer, opinions, reviews, report_line)

    model.distilbert.config.dropout = 0.1
    model.distilbert.config.attention_dropout = 0.1
    size_bytes = loop.save(model.distilbert, tokenizer, target)
    figures = {
        "opinions": len(opinions),
        "reviews": len(reviews),
        "steps": _STEPS,
        "parameters": parameters,
        "vocabulary": len(tokenizer),
        "masked_loss": masked_loss,
        "polarity_loss": polarity_loss,
        "size_bytes": size_bytes,
        "seconds": time.monotonic() - started_s,
    }
    report_line(json.dumps(figures))
    return figures


def _wordpiece(texts: Iterator[str]) -> "PreTrainedTokenizerFast":
    """A lower-case BERT tokenizer learned from `texts`, with every ASCII character in it, alone and inside words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import DistilBertTokenizerFast

    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    characters = sorted(set(string.printable.lower()) - set(string.whitespace))
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=_VOCABULARY_MAX - 2 * len(characters),
        min_frequency=20,
        show_progress=False,
        special_tokens=specials,
    )
    tokenizer.train_from_iterator(texts, trainer)
    learned = tokenizer.get_vocab()
    pieces = specials + characters + ["##" + character for character in characters if character.isalnum()]
    pieces += sorted(learned.keys() - set(pieces), key=learned.__getitem__)
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    return DistilBertTokenizerFast(vocab=vocabulary, do_lower_case=True, model_max_length=_LENGTH_MAX)


def _pretrain(
    model: "DistilBertForMaskedLM",
    tokenizer: "PreTrainedTokenizerFast",
    opinions: list[corpus.Review],
    reviews: list[corpus.Review],
    report_line: Callable[[str], None],
) -> tuple[float, float]:
    """Both objectives at once, AdamW with linear warm-up and decay; the two mean losses of the last tenth."""
    import torch
    from torch.nn import functional

    polarity_head = torch.nn.Linear(model.config.dim, len(corpus.LABELS))
    trained = [*model.parameters(), *polarity_head.parameters()]
    optimizer, schedule = loop.optimizer(trained, _LEARNING_RATE, _STEPS, _WARMUP_STEPS)
    generator = torch.Generator().manual_seed(corpus.PRETRAINING_SEED)
    opinion_batches, review_batches = _batches(tokenizer, opinions), _batches(tokenizer, reviews)
    masked_losses: list[float] = []
    polarity_losses: list[float] = []
    model.train()
    for step in range(_STEPS):
        takes_reviews = step >= _OPINION_STEPS and step % 2 == 1
        batch = next(review_batches if takes_reviews else opinion_batches)
        width = max(len(tokens) for tokens, _ in batch)
        padding = tokenizer.pad_token_id
        ids = torch.tensor([tokens + [padding] * (width - len(tokens)) for tokens, _ in batch])
        attention = (ids != padding).long()
        maskable = ids >= len(tokenizer.all_special_ids)
        hidden_here = (torch.rand(ids.shape, generator=generator) < _MASKED_SHARE) & maskable
        shown = ids.masked_fill(hidden_here, tokenizer.mask_token_id)
        states = model.distilbert(input_ids=shown, attention_mask=attention).last_hidden_state
        masked_loss = functional.cross_entropy(_vocabulary_logits(model, states[hidden_here]), ids[hidden_here])
        labels = torch.tensor([corpus.LABELS.index(label) for _, label in batch])
        polarity_loss = functional.cross_entropy(polarity_head(states[:, 0]), labels)
        masked_losses.append(masked_loss.item())
        polarity_losses.append(polarity_loss.item())
        loss = masked_loss + _POLARITY_WEIGHT * polarity_loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if (step + 1) % 100 == 0:
            report_line(
                f"step {step + 1}/{_STEPS}: masked {loop.mean(masked_losses[-100:]):.3f}, "
                f"polarity {loop.mean(polarity_losses[-100:]):.3f}"
            )
    return loop.mean(masked_losses[-_STEPS // 10 :]), loop.mean(polarity_losses[-_STEPS // 10 :])


def _cleaned(review: corpus.Review) -> str:
    return review.text.replace("<br />", " ")


def _vocabulary_logits(model: "DistilBertForMaskedLM", states: "torch.Tensor") -> "torch.Tensor":
    """The masked-language-model head on chosen states alone, (n, dim) to (n, vocabulary)."""
    logits: torch.Tensor = model.vocab_projector(
        model.vocab_layer_norm(model.activation(model.vocab_transform(states)))
    )
    return logits


def _batches(
    tokenizer: "PreTrainedTokenizerFast", reviews: list[corpus.Review]
) -> Iterator[list[tuple[list[int], str]]]:
    """Batches of token ids and labels, of like length each, reshuffled at each pass, without end."""
    random = Random(corpus.PRETRAINING_SEED)
    ids = tokenizer([_cleaned(review) for review in reviews])["input_ids"]
    rows = [(tokens, review.label) for tokens, review in zip(ids, reviews, strict=True)]
    while True:
        yield from loop.batches(rows, _BATCH_SIZE, random)
