"""What the results of finished runs say: figures with intervals, repeats, comparisons, single items.

Every answer is made of plain values (`engines.study.values`), so that the console can ask a process of its own
(`engines.study`) and stay light. Here runs are found, read and kept; `measures`, `comparisons` and `warnings` make
figures and sentences of their answers. Nothing here imports torch; NumPy and SciPy are imported where they are needed.
"""

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate, combinations, pairwise
from statistics import fmean, median, stdev
from typing import TYPE_CHECKING, Any

from engines.answers import columns
from engines.answers.columns import Answers
from engines.answers.intervals import wilson_interval
from engines.answers.variant import Variant
from engines.data.items import ItemTexts, index_items, read_items
from engines.errors import UserError
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.reading import open_regular
from engines.runs.summary import FINISHED, list_runs, summarize
from engines.study import comparisons, statistics
from engines.study.comparisons import ALPHA
from engines.study.measures import answer_of, are_right, mean_measures, measure_answers
from engines.study.repeats import mean_accuracy
from engines.study.run_facts import read_estimate, read_facts, read_settings, stamp_of
from engines.study.values import (
    AnswerSet,
    Comparison,
    Disagreement,
    Item,
    ItemPage,
    ItemQuery,
    ItemText,
    Measures,
    Pair,
    RepeatTable,
    RunMeasures,
    Spread,
)
from engines.study.warnings import warnings_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

START_CHARACTERS = 160
PAGE_MOST_ITEMS = 200
PRIOR_RUNS = 20
"""Newest earlier runs whose disagreement is looked at."""
_KEPT_ANSWERS = 16


class ResultsReader:
    """Answers about the finished runs of a home; what was read or computed once is kept. For one thread.

    Every question raises `UserError` with a sentence where it cannot be answered.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._answers: OrderedDict[str, tuple[tuple[int, ...], Answers]] = OrderedDict()
        self._measured: dict[str, tuple[tuple[int, ...], RunMeasures]] = {}
        self._texts: dict[tuple[int, ...], ItemTexts] = {}

    # -- questions ------------------------------------------------------------------------------------------

    def measure(self, run: str) -> RunMeasures:
        """All figures of a run, the run's own answers before those of other variants."""
        folder = self._folder(run)
        stamp = stamp_of(folder)
        if run not in self._measured or self._measured[run][0] != stamp:
            self._measured[run] = stamp, self._measure(folder)
        return self._measured[run][1]

    def spread(self, rows: list[AnswerSet]) -> Spread:
        """How several sets of answers differ, of one run or of several."""
        if not rows:
            raise UserError("no answers are chosen; choose one set or more")
        return self._spread(rows, [self._measures_of(row)["accuracy"]["value"] for row in rows])

    def compare(
        self, rows: list[AnswerSet], names: list[str], executions: list[list[AnswerSet]] | None = None
    ) -> Comparison:
        """Two or more sets of answers, each pair tested; `names` are what they are called in the sentences.

        `executions` are all sets of answers behind each of `rows` where one stands for several: repeats of a run, or
        runs of a group, which are then compared by their means. Of runs that have repeats each counts once, by the
        mean of its repeats.
        """
        if len(rows) < 2:
            raise UserError("name two or more runs to compare")
        sides = executions or [[row] for row in rows]
        if not len(rows) == len(names) == len(sides) or not all(sides):
            raise UserError(
                f"{len(rows)} sets of answers have {len(names)} names and {len(sides)} lists of executions; "
                "give a name to each, and one execution or more"
            )
        every = [row for side in sides for row in side]
        reason, common = self._apart(every, [name for name, side in zip(names, sides, strict=True) for _ in side])
        measures = []
        for row, side in zip(rows, sides, strict=True):
            of_each = [self._measures_of(execution) for execution in side]
            interval = None if len(side) == 1 or _nested(side) else self.spread(side)["interval"]
            measures.append(of_each[0] if len(side) == 1 else mean_measures(row, of_each, interval))
        pairs: list[Pair] = []
        detectable = None
        if not reason:
            sets, labels, predicted = self._side_by_side(every)
            right = are_right(predicted, labels, sets[0][0])
            ends = list(accumulate((len(side) for side in sides), initial=0))
            groups = [_by_run(right[start:end], every[start:end]) for start, end in pairwise(ends)]
            pairs = comparisons.tested_pairs(groups)
            apart = [pair["a_only"] + pair["b_only"] for pair in pairs if pair["about"] == "answers"]
            detectable = comparisons.detectable(common, fmean(apart) / common) if apart else None
            comparisons.add_sentences(pairs, names, groups)
        return {
            "rows": rows,
            "executions": [len(side) for side in sides],
            "names": names,
            "measures": measures,
            "items": common,
            "same_items": not reason,
            "reason": reason,
            "pairs": pairs,
            "detectable": detectable,
        }

    def repeats(self, run: str, variant: Variant) -> RepeatTable:
        """The repeats of a run's variant, each held against each."""
        import numpy as np

        measured, variant = self.measure(run), Variant(variant)
        measures = [m for m in measured["measures"] if m["row"]["variant"] == variant]
        if not measures:
            raise UserError(f"{run} has no answers of the model {variant.words}; leave the variant out")
        rows = [m["row"] for m in measures]
        spread = measured["spreads"].get(variant) or self._spread(rows, [m["accuracy"]["value"] for m in measures])
        answers, first = self._find(rows[0])
        ratings = answers.predicted[first : first + len(rows)].astype(np.int64)
        kappas = {
            (a, b): statistics.cohen_kappa(ratings[a], ratings[b], len(answers.labels))
            for a in range(len(rows))
            for b in range(a, len(rows))
        }
        return {
            "run": run,
            "variant": variant,
            "varied": measured["varied"],
            "labels": measured["labels"],
            "measures": measures,
            "spread": spread,
            "agreement": [np.equal(ratings, row).mean(axis=1).tolist() for row in ratings],
            "cohen": [[kappas[min(a, b), max(a, b)] for b in range(len(rows))] for a in range(len(rows))],
            "majority": measure_answers(
                {"run": run, "variant": variant, "repeat": -1},
                "majority",
                answers,
                statistics.majority_vote(ratings),
                None,
            ),
        }

    def items(self, query: ItemQuery) -> ItemPage:
        """A page of the test items that the query asks for. The rows must have been given the same items."""
        import numpy as np

        rows, which = query["rows"], query["which"]
        if not rows:
            raise UserError("no answers are chosen; choose one set or more")
        reason, _ = self._apart(rows, [row["run"] for row in rows])
        if reason:
            raise UserError(f"items of different tests cannot be shown side by side: {reason}")
        sets, labels, predicted = self._side_by_side(rows)
        answers, first = sets[0]
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
        words, numbers = (
            np.where(place < 0, absent, column[place] if len(column) else absent)
            for column, absent in ((texts.words, 0), (texts.numbers, -1))
        )
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
        lines = read_items(folder, [texts.starts[place[n]] if place[n] >= 0 else None for n in page])
        others = [_places(each.hashes, answers.hashes[page]) for each, _ in sets]
        shown: list[Item] = []
        for at, (n, line) in enumerate(zip(page, lines, strict=True)):
            shown.append(
                {
                    "hash": answers.hashes[n].decode(),
                    "number": int(numbers[n]) if numbers[n] >= 0 else None,
                    "label": answers.labels[answers.true[n]],
                    "words": int(words[n]),
                    "start": " ".join((line.text if line else "")[: 4 * START_CHARACTERS].split())[:START_CHARACTERS],
                    "answers": [answer_of(*each, int(other[at])) for each, other in zip(sets, others, strict=True)],
                }
            )
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
        line = read_items(folder, [texts.starts[place] if place >= 0 else None])[0]
        label = answers.labels[answers.true[there[0]]]
        number, text = (line.row, line.text) if line else (None, "")
        return {"hash": hash, "number": number, "label": label, "text": text}

    def disagreement(self, source: str, engine: str) -> Disagreement:
        """How often finished runs on `source` (its `data.source`) and the same items differ in being right, for one
        more run of `engine`.

        It is for judging whether a small difference will show, so counted are the pairs with a run of this engine
        whose difference is small: not told apart by the test (one by one, at 5 %), and not the same answers again.
        Models that know nothing disagree most; left out are untrained heads, and runs whose accuracy may be that of
        always answering the commonest class.
        """
        import numpy as np

        correct: dict[str, list[tuple[bool, Any]]] = {}  # by test set: whether it is of this engine, and each answer
        looked = 0
        for folder in list_runs(self._home):
            if looked == PRIOR_RUNS:
                break
            with suppress(OSError, ValueError, AttributeError):  # no config, no answers
                document = folder.read_document()
                if document.get("data", {}).get("source") != source:
                    continue
                summary = summarize(folder)
                if summary.state != FINISHED or summary.untrained_head:
                    continue
                answers = self._read(folder)
                right = (answers.predicted[0] == answers.true)[np.argsort(answers.hashes)]
                low, _ = wilson_interval(int(right.sum()), len(right))
                if low > np.bincount(answers.true).max() / len(right):
                    looked += 1
                    correct.setdefault(answers.test_set, []).append((document.get("engine") == engine, right))
        shares = []
        for of_one_test in correct.values():
            for (a_counts, a), (b_counts, b) in combinations(of_one_test, 2):
                _, a_only, b_only, _ = statistics.paired_table(a, b)
                if (a_counts or b_counts) and a_only + b_only and statistics.mcnemar_exact(a_only, b_only) >= ALPHA:
                    shares.append((a_only + b_only) / len(a))
        return {"share": median(shares) if shares else None, "pairs": len(shares)}

    # -- reading --------------------------------------------------------------------------------------------

    def _folder(self, run: str) -> RunFolder:
        folder = RunFolder(self._home.runs / run)
        if folder.path.parent != self._home.runs or not folder.config.is_file():
            raise UserError(f"no run {run} in {self._home.runs}; `labtui list` shows the runs")
        return folder

    def _read(self, folder: RunFolder) -> Answers:
        stamp = stamp_of(folder)
        kept = self._answers.get(folder.name)
        if kept is None or kept[0] != stamp:
            self._answers[folder.name] = stamp, columns.read(folder)
        self._answers.move_to_end(folder.name)
        while len(self._answers) > _KEPT_ANSWERS:
            self._answers.popitem(last=False)
        return self._answers[folder.name][1]

    def _find(self, row: AnswerSet) -> tuple[Answers, int]:
        """The answers of the row's run, and which of their rows it is."""
        answers = self._read(self._folder(row["run"]))
        try:
            return answers, answers.rows.index((Variant(row["variant"]), row["repeat"]))
        except ValueError:
            before = f"the model {Variant(row['variant']).words}, " if row["variant"] else ""
            raise UserError(
                f"{row['run']} has no answers of {before}repeat {row['repeat'] + 1}; open the results anew"
            ) from None

    def _measures_of(self, row: AnswerSet) -> Measures:
        _, place = self._find(row)
        return self.measure(row["run"])["measures"][place]

    def _side_by_side(self, rows: Sequence[AnswerSet]) -> tuple[list[tuple[Answers, int]], list[str], "NDArray[Any]"]:
        """The rows' answers; all their labels; what each row answered (rows, items), as places in these labels.

        Only for rows with the same items, which are put in the order of the first row's.
        """
        import numpy as np

        sets = [self._find(row) for row in rows]
        labels = list(dict.fromkeys(label for answers, _ in sets for label in answers.labels))
        predicted = np.empty((len(rows), len(sets[0][0].true)), np.int64)
        for n, (answers, place) in enumerate(sets):
            number = np.array([*map(labels.index, answers.labels), -1])  # -1, invalid, takes the last
            here = slice(None) if answers is sets[0][0] else _places(answers.hashes, sets[0][0].hashes)
            predicted[n] = number[answers.predicted[place]][here]
        return sets, labels, predicted

    def _texts_of(self, folder: RunFolder) -> ItemTexts:
        """Runs that are linked to one file of items share it."""
        try:
            status = folder.items.stat()
        except OSError:
            return index_items([])
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if key not in self._texts:
            with open_regular(folder.items) as file:
                self._texts[key] = index_items(file)
        return self._texts[key]

    # -- figures --------------------------------------------------------------------------------------------

    def _measure(self, folder: RunFolder) -> RunMeasures:
        answers, facts = self._read(folder), read_facts(folder)
        rows: list[AnswerSet] = [{"run": folder.name, "variant": variant, "repeat": n} for variant, n in answers.rows]
        measures = [
            measure_answers(
                row,
                facts.values.get(row["repeat"], ""),
                answers,
                answers.predicted[place],
                answers.probabilities[place],
            )
            for place, row in enumerate(rows)
        ]
        spreads = {}
        for variant in dict.fromkeys(row["variant"] for row in rows):
            own = [n for n, row in enumerate(rows) if row["variant"] == variant]
            if len(own) > 1:
                accuracies = [measures[n]["accuracy"]["value"] for n in own]
                spreads[variant] = self._spread([rows[n] for n in own], accuracies)
        measured: RunMeasures = {
            "run": folder.name,
            "labels": list(answers.labels),
            "test_set": answers.test_set,
            "varied": facts.varied if len(rows) > 1 else "",
            "measures": measures,
            "spreads": spreads,
            "validation": facts.validation,
            "estimate_bytes": read_estimate(folder),
            "warnings": [],
        }
        measured["warnings"] = warnings_of(folder, read_settings(folder), facts, answers, measured)
        return measured

    def _spread(self, rows: list[AnswerSet], accuracies: list[float]) -> Spread:
        several = len(rows) > 1
        same = len({self._find(row)[0].test_set for row in rows}) == 1
        spread: Spread = {
            "rows": rows,
            "accuracies": accuracies,
            "mean": fmean(accuracies),
            "sd": stdev(accuracies) if several else None,
            "lowest": min(accuracies),
            "highest": max(accuracies),
            "same_items": same,
            "interval": None,
            "interval_over": "",
            "no_interval": "",
            "items_interval": None,
            "kappa": None,
            "all_agree": None,
            "flips": None,
        }
        if several and same:
            read, labels, predicted = self._side_by_side(rows)
            correct = are_right(predicted, labels, read[0][0])
            doubt = mean_accuracy(correct)
            varied = (correct != correct[0]).any()
            spread["interval"] = doubt.crossed if varied else doubt.items_only
            if spread["interval"] is None:
                spread["no_interval"] = doubt.reason
            else:
                spread["interval_over"] = "items and repeats" if varied else "items"
            spread["items_interval"] = doubt.items_only
            spread["kappa"] = statistics.fleiss_kappa(predicted, len(labels))
            spread["all_agree"] = statistics.share_all_agree(predicted)
            spread["flips"] = int((predicted != predicted[0]).any(axis=0).sum())
        return spread

    def _apart(self, rows: Sequence[AnswerSet], names: Sequence[str]) -> tuple[str, int]:
        return comparisons.why_not_comparable([self._find(row)[0] for row in rows], names)


def _nested(rows: Sequence[AnswerSet]) -> bool:
    """Whether these are repeats of several runs."""
    return len({row["run"] for row in rows}) not in (1, len(rows))


def _by_run(right: "NDArray[Any]", rows: Sequence[AnswerSet]) -> "NDArray[Any]":
    """Which executions are right, (executions, items); of several runs each counts once, by the mean of its repeats."""
    import numpy as np

    if not _nested(rows):
        return right
    runs = list(dict.fromkeys(row["run"] for row in rows))
    return np.array([right[[row["run"] == run for row in rows]].mean(axis=0) for run in runs])


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
