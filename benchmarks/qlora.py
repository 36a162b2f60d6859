"""Tuning by adapters: `python -m benchmarks.qlora [--rows 192] [--pairs 3]`.

`qlora` against a short TRL script with TRL's defaults (`plain_trl.py`), on the CPU: same model folder, same rows, same
adapters, micro-batches, epochs and precision. Both are processes of their own, taking turns. The pace is the tokens
of the rows, without padding, over the seconds of the training; the memory is the most that the process was resident,
libraries and all, read from the kernel's high-water mark. `qlora` also scores its test reviews and writes a
checkpoint, which the script does not.
"""

import argparse
import csv
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

from benchmarks import harness
from benchmarks.drawn import imdb_words, write_texts
from engines.models import opening, tiny
from engines.prompts import encoding
from engines.prompts.encoding import PromptTokenizer
from engines.prompts.templates import POLARITY, TEMPLATES, Prompt
from engines.prompts.tuning_rows import conversations
from engines.runs.home import Home

T = TypeVar("T")
LOOKS_EVERY_S = 0.05


@dataclass(frozen=True)
class Case:
    """One comparison."""

    name: str
    model: str  # a tiny model, or "large"
    precision: str
    batch_size: int
    accumulation: int
    max_length: int
    fewer: int = 1  # so many times fewer rows


CASES = (
    Case("tiny Mistral", "tiny:mistral", "float32", 8, 1, 128),
    Case("tiny Mistral, the founding study's batches", "tiny:mistral", "float32", 1, 4, 512),
    Case("tiny Mistral in 4 bits", "tiny:mistral", "nf4", 8, 1, 128),
    Case("6 layers, 256 wide, vocabulary 32,000", "large", "float32", 4, 1, 512, fewer=4),
)


def build(folder: Path) -> Path:
    """A Mistral of random weights whose vocabulary is as large as the real one's, with the tiny one's tokenizer."""
    import torch
    from transformers import MistralConfig, MistralForCausalLM

    from benchmarks.prompting import SHAPE

    torch.manual_seed(0)
    MistralForCausalLM(MistralConfig(vocab_size=32000, **SHAPE)).save_pretrained(folder)
    opening.load_tokenizer(tiny.resolve("tiny:mistral")).save_pretrained(folder)
    return folder


def peak_resident(work: Callable[[], T]) -> tuple[T, int]:
    """What `work` returns, and the highest peak among the processes that it started."""
    over = threading.Event()
    peaks = [0]

    def look() -> None:
        while not over.wait(LOOKS_EVERY_S):
            for child in psutil.Process().children():
                try:
                    status = Path(f"/proc/{child.pid}/status").read_text()
                except OSError:  # it has ended
                    continue
                peaks.extend(int(size) << 10 for size in re.findall(r"VmHWM:\s+(\d+) kB", status))

    watch = threading.Thread(target=look)
    watch.start()
    try:
        return work(), max(peaks)
    finally:
        over.set()
        watch.join()


def compare(case: Case, home: Home, model: Path, count: int, pairs: int) -> dict[str, Any]:
    """Tokens per second and peak memory of both, in turn, and their ratios."""
    place = home.path / case.name.replace(" ", "-").replace(",", "")
    place.mkdir()
    reviews = write_texts(place / "reviews.csv", imdb_words(count + 16))
    rows = place / "rows.jsonl"
    tokens = write_rows(reviews, rows, model, case.max_length, count)
    settings = {
        "model.name": str(model),
        "data.source": str(reviews),
        "data.split": "in_order",
        "data.train": count,
        "data.validation": 0,
        "data.test": 16,
        "training.epochs": 1,
        "training.batch_size": case.batch_size,
        "training.accumulation": case.accumulation,
        "training.max_length": case.max_length,
        "training.warmup_steps": 2,
        "lora.rank": 16,
        "precision": case.precision,
    }
    script = str(Path(__file__).with_name("plain_trl.py"))
    sizes = [str(case.batch_size), str(case.accumulation), "1", case.precision]

    def ours() -> float:
        end = harness.run(home, "qlora", case.name, settings).end
        assert end is not None and end.training_seconds is not None
        return float(end.training_seconds)

    def plain() -> float:
        argv = [sys.executable, script, str(model), str(rows), *sizes]
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{case.name}: the script failed: {done.stderr[-2000:]}")
        harness.say(f"plain script, {case.name}: {done.stdout.split()[-1]} s")
        return float(done.stdout.split()[-1])

    figures: dict[str, Any] = {"tokens": tokens}
    for _ in range(pairs):
        for name, work in (("ours", ours), ("plain", plain)):
            seconds, peak = peak_resident(work)
            figures.setdefault(f"{name}_tokens_per_s", []).append(tokens / seconds)
            figures.setdefault(f"{name}_peak_bytes", []).append(peak)
    figures["ratio"] = harness.ratios(figures["ours_tokens_per_s"], figures["plain_tokens_per_s"])
    return figures | {"memory_ratio": harness.ratios(figures["ours_peak_bytes"], figures["plain_peak_bytes"])}


def write_rows(reviews: Path, rows: Path, model: Path, max_length: int, count: int) -> int:
    """The first `count` reviews as the prompts and completions that `qlora` makes of them; their tokens."""
    tokenizer = opening.load_tokenizer(model)
    prompt_tokenizer, prompt = (
        PromptTokenizer(tokenizer, encoding.chats("auto", tokenizer)),
        Prompt(TEMPLATES["classify"], POLARITY),
    )
    with open(reviews, newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))[:count]
    texts, _, _ = prompt_tokenizer.cut([row["review"] for row in read], max_length)
    classes = [int(row["sentiment"]) for row in read]
    ids, _ = conversations(prompt_tokenizer, prompt, texts, classes)
    with open(rows, "w", encoding="utf-8") as file:
        for text, label in zip(texts, classes, strict=True):
            answer = [{"role": "assistant", "content": prompt.words[label]}]
            file.write(json.dumps({"prompt": prompt.messages(text), "completion": answer}) + "\n")
    return sum(map(len, ids))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=192)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--output", type=Path, default=harness.DOCS, help="folder of qlora.json and qlora.md")
    arguments = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    figures = {}
    with harness.home() as home:
        large = build(home.path / "large")
        for case in CASES:
            model = large if case.model == "large" else tiny.resolve(case.model)
            figures[case.name] = compare(case, home, model, arguments.rows // case.fewer, arguments.pairs)
    lines = []
    for case in CASES:
        measured = figures[case.name]
        peaks = [f"{max(measured[f'{side}_peak_bytes']) / 2**20:,.0f}" for side in ("ours", "plain")]
        paces = [max(measured[f"{side}_tokens_per_s"]) for side in ("ours", "plain")]
        batches = f"{case.batch_size} x {case.accumulation}, {case.max_length}"
        rows = arguments.rows // case.fewer
        lines.append(
            [case.name, rows, batches, *paces, measured["ratio"]["median"], *peaks, measured["memory_ratio"]["median"]]
        )
    header = ["model", "rows", "micro-batches, tokens", "ours, tokens/s", "plain TRL", "ratio (median)"]
    header += ["ours, peak MiB", "plain TRL", "ratio (median)"]
    text = harness.table(header, lines) + (
        f"\n\nOne epoch, adapters of rank 16 on all linear layers, {arguments.pairs} pairs in turn; "
        "paces and peaks are the highest of each side. Both compute in float32, or in bfloat16 on a 4-bit base, "
        "with activation checkpointing; the peak is the whole process, libraries included."
    )
    harness.write("qlora", "Tuning by adapters", figures, text, arguments.output)


if __name__ == "__main__":
    main()
