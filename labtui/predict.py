"""`labtui predict`: label a file of reviews with the warm worker of a finished run."""

import csv
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any

from engines.data import files
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.serving import Client
from labtui import format, narrate
from labtui.sanitize import json_text

CHUNK = 64  # reviews per request: large enough to batch, small enough to narrate
TIMEOUT_S = 600.0


class Narrator:
    """Notes on a file that is read, as narration."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def note(self, text: str, level: str = "info") -> None:
        self._say(f"warning: {text}" if level == "warning" else text)

    def fact(self, fact: ev.Fact) -> None:
        self._say(narrate.sentence(fact))


def predict(
    home: Home, run: RunFolder, file: Path, text: str, form: str, output: IO[str], say: Callable[[str], None]
) -> int:
    """Write one labelled row per review of `file` to `output`, in the order of the file; the count of reviews.

    `text` names the column of the texts ("" detects it by name), `form` is "csv" or "jsonl". `row` counts from 0 as
    in `items.jsonl`. Raises `DataError` for an unreadable file and `ServingError` when the worker gives up.
    """
    reviews = files.read(file, text, "", Narrator(say), labelled=False)
    client = Client(home, run)
    client.start()
    writer: Any = None
    for start in range(0, len(reviews.texts), CHUNK):
        reply = client.classify(reviews.texts[start : start + CHUNK], timeout_s=TIMEOUT_S)
        labels = client.status().labels
        for row, answer in enumerate(reply.answers, start):
            pairs = zip_longest(labels, answer["probabilities"])  # none where the model answered in words
            values = {
                "row": row,
                "label": answer["label"],
                **{f"p_{name}": None if p is None else round(p, 6) for name, p in pairs},
                "tokens_read": answer["tokens_read"],
                "tokens_total": answer["tokens_total"],
            }
            if form == "jsonl":
                output.write(json_text(values) + "\n")
                continue
            if writer is None:
                writer = csv.DictWriter(output, values, lineterminator="\n")
                writer.writeheader()
            writer.writerow(values)
        done = start + len(reply.answers)
        if start:
            say(f"{format.count(done)} of {format.count(len(reviews.texts))} reviews")
    return len(reviews.texts)
