"""Scoring by prompts: `python -m benchmarks.prompting [--items 32] [--pairs 3] [--vocabulary 32000]`.

The scorer of `prompting` against lm-evaluation-harness (its Hugging Face backend at the best of its batch sizes 1,
4 and 16 that fit into memory; `pip install lm_eval`) on a small Gemma of random weights: same folder, same prompts,
same labels, without and with eight examples. And against the founding study's way, a text-generation pipeline called
once a review for one token, on a small Mistral. Both sides of a ratio take turns in one process; their decisions have
to agree.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from benchmarks import harness
from engines.data import corpus
from engines.models import opening, tiny
from engines.prompts.encoding import PromptTokenizer
from engines.prompts.likelihood import Scorer
from engines.prompts.templates import TEMPLATES, Prompt

WORDS = ("bad", "good")
BATCH_SIZES = (1, 4, 16)
SHAPE: dict[str, Any] = {
    "hidden_size": 256,
    "intermediate_size": 1024,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 64,
    "max_position_embeddings": 8192,
    "initializer_range": 0.1,
}


def build(folder: Path, kind: str, vocabulary: int) -> Path:
    """A model of random weights with a tokenizer, saved."""
    import torch
    from tokenizers.processors import TemplateProcessing
    from transformers import GemmaConfig, GemmaForCausalLM, MistralConfig, MistralForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    config, model = {"gemma": (GemmaConfig, GemmaForCausalLM), "mistral": (MistralConfig, MistralForCausalLM)}[kind]
    model(config(vocab_size=vocabulary, pad_token_id=0, eos_token_id=3, **SHAPE)).save_pretrained(folder)
    words = opening.load_tokenizer(tiny.resolve("tiny:distilbert")).backend_tokenizer
    words.post_processor = TemplateProcessing(single="$A")  # nothing before or after a text: both sides read the same
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", eos_token="[SEP]").save_pretrained(folder)
    return folder


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of wall time and the result."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def compare(ours: Callable[[], list[int]], theirs: Callable[[], list[int]], items: int, pairs: int) -> dict[str, Any]:
    """Items per second of both in turn, their ratios, and the share of items on which the decisions agree."""
    figures: dict[str, Any] = {"ours_items_per_s": [], "theirs_items_per_s": []}
    for _ in range(pairs):
        ours_s, a = timed(ours)
        theirs_s, b = timed(theirs)
        figures["ours_items_per_s"].append(items / ours_s)
        figures["theirs_items_per_s"].append(items / theirs_s)
    figures["agree"] = sum(x == y for x, y in zip(a, b, strict=True)) / items
    return figures | {"ratio": harness.ratios(figures["ours_items_per_s"], figures["theirs_items_per_s"])}


def texts(count: int, offset: int = 0) -> list[str]:
    """Texts of about 200 tokens, of the project's own corpus."""
    reviews = [review.text for review in corpus.generate(3 * (count + offset), corpus.QUICKSTART_SEED)]
    return [" ".join(reviews[3 * n : 3 * n + 3]) for n in range(offset, count + offset)]


def against_harness(folder: Path, shots: int, items: int, pairs: int) -> dict[str, Any]:
    """Zero-shot or few-shot scoring against the harness at the best of its batch sizes."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    shown = tuple((text, n % 2) for n, text in enumerate(texts(shots, offset=items)))
    prompt, asked = Prompt(TEMPLATES["classify"], WORDS, shown), texts(items)
    model, tokenizer = opening.load_model(folder, "float32", "cpu")
    prompt_tokenizer = PromptTokenizer(tokenizer, chat=False)
    longest = max(prompt_tokenizer.length(prompt, text) for text in asked) + 1

    def ours() -> list[int]:
        scorer = Scorer(model, "cpu")  # a new one: nothing is remembered from the pair before
        return [row.index(max(row)) for row in scorer.score(prompt_tokenizer.encode(prompt, asked))]

    def theirs(language_model: Any) -> list[int]:
        requests = [
            Instance("loglikelihood", {}, (prompt_tokenizer.render(prompt, text), f" {word}"), n)
            for n, text in enumerate(asked)
            for word in WORDS
        ]
        scores = [score for score, _ in language_model.loglikelihood(requests, disable_tqdm=True)]
        return [
            max(range(len(WORDS)), key=scores[n : n + len(WORDS)].__getitem__)
            for n in range(0, len(scores), len(WORDS))
        ]

    logits_bytes = 3 * 4 * longest * model.config.vocab_size  # of a row, with their logarithms and a copy between
    fitting = [size for size in BATCH_SIZES if size * logits_bytes < psutil.virtual_memory().available]
    sized = {
        size: HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=size, max_length=longest)
        for size in fitting
    }
    seconds = {size: timed(lambda size=size: theirs(sized[size]))[0] for size in fitting}  # type: ignore[misc]
    best = min(seconds, key=seconds.__getitem__)
    ours()
    return compare(ours, lambda: theirs(sized[best]), items, pairs) | {"harness_batch_size": best, "longest": longest}


def against_pipeline(folder: Path, items: int, pairs: int) -> dict[str, Any]:
    """One new token per review by a pipeline, as the founding study did, against our written answers of one token."""
    from transformers import pipeline

    prompt, asked = Prompt(TEMPLATES["study"], WORDS), texts(items)
    model, tokenizer = opening.load_model(folder, "float32", "cpu")
    prompt_tokenizer, scorer = PromptTokenizer(tokenizer, chat=False), Scorer(model, "cpu")
    writer = pipeline("text-generation", model=model, tokenizer=tokenizer, device="cpu")
    rendered = [prompt_tokenizer.render(prompt, text) for text in asked]

    def theirs() -> list[int]:
        written: list[Any] = [
            writer(text, max_new_tokens=1, do_sample=False, return_tensors=True, add_special_tokens=False)
            for text in rendered
        ]
        return [answer[0]["generated_token_ids"][-1] for answer in written]

    def ours() -> list[int]:
        return [(ids or [tokenizer.eos_token_id])[0] for ids in scorer.write(prompt_tokenizer.encode(prompt, asked), 1)]

    ours()
    return compare(ours, theirs, items, pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=32)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--vocabulary", type=int, default=32000)
    arguments = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    items, pairs = arguments.items, arguments.pairs
    with harness.home() as home:
        gemma = build(home.path / "gemma", "gemma", arguments.vocabulary)
        mistral = build(home.path / "mistral", "mistral", arguments.vocabulary)
        figures = {
            "zero-shot, against the harness": against_harness(gemma, 0, items, pairs),
            "8 examples, against the harness": against_harness(gemma, 8, items, pairs),
            "one token, against a pipeline": against_pipeline(mistral, items, pairs),
        }
    text = harness.table(
        ["task", "ours, items/s", "theirs, items/s", "ratio (median)", "same decisions"],
        [
            [name, max(f["ours_items_per_s"]), max(f["theirs_items_per_s"]), f["ratio"]["median"], f"{f['agree']:.0%}"]
            for name, f in figures.items()
        ],
    )
    text += f"\n\n{items} texts of about 200 tokens, vocabulary {arguments.vocabulary:,}, {pairs} pairs in turn."
    name = "prompting" if arguments.vocabulary == 32000 else f"prompting-{arguments.vocabulary}"
    harness.write(name, "Scoring by prompts", {"vocabulary": arguments.vocabulary, **figures}, text)


if __name__ == "__main__":
    main()
