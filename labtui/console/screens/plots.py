"""Plots: accuracies with intervals, reliability, confusion and validation curves of finished runs."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Static

from engines.errors import UserError
from engines.study.values import AnswerSet, Measures, RunMeasures, Validation
from labtui import format
from labtui.console.screens.base import ConsoleScreen, is_abandoned
from labtui.console.screens.compare import TELLING, told_once
from labtui.console.theme import THEME
from labtui.console.widgets.bars import KeyBar, TextLine
from labtui.console.widgets.chart import Chart
from labtui.console.widgets.figures import Whisker, beside, confusion, dot_whisker, fit, own_names, reliability
from labtui.console.widgets.plot import LineStyle
from labtui.console.widgets.row_list import ListRow, RowList
from labtui.console.widgets.sized_text import SizedText
from labtui.sanitize import clean

WIDE_COLUMNS = 110  # from here on, the list stands at the left
LIST_HEIGHT = 4  # otherwise
BLOCK_WIDTH, BLOCK_WIDEST, BLOCK_HIGHEST = 36, 76, 26  # of a diagram
PINNED = "■"
LINES: tuple[tuple[LineStyle, str, str], ...] = (  # told apart without colours: style, its sign, in ASCII
    ("points", "●·", "o:"),
    ("line", "──", "**"),
    ("dashed", "╌╌", "++"),
    ("dotted", "··", "::"),
)
Axis = Literal["epoch", "step"]
Figure = Literal["loss", "accuracy"]
FIGURES: tuple[Figure, ...] = ("loss", "accuracy")
ACCURACY, RELIABILITY, CONFUSION, CURVES = range(4)
VIEWS = ("accuracy", "reliability", "confusion", "validation curves")
READING = (
    "A dot is the share of right answers, its line the 95 % interval: where the share for all such items may well lie. "
    "Small dots are other repeats of it. Lines that overlap do not say that two are equally good: v in Results tests "
    "that on the same items.",
    "How often answers were right, against how sure the model was of them. On the dotted line both are equal; below "
    "it the model is too sure, above it not sure enough. Hollow dots: fewer than 20 items (▾: under the axis).",
    "A row is a true class, a column what was answered; the denser the cell, the larger its share of the row.",
    "Scores on the validation split, by epoch. Where runs are pinned, only they and the selected one are drawn.",
)
NO_PROBABILITIES = "It answered without probabilities, so that there is no telling how sure it was."


@dataclass
class Entry:
    """One set of answers as it was asked for, and what is known of it; `reason` where it could not be measured."""

    row: AnswerSet
    name: str
    colour: str
    measures: Measures | None = None
    labels: list[str] = field(default_factory=list)
    validation: list[Validation] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)  # what figure each touches, and its text
    others: list[float] = field(default_factory=list)  # accuracies of the other repeats
    reason: str = ""

    def curve(self, axis: Axis, figure: Figure) -> tuple[list[float], list[float]]:
        """Places on the axis and the figure there, where both are known."""
        points = [(x, y) for v in self.validation if (x := v[axis]) is not None and (y := v[figure]) is not None]
        return [x for x, _ in points], [y for _, y in points]

    @property
    def has_curve(self) -> bool:
        """Whether anything was scored at a known step or epoch."""
        return any(v["step"] is not None or v["epoch"] is not None for v in self.validation)

    def take(self, answer: RunMeasures | str) -> None:
        """Keep what was answered about its run."""
        if isinstance(answer, str):
            self.reason = answer
            return
        self.labels, self.validation = answer["labels"], answer["validation"]
        own = self.row["variant"]
        self.warnings = [(w["figure"], w["text"]) for w in answer["warnings"] if w["variant"] in (None, own)]
        self.others = [
            m["accuracy"]["value"] for m in answer["measures"] if m["row"]["variant"] == own and m["row"] != self.row
        ]
        self.measures = next((m for m in answer["measures"] if m["row"] == self.row), None)
        if self.measures is None:
            self.reason = "it has no such answers any more; refresh the results (r)"


def sureness(measures: Measures) -> str:
    """How sure a model was against how often it was right, in words."""
    items = sum(b["items"] for b in measures["reliability"])
    sure = sum(b["items"] * b["confidence"] for b in measures["reliability"]) / items
    right = sum(b["items"] * b["accuracy"] for b in measures["reliability"]) / items
    gap = 100 * (sure - right)
    verdict = (
        "as sure as it should be"
        if abs(gap) < 1
        else (f"too sure by {gap:.1f} points" if gap > 0 else f"not sure enough by {-gap:.1f} points")
    )
    error, brier = (measures["figures"][name]["value"] for name in ("calibration_error", "brier"))
    return (
        f"{100 * sure:.1f} % sure on average, right {100 * right:.1f} %: {verdict}. Calibration error "
        f"{format.score(error)}, Brier score {format.score(brier)}."
    )


def _words(view: int, entry: Entry) -> str:
    """What stands below a diagram, or in its place."""
    measures = entry.measures
    if measures is None:
        return entry.reason
    if view == RELIABILITY:
        return sureness(measures) if measures["reliability"] else NO_PROBABILITIES
    invalid = f"; {format.count(measures['invalid'])} answers that are no label count as wrong"
    return f"accuracy {format.score(measures['accuracy']['value'])} on {format.count(measures['items'])} items" + (
        invalid if measures["invalid"] else ""
    )


class RunList(RowList):
    """The runs, the pinned ones marked, with the figure of the view."""

    def __init__(self, entries: Sequence[Entry], ascii_only: bool) -> None:
        super().__init__()
        self._ascii = ascii_only
        self._entries = entries
        self._view = ACCURACY
        self._pins: Sequence[int] = ()
        self._drawn: Sequence[int] = ()

    def show(self, view: int, pins: Sequence[int], drawn: Sequence[int]) -> None:
        """List the runs for a view; `drawn`: those whose curves are drawn, in their order."""
        self._view, self._pins, self._drawn = view, list(pins), list(drawn)
        self.update()

    def make_rows(self, width: int) -> Iterable[ListRow]:
        for at, entry in enumerate(self._entries):
            figure = self._figure(entry)
            pieces = [(" ", ""), (PINNED if at in self._pins else " ", "name"), (" ", "")]
            room = width - 5 - len(figure)
            if self._view == CURVES:
                runs = [self._entries[drawn].row["run"] for drawn in self._drawn]
                place = runs.index(entry.row["run"]) if entry.row["run"] in runs else None
                sign = "" if place is None else f"{place + 1:>2} {line_of(place, self._ascii)}"
                pieces.append((f"{sign:<6}", self._entries[self._drawn[place]].colour if place is not None else ""))
                room -= 6
            pieces += [(fit(entry.name, max(4, room)) + " ", entry.colour), (figure, "name")]
            yield ListRow(str(at), tuple(pieces))

    def _figure(self, entry: Entry) -> str:
        if entry.measures is None:
            return "not known" if entry.reason else ""
        if self._view == RELIABILITY:
            error = entry.measures["figures"].get("calibration_error")
            return f"off by {format.score(error['value'])}" if error is not None else "no probabilities"
        if self._view == CURVES:
            if not entry.validation:
                return "no validation"
            loss, share = (
                next((v[of] for v in reversed(entry.validation) if v[of] is not None), None) for of in FIGURES
            )
            return f"{format.value(loss) if entry.has_curve else 'once':>6} {format.score(share):>5}"
        return format.score(entry.measures["accuracy"]["value"])


def line_of(at: int, ascii_only: bool) -> str:
    """How the curve at this place is drawn, in two characters."""
    _, sign, plain_sign = LINES[at % len(LINES)]
    return plain_sign if ascii_only else sign


class PlotsScreen(ConsoleScreen[None]):
    """Four views of the same runs; in those of single runs, pinned ones stay beside the selected one."""

    TITLE = "Plots"
    BINDINGS = [
        Binding("right,tab", "view(1)", "View", key_display="←→", tooltip="The next view (left: the one before)"),
        Binding("left,shift+tab", "view(-1)", show=False),
        Binding("space", "pin", "Pin", tooltip="Keep this run beside the one that is selected next; again: let it go"),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("escape,q", "dismiss", "Back", key_display="esc", tooltip="Back to the results"),
    ]
    DEFAULT_CSS = """
    PlotsScreen > TextLine { background: $panel; }
    PlotsScreen .body { height: 1fr; }
    PlotsScreen .message { height: auto; padding: 1; }
    PlotsScreen .figure { height: 1fr; width: 1fr; padding: 1 1 0 1; }
    PlotsScreen VerticalScroll { height: 1fr; }
    PlotsScreen .blocks { height: 1fr; }
    PlotsScreen .charts { height: 1fr; }
    PlotsScreen .charts > Vertical { width: 1fr; padding: 0 1 0 0; }
    PlotsScreen .charts Static { height: 1; color: $text-muted; }
    PlotsScreen .reading { height: auto; color: $text-muted; }
    PlotsScreen .missing { height: auto; max-height: 4; color: $warning; }
    PlotsScreen.-wide .body { layout: horizontal; }
    PlotsScreen.-wide RunList { width: 34%; max-width: 56; height: 1fr; margin: 1 0 0 0;
                                border-right: solid $panel-lighten-2; }
    """

    def __init__(self, runs: list[tuple[AnswerSet, str, str]]) -> None:
        """`runs`: rows of finished runs, each with its name and its colour on the screen."""
        super().__init__()
        names = own_names([name for _, name, _ in runs])
        self._entries = [Entry(row, name, colour) for (row, _, colour), name in zip(runs, names, strict=True)]
        self._view = ACCURACY
        self._pins: list[int] = []
        self._known = False
        self._missing: Sequence[str] = ("",)  # what is said to be missing

    def compose(self) -> ComposeResult:
        yield TextLine(id="tabs")
        with Vertical(classes="body"):
            yield RunList(self._entries, self._ascii)
            with Vertical(classes="figure"):
                yield Static("computing …", classes="message", markup=False)
                with VerticalScroll(can_focus=False):
                    yield SizedText(classes="whiskers")
                yield SizedText(classes="blocks")
                with Horizontal(classes="charts"):
                    for figure, better, limits in (("loss", "lower", (0.0, None)), ("accuracy", "higher", (None, 1.0))):
                        with Vertical():
                            yield Static(f"validation {figure} ({better} is better)")
                            chart = Chart(
                                x_name="epoch",
                                y_limits=limits,
                                value_text=lambda _: "",
                                ascii_only=self._ascii,
                                placeholder="nothing to draw",
                                live=False,
                                id=figure,
                            )
                            chart.can_focus = False
                            yield chart
                yield Static(classes="missing", markup=False)
                yield Static(classes="reading", markup=False)
        yield KeyBar()

    @property
    def _ascii(self) -> bool:
        return self.console.ascii_only

    def on_mount(self) -> None:
        self._curves: object = None
        self._show_view()
        analyst = self.console.analyst
        runs = list(dict.fromkeys(entry.row["run"] for entry in self._entries))

        def ask() -> dict[str, RunMeasures | str]:
            answers: dict[str, RunMeasures | str] = {}
            for at, run in enumerate(runs):
                if is_abandoned():
                    break
                self.call_later(self._progress, at, len(runs))
                try:
                    answers[run] = analyst.measure(run)
                except UserError as error:
                    answers[run] = str(error)
            return answers

        self.in_background(ask, self._take)

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width >= WIDE_COLUMNS, "-wide")
        self._fit_list()

    def _fit_list(self) -> None:
        self.query_one(RunList).styles.height = (
            "1fr" if self.has_class("-wide") else min(LIST_HEIGHT, len(self._entries))
        )

    # -- what is known ------------------------------------------------------------------------------------------

    def _progress(self, done: int, runs: int) -> None:
        if not self._known:
            self.query_one(".message", Static).update(f"computing … {done} of {runs} runs")

    def _take(self, answers: dict[str, RunMeasures | str]) -> None:
        for entry in self._entries:
            entry.take(answers[entry.row["run"]])
        self._known = True
        self._show_view()

    @property
    def _selected(self) -> int:
        return int(self.query_one(RunList).key or 0)

    def _beside(self) -> list[int]:
        """The pinned runs and the selected one, which stands last."""
        return [*(at for at in self._pins if at != self._selected), self._selected]

    # -- drawing ------------------------------------------------------------------------------------------------

    @on(RunList.Highlighted)
    def _draw(self) -> None:
        """Draw the view for the runs that are selected and pinned."""
        if not self._known:
            return
        if self._view == ACCURACY:
            self._draw_accuracies()
        elif self._view == CURVES:
            self._draw_curves()
        else:
            view, chosen, pins = self._view, tuple(self._beside()), frozenset(self._pins)
            self.query_one(".blocks", SizedText).show(
                (view, chosen, pins), lambda width, height: self._blocks(view, chosen, pins, width, height)
            )
            self._say_missing(self._warnings(chosen, TELLING))
        self.query_one(RunList).show(self._view, self._pins, self._drawn_curves())
        self._say_where()

    def _show_view(self) -> None:
        """Lay the screen out for the view."""
        self._say_where()
        self.query_one(".message").display = not self._known
        self.query_one(VerticalScroll).display = self._known and self._view == ACCURACY
        self.query_one(".blocks").display = self._known and self._view in (RELIABILITY, CONFUSION)
        self.query_one(".charts").display = self._known and self._view == CURVES
        self.query_one(".reading", Static).update(READING[self._view])
        runs = self.query_one(RunList)
        runs.display = self._view != ACCURACY
        if runs.display:
            runs.focus()
        self._say_missing([])
        self._fit_list()
        self._draw()
        self.refresh_bindings()

    def _say_where(self) -> None:
        """The views, with the place in the list where it has one."""
        tabs = Text.assemble((" Plots  ", "bold"))
        for at, name in enumerate(VIEWS):
            tabs.append(f" {name} ", "bold reverse" if at == self._view else "")
        runs = len(self._entries)
        tabs.append(f"   {runs} runs" if self._view == ACCURACY else f"   run {self._selected + 1} of {runs}", "dim")
        self.query_one("#tabs", TextLine).say(tabs)

    def _warnings(self, places: Iterable[int], figures: Sequence[str]) -> list[str]:
        """What to know before these figures of the runs at `places` are believed."""
        return told_once(
            (self._entries[at].name, text)
            for at in places
            for figure, text in self._entries[at].warnings
            if figure in figures
        )

    def _say_missing(self, lines: Sequence[str]) -> None:
        if lines != self._missing:
            self._missing = lines
            missing = self.query_one(".missing", Static)
            missing.display = bool(lines)
            missing.update(clean("\n".join(lines), multiline=True))

    def _draw_accuracies(self) -> None:
        known = [(entry, entry.measures) for entry in self._entries if entry.measures is not None]
        whiskers = [
            Whisker(e.name, m["accuracy"]["value"], m["accuracy"]["low"], m["accuracy"]["high"], e.colour, e.others)
            for e, m in known
        ]
        classes = {len(entry.labels) for entry, _ in known}
        chance = 1 / max(1, classes.pop()) if len(classes) == 1 else None
        lines = [f"{entry.name}: {entry.reason}" for entry in self._entries if entry.reason]
        on: dict[int, list[str]] = {}
        for entry, m in known:
            on.setdefault(m["items"], []).append(entry.name)
        if len(on) > 1:
            lines.append(
                "Not all were scored on as many items: "
                + "; ".join(f"on {format.count(items)} {', '.join(names)}" for items, names in on.items())
            )
        lines += self._warnings(range(len(self._entries)), TELLING)
        self.query_one(".whiskers", SizedText).show(
            "accuracies",
            lambda width, height: Text("\n").join(
                [
                    dot_whisker(whiskers, width, chance=chance, ascii_only=self._ascii),
                    Text(),
                    *(_wrapped(line, width, THEME.warning or "") for line in lines),
                ]
            ),
        )

    def _blocks(self, view: int, chosen: Sequence[int], pins: frozenset[int], width: int, height: int) -> Text:
        """As many of the chosen diagrams as fit beside each other, on the same axes: the last ones."""
        fitting = max(1, min(len(chosen), (width + 2) // (BLOCK_WIDTH + 2)))
        each = max(1, min(BLOCK_WIDEST, (width + 2) // fitting - 2))
        shown = [self._entries[at] for at in chosen[-fitting:]]
        words = [_wrapped(_words(view, entry), each) for entry in shown]
        room = min(BLOCK_HIGHEST, height - 1 - max(text.plain.count("\n") + 1 for text in words))
        every = [b for entry in shown if entry.measures for b in entry.measures["reliability"]]
        texts = []
        for at, entry, told in zip(chosen[-fitting:], shown, words, strict=True):
            pin, figure = f"{PINNED} " if at in pins else "", Text()
            if entry.measures and view == RELIABILITY:
                figure = reliability(
                    entry.measures["reliability"],
                    each,
                    room,
                    colour=entry.colour,
                    axes_of=every,
                    ascii_only=self._ascii,
                )
            elif entry.measures:
                figure = confusion(
                    entry.labels,
                    entry.measures["confusion"],
                    each,
                    room,
                    right=THEME.success or "",
                    wrong=THEME.error or "",
                    ascii_only=self._ascii,
                )
            name = (f"{pin}{fit(entry.name, each - len(pin)).rstrip()}\n", f"bold {entry.colour}".rstrip())
            texts.append(Text.assemble(name, figure, "\n" if figure else "", told))
        return beside(texts, each)

    def _drawn_curves(self) -> list[int]:
        """The runs whose curves are drawn: all of them, or the pinned ones and the selected one; each run once."""
        chosen = sorted(self._beside()) if self._pins else range(len(self._entries))
        runs = set()
        drawn = []
        for at in chosen:
            entry = self._entries[at]
            if entry.has_curve and entry.row["run"] not in runs:
                runs.add(entry.row["run"])
                drawn.append(at)
        return drawn

    def _draw_curves(self) -> None:
        drawn = self._drawn_curves()
        lines = [f"{entry.name}: {entry.reason}" for entry in self._entries if entry.reason]
        flat = [bool(e.validation) for e in self._entries if e.measures is not None and not e.has_curve]
        reasons = (
            ("not scored on a validation split (no validation)", flat.count(False)),
            ("scored on it after training only (once)", flat.count(True)),
        )
        without = [f"{count} {reason}" for reason, count in reasons if count]
        lines += [f"Without a curve: {', '.join(without)}."] if without else []
        lines += self._warnings(self._beside(), ("loss",))
        self._say_missing(lines)
        if drawn == self._curves:
            return
        self._curves = drawn
        entries = [self._entries[at] for at in drawn]
        axis: Axis = "epoch" if all(v["epoch"] is not None for e in entries for v in e.validation) else "step"
        for figure in FIGURES:
            chart = self.query_one(f"#{figure}", Chart)
            chart.clear()
            chart.x_name = axis
            curves = [entry.curve(axis, figure) for entry in entries]
            chart.x_total = max((x for xs, _ in curves for x in xs), default=1.0)
            for place, (entry, (xs, ys)) in enumerate(zip(entries, curves, strict=True)):
                style = LINES[place % len(LINES)][0] if len(xs) > 1 else "points"
                chart.add_series(str(place + 1), entry.colour, style)
                chart.extend(str(place + 1), xs, ys)

    # -- keys ---------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "pin" or self._view != ACCURACY

    def action_view(self, step: int) -> None:
        """The view `step` places to the right."""
        self._view = (self._view + step) % len(VIEWS)
        self._show_view()

    def action_pin(self) -> None:
        """Pin the selected run, or let it go."""
        at = self._selected
        self._pins = [pin for pin in self._pins if pin != at] if at in self._pins else [*self._pins, at]
        self._draw()

    def action_scroll(self, lines: int) -> None:
        """Scroll the accuracies where they are more than fit."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


def _wrapped(words: str, width: int, style: str = "") -> Text:
    return Text("\n".join(textwrap.wrap(clean(words), max(1, width))), style, no_wrap=True)
