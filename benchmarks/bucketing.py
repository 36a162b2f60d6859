"""Padding: `python -m benchmarks.bucketing IMDB.csv.gz [--reviews 320] [--pairs 3]`.

A 512-token training epoch as the founding study ran it (every review padded to 512) against `finetune_loop`, the
same number of items and steps, in turn; the study's loop also in bfloat16, so that what bucketing by length saves
stands alone.
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
    ours, study, study_bf16 = [], [], []
    with harness.home() as home:
        rows_file = str(harness.first_rows(arguments.csv, count + 16, home.path / "rows.csv"))
        settings = one_epoch(model, rows_file, count, max_length=512)
        for pair in range(arguments.pairs):
            study.append(count / plain_seconds(model, rows_file, count, 512, "512"))
            end = harness.run(home, "finetune_loop", f"pair {pair}", settings).end
            assert end is not None and end.training_seconds is not None
            ours.append(count / end.training_seconds)
            study_bf16.append(count / plain_seconds(model, rows_file, count, 512, "512", "bfloat16"))
    ratio, padding_alone = harness.ratios(ours, study), harness.ratios(ours, study_bf16)
    sides = zip(study, study_bf16, ours, ratio["pairs"], padding_alone["pairs"], strict=True)
    text = harness.table(
        ["pair", "founding study's loop, items/s", "the same in bfloat16", "ours", "ratio", "ratio in bfloat16"],
        [[n + 1, *side] for n, side in enumerate(sides)],
    )
    text += (
        f"\n\n{count} reviews at up to 512 tokens: median ratio {ratio['median']}, and {padding_alone['median']} "
        + "against the founding study's loop in bfloat16, which ours uses where the processor has instructions for it."
    )
    figures = {"ours": ours, "study": study, "study_bf16": study_bf16, "ratio": ratio, "ratio_bf16": padding_alone}
    harness.write("bucketing", "Padding to the longest of a bucket", figures, text)


if __name__ == "__main__":
    main()
