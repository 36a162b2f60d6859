"""What the results of finished runs say: figures with intervals, repeats, comparisons, single items.

Every answer is made of plain values, as JSON has them, so that the console can ask a process of its own
(`engines.analysis`) and stay light. Shares are fractions, 0 to 1. Nothing here imports torch; NumPy and SciPy are
imported where they are needed.
"""

import json
import math
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import combinations
from statistics import fmean, median, stdev
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from engines.parts import answers as columns
from engines.parts import scoring, statistics
from engines.parts.answers import Answers
from engines.runs import events as ev
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.summary import FINISHED, list_runs, summarize
from engines.settings import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Which = Literal["all", "wrong", "disagree", "confident errors", "invalid"]


class Row(TypedDict):
    """One set of answers: one repeat of one variant of a run."""

    run: str  # name of the run folder
    variant: str  # "": the run's own model; "original": the same model before the run tuned it
    repeat: int  # from 0


class Share(TypedDict):
    """A figure and its 95 % interval; None where there is none."""

    value: float
    low: float | None
    high: float | None


class Bin(TypedDict):
    """Items whose confidence (the largest probability) lies between `low` and `high`; empty bins are left out."""

    low: float
    high: float
    items: int
    confidence: float  # mean
    accuracy: float


class Measures(TypedDict):
    """What one set of answers scores."""

    row: Row
    value: str  # what this repeat was given (a template's name, a seed); empty where nothing varied
    items: int
    correct: int
    invalid: int  # answers that are no label; counted as wrong
    accuracy: Share  # Wilson
    accuracy_answered: float | None  # without the invalid ones
    recall: dict[str, Share]  # by class with items; Wilson
    precision: dict[str, float]
    macro_precision: Share  # these three: bootstrap over the items
    macro_recall: Share
    macro_f1: Share
    brier: float | None  # these two need probabilities
    calibration_error: float | None
    reliability: list[Bin]
    confusion: list[list[int]]  # a row a true label; a column a predicted one, then invalid


class Spread(TypedDict):
    """How several sets of answers differ. From `interval` on it takes two or more with the same items, else None."""

    rows: list[Row]
    accuracies: list[float]
    mean: float
    sd: float | None  # of the sample; None for a single one
    lowest: float
    highest: float
    same_items: bool
    interval: tuple[float, float] | None  # 95 %, of the mean, over the items: the repeats are taken as given
    kappa: float | None  # Fleiss; None also where all answers of all items are one label
    all_agree: float | None  # share of the items
    flips: int | None  # items on which not all agree


class Warning(TypedDict):
    """What to know before a figure is believed."""

    figure: str  # the column it touches: "accuracy", "items", "invalid", "loss", "model"
    text: str


class Validation(TypedDict):
    """One evaluation on the validation split."""

    step: int | None
    epoch: float | None
    loss: float | None
    accuracy: float | None


class RunMeasures(TypedDict):
    """All that is known of a run's answers."""

    run: str
    labels: list[str]
    test_set: str  # names the items and their labels: equal exactly where these are
    varied: str  # what the repeats varied: "template", ...; empty without repeats
    measures: list[Measures]  # the variants' repeats, in order
    spreads: dict[str, Spread]  # by variant; only variants with more than one repeat
    validation: list[Validation]
    estimate_bytes: int | None  # the peak memory that was estimated before the start
    warnings: list[Warning]


class Pair(TypedDict):
    """Two sets of answers to the same items, `a` and `b` as places in `Comparison.rows`."""

    a: int
    b: int
    both_right: int
    a_only: int  # a right, b wrong
    b_only: int
    both_wrong: int
    difference: Share  # accuracy of a less that of b
    p: float  # exact McNemar, two-sided
    p_holm: float  # corrected for the number of pairs
    verdict: Literal["a", "b", ""]  # which is better at 5 % after the correction; empty: not told apart
    sentence: str  # the same in words


class Comparison(TypedDict):
    """Two or more sets of answers side by side. Without the same items there are no pairs, and `reason` says why."""

    rows: list[Row]
    names: list[str]  # as they were given with the question
    measures: list[Measures]
    items: int  # in common
    same_items: bool
    reason: str
    pairs: list[Pair]
    detectable: float | None  # the smallest difference that so many items show with 80 % power, from the pairs' mean
    # disagreement


class RepeatTable(TypedDict):
    """The repeats of one variant of a run."""

    run: str
    variant: str
    varied: str
    labels: list[str]
    measures: list[Measures]
    spread: Spread
    agreement: list[list[float]]  # share of items on which two repeats agree, a row and a column a repeat
    cohen: list[list[float | None]]  # Cohen's kappa of the same pairs
    majority: Measures  # of the label that most repeats gave; a tie is invalid; its row's repeat is -1


class ItemQuery(TypedDict):
    """Which test items to show. The first row is the one that "wrong", "invalid" and "confident errors" look at;
    "disagree" takes all rows, whose answers differ. A page starts at `offset` and has at most `limit` items."""

    rows: list[Row]
    which: Which
    label: str  # the true class; empty: all
    fewest_words: int
    most_words: int  # 0: no limit
    offset: int
    limit: int


class ItemAnswer(TypedDict):
    """What one row answered."""

    predicted: str | None  # None: invalid
    probability: float | None  # of the predicted label
    tokens_read: int | None
    text: str | None  # as generated, where it was kept


class Item(TypedDict):
    """One test item."""

    hash: str
    number: int | None  # its row in the source
    label: str
    words: int
    start: str  # its first characters, on one line
    answers: list[ItemAnswer]  # in the order of the query's rows


class ItemPage(TypedDict):
    """A page of items; "confident errors" come most confident first, all others in the order of the source."""

    total: int
    offset: int
    items: list[Item]


class ItemText(TypedDict):
    """One item in full; `text` is empty where the run was imported without texts."""

    hash: str
    number: int | None
    label: str
    text: str


class Disagreement(TypedDict):
    """How often earlier runs differ."""

    share: float | None  # of the items that one run gets right and the other wrong: the median over the pairs
    pairs: int


ALPHA = 0.05
FEW_ITEMS = 100
MANY_INVALID = 0.01
LOSS_ROSE = 0.02
START_CHARACTERS = 160
PAGE_MOST_ITEMS = 200
PRIOR_RUNS = 20
"""Newest earlier runs whose disagreement is looked at."""
_KEPT_ANSWERS = 16


@dataclass
class _Story:
    """What a run's events tell beside its answers."""

    scores: dict[str, Any] = field(default_factory=dict)
    varied: str = ""
    values: dict[int, str] = field(default_factory=dict)  # by repeat
    validation: list[Validation] = field(default_factory=list)


@dataclass
class _Texts:
    """Where the lines of an `items.jsonl` stand; the texts stay on the disk."""

    hashes: "NDArray[Any]"  # (items,) bytes
    starts: list[int]  # offset of each line
    words: "NDArray[Any]"  # (items,)
    numbers: "NDArray[Any]"  # (items,), -1 where it is not known


class Study:
    """Answers about the finished runs of a home; what was read or computed once is kept. For one thread.

    Every question raises `UserError` with a sentence where it cannot be answered.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._answers: OrderedDict[str, tuple[tuple[int, ...], Answers]] = OrderedDict()
        self._measured: dict[str, tuple[tuple[int, ...], RunMeasures]] = {}
        self._texts: dict[tuple[int, ...], _Texts] = {}

    # -- questions ------------------------------------------------------------------------------------------

    def measure(self, run: str) -> RunMeasures:
        """All figures of a run, the run's own answers before those of other variants."""
        folder = self._folder(run)
        stamp = _stamp(folder)
        if run not in self._measured or self._measured[run][0] != stamp:
            self._measured[run] = stamp, self._measure(folder)
        return self._measured[run][1]

    def spread(self, rows: list[Row]) -> Spread:
        """How several sets of answers differ, of one run or of several."""
        if not rows:
            raise UserError("no answers are chosen; choose one set or more")
        return self._spread(rows, [self._measures_of(row)["accuracy"]["value"] for row in rows])

    def compare(self, rows: list[Row], names: list[str]) -> Comparison:
        """Two or more sets of answers, each pair tested; `names` are what they are called in the sentences."""
        if len(rows) < 2 or len(rows) != len(names):
            raise UserError(f"{len(rows)} sets of answers with {len(names)} names cannot be compared; mark two or more")
        measures = [self._measures_of(row) for row in rows]
        reason, common = self._apart(rows, names)
        pairs: list[Pair] = []
        detectable = None
        if not reason:
            pairs = self._pairs(rows, names)
            disagreement = fmean(pair["a_only"] + pair["b_only"] for pair in pairs) / common
            if disagreement:
                detectable = statistics.smallest_detectable_difference(common, disagreement)
            _say(pairs, names, common, detectable)
        return {
            "rows": rows, "names": names, "measures": measures, "items": common, "same_items": not reason,
            "reason": reason, "pairs": pairs, "detectable": detectable,
        }  # fmt: skip

    def repeats(self, run: str, variant: str) -> RepeatTable:
        """The repeats of a run's variant, each held against each."""
        import numpy as np

        found = self.measure(run)
        measures = [m for m in found["measures"] if m["row"]["variant"] == variant]
        if not measures:
            raise UserError(f'{run} has no answers of "{variant}"; leave the variant out')
        rows = [m["row"] for m in measures]
        spread = found["spreads"].get(variant) or self._spread(rows, [m["accuracy"]["value"] for m in measures])
        answers, first = self._find(rows[0])
        ratings = answers.predicted[first : first + len(rows)].astype(np.int64)
        kappas = {
            (a, b): statistics.cohen_kappa(ratings[a], ratings[b], len(answers.labels))
            for a in range(len(rows)) for b in range(a, len(rows))
        }  # fmt: skip
        return {
            "run": run, "variant": variant, "varied": found["varied"], "labels": found["labels"],
            "measures": measures, "spread": spread,
            "agreement": [np.equal(ratings, row).mean(axis=1).tolist() for row in ratings],
            "cohen": [[kappas[min(a, b), max(a, b)] for b in range(len(rows))] for a in range(len(rows))],
            "majority": _scored(
                {"run": run, "variant": variant, "repeat": -1}, "majority", answers,
                statistics.majority_vote(ratings), None,
            ),
        }  # fmt: skip

    def items(self, query: ItemQuery) -> ItemPage:
        """A page of the test items that the query asks for. The rows must have been given the same items."""
        import numpy as np

        rows, which = query["rows"], query["which"]
        if not rows:
            raise UserError("no answers are chosen; choose one set or more")
        reason, _ = self._apart(rows, [row["run"] for row in rows])
        if reason:
            raise UserError(f"items of different tests cannot be shown side by side: {reason}")
        found, labels, predicted = self._side_by_side(rows)
        answers, first = found[0]
        own = answers.predicted[first]
        wrong = own != answers.true
        keep = {
            "all": np.ones(len(wrong), bool),
            "wrong": wrong,
            "confident errors": wrong & (own >= 0),
            "invalid": own < 0,
            "disagree": (predicted != predicted[0]).any(axis=0),
        }[which]
        if query["label"]:
            number = answers.labels.index(query["label"]) if query["label"] in answers.labels else -1
            keep &= answers.true == number
        folder = self._folder(rows[0]["run"])
        texts = self._texts_of(folder)
        place = _places(texts.hashes, answers.hashes)  # in items.jsonl, -1 where it is missing there
        words, numbers = (np.where(place < 0, absent, column[place] if len(column) else absent)
                          for column, absent in ((texts.words, 0), (texts.numbers, -1)))  # fmt: skip
        keep &= words >= query["fewest_words"]
        if query["most_words"]:
            keep &= words <= query["most_words"]
        chosen = np.flatnonzero(keep)
        if which == "confident errors":
            sure = answers.probabilities[first, chosen, own[chosen]]
            chosen, sure = chosen[np.isfinite(sure)], sure[np.isfinite(sure)]
            chosen = chosen[np.argsort(-sure, kind="stable")]
        else:
            known = numbers[chosen]
            chosen = chosen[np.argsort(np.where(known < 0, np.iinfo(known.dtype).max, known), kind="stable")]
        start = max(0, query["offset"])
        page = chosen[start : start + max(0, min(query["limit"], PAGE_MOST_ITEMS))].tolist()
        lines = _read_lines(folder, [texts.starts[place[n]] if place[n] >= 0 else None for n in page])
        others = [_places(each.hashes, answers.hashes[page]) for each, _ in found]
        shown: list[Item] = []
        for at, (n, line) in enumerate(zip(page, lines, strict=True)):
            shown.append({
                "hash": answers.hashes[n].decode(),
                "number": int(numbers[n]) if numbers[n] >= 0 else None,
                "label": answers.labels[answers.true[n]],
                "words": int(words[n]),
                "start": " ".join(line.get("text", "")[: 4 * START_CHARACTERS].split())[:START_CHARACTERS],
                "answers": [_answer(*each, int(other[at])) for each, other in zip(found, others, strict=True)],
            })  # fmt: skip
        return {"total": len(chosen), "offset": start, "items": shown}

    def item(self, run: str, hash: str) -> ItemText:
        """A test item of a run with its whole text."""
        import numpy as np

        folder = self._folder(run)
        answers = self._read(folder)
        there = np.flatnonzero(answers.hashes == hash.encode())
        if not len(there):
            raise UserError(f"{run} has no item {hash}; choose one of its own")
        texts = self._texts_of(folder)
        place = int(_places(texts.hashes, answers.hashes[there[:1]])[0])
        line = _read_lines(folder, [texts.starts[place] if place >= 0 else None])[0]
        label = answers.labels[answers.true[there[0]]]
        return {"hash": hash, "number": line.get("row"), "label": label, "text": line.get("text", "")}

    def disagreement(self, source: str) -> Disagreement:
        """How often finished runs on `source` (its `data.source`) and the same items differ in being right."""
        import numpy as np

        correct: dict[str, list[Any]] = {}
        looked = 0
        for folder in list_runs(self._home):
            if looked == PRIOR_RUNS:
                break
            with suppress(OSError, ValueError):  # no config, no answers
                if folder.read_document().get("data", {}).get("source") != source:
                    continue
                if summarize(folder).state != FINISHED:
                    continue
                answers = self._read(folder)
                looked += 1
                order = np.argsort(answers.hashes)
                right = (answers.predicted[0] == answers.true)[order]
                correct.setdefault(answers.test_set, []).append(right)
        shares = [
            float((a != b).mean()) for of_one_test in correct.values() for a, b in combinations(of_one_test, 2)
        ]
        return {"share": median(shares) if shares else None, "pairs": len(shares)}

    # -- reading --------------------------------------------------------------------------------------------

    def _folder(self, run: str) -> RunFolder:
        folder = RunFolder(self._home.runs / run)
        if folder.path.parent != self._home.runs or not folder.config.is_file():
            raise UserError(f"no run {run} in {self._home.runs}; `labtui list` shows the runs")
        return folder

    def _read(self, folder: RunFolder) -> Answers:
        stamp = _stamp(folder)
        kept = self._answers.get(folder.name)
        if kept is None or kept[0] != stamp:
            self._answers[folder.name] = stamp, columns.read(folder)
        self._answers.move_to_end(folder.name)
        while len(self._answers) > _KEPT_ANSWERS:
            self._answers.popitem(last=False)
        return self._answers[folder.name][1]

    def _find(self, row: Row) -> tuple[Answers, int]:
        """The answers of the row's run, and which of their rows it is."""
        answers = self._read(self._folder(row["run"]))
        try:
            return answers, answers.rows.index((row["variant"], row["repeat"]))
        except ValueError:
            what = f'"{row["variant"]}", repeat' if row["variant"] else "repeat"
            raise UserError(f"{row['run']} has no answers of {what} {row['repeat']}; open the results anew") from None

    def _measures_of(self, row: Row) -> Measures:
        _, place = self._find(row)
        return self.measure(row["run"])["measures"][place]

    def _side_by_side(self, rows: Sequence[Row]) -> tuple[list[tuple[Answers, int]], list[str], "NDArray[Any]"]:
        """The rows' answers; all their labels; what each row answered (rows, items), as places in these labels.

        Only for rows with the same items, which are put in the order of the first row's.
        """
        import numpy as np

        found = [self._find(row) for row in rows]
        labels = list(dict.fromkeys(label for answers, _ in found for label in answers.labels))
        predicted = np.empty((len(rows), len(found[0][0].true)), np.int64)
        for n, (answers, place) in enumerate(found):
            number = np.array([*map(labels.index, answers.labels), -1])  # -1, invalid, takes the last
            here = slice(None) if answers is found[0][0] else _places(answers.hashes, found[0][0].hashes)
            predicted[n] = number[answers.predicted[place]][here]
        return found, labels, predicted

    def _texts_of(self, folder: RunFolder) -> _Texts:
        """Runs that are linked to one file of items share it."""
        try:
            found = folder.items.stat()
        except OSError:
            return _index([])
        key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        if key not in self._texts:
            with open(folder.items, "rb") as file:
                self._texts[key] = _index(file)
        return self._texts[key]

    # -- figures --------------------------------------------------------------------------------------------

    def _measure(self, folder: RunFolder) -> RunMeasures:
        answers, story = self._read(folder), _story(folder)
        rows: list[Row] = [{"run": folder.name, "variant": variant, "repeat": n} for variant, n in answers.rows]
        measures = [
            _scored(row, story.values.get(row["repeat"], ""), answers, answers.predicted[place],
                    answers.probabilities[place])
            for place, row in enumerate(rows)
        ]  # fmt: skip
        spreads = {}
        for variant in dict.fromkeys(row["variant"] for row in rows):
            own = [n for n, row in enumerate(rows) if row["variant"] == variant]
            if len(own) > 1:
                accuracies = [measures[n]["accuracy"]["value"] for n in own]
                spreads[variant] = self._spread([rows[n] for n in own], accuracies)
        found: RunMeasures = {
            "run": folder.name, "labels": list(answers.labels), "test_set": answers.test_set,
            "varied": story.varied if len(rows) > 1 else "", "measures": measures, "spreads": spreads,
            "validation": story.validation, "estimate_bytes": _estimate(folder), "warnings": [],
        }  # fmt: skip
        found["warnings"] = self._warnings(folder, answers, story, found)
        return found

    def _spread(self, rows: list[Row], accuracies: list[float]) -> Spread:
        several = len(rows) > 1
        same = len({self._find(row)[0].test_set for row in rows}) == 1
        found: Spread = {
            "rows": rows, "accuracies": accuracies, "mean": fmean(accuracies),
            "sd": stdev(accuracies) if several else None, "lowest": min(accuracies), "highest": max(accuracies),
            "same_items": same, "interval": None, "kappa": None, "all_agree": None, "flips": None,
        }  # fmt: skip
        if several and same:
            read, labels, predicted = self._side_by_side(rows)
            first = read[0][0]
            true = [labels.index(label) for label in first.labels]
            correct = predicted == _numbered(true, first.true)
            found["interval"] = statistics.mean_accuracy_interval(correct)
            found["kappa"] = statistics.fleiss_kappa(predicted, len(labels))
            found["all_agree"] = statistics.share_all_agree(predicted)
            found["flips"] = int((predicted != predicted[0]).any(axis=0).sum())
        return found

    def _pairs(self, rows: Sequence[Row], names: Sequence[str]) -> list[Pair]:
        read, labels, predicted = self._side_by_side(rows)
        first = read[0][0]
        correct = predicted == _numbered([labels.index(label) for label in first.labels], first.true)
        pairs: list[Pair] = []
        for a, b in combinations(range(len(rows)), 2):
            both, a_only, b_only, neither = cells = statistics.paired_table(correct[a], correct[b])
            low, high = statistics.paired_difference_interval(*cells)
            p = statistics.mcnemar_exact(a_only, b_only)
            pairs.append({
                "a": a, "b": b, "both_right": both, "a_only": a_only, "b_only": b_only, "both_wrong": neither,
                "difference": _share((a_only - b_only) / sum(cells), (low, high)),
                "p": p, "p_holm": p, "verdict": "", "sentence": "",
            })  # fmt: skip
        for pair, p in zip(pairs, statistics.holm([pair["p"] for pair in pairs]), strict=True):
            pair["p_holm"] = p
            if p < ALPHA:
                pair["verdict"] = "a" if pair["a_only"] > pair["b_only"] else "b"
        return pairs

    def _apart(self, rows: Sequence[Row], names: Sequence[str]) -> tuple[str, int]:
        """Why these rows cannot be compared, empty where they can, and how many items they have in common."""
        every = [self._find(row)[0] for row in rows]
        if len({answers.test_set for answers in every}) == 1:
            return "", len(every[0].true)
        sets = [dict(zip(answers.hashes.tolist(), answers.true.tolist(), strict=True)) for answers in every]
        common = set(sets[0]).intersection(*sets[1:])
        if strangers := [name for name, answers in zip(names, every, strict=True) if answers.imported_without_texts]:
            return (f"{' and '.join(dict.fromkeys(strangers))}: imported without texts, so that columns of one file "
                    "compare with each other, not with other runs"), len(common)  # fmt: skip
        if all(len(each) == len(common) for each in sets):
            torn = sum(
                len({answers.labels[each[hashed]] for answers, each in zip(every, sets, strict=True)}) > 1
                for hashed in common
            )
            return f"{torn:,} of the {len(common):,} items carry different true labels", len(common)
        counts = ", ".join(f"{name} {len(each):,}" for name, each in zip(names, sets, strict=True))
        return f"the items differ: {counts}; {len(common):,} are common to all", len(common)

    # -- warnings -------------------------------------------------------------------------------------------

    def _warnings(self, folder: RunFolder, answers: Answers, story: _Story, found: RunMeasures) -> list[Warning]:
        warnings: list[Warning] = []

        def warn(figure: str, text: str) -> None:
            warnings.append({"figure": figure, "text": text})

        document = folder.read_document()
        if story.scores.get("untrained_head"):
            warn("model", "UNTRAINED HEAD: the weights that answer were drawn at random, so that the accuracy of "
                 f"{_mean_accuracy(found):.3f} says nothing about the model")  # fmt: skip
        if document.get("engine") == "imported":
            warn("model", f"imported: the {len(answers.true):,} answers were read from a file, and how they came "
                 "about is not known here")  # fmt: skip
        first = found["measures"][0]
        if first["items"] < FEW_ITEMS:
            accuracy = first["accuracy"]
            warn("items", f"only {first['items']:,} test items: an accuracy anywhere from {accuracy['low']:.2f} to "
                 f"{accuracy['high']:.2f} fits them")  # fmt: skip
        worst = max(found["measures"], key=lambda m: m["invalid"])
        if worst["invalid"] > MANY_INVALID * worst["items"]:
            of = f" of {_called(worst)}" if len(found["measures"]) > 1 else ""
            percent = 100 * worst["invalid"] / worst["items"]
            warn("invalid", f"{worst['invalid']:,} of {worst['items']:,} answers{of} ({percent:.1f} %) are no label; "
                 "they count as wrong")  # fmt: skip
        if rose := _rose(story.validation):
            warn("loss", rose)
        if leaked := self._leaked(folder, document, answers):
            warn("accuracy", f"{leaked:,} of the {len(answers.true):,} test items stand in the training set too, "
                 "so that the accuracy is too high to be believed")  # fmt: skip
        return warnings

    def _leaked(self, folder: RunFolder, document: dict[str, Any], answers: Answers) -> int:
        """How many test items were trained on, where the run allowed it."""
        if document.get("data", {}).get("overlap") != "allow":
            return 0
        source = folder
        with suppress(OSError, ValueError):  # the run that it scored is gone
            while document.get("engine") == "evaluate":
                source = RunFolder(self._home.runs / str(document.get("run", "")))
                document = source.read_document()
        if document.get("engine") == "prompting":
            return 0  # nothing is trained, and no example is taken from the test
        trained: set[str] = set()
        with suppress(OSError, ValueError, KeyError, TypeError), open(source.splits, "rb") as file:
            for item in map(json.loads, file):
                if item["split"] == "train":
                    trained.add(item["hash"].partition("#")[0])
        return sum(hashed.decode().partition("#")[0] in trained for hashed in answers.hashes.tolist())


# -- a run's files -------------------------------------------------------------------------------------------


def _stamp(folder: RunFolder) -> tuple[int, ...]:
    """Changes with the events and the answers of a run."""
    found = []
    for path in (folder.events, folder.predictions):
        try:
            status = path.stat()
        except OSError:
            continue  # `answers.read` says what is missing
        found += [status.st_size, status.st_mtime_ns]
    return tuple(found)


def _story(folder: RunFolder) -> _Story:
    story, earlier = _Story(), []
    for event in _telling_events(folder):
        match event:
            case ev.Started():
                earlier, story.validation = story.validation, []
            case ev.Resumed():
                story.validation = [v for v in earlier if v["step"] is not None and v["step"] <= event.step]
            case ev.Evaluated() if event.split == "validation":
                story.validation.append({
                    "step": event.step, "epoch": event.epoch, "loss": _finite(event.loss),
                    "accuracy": event.scores.get("accuracy"),
                })  # fmt: skip
            case ev.Repeat():
                story.varied = "" if event.varied == "nothing" else event.varied
                story.values[event.index] = event.value
            case ev.Ended():
                story.scores = event.scores
    return story


def _telling_events(folder: RunFolder) -> list[ev.Event]:
    """All events but the many that tell of a step or of progress, which are not even parsed."""
    found = []
    with suppress(OSError):
        for line in folder.events.read_bytes().splitlines():
            head = line[:80]
            if b'"kind":"step"' in head or b'"kind":"progress"' in head:
                continue
            with suppress(ValueError, TypeError):  # no event; a torn end
                if record := ev.decode(line):
                    found.append(record.event)
    return found


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _estimate(folder: RunFolder) -> int | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return int(json.loads(folder.estimate.read_bytes())["peak_bytes"])
    return None


def _index(file: Any) -> _Texts:
    """Go once through the lines of an `items.jsonl`."""
    import numpy as np

    hashes, starts, words, numbers, offset = [], [], [], [], 0
    for line in file:
        with suppress(ValueError, KeyError, TypeError, AttributeError):  # a torn line
            item = json.loads(line)
            count, number = len(item["text"].split()), item.get("row")
            hashes.append(item["hash"].encode())
            starts.append(offset)
            words.append(count)
            numbers.append(-1 if number is None else number)
        offset += len(line)
    return _Texts(np.array(hashes, np.bytes_), starts, np.array(words, np.int32), np.array(numbers, np.int64))


def _read_lines(folder: RunFolder, starts: Sequence[int | None]) -> list[dict[str, Any]]:
    """The lines of `items.jsonl` that start there; empty for None."""
    found: list[dict[str, Any]] = [{} for _ in starts]
    if any(start is not None for start in starts):
        with open(folder.items, "rb") as file:
            for place, start in enumerate(starts):
                if start is not None:
                    file.seek(start)
                    found[place] = json.loads(file.readline())
    return found


def _places(among: "NDArray[Any]", hashes: "NDArray[Any]") -> "NDArray[Any]":
    """Where each hash stands among others; -1 where it does not."""
    import numpy as np

    if len(among) == len(hashes) and (among == hashes).all():
        return np.arange(len(hashes))
    if not len(among):
        return np.full(len(hashes), -1)
    order = np.argsort(among)
    there = order[np.minimum(np.searchsorted(among, hashes, sorter=order), len(among) - 1)]
    return np.where(among[there] == hashes, there, -1)


# -- figures and words ---------------------------------------------------------------------------------------


def _scored(
    row: Row, value: str, answers: Answers, predicted: "NDArray[Any]", probabilities: "NDArray[Any] | None"
) -> Measures:
    import numpy as np

    labels, classes = answers.labels, len(answers.labels)
    column = np.where(predicted < 0, classes, predicted).astype(np.int64)
    cells = np.bincount(answers.true * (classes + 1) + column, minlength=classes * (classes + 1))
    confusion: list[list[int]] = cells.reshape(classes, classes + 1).tolist()
    scores = scoring.scores(confusion, labels)
    items, correct = len(predicted), sum(confusion[c][c] for c in range(classes))
    intervals = statistics.macro_intervals(confusion)
    brier = error = None
    bins: list[tuple[float, float, int, float, float]] = []
    if probabilities is not None and np.isfinite(probabilities).any():
        brier = statistics.brier_score(probabilities, answers.true)
        error, bins = statistics.calibration(probabilities, answers.true)

    def macro(name: str) -> Share:
        return _share(scores[name], intervals[name])

    return {
        "row": row, "value": value, "items": items, "correct": correct, "invalid": scores["invalid"],
        "accuracy": _share(scores["accuracy"], statistics.wilson_interval(correct, items)),
        "accuracy_answered": scores["accuracy_answered"] if scores["invalid"] < items else None,
        "recall": {
            label: _share(scores["recall"][label], statistics.wilson_interval(line[c], sum(line)))
            for c, (label, line) in enumerate(zip(labels, confusion, strict=True)) if sum(line)
        },
        "precision": scores["precision"],
        "macro_precision": macro("macro_precision"), "macro_recall": macro("macro_recall"),
        "macro_f1": macro("macro_f1"),
        "brier": brier, "calibration_error": error,
        "reliability": [
            {"low": low, "high": high, "items": count, "confidence": confidence, "accuracy": accuracy}
            for low, high, count, confidence, accuracy in bins
        ],
        "confusion": confusion,
    }  # fmt: skip


def _share(value: float, interval: tuple[float, float]) -> Share:
    return {"value": value, "low": interval[0], "high": interval[1]}


def _numbered(numbers: Sequence[int], true: "NDArray[Any]") -> "NDArray[Any]":
    import numpy as np

    found: NDArray[Any] = np.array(numbers)[true]
    return found


def _answer(answers: Answers, row: int, item: int) -> ItemAnswer:
    predicted, read = int(answers.predicted[row, item]), int(answers.tokens_read[row, item])
    chance = float(answers.probabilities[row, item, predicted]) if predicted >= 0 else math.nan
    return {
        "predicted": answers.labels[predicted] if predicted >= 0 else None,
        "probability": _finite(chance),
        "tokens_read": read if read >= 0 else None,
        "text": answers.text(row, item),
    }


def _mean_accuracy(found: RunMeasures) -> float:
    return fmean(m["accuracy"]["value"] for m in found["measures"])


def _called(measures: Measures) -> str:
    row = measures["row"]
    return f'"{row["variant"]}", repeat {row["repeat"]}' if row["variant"] else f"repeat {row['repeat']}"


def _rose(validation: Sequence[Validation]) -> str:
    """A sentence where the last validation loss lies above the lowest, an epoch or more before it."""
    known = [v for v in validation if v["loss"] is not None]
    if len(known) < 2:
        return ""
    best, last = min(known, key=lambda v: v["loss"] or 0.0), known[-1]
    lowest, end = best["loss"] or 0.0, last["loss"] or 0.0
    epochs = (last["epoch"] or 0.0) - (best["epoch"] or 0.0)
    if end <= lowest * (1 + LOSS_ROSE) or (last["epoch"] is not None and epochs < 0.99):
        return ""

    def at(one: Validation) -> str:
        return f"step {one['step']}" if one["epoch"] is None else f"epoch {one['epoch']:.3g}"

    return f"the validation loss rose while training went on: {lowest:.4f} at {at(best)}, {end:.4f} at {at(last)}"


def p_words(p: float) -> str:
    """A p value as people write it: "p = 0.0012"; below 0.00001 the power of ten that it does not reach."""
    if p < 1e-5:
        power = math.ceil(-math.log10(p)) - 1 if p else 300
        return f"p < 1e-{power}"
    short = f"{p:.2g}"
    exact = f"{p:.3g}" if float(short) == ALPHA else short  # never on the wrong side of it
    return f"p = {Decimal(exact):f}"


def _say(pairs: Sequence[Pair], names: Sequence[str], items: int, detectable: float | None) -> None:
    """Put each pair into a sentence."""
    for pair in pairs:
        sides = [(names[pair["a"]], pair["a_only"]), (names[pair["b"]], pair["b_only"])]
        if pair["verdict"] == "b":
            sides.reverse()
        (one, one_only), (other, other_only) = sides
        counts = f"{one} alone right on {one_only:,}, {other} alone on {other_only:,}"
        p = p_words(pair["p_holm"]) + (f" after Holm over {len(pairs)} pairs" if len(pairs) > 1 else "")
        if pair["verdict"]:
            pair["sentence"] = f"{one} is better on these {items:,} items: {counts}, {p}"
        elif not one_only + other_only:
            pair["sentence"] = f"{one} and {other} are right on the very same of these {items:,} items"
        else:
            unseen = f"; a difference under {detectable * 100:.1f} points could not be seen" if detectable else ""
            pair["sentence"] = f"{one} and {other} are not told apart on these {items:,} items ({counts}, {p}){unseen}"
