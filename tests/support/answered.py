"""Finished runs whose every answer a test chooses."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from engines.answers import scoring
from engines.answers.variant import Variant
from engines.data.items import Example, write_items
from engines.reporter import Reporter
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.scores import Scores, of_json
from engines.runs.writing import write_atomic
from engines.study.values import AnswerSet

LABELS = N, P = ("negative", "positive")
Series = Sequence[str | None]


def truth(items: int) -> list[str]:
    """True labels of so many items, half of each class."""
    return [N, P] * (items // 2)


def wrong_on(true: Sequence[str], items: Sequence[int]) -> list[str | None]:
    """Answers that are right but on these items."""
    return [({N: P, P: N}[t] if n in set(items) else t) for n, t in enumerate(true)]


def item_hash(n: int) -> str:
    """A hash as the item number `n` has it, in no order."""
    return f"{n * 2654435761 % 2**32:064x}"


def row(folder: RunFolder, variant: Variant = Variant.OWN, repeat: int = 0) -> AnswerSet:
    return {"run": folder.name, "variant": variant, "repeat": repeat}


def answered(
    home: Home,
    truth: Sequence[str],
    *repeats: Series,
    original: Series | None = None,
    labels: Sequence[str] = LABELS,
    order: Sequence[int] | None = None,
    hashes: Sequence[str] = (),
    reviews: Sequence[str] | None = (),
    sure: Mapping[int, float] | None = None,
    bare: bool = False,
    written: Mapping[int, str] | None = None,
    scores: Scores | None = None,
    facts: Sequence[ev.Fact] = (),
    validated: Sequence[tuple[float, float]] = (),
    varied: str = "template",
    finish: bool = True,
    **document: Any,
) -> RunFolder:
    """A finished run on the items 0, 1, ..., whose true labels are `truth`; `repeats` and `original` answer them.

    `order` is in what order the run got the items; `reviews` their texts (None: no `items.jsonl`), `sure` the
    probability of the predicted label (0.9), `bare` leaves probabilities and tokens out, `written` is what the model
    wrote in the first repeat; all by item. `facts` are reported at the start, `validated` are pairs of epoch and loss.
    """
    order = range(len(truth)) if order is None else order
    hashes = hashes or [item_hash(n) for n in range(len(truth))]
    head = {"engine": "bag_of_words", "title": "Title", "family": "quickstart", "experiment": "quickstart/a", "seed": 0}
    folder = RunFolder.create(home, {**head, **document})
    if reviews is not None:
        texts = reviews or [f"Review number {n}." for n in range(len(truth))]
        examples = [Example(texts[n], labels.index(truth[n]), 1000 + n, hashes[n]) for n in order]
        write_items(folder, examples, labels)
    splits = [{"hash": hashes[n], "row": n, "split": "test"} for n in order]
    write_atomic(folder.splits, "".join(json.dumps(line) + "\n" for line in splits).encode())

    def lines(series: Series, **more: Any) -> list[str]:
        found = []
        for n in order:
            answer = series[n]
            line: dict[str, Any] = {"hash": hashes[n], "label": truth[n], "predicted": answer}
            if not bare:
                chance = (sure or {}).get(n, 0.9)
                rest = (1 - chance) / (len(labels) - 1)
                line["probabilities"] = [chance if label == answer else rest for label in labels] if answer else []
                line["tokens_read"] = 10 + n
            if written and n in written and not more.get("repeat"):
                line["text"] = written[n]
            found.append(json.dumps({**line, **more}) + "\n")
        return found

    def confusion(series: Series) -> list[list[int]]:
        predicted = [labels.index(a) if a in labels else None for a in series]
        return scoring.confusion_matrix([labels.index(t) for t in truth], predicted, len(labels))

    report = Reporter(folder)
    report.started("cpu", 0, "", {})
    for fact in facts:
        report.fact(fact)
    for step, (epoch, loss) in enumerate(validated, 1):
        report.evaluated(
            "validation", Scores(accuracy=0.5), list(labels), confusion(truth), loss=loss, step=10 * step, epoch=epoch
        )
    found: list[str] = []
    if original is not None:
        found += lines(original, model="original") + lines(repeats[0], model="tuned")
    elif len(repeats) == 1:
        found = lines(repeats[0])
    else:
        for index, series in enumerate(repeats):
            found += lines(series, repeat=index)
            matrix = confusion(series)
            report.repeat(index, varied, f"value {index}", scoring.scores(matrix, labels), list(labels), matrix)
    write_atomic(folder.predictions, "".join(found).encode())
    matrix = confusion(repeats[0])
    scored = scoring.scores(matrix, labels).as_json() | (scores or Scores()).as_json()
    report.evaluated("test", of_json(scored), list(labels), matrix)
    if finish:
        report.finished()
    report.close()
    return folder
