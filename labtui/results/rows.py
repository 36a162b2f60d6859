"""Finished runs as rows to compare, the published figures beside them, and both as text. No Textual here."""

import statistics
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from engines.answers.intervals import wilson_interval
from engines.answers.metrics import ACCURACY, beside_accuracy
from engines.answers.variant import Variant
from engines.errors import reason_of
from engines.runs import events as ev
from engines.runs.event_files import read_all, read_last
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.scores import Scores
from engines.runs.summary import DAMAGED, FINISHED, list_runs, open_summary, read_end
from engines.settings import settings_digest
from labtui import format
from labtui.sanitize import clean

PUBLISHED = Path(__file__).with_name("published.toml")
IMPORTED = "imported"  # the engine of runs that hold the predictions of another program
NOTHING = "nothing varied"


@dataclass(frozen=True)
class ResultRow:
    """A finished run, one of its repeats, a group of runs, or a published figure; texts are cleaned.

    Fractions are 0 to 1, None is "not known". Behind a row stand one or several executions: the repeats of a run, or
    the runs of a group. With several, figures are their means, the confusion matrix is their sum.
    """

    run: str  # name of the run folder, of a group that of its newest run; empty when published
    experiment: str
    engine: str
    title: str
    model: str
    accuracy: float | None
    items: int  # of each execution
    interval: tuple[float, float] | None  # 95 %: Wilson's of one execution; of several that of their mean, `measured`
    recall: dict[str, float]  # by class, in the order of `labels`: the accuracy on the items of that class
    interval_over: str = "items"  # what `interval` takes as a sample: "items" or "items and repeats"
    figures: dict[str, float] = field(default_factory=dict)  # of the other metrics, as far as known, by name
    invalid: int | None = None  # items whose answer was no label, over all executions; counted as wrong
    training_seconds: float | None = None
    seconds: float | None = None
    items_per_s: float | None = None
    memory_peak_bytes: int | None = None
    memory_on_host: bool = False  # no device figure: the peak is the worker's resident memory
    labels: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()  # one row per true label; one column per predicted one, then invalid
    published: bool = False
    note: str = ""
    source: str = ""  # of a published figure
    variant: Variant = Variant.OWN
    before: "ResultRow | None" = None  # the same items, answered by the model before this run tuned it
    level: Literal["group", "run", "repeat"] = "run"
    config: str = ""  # `settings_digest`, the same in all runs of a group; empty where settings cannot be read
    seed: int | None = None
    repeat: int = 0  # which one this is, from 0
    value: str = ""  # what this repeat was given
    varied: str = ""  # what differs between the executions, in words; empty for one
    accuracies: tuple[float, ...] = ()  # of the executions; empty for one
    children: tuple["ResultRow", ...] = ()  # the executions, where they have rows of their own
    untrained_head: bool = False
    # Known when the answers themselves have been read (`labtui.results.groups`).
    measured: bool = False
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)  # 95 %, of `figures`
    kappa: float | None = None  # Fleiss, over the executions
    all_agree: float | None = None
    flips: int | None = None
    same_items: bool = True  # whether all executions answered the same items
    estimate_bytes: int | None = None
    warnings: tuple[tuple[str, str], ...] = ()  # (key of the column that it touches, sentence)

    def figure(self, metric: str) -> float | None:
        """The value of a metric by its name; None where it is not known."""
        return self.accuracy if metric == ACCURACY.name else self.figures.get(metric)

    @property
    def key(self) -> str:
        """Names the row among all rows."""
        if self.published:
            return f"published {self.title}"
        own = f"{self.run} {self.variant}".rstrip()
        if self.level == "group":
            return f"group {self.config} {self.variant}".rstrip()
        return f"{own} repeat {self.repeat}" if self.level == "repeat" else own

    @property
    def n(self) -> int:
        """How many executions stand behind the row."""
        return len(self.accuracies) or 1

    @property
    def sd(self) -> float | None:
        """Sample standard deviation of the executions' accuracies; None for one."""
        return statistics.stdev(self.accuracies) if self.n > 1 else None

    @property
    def invalid_share(self) -> float | None:
        """Share of the answers that are no label."""
        answers = sum(map(sum, self.confusion)) or self.items * self.n  # behind a group of runs stand their repeats
        return self.invalid / answers if self.invalid is not None and answers else None


def name_of(row: ResultRow) -> str:
    """How a row is called wherever it stands alone: the experiment and the run's last digits, or that it is published
    or imported."""
    if row.published:
        return f"published: {row.title}"
    name = f"{IMPORTED}: {row.experiment}" if row.engine == IMPORTED else row.experiment
    if row.level != "group":
        name += f" {row.run.rpartition('-')[2]}"
    if row.variant:
        name += f" {row.variant.words}"
    return f"{name} repeat {row.repeat + 1}" if row.level == "repeat" else name


def short_name(row: ResultRow) -> str:
    """`name_of` without the family of the experiment."""
    if row.published or row.engine == IMPORTED:
        return name_of(row)
    return name_of(row).rpartition("/")[2]


def result_of(folder: RunFolder) -> ResultRow | None:
    """The row of one run, from the end of its events; None unless it has finished.

    Without scores of a test split, accuracy and interval are None and the items 0.
    """
    record = read_end(folder)
    if record is None or not isinstance(record.event, ev.Finished):
        return None
    summary = open_summary(folder)
    summary.apply([record])
    end = summary.settle().end
    if summary.state not in (FINISHED, DAMAGED) or end is None:  # its answers may be whole
        return None
    if end.split != "test":
        end = msgspec.structs.replace(end, scores=Scores(), items=0, labels=[], confusion=[])
    row = ResultRow(
        run=folder.name,
        experiment=clean(summary.experiment),
        engine=clean(summary.engine),
        title=clean(str(summary.document.get("title", ""))),
        model=clean(format.model_name(end.model, summary.untrained_head)),
        **figures_of(end.scores, end.items, end.labels, end.confusion),
        training_seconds=end.training_seconds,
        seconds=end.seconds,
        items_per_s=end.items_per_s,
        memory_peak_bytes=end.memory_peak_bytes or end.host_memory_peak_bytes,
        memory_on_host=not end.memory_peak_bytes,
        config=settings_digest(summary.document),
        seed=summary.document.get("seed"),
        untrained_head=summary.untrained_head,
    )
    if len(end.scores.repeats) > 1:
        return with_repeats(row, _repeats(row, folder, len(end.scores.repeats)))
    before = end.scores.before
    if before is None:
        return row
    own = figures_of(before, end.items, end.labels, before.confusion)
    return replace(row, before=replace(row, **own, variant=Variant.BEFORE, training_seconds=None, items_per_s=None))


def _repeats(row: ResultRow, folder: RunFolder, count: int) -> list[ResultRow]:
    """A row for each repeat; the whole file is read only where its end does not hold them all."""
    repeats: dict[int, ev.Repeat] = {}
    for records in (read_last(folder.events), read_all(folder.events)):
        repeats |= {record.event.index: record.event for record in records if isinstance(record.event, ev.Repeat)}
        if len(repeats) >= count:
            break
    return [
        repeat_row(
            row,
            at,
            event.value,
            varied=event.varied,
            **figures_of(event.scores, sum(map(sum, event.confusion)), event.labels, event.confusion),
        )
        for at, event in sorted(repeats.items())
    ]


def repeat_row(run: ResultRow, repeat: int, value: str, **own: Any) -> ResultRow:
    """The row of one repeat of `run`, with its `own` fields; time and memory are those of the run, not repeated."""
    return replace(
        run,
        level="repeat",
        repeat=repeat,
        value=clean(value),
        accuracies=(),
        children=(),
        before=None,
        training_seconds=None,
        seconds=None,
        items_per_s=None,
        memory_peak_bytes=None,
        estimate_bytes=None,
        warnings=(),
        kappa=None,
        all_agree=None,
        flips=None,
        **{"varied": "", **own},
    )


def with_repeats(run: ResultRow, repeats: Sequence[ResultRow]) -> ResultRow:
    """The row of a run with several repeats: their means."""
    varied = clean(repeats[0].varied).replace("_", " ") if repeats else ""
    children = tuple(replace(child, varied="") for child in repeats)
    return replace(averaged(run, children), varied=NOTHING if varied == "nothing" else varied)


def averaged(row: ResultRow, children: tuple[ResultRow, ...]) -> ResultRow:
    """`row` over its children: means of their figures, the sum of their confusion matrices, no interval yet."""

    def mean(name: str) -> float | None:
        values = [value for child in children if (value := child.figure(name)) is not None]
        return statistics.fmean(values) if len(values) == len(children) and values else None

    shapes = {(child.labels, len(child.confusion)) for child in children}
    alike = len(shapes) == 1 and all(child.confusion for child in children)
    classes = list(dict.fromkeys(label for child in children for label in child.recall))
    items = {child.items for child in children}
    return replace(
        row,
        accuracy=mean(ACCURACY.name),
        figures={metric.name: value for metric in beside_accuracy() if (value := mean(metric.name)) is not None},
        interval=None,
        intervals={},
        items=items.pop() if len(items) == 1 else 0,
        recall={
            c: statistics.fmean(child.recall[c] for child in children)
            for c in classes
            if all(c in child.recall for child in children)
        },
        invalid=sum(child.invalid or 0 for child in children) if alike else None,
        confusion=_sum([child.confusion for child in children]) if alike else (),
        accuracies=tuple(child.accuracy for child in children if child.accuracy is not None),
        children=children,
        measured=all(child.measured for child in children),
    )


def _sum(tables: Sequence[Sequence[Sequence[int]]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(map(sum, zip(*lines, strict=True))) for lines in zip(*tables, strict=True))


def figures_of(scores: Scores, items: int, labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> dict[str, Any]:
    """The fields of a row that are about its answers."""
    right = sum(row[i] for i, row in enumerate(confusion) if i < len(row))
    return {
        "accuracy": scores.accuracy,
        "items": items,
        "interval": wilson_interval(right, items) if items else None,
        "recall": {
            clean(label): row[i] / sum(row)
            for i, (label, row) in enumerate(zip(labels, confusion, strict=False))
            if sum(row)
        },
        "figures": {m.name: value for m in beside_accuracy() if (value := scores.value(m.name)) is not None},
        "invalid": sum(row[len(labels)] for row in confusion if len(row) > len(labels)),
        "labels": tuple(map(clean, labels)),
        "confusion": tuple(map(tuple, confusion)),
    }


def published_rows() -> list[ResultRow]:
    """The figures of the founding study, from `published.toml`."""
    document = tomllib.loads(PUBLISHED.read_text(encoding="utf-8"))
    return [
        ResultRow(
            run="",
            experiment=row.get("execution_of", ""),
            engine="",
            title=row["title"],
            model=row["model"],
            accuracy=row["accuracy"],
            items=row["items"],
            interval=wilson_interval(round(row["accuracy"] * row["items"]), row["items"]),
            recall=row.get("recall", {}),
            labels=tuple(row.get("recall", {})),
            published=True,
            note=row["note"],
            source=document["source"],
            varied=row.get("varied", ""),
            untrained_head=row.get("untrained_head", False),
        )
        for row in document["row"]
    ]


class Follower:
    """The finished runs of a home, read again and again: a finished run once, an unchanged one not at all."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._seen: dict[str, tuple[int, ResultRow | None]] = {}  # size of the events, row
        self.damaged: dict[str, str] = {}  # runs whose results cannot be read, and why

    def scored(self) -> list[ResultRow]:
        """The rows with scores of a test split, newest first, one of an untuned model after that of the tuned one.

        Opens files: not for the thread that draws.
        """
        return [r for row in self.finished() if row.accuracy is not None for r in (row, row.before) if r is not None]

    def finished(self) -> list[ResultRow]:
        """All finished runs, newest first, a row each; opens files too."""
        seen = {}
        self.damaged = {}
        for folder in list_runs(self._home):
            try:
                size = folder.events.stat().st_size
                before = self._seen.get(folder.name)
                seen[folder.name] = before if before and before[0] == size else (size, result_of(folder))
            except OSError:  # the list of runs tells what is wrong
                continue
            except Exception as error:  # whatever is wrong with one run must not hide the others
                self.damaged[folder.name] = f"{type(error).__name__}: {reason_of(error)}"
        self._seen = seen
        return [row for _, row in seen.values() if row is not None]


def collect_rows(home: Home, published: bool = False) -> list[ResultRow]:
    """The finished runs, newest first, and with `published` the figures of the founding study after them."""
    return Follower(home).scored() + (published_rows() if published else [])
