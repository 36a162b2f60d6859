"""How long the results take to open and to compare: `python -m benchmarks.study [--runs 30] [--items 25000]`.

Finished runs in a home of their own, written by the program's own parts: every fifth one a prompting run of three
repeats, the others with a thousand training steps. Then the questions of the results screen, asked as the console
asks them, of a process that starts with the first one.
"""

import argparse
import asyncio
import json
import math
import statistics
import time
from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

from benchmarks import harness
from engines.answers import predictions, scoring
from engines.answers.predictions import Prediction
from engines.answers.variant import Variant
from engines.data.items import Example, write_items
from engines.reporter import Reporter
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.summary import list_runs
from engines.study.values import AnswerSet, ItemQuery, RunMeasures
from labtui.console import analyst
from labtui.console.analyst import Analyst

LABELS = ["negative", "positive"]
REPEATS = 3
STEPS = 1000
WORDS = 230  # of a review, in the median
T = TypeVar("T")


def fabricate(home: Home, runs: int, items: int) -> None:
    """Finished runs on the same items, whose models differ in how often they are right."""
    rng = Random(0)
    vocabulary = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(5000)]
    examples = []
    for row in range(items):
        text = " ".join(rng.choices(vocabulary, k=max(1, round(rng.lognormvariate(math.log(WORDS), 0.6)))))
        examples.append(Example(text, row % 2, row, f"{rng.getrandbits(256):064x}"))
    for n in range(runs):
        prompted = n % 5 == 0
        engine = "prompting" if prompted else "finetune_loop"
        folder = RunFolder.create(home, {"engine": engine, "experiment": f"benchmark-{n}", "seed": n})
        write_items(folder, examples, LABELS)
        report = Reporter(folder)
        report.started("cpu", n, "", {})
        if prompted:
            _prompt(report, examples, rng)
        else:
            _train(report, examples, rng)
        report.finished()
        report.close()


def _answers(examples: list[Example], rng: Random) -> list[list[float]]:
    """A model right about nine times in ten, a little too sure of itself."""
    probabilities = []
    for example in examples:
        positive = 1 / (1 + math.exp(rng.gauss(-3.0, 2.3) * (1 if example.label else -1)))
        probabilities.append([1 - positive, positive])
    return probabilities


def _train(report: Reporter, examples: list[Example], rng: Random) -> None:
    for step in range(1, STEPS + 1):
        report.step(step, STEPS, step / STEPS, 1 / step, 1e-4, grad_norm=1.0, examples_per_s=80.0, tokens_per_s=9e3)
    probabilities = _answers(examples[:100], rng)
    scoring.report_validation(
        report, [e.label for e in examples[:100]], LABELS, probabilities, loss=0.3, step=STEPS, epoch=1
    )
    scoring.conclude(report, examples, LABELS, _answers(examples, rng), tokens_read=[WORDS] * len(examples))


def _prompt(report: Reporter, examples: list[Example], rng: Random) -> None:
    lines: list[Prediction] = []
    true = [e.label for e in examples]
    for repeat in range(REPEATS):
        probabilities = _answers(examples, rng)
        predicted, read = scoring.predicted_classes(probabilities), [WORDS] * len(examples)
        lines += predictions.predictions_of(examples, LABELS, predicted, probabilities, read, repeat=repeat)
        confusion = scoring.confusion_matrix(true, predicted, len(LABELS))
        scores = scoring.scores(confusion, LABELS)
        report.repeat(repeat, "template", f"wording {repeat}", scores, LABELS, confusion)
    predictions.write(report.folder, lines)
    report.evaluated("test", scores, LABELS, confusion)


class Decoding:
    """Stands for `json` in the console's client, and notes how long each answer holds the interpreter."""

    dumps = staticmethod(json.dumps)

    def __init__(self) -> None:
        self.ms = 0.0
        self.bytes = 0

    def loads(self, text: bytes) -> Any:
        began = time.thread_time()  # of this thread alone: what else the machine does is not counted
        answer = json.loads(text)
        self.ms, self.bytes = max(self.ms, (time.thread_time() - began) * 1000), max(self.bytes, len(text))
        return answer


def timed(work: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def measure(home: Home, repetitions: int = 3) -> dict[str, Any]:
    """Seconds of every question; the best case of nothing, the median where it can be asked again."""
    names = [folder.name for folder in list_runs(home)]
    decoding = Decoding()
    analyst.json = decoding  # type: ignore[assignment,attr-defined]

    def open_all(who: Analyst) -> list[RunMeasures]:
        opened = list(who.measure_all(names))
        for one in opened:
            if isinstance(one, Exception):
                raise one
        return opened  # type: ignore[return-value]

    try:
        who = Analyst(home)
        first, opened = timed(lambda: open_all(who))
        who.close()
        rows = [m["row"] for one in opened for m in one["measures"] if m["row"]["repeat"] == 0]
        figures: dict[str, Any] = {"first_build_s": first}
        every: dict[str, list[float]] = {}
        for _ in range(repetitions):
            for question, seconds in _ask(home, open_all, names, rows).items():
                every.setdefault(question, []).append(seconds)
        figures |= {question: statistics.median(seconds) for question, seconds in every.items()}
    finally:
        analyst.json = json  # type: ignore[attr-defined]
    return {**figures, "largest_answer_bytes": decoding.bytes, "longest_decoding_ms": decoding.ms}


def _ask(
    home: Home, open_all: Callable[[Analyst], list[RunMeasures]], names: list[str], rows: list[AnswerSet]
) -> dict[str, float]:
    """A console that opens its results and looks around, with columns there."""
    who = Analyst(home)

    def compare(count: int) -> float:
        chosen = rows[:count]
        return timed(lambda: who.compare(chosen, [row["run"] for row in chosen]))[0]

    def page(which: Any, offset: int = 0) -> float:
        query: ItemQuery = {
            "rows": rows[:2],
            "which": which,
            "label": "",
            "fewest_words": 0,
            "most_words": 0,
            "offset": offset,
            "limit": 50,
        }
        return timed(lambda: who.items(query))[0]

    seconds = {"open_s": timed(lambda: open_all(who))[0], "first_compare_of_2_s": compare(2)}
    seconds |= {"compare_of_2_s": compare(2), "compare_of_4_s": compare(min(4, len(rows)))}
    seconds |= {"open_again_s": timed(lambda: open_all(who))[0]}
    repeated = next(row["run"] for row in rows if names.index(row["run"]) == len(names) - 1)  # the first one made
    seconds |= {"repeats_s": timed(lambda: who.repeats(repeated, Variant.OWN))[0]}
    seconds |= {"first_page_s": page("wrong"), "page_s": page("disagree", 100)}
    who.close()
    return seconds


# what a user does, as keys, and what it is called; after each the screen is left alone until it has settled
WALK = (
    ("open", ("2",)),
    ("rows", ("down",) * 10),
    ("mark two", ("space", "down", "space")),
    ("compare", ("v",)),
    ("leave", ("escape",)),
    ("repeats", ("t",)),
    ("leave", ("escape",)),
    ("items", ("i",)),
    ("items", ("down",) * 5),
    ("leave", ("escape",)),
    ("plots", ("g",)),
    ("plots", ("right",) * 3),
    ("leave", ("escape",)),
)


async def waits(home: Home, settle_s: float = 2.0) -> dict[str, float]:
    """The longest time, in ms, for which a key would have had to wait: the event loop of the real console, by what was
    done meanwhile. Opening lasts until all runs are read."""
    from labtui.console.app import LabApp

    longest_ms: dict[str, float] = {}
    doing = "start"

    async def watch() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            longest_ms[doing] = max(longest_ms.get(doing, 0.0), (time.perf_counter() - began) * 1000 - 1)

    app = LabApp(home)
    async with app.run_test(size=(140, 40)) as pilot:
        await pilot.pause(settle_s)
        watcher = asyncio.create_task(watch())
        for name, keys in WALK:
            doing = name
            for key in keys:
                await pilot.press(key)
            await pilot.pause(settle_s)
        watcher.cancel()
    del longest_ms["leave"]
    return longest_ms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--items", type=int, default=25_000)
    arguments = parser.parse_args()
    with harness.home() as home:
        harness.say(f"writing {arguments.runs} runs of {arguments.items:,} items")
        fabricate(home, arguments.runs, arguments.items)
        figures = measure(home)
        figures["longest_wait_ms"] = asyncio.run(waits(home))
    rows = [
        [name.removesuffix("_s").replace("_", " "), f"{value:.3f} s"]
        for name, value in figures.items()
        if name.endswith("_s")
    ]
    text = (
        f"{arguments.runs} finished runs on the same {arguments.items:,} items, every fifth one with {REPEATS} "
        "repeats; asked through the console's own client.\n\n"
        + harness.table(["question", "median time"], rows)
        + "\n\n*First build*: `predictions.npz` is missing everywhere, as in runs of an older version. *Open*: from "
        "the start of the process that answers to the last run's figures. *First compare*: asked right after that, so "
        "that it imports SciPy. *First page*: goes once through all reviews.\n\n"
        f"The largest answer has {figures['largest_answer_bytes']:,} bytes; the longest that decoding one held the "
        f"console's interpreter was {figures['longest_decoding_ms']:.2f} ms.\n\nIn the console itself, at 140x40, the "
        "longest that a key would have had to wait: "
        + ", ".join(f"{name} {ms:.0f} ms" for name, ms in figures["longest_wait_ms"].items())
        + "."
    )
    harness.write(
        "study", "Opening and comparing results", {"runs": arguments.runs, "items": arguments.items, **figures}, text
    )


if __name__ == "__main__":
    main()
