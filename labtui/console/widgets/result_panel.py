"""What is known of the selected result, as text: warnings, spread, figures with intervals, the confusion matrix."""

import math
from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from engines.answers.metrics import beside_accuracy
from labtui import format
from labtui.console.widgets.figures import dot_strip, fit
from labtui.results.columns import percent
from labtui.results.rows import ResultRow, name_of
from labtui.sanitize import clean, plain

LABEL_WIDTH = 14
CORNER = "true\\predicted"
STRIP_WIDTH = 50
FAINT = "dim italic"
WARN = "bold #ffb000"
WARN_MARK = "!"
# Landis and Koch 1977 name these bounds, except that what is near zero is called what it is.
AGREEMENT = (
    (-0.1, "less than by chance"),
    (0.1, "no more than by chance"),
    (0.2, "hardly more than by chance"),
    (0.4, "a little more than by chance"),
    (0.6, "moderately, well above chance"),
    (0.8, "on most of what chance leaves open"),
    (1.0, "almost always"),
)
MISTAKES = 5  # of a matrix too wide to show
NOT_READ = "The answers have not been read yet: intervals, agreement and calibration follow."


def confusion_text(row: ResultRow, room: int = 200) -> Text:
    """The confusion matrix of a row in `room` cells, or why there is none."""
    if not row.confusion:
        why = "no confusion matrix is published for it" if row.published else "no common confusion matrix"
        return Text(why, FAINT, no_wrap=True)
    text = matrix_text(row.labels, row.confusion, CORNER, "invalid", room)
    if row.n > 1:
        text.append(f"\nthe sum of {row.n} {executions(row)}", "dim")
    return text


def matrix_text(
    labels: Sequence[str], confusion: Sequence[Sequence[int]], corner: str, none: str, room: int = 200
) -> Text:
    """A confusion matrix as counts with their share of the true class; `corner` stands above the true classes, `none`
    heads the answers that are no label, where there are any. Wider than `room` cells: the most frequent mistakes."""
    text = Text(no_wrap=True, end="")
    shown = len(labels) + any(counts[-1] for counts in confusion if len(counts) > len(labels))
    heads = [*map(_short, labels), none][:shown]
    digits = max(len(format.count(count)) for counts in confusion for count in counts)
    width = max([digits + 10, *(cell_len(head) + 2 for head in heads)])
    first = max(cell_len(corner), *(cell_len(_short(label)) for label in labels)) + 1
    if first + width * len(heads) > room:
        return mistakes_text(labels, confusion, room)
    text.append(fit(corner, first) + "".join(" " * (width - cell_len(head)) + head for head in heads) + "\n", "dim")
    for n, (label, counts) in enumerate(zip(labels, confusion, strict=False)):
        text.append(fit(_short(label), first))
        total = sum(counts)
        for place, count in enumerate(counts[:shown]):
            share = f"{100 * count / total:5.1f} %" if total else f"{format.MISSING:>7}"
            text.append(f"{format.count(count):>{width - 8}} {share}", "bold" if n == place else "" if count else "dim")
        text.append("\n")
    text.rstrip()
    return text


def _short(label: str) -> str:
    label = clean(label)
    return label if cell_len(label) <= LABEL_WIDTH else fit(label, LABEL_WIDTH)


def mistakes_text(labels: Sequence[str], confusion: Sequence[Sequence[int]], room: int) -> Text:
    """The most frequent wrong answers, in lines of `room` cells: what is said of a matrix of many classes."""
    heads = [*labels, "invalid"]
    wrong = sorted(
        (
            (count, sum(counts), labels[i], heads[j])
            for i, counts in enumerate(confusion)
            for j, count in enumerate(counts)
            if i != j and count
        ),
        key=lambda mistake: -mistake[0],
    )
    text = Text(no_wrap=True)
    text.append(f"{len(labels)} classes; {'the most frequent mistakes' if wrong else 'no mistake'}\n", "dim")
    each = max(
        6,
        min(
            max((cell_len(clean(label)) for _, _, *two in wrong[:MISTAKES] for label in two), default=6),
            (room - 27) // 2,
        ),
    )
    for count, of, true, answered in wrong[:MISTAKES]:
        text.append(f"{format.count(count):>5} of {format.count(of):<6} {fit(true, each)} taken for ")
        text.append(f"{fit(answered, each).rstrip()}\n")
    text.rstrip()
    return text


def executions(row: ResultRow) -> str:
    """What the executions of a row are called."""
    return "executions" if row.published else "runs" if row.level == "group" else "repeats"


def axis_of(rows: Iterable[ResultRow]) -> tuple[float, float]:
    """One axis for the dot strips of all rows: whole twentieths around every accuracy of several executions."""
    every = [accuracy for row in rows for accuracy in row.accuracies]
    if not every:
        return 0.0, 1.0
    low, high = math.floor(min(every) * 20 + 1e-9) / 20, math.ceil(max(every) * 20 - 1e-9) / 20
    return low, max(high, low + 0.05)


def facts_text(row: ResultRow, axis: tuple[float, float], ascii_only: bool = False, wide: bool = True) -> Text:
    """Warnings first, then how the executions spread on the axis, then the figures with their intervals; without
    `wide` the macro figures stand on one line of less than 80 cells."""
    text = Text()
    for sentence in gathered(sentence for _, sentence in row.warnings):
        text.append(f"{WARN_MARK} {sentence}\n", WARN)
    if row.untrained_head and not row.warnings:
        text.append(f"{WARN_MARK} {format.UNTRAINED}: it answers at random, whatever it was asked\n", WARN)
    if row.n > 1:
        _spread(text, row, axis, ascii_only)
    metrics = [metric for metric in beside_accuracy() if metric.name in row.figures]
    scored = [metric for metric in metrics if not metric.needs_probabilities and not metric.of_the_data]
    others = [metric for metric in metrics if metric not in scored]
    for at, metric in enumerate(scored):
        macro = "macro " if metric.name.startswith("macro_") else ""
        interval = row.intervals.get(metric.name)
        if wide:
            text.append(f"{macro}{metric.heading}".ljust(13), "dim")
        else:
            text.append(f"{'  ' if at else macro}{metric.heading} ", "dim")
        text.append(format.score(row.figures[metric.name]))
        text.append(f" {format.interval(*interval)}" if interval else "", "dim")
        if wide and at == 0:
            over = "   95 % over the items" if interval else ""
            text.append(f"   mean of the {row.n}" if row.n > 1 else over, "dim")
        text.append("\n" if wide or metric is scored[-1] else "")
    pieces = [f"{m.words_with_unit} {format.score(row.figures[m.name])}" for m in others]
    if pieces:
        text.append("   ".join(pieces) + "\n")
    if not row.measured and not row.published and "interval" not in {column for column, _ in row.warnings}:
        text.append(NOT_READ + "\n", FAINT)
    text.rstrip()
    return text


def _spread(text: Text, row: ResultRow, axis: tuple[float, float], ascii_only: bool) -> None:
    low, high = axis
    bar = "|" if ascii_only else "┊"
    text.append("accuracy ", "dim")
    text.append(f"{low:.2f} {bar}", "dim")
    text.append(dot_strip(row.accuracies, STRIP_WIDTH, low, high, ascii_only))
    text.append(f"{bar} {high:.2f}\n", "dim")
    text.append(f"mean {format.score(row.accuracy)}", "bold")
    text.append(f"   {format.score(min(row.accuracies))} to {format.score(max(row.accuracies))}")
    nothing = row.varied.startswith("nothing")
    if not nothing or row.sd:
        text.append(f"   sd {format.score(row.sd)}")
    text.append(f"   {row.n} {executions(row)}, ")
    text.append(f"{row.varied}\n" if nothing else f"varied: {row.varied}\n")
    if row.interval and not row.published:
        text.append(f"95 % of the mean {format.interval(*row.interval)}")
        repeated = row.interval_over != "items"
        text.append(f", over other items {'and other' if repeated else 'by the same'} {executions(row)}\n", "dim")
    if row.all_agree is not None:
        text.append(f"{agreement_words(row.kappa)}\n")
        text.append(f"all {row.n} agree on {percent(row.all_agree)} of the items; {format.count(row.flips)} of ")
        text.append(f"{format.count(row.items)} flip\n")


def agreement_words(kappa: float | None) -> str:
    """What Fleiss' kappa of repeats means, in plain words."""
    if kappa is None:
        return "no kappa: all answers are one and the same label"
    meaning = next((words for bound, words in AGREEMENT if kappa < bound), AGREEMENT[-1][1])
    return f"kappa {kappa:.2f}: they agree {meaning}"


def gathered(sentences: Iterable[str]) -> list[str]:
    """Sentences of which those that begin alike, up to a colon, are one: a group's runs say the same in other
    figures."""
    rests_by_head: dict[str, list[str]] = {}
    for sentence in sentences:
        head, _, rest = sentence.partition(": ")
        rests_by_head.setdefault(head, []).append(rest)
    return [
        f"{head}: {rests[0]}" + (f"; and of {len(rests) - 1} more" if len(rests) > 1 else "") if any(rests) else head
        for head, rests in rests_by_head.items()
    ]


def _peak(row: ResultRow) -> str:
    if row.memory_peak_bytes is None:
        return ""
    estimate = f", estimated {format.bytes_text(row.estimate_bytes)}" if row.estimate_bytes else ""
    kind = "RAM" if row.memory_on_host else "GPU memory"
    return f"peak {kind} {format.bytes_text(row.memory_peak_bytes)}{estimate}"


class ResultPanel(VerticalScroll):
    """The selected row in words, beside its confusion matrix where there is room."""

    DEFAULT_CSS = """
    ResultPanel { height: 11; padding: 0 1; scrollbar-size-vertical: 1; border-top: solid $panel-lighten-2;
                  border-title-color: $text-accent; }
    ResultPanel Static { height: auto; width: 1fr; }
    ResultPanel.-wide { layout: grid; grid-size: 2; grid-columns: 1fr auto; grid-rows: auto; grid-gutter: 0 2;
                        height: 12; }
    ResultPanel.-wide .matrix { width: auto; }
    ResultPanel.-wide .about { column-span: 2; }
    """

    def __init__(self) -> None:
        super().__init__(can_focus=False)

    def compose(self) -> ComposeResult:
        yield Static(classes="facts", markup=False)
        yield Static(classes="matrix", markup=False)
        yield Static(classes="about", markup=False)

    def show(self, row: ResultRow, axis: tuple[float, float], ascii_only: bool = False) -> None:
        """Show a row; `axis` is that of the dot strip."""
        several = f" · {row.n} {executions(row)}" if row.n > 1 else ""
        items = f" · {format.count(row.items)} test items" if row.items else ""
        title = plain(f"{name_of(row)}{several}{items}")
        if title != self.border_title:
            self.border_title = title
        about = " · ".join(filter(None, (row.title, row.model, _peak(row))))
        if row.published:
            about = f"{row.note}\nSource: {row.source}"
        texts = {
            "facts": facts_text(row, axis, ascii_only, self.has_class("-wide")),
            "matrix": confusion_text(row, (self.size.width - 3) // (2 if self.has_class("-wide") else 1)),
            "about": plain(f"{row.value}\n{about}" if row.value else about, "dim", multiline=True),
        }
        for name, text in texts.items():
            self.query_one(f".{name}", Static).update(text)
