"""Prompting on real sentences: `python -m benchmarks.sst2 FOLDER [--steps 1500] [--threads 2]`.

FOLDER holds SST-2 as sst2_train.tsv, sst2_dev.tsv and sst2_test.tsv: a sentence, a tab, 0 or 1. A small Mistral
is pretrained from nothing on the training sentences inside the shipped prompts, without and with labelled examples, as
the tiny models are on the generated corpus. Then `prompting` asks it about the test sentences without, with one and
with four examples per class, three repeats each, and a bag of words fitted to the same training sentences is the floor.
All seeds are fixed; on one machine with one count of threads the figures repeat.
"""

import argparse
import csv
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import harness
from engines import catalog
from engines.data import files
from engines.methods import engine
from engines.pretraining import language
from engines.pretraining.language import Lessons, Plan, Shot
from engines.reporter import Reporter
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.summary import summarize
from labtui.narrate import sentence

SHOTS = {"zero-shot": 0, "one-shot": 1, "few-shot": 4}
REPEATS = 3
SHORT_SHARE = 0.15  # of the steps: single sentences without examples


class _Narrator:
    """What reading a file says, as narration."""

    def note(self, text: str, level: str = "info") -> None:
        harness.say(text)

    def fact(self, fact: ev.Fact) -> None:
        harness.say(sentence(fact))


def read(folder: Path) -> tuple[list[Shot], list[Shot], list[Shot], int]:
    """Training, development and test sentences, and how many training sentences were left out.

    Those are the ones that stand among the development or test sentences too.
    """
    parts = []
    for name in ("train", "dev", "test"):
        table = files.read(folder / f"sst2_{name}.tsv", "", "", _Narrator())
        parts.append([(text, int(label)) for text, label in zip(table.texts, table.labels, strict=True)])
    train, dev, test = parts
    unseen = {text for text, _ in [*dev, *test]}
    kept = [shot for shot in train if shot[0] not in unseen]
    return kept, dev, test, len(train) - len(kept)


def teach(train: list[Shot], dev: list[Shot], folder: Path, steps: int, threads: int) -> dict[str, float]:
    """Pretrain the model into `folder`; the figures of the build."""
    short_steps = round(SHORT_SHARE * steps)
    plan = Plan(
        steps,
        short_steps,
        short_steps + steps // 20 + 1,
        2e-3,
        vocabulary=4000,
        layers=2,
        polarity_weight=3.0,
        blanked=0.15,
        threads=threads,
    )
    return language.build(language.MISTRAL, Lessons(train, train, dev), plan, folder, harness.say)


def score(home: Home, engine_name: str, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The scores of one run, done in this process."""
    experiment = catalog.from_document({"engine": engine_name}, place=name, name=name, overrides=settings)
    folder = RunFolder.create(home, experiment.document())
    report = Reporter(folder)
    engine(engine_name).run(experiment.config, report)
    report.finished()
    report.close()
    end = summarize(folder).end
    assert end is not None
    accuracies = end.scores.repeats or [end.scores.accuracy or 0.0]
    harness.say(f"{name}: accuracy {', '.join(f'{a:.3f}' for a in accuracies)}")
    return {
        "accuracy": end.scores.accuracy,
        "repeats": accuracies,
        "sd": end.scores.accuracy_sd,
        "items": end.items,
        "written_other": end.scores.written_other,
        "written_invalid": end.scores.written_invalid,
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=1500, help="of the pretraining")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args(argv)
    train, dev, test, left_out = read(arguments.folder)
    with harness.home() as home, tempfile.TemporaryDirectory(prefix="labtui-benchmark-") as scratch:
        both, model = Path(scratch) / "sst2.csv", Path(scratch) / "model"
        with both.open("w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerows([("text", "label"), *train, *test])
        data = {
            "data.source": str(both),
            "data.split": "in_order",
            "data.train": len(train),
            "data.validation": 0,
            "data.test": len(test),
        }
        build = teach(train, dev, model, arguments.steps, arguments.threads)
        scores = {"bag of words": score(home, "bag_of_words", "bag of words", data)}
        for name, shots in SHOTS.items():
            asked = {
                "model.name": str(model),
                "prompt.shots": shots,
                "prompt.repeats": REPEATS,
                "prompt.varies": "exemplars" if shots else "template",
            }
            scores[name] = score(home, "prompting", name, data | asked)
    rows = [
        [
            name,
            f"{scored['accuracy']:.3f}",
            "–" if scored["sd"] is None else f"{scored['sd']:.3f}",
            ", ".join(f"{a:.3f}" for a in scored["repeats"]),
            scored["items"],
        ]
        for name, scored in scores.items()
    ]
    text = harness.table(["row", "accuracy", "sd", "of each repeat", "test sentences"], rows)
    text += (
        f"\n\nA Mistral of {build['parameters'] / 1e6:.1f} million parameters, {build['steps']:,} steps of pretraining "
        f"from nothing in {build['seconds'] / 60:.1f} minutes (threads: {arguments.threads}). It was taught with "
        f"{len(train):,} labelled training sentences in the very prompts that are asked here, so zero-shot means no "
        "example in the prompt, not a task never seen; the test sentences are unseen "
        f"({left_out} training sentences that stand in the development or test file were left out). Zero-shot repeats "
        "differ in the wording, the others in the examples, drawn from the training sentences. The bag of words is "
        "fitted to the same training sentences. The settings of the pretraining were chosen after scores had been seen."
    )
    figures = {"build": build, "left_out": left_out, "scores": scores}
    harness.write("sst2", "Prompting on real sentences (SST-2)", figures, text)


if __name__ == "__main__":
    main()
