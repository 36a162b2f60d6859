"""Padding: `python -m benchmarks.bucketing IMDB.csv.gz [--reviews 320] [--pairs 3]`.

A 512-token training epoch as the founding study ran it (every review padded to 512) against `finetune_loop`, the
same number of items and steps, in turn. The gain is what bucketing by length saves.
"""

import argparse
from pathlib import Path

from benchmarks import harness
from benchmarks.real_reviews import one_epoch, plain_seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--reviews", type=int, default=320)
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    model, count = str(harness.minilm()), arguments.reviews
    ours, study = [], []
    with harness.home() as home:
        rows_file = str(harness.first_rows(arguments.csv, count + 16, home.path / "rows.csv"))
        settings = one_epoch(model, rows_file, count, max_length=512)
        for pair in range(arguments.pairs):
            study.append(count / plain_seconds(model, rows_file, count, 512, "512"))
            end = harness.run(home, "finetune_loop", f"pair {pair}", settings).end
            assert end is not None and end.training_seconds is not None
            ours.append(count / end.training_seconds)
    ratio = harness.ratios(ours, study)
    text = harness.table(
        ["pair", "study's loop, items/s", "ours, items/s", "ratio"],
        [[n + 1, s, o, r] for n, (s, o, r) in enumerate(zip(study, ours, ratio["pairs"], strict=True))],
    )
    text += f"\n\nMedian ratio {ratio['median']} on {count} reviews at up to 512 tokens."
    harness.write(
        "bucketing", "Padding to the longest of a bucket", {"ours": ours, "study": study, "ratio": ratio}, text
    )


if __name__ == "__main__":
    main()
