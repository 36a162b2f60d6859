"""Real reviews, real weights: `python -m benchmarks.real_reviews IMDB.csv.gz [--pairs 3]`.

Trains MiniLM-L6 by both fine-tuning engines on 2,000 reviews (128 tokens, 2 epochs, batch 16), with the frozen
encoder and the bag of words beside them, all scored on the same 1,000 others. Then the training loop against a plain
script of the same recipe, in turn, so that the ratio holds on a noisy machine. IMDB.csv.gz has the columns `review`
and `sentiment`.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import harness

COMMON = {"data.split": "shuffled", "data.train": 2000, "data.validation": 200, "data.test": 1000}
TRAINING = {
    "training.max_length": 128,
    "training.epochs": 2,
    "training.batch_size": 16,
    "training.learning_rate": 5e-5,
    "training.warmup_steps": 25,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--pairs", type=int, default=3, help="pairs of timed training loops")
    parser.add_argument("--pair-reviews", type=int, default=640, help="reviews in each of them")
    arguments = parser.parse_args()
    model, source = str(harness.minilm()), str(arguments.csv.absolute())
    data = {**COMMON, "data.source": source}
    with harness.home() as home:
        runs = {
            "finetune_loop": {**data, **TRAINING, "model.name": model},
            "finetune_trainer": {**data, **TRAINING, "model.name": model},
            "frozen_features": {**data, "model.name": model},
            "bag_of_words": data,
        }
        rows, scores = [], {}
        for engine, settings in runs.items():
            end = harness.run(home, engine, engine, settings).end
            assert end is not None
            scores[engine] = {
                "accuracy": end.scores.accuracy,
                "items": end.items,
            }
            rows.append([engine, end.scores.accuracy, end.items])
        count, ours, plain = arguments.pair_reviews, [], []
        rows_file = str(harness.first_rows(arguments.csv, count + 16, home.path / "rows.csv"))
        short = one_epoch(model, rows_file, count, max_length=128)
        for pair in range(arguments.pairs):
            end = harness.run(home, "finetune_loop", f"pair {pair}", short).end
            assert end is not None and end.training_seconds is not None
            ours.append(count / end.training_seconds)
            plain.append(count / plain_seconds(model, rows_file, count, 128, "LONGEST"))
    ratio = harness.ratios(ours, plain)
    text = (
        harness.table(["engine", "accuracy", "test items"], rows)
        + f"\n\nTraining pace of `finetune_loop` over a plain script of the same recipe, {arguments.pairs} pairs in "
        + f"turn: {ratio['median']} (median; pairs {', '.join(map(str, ratio['pairs']))}). "
        + "The engine computes in bfloat16 where the processor has instructions for it, the script in float32. "
        + "Accuracies are of one seed. The rows read different amounts of a review: fine-tuning 128 tokens, the frozen "
        + "encoder up to 512, the bag of words all of it."
    )
    figures = {"scores": scores, "items_per_s": {"ours": ours, "plain": plain}, "ratio": ratio}
    harness.write("real_reviews", "MiniLM-L6 on real reviews", figures, text)


def one_epoch(model: str, rows_file: str, count: int, max_length: int) -> dict[str, Any]:
    """Settings of a timed epoch over the first `count` rows of a file."""
    return {
        "model.name": model,
        "data.source": rows_file,
        "data.split": "in_order",
        "data.overlap": "allow",
        "data.train": count,
        "data.validation": 0,
        "data.test": 16,
        "training.max_length": max_length,
        "training.epochs": 1,
        "training.batch_size": 16,
        "training.warmup_steps": 10,
    }


def plain_seconds(model: str, source: str, count: int, length: int, padding: str, precision: str = "float32") -> float:
    """Seconds of the plain script's training loop."""
    script = Path(__file__).with_name("plain_loop.py")
    argv = [sys.executable, str(script), model, source, str(count), str(length), "1", padding, precision]
    seconds, _ = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    harness.say(f"plain script, padding {padding}, {precision}: {float(seconds):.1f} s")
    return float(seconds)


if __name__ == "__main__":
    main()
