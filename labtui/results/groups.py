"""Result rows as a tree: runs of the same settings under one row, and what their answers say filled in. No Textual."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from engines.answers.variant import Variant
from engines.errors import UserError
from engines.runs.scores import Scores
from engines.study.values import AnswerSet, Measures, RunMeasures, Spread
from labtui.results.rows import ResultRow, averaged, figures_of, name_of, repeat_row, short_name, with_repeats
from labtui.sanitize import clean

if TYPE_CHECKING:
    from engines.study.reader import ResultsReader

COLUMN_OF = {"loss": "training_seconds"}  # where a warning is shown whose figure has no column of its own
DIFFERENT_ITEMS = "not the same test items in all: part of the spread is that of the items, and nothing is paired"


@dataclass(frozen=True)
class Line:
    """A row in its place in the tree."""

    row: ResultRow
    depth: int  # 0: nothing above it
    last: bool  # the last one under its parent
    parent: str  # key of the row above it; empty at depth 0


def answers_of(row: ResultRow) -> AnswerSet | None:
    """The answers that stand for a row: of a group those of its newest run, of several repeats the first.

    None for a published figure.
    """
    if row.published:
        return None
    return {"run": row.run, "variant": row.variant, "repeat": row.repeat}


def answers_name(row: ResultRow) -> str:
    """What `answers_of` are called: where they stand for more than themselves, it says so."""
    if row.level == "group":
        newest = row.children[0]
        name = f"{short_name(newest)} (newest of {len(row.children)} runs)"
        return f"{name} repeat 1" if newest.n > 1 else name
    return short_name(row) + (" repeat 1" if row.n > 1 else "")


def executions_of(row: ResultRow) -> list[AnswerSet]:
    """All answers behind a row, those that stand for it first: of a group those of its runs, of a run its repeats'."""
    if row.children:
        return [answers for child in row.children for answers in executions_of(child)]
    answers = answers_of(row)
    return [answers] if answers else []


def executions_name(row: ResultRow) -> str:
    """What `executions_of` are called, with how many there are."""
    if row.level == "group":
        return f"{short_name(row)} ({len(row.children)} runs)"
    return short_name(row) + (f" ({row.n} repeats)" if row.children else "")


@dataclass(frozen=True)
class Reading:
    """Rows with all that their answers say: groups as `gather` makes them, in its order."""

    tops: list[ResultRow]
    measured: dict[str, RunMeasures]  # by run
    unreadable: dict[str, str]  # by run: why its answers cannot be read


def read(
    study: "ResultsReader", rows: Sequence[ResultRow], say: Callable[[str], object] = lambda text: None
) -> Reading:
    """Ask `study` about every run of `rows`, here and now; `say` takes narration."""
    measured, unreadable, spreads = {}, {}, {}
    runs = list(dict.fromkeys(row.run for row in rows if not row.published))
    for at, run in enumerate(runs, 1):
        say(f"reading {at} of {len(runs)}: {run}")
        try:
            measured[run] = study.measure(run)
        except UserError as error:
            unreadable[run] = str(error)
    for key, answers in spread_questions(gather(rows, measured)).items():
        with suppress(UserError):  # told of the run already
            spreads[key] = study.spread(answers)
    return Reading(gather(rows, measured, spreads, unreadable), measured, unreadable)


def gather(
    rows: Sequence[ResultRow],
    measured: Mapping[str, RunMeasures] | None = None,
    spreads: Mapping[str, Spread] | None = None,
    unreadable: Mapping[str, str] | None = None,
) -> list[ResultRow]:
    """One row per group, in the order of their newest runs; a group of one run is the row of that run.

    `rows` are runs and published figures, newest first. `measured` is by run name, `spreads` by the key that
    `spread_questions` gives with the question, `unreadable` says by run name why its answers cannot be read.
    """
    gathered: dict[str, list[ResultRow]] = {}
    for row in rows:
        if measured and row.run in measured:
            row = with_measures(row, measured[row.run])
        if unreadable and row.run in unreadable:
            row = replace(row, warnings=(*row.warnings, ("interval", unreadable[row.run])))
        shared = row.experiment if row.published else row.config
        own = f"{row.published} {shared} {row.variant}" if shared else row.key
        gathered.setdefault(own, []).append(row)
    return [group[0] if len(group) == 1 else _group(group, spreads or {}) for group in gathered.values()]


def _group(runs: list[ResultRow], spreads: Mapping[str, Spread]) -> ResultRow:
    newest = runs[0]
    group = replace(averaged(newest, tuple(runs)), level="group", before=None, repeat=0)
    if newest.published:
        return replace(group, title=newest.experiment)
    sets = {run.seed for run in runs}
    times = [run.training_seconds for run in runs if run.training_seconds is not None]
    rates = [run.items_per_s for run in runs if run.items_per_s is not None]
    peaks = [
        run.memory_peak_bytes
        for run in runs
        if run.memory_peak_bytes is not None and run.memory_on_host == newest.memory_on_host
    ]
    warned = {warning: None for run in runs for warning in run.warnings}
    group = replace(
        group,
        varied="seed" if len(sets) > 1 else "nothing: same seed" if sets != {None} else "nothing",
        seed=None,
        training_seconds=sum(times) / len(times) if times else None,
        items_per_s=sum(rates) / len(rates) if rates else None,
        memory_peak_bytes=max(peaks, default=None),
        untrained_head=any(run.untrained_head for run in runs),
        kappa=None,
        all_agree=None,
        flips=None,
        warnings=tuple(warned),
    )
    if not group.items:
        return _apart(group)
    return with_spread(group, spreads[spread_key(group)]) if spread_key(group) in spreads else group


def spread_key(group: ResultRow) -> str:
    """Names the executions of a group: another one when a run joins it."""
    return " ".join([group.variant, *(run.run for run in group.children)])


def spread_questions(tops: Sequence[ResultRow]) -> dict[str, list[AnswerSet]]:
    """The groups of runs whose agreement item by item can be asked for, and about which answers.

    Runs with repeats of their own are left out: it takes one answer per item and run.
    """
    return {
        spread_key(row): [answers for run in row.children if (answers := answers_of(run))]
        for row in tops
        if row.level == "group" and not row.published and row.items and all(run.n == 1 for run in row.children)
    }


def with_spread(row: ResultRow, spread: Spread) -> ResultRow:
    """The row of several executions with what their answers say item by item."""
    if not spread["same_items"]:
        return _apart(row)
    interval, reason = spread["interval"], spread["no_interval"]
    return replace(
        row,
        interval=(interval[0], interval[1]) if interval else None,
        interval_over=spread["interval_over"],
        warnings=(*row.warnings, *([("interval", f"the mean has no interval: {reason}")] if reason else [])),
        kappa=spread["kappa"],
        all_agree=spread["all_agree"],
        flips=spread["flips"],
    )


def _apart(row: ResultRow) -> ResultRow:
    """Executions that did not answer the same items: the items varied too, whatever else did."""
    varied = "items" if row.varied.startswith("nothing") else f"{row.varied}, items"
    return replace(row, same_items=False, varied=varied, warnings=(*row.warnings, ("items", DIFFERENT_ITEMS)))


def with_measures(row: ResultRow, measured: RunMeasures) -> ResultRow:
    """A run's row with what was found in its answers."""
    variant = row.variant
    own = [m for m in measured["measures"] if m["row"]["variant"] == variant]
    if not own:
        return row
    if len(own) == 1:
        fields = _measured(own[0])
        row = replace(row, **fields | {"figures": fields["figures"] | row.figures})
    else:
        labels = measured["labels"]
        repeats = [
            repeat_row(
                row,
                m["row"]["repeat"],
                m["value"],
                varied=measured["varied"],
                **figures_of(Scores(m["accuracy"]["value"]), m["items"], labels, m["confusion"]) | _measured(m),
            )
            for m in own
        ]
        row = with_repeats(row, repeats)
        if variant in measured["spreads"]:
            row = with_spread(row, measured["spreads"][variant])
    warnings = tuple(
        (COLUMN_OF.get(warning["figure"], warning["figure"]), clean(warning["text"]))
        for warning in measured["warnings"]
        if warning["variant"] in (None, variant)
    )
    return replace(row, estimate_bytes=measured["estimate_bytes"], warnings=(*row.warnings, *warnings))


def _measured(measures: Measures) -> dict[str, Any]:
    """The fields of one execution that come from its answers."""
    figures = measures["figures"]
    return {
        "measured": True,
        "figures": {name: figure["value"] for name, figure in figures.items()},
        "intervals": {
            name: (figure["low"], figure["high"]) for name, figure in figures.items() if figure["low"] is not None
        },
    }


def lines(tops: Sequence[ResultRow], opened: Collection[str]) -> list[Line]:
    """The rows that are on the screen when those with a key in `opened` show what is under them."""
    shown: list[Line] = []

    def add(row: ResultRow, depth: int, last: bool, parent: str) -> None:
        shown.append(Line(row, depth, last, parent))
        if row.key in opened:
            for at, child in enumerate(row.children):
                add(child, depth + 1, at == len(row.children) - 1, row.key)

    for row in tops:
        add(row, 0, False, "")
    return shown


def every(tops: Iterable[ResultRow]) -> Iterator[ResultRow]:
    """All rows of the tree, a parent before its children."""
    for row in tops:
        yield row
        yield from every(row.children)


def parents(tops: Iterable[ResultRow]) -> dict[str, str]:
    """The key of every row that stands under another one, with the key of that one."""
    return {child.key: row.key for row in every(tops) for child in row.children}


def line_name(line: Line, short: bool) -> str:
    """How a row is called in the tree, where what stands above it need not be said again."""
    row = line.row
    if row.level == "repeat":
        return f"repeat {row.repeat + 1} {row.value}".rstrip()
    if line.depth and row.published:
        return row.title
    if line.depth:
        return row.run.rpartition("-")[2] + ("" if row.seed is None else f" seed {row.seed}")
    if row.published and short:
        return f"publ. {row.title}"
    if short:
        return f"{short_name(replace(row, variant=Variant.OWN))} {row.variant}".rstrip()
    return name_of(row)
