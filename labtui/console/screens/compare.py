"""Compare: who is better on the same items, by how much, and how sure one may be of it."""

import textwrap
from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from engines.study.comparisons import ALPHA, p_words
from engines.study.statistics import smallest_detectable_difference
from engines.study.values import AnswerSet, Comparison, Measures, Pair, RunMeasures
from labtui import format
from labtui.console.screens.base import ConsoleScreen
from labtui.console.theme import THEME, colours_of
from labtui.console.widgets.bars import KeyBar, TextLine
from labtui.console.widgets.figures import Whisker, common_start, dot_whisker, fit, own_names, paired_table
from labtui.console.widgets.row_list import ListRow, RowList
from labtui.console.widgets.sized_text import SizedText
from labtui.results.comparison_limits import beyond_the_test
from labtui.sanitize import clean

WIDE_COLUMNS = 120  # from here on, the models stand beside the pair
INDENT = 12  # of what a figure means
TELLING = ("accuracy", "items", "invalid", "model")  # the figures whose warnings matter here
NEXT_STEP = "In Results, e scores a run on other data: score both on the same items and compare those rows."
IMPORT_STEP = "Import the predictions with their texts (labtui import FILE --text COLUMN): by these, items are matched."


def points(fraction: float) -> str:
    """A difference of fractions in points: `+5.6`."""
    return f"{100 * fraction:+.1f}"


def verdict_text(pair: Pair) -> tuple[str, str]:
    """What the list says of a pair, and the style for it."""
    return {"a": ("first is better", "good"), "b": ("second is better", "good")}.get(
        pair["verdict"], ("not told apart", "faint")
    )


def pair_text(comparison: Comparison, pair: Pair, width: int) -> Text:
    """Difference, tests and what could have been seen, each figure with what it means, in lines of `width` cells."""
    difference, alone, pairs = pair["difference"], pair["a_only"] + pair["b_only"], len(comparison["pairs"])
    interval = ""
    if difference["low"] is not None and difference["high"] is not None:
        interval = f"95 %: {points(difference['low'])} to {points(difference['high'])}; "
    told = [("Difference", f"{points(difference['value'])} points", f"{interval}first less second")]
    single = pair["about"] == "answers"
    over = "items and repeats" if pair["about"] == "methods" else "items, these executions as given"
    split = (
        f"were both equally good, the {format.count(alone)} items that only one has right would fall at least "
        f"this unevenly in {_share_text(pair['p'])} of cases (exact McNemar test)"
        if single
        else f"were both equally good, their means would lie at least this far apart in {_share_text(pair['p'])} of "
        f"cases (over {over})"
    )
    told.append(("p", p_words(pair["p"]).removeprefix("p "), split if alone else "both are right on the same items"))
    if pairs > 1:
        told.append(
            ("p (Holm)", p_words(pair["p_holm"]).removeprefix("p "), f"corrected for trying {pairs} pairs: it decides")
        )
    if alone and single:
        least = smallest_detectable_difference(comparison["items"], alone / comparison["items"], alpha=ALPHA / pairs)
        level = f"alpha {ALPHA:g}" + (f" over {pairs} pairs" if pairs > 1 else "")
        shown = f"{100 * least:.1f} points or more" if least < 1 else "none"
        told.append(
            (
                "Detectable",
                shown,
                f"a true difference that {format.count(comparison['items'])} items show 4 times in 5 when only one of "
                f"two is right on {100 * alone / comparison['items']:.1f} % of them, as here (80 % power, {level})",
            )
        )
    text = Text(no_wrap=True)
    for name, figure, meaning in told:
        text.append(f"{name:<{INDENT}}", "dim").append(figure, "bold")
        lines = textwrap.wrap(figure + "\0 " + meaning, max(20, width - INDENT))
        lines[0] = lines[0][len(figure) :].replace("\0", " ")
        text.append("\n".join([lines[0], *(" " * INDENT + line for line in lines[1:])]) + "\n", "dim")
    text.rstrip()
    return text


def _share_text(p: float) -> str:
    return "less than 0.01 %" if p < 0.0001 else f"{100 * p:.2g} %" if p < 0.995 else "all"


def macro_text(
    measures: Sequence[Measures], names: Sequence[str], colours: Sequence[str], width: int, ascii_only: bool = False
) -> Text:
    """Macro precision, recall and F1 with their intervals, and the items where they differ; one line per model."""
    text = Text(no_wrap=True)
    with_items = len({m["items"] for m in measures}) > 1
    room = width - 7 * with_items
    column = 15 if room >= 3 * 17 + 12 else 9  # without the intervals
    name_width = max(6, min(34, room - 3 * (column + 2), max(13, *(cell_len(clean(name)) for name in names))))
    text.append(fit("macro average", name_width))
    text.append("".join(f"  {head:<{column}}" for head in ("precision", "recall", "F1")))
    text.append("  items" if with_items else "")
    text.stylize("dim")
    for measure, name, colour in zip(measures, names, colours, strict=True):
        text.append("\n").append(fit(name, name_width, ascii_only), colour)
        for share in (measure["figures"][f"macro_{score}"] for score in ("precision", "recall", "f1")):
            text.append("  ").append(format.score(share["value"]), "bold")
            between = format.interval(share["low"], share["high"], ascii_only=ascii_only).replace("0.", ".")
            text.append((f" {between}" if column > 9 else "").ljust(column - 5))
        text.append(f"{format.count(measure['items']):>7}" if with_items else "")
    return text


def told_once(warnings: Iterable[tuple[str, str]]) -> list[str]:
    """Warnings of models, each text once with the names of all that it is about."""
    of: dict[str, list[str]] = {}
    for name, text in warnings:
        of.setdefault(clean(text), []).append(clean(name))
    return [f"! {', '.join(names)}: {text}" for text, names in of.items()]


class PairList(RowList):
    """The pairs, with what came out of each."""

    def __init__(self, colours: Sequence[str]) -> None:
        super().__init__()
        self._comparison: Comparison | None = None
        self._colours = colours

    def show(self, comparison: Comparison) -> None:
        """List the pairs of this comparison."""
        self._comparison = comparison
        self.update()

    def make_rows(self, width: int) -> Iterable[ListRow]:
        if self._comparison is None:
            return
        name = max(6, min(34, (width - 39) // 2))
        first = f"{len(self._comparison['pairs'])} pairs: first"
        yield ListRow(None, ((f" {fit(first, name)} {fit('second', name)}  points  p (Holm)  verdict", "heading"),))
        for at, pair in enumerate(self._comparison["pairs"]):
            verdict, style = verdict_text(pair)
            p = p_words(pair["p_holm"]).removeprefix("p ").removeprefix("= ").replace("< ", "<")
            yield ListRow(
                str(at),
                (
                    (" ", ""),
                    (fit(self._comparison["names"][pair["a"]], name) + " ", self._colours[pair["a"]]),
                    (fit(self._comparison["names"][pair["b"]], name), self._colours[pair["b"]]),
                    (f"  {points(pair['difference']['value']):>6}", "name"),
                    (f"  {p:>8}  ", "name"),
                    (verdict, style),
                ),
            )


class CompareScreen(ConsoleScreen[None]):
    """Two or more sets of answers side by side, and each pair of them tested on the items they share."""

    TITLE = "Compare"
    BINDINGS = [
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("down,j", "scroll(1)", "Down", show=False),
        Binding(
            "pagedown,space",
            "scroll(10)",
            "Scroll",
            key_display="pgup pgdn",
            priority=True,
            tooltip="Scroll what stands below the list of pairs",
        ),
        Binding("pageup", "scroll(-10)", show=False, priority=True),
        Binding("i", "items", "Items they differ on", tooltip="Read the items on which the two of the pair disagree"),
        Binding("escape,q", "dismiss", "Back", key_display="esc", tooltip="Back to the results"),
    ]
    DEFAULT_CSS = """
    CompareScreen > .title { background: $panel; text-style: bold; }
    CompareScreen > .message { height: auto; padding: 0 1; margin: 1 0; }
    CompareScreen > .message.-none { border: heavy $warning; color: $warning; }
    CompareScreen PairList { margin: 1 0 0 0; }
    CompareScreen .body { height: 1fr; scrollbar-gutter: auto; }
    CompareScreen .body > Vertical { height: auto; width: 1fr; padding: 1 1 0 1; }
    CompareScreen .sentence { text-style: bold; margin: 0 0 1 0; }
    CompareScreen .table, CompareScreen .limits { margin: 0 0 1 0; }
    CompareScreen .warnings { height: auto; color: $warning; }
    CompareScreen .whiskers { margin: 0 0 1 0; }
    CompareScreen.-wide .body { layout: horizontal; }
    """

    def __init__(
        self,
        rows: list[AnswerSet],
        names: list[str],
        colours: Sequence[str] = (),
        executions: list[list[AnswerSet]] | None = None,
    ) -> None:
        """`rows` of finished runs, two or more, with the `names` and `colours` that they have on the screen; without
        colours they get their own. `executions` are all answers behind each row where one stands for several."""
        super().__init__()
        self._rows, self._executions = rows, executions
        self._of, self._names = common_start(own_names(names))
        if self._of.endswith(" repeat"):  # a number alone is no name
            self._of, self._names = self._of.removesuffix(" repeat"), [f"repeat {name}" for name in self._names]
        keys = [f"{row['run']} {row['variant']} {row['repeat']}" for row in rows]
        self._colours = list(colours) or [colours_of(keys)[key] for key in keys]
        self._comparison: Comparison | None = None
        self._runs: list[RunMeasures] = []

    def compose(self) -> ComposeResult:
        yield TextLine(Text(" Compare"), id="title")
        yield Static("computing …", classes="message", markup=False)
        yield PairList(self._colours)
        with VerticalScroll(classes="body", can_focus=False):
            with Vertical(classes="pair"):
                yield SizedText(classes="sentence")
                yield SizedText(classes="limits")
                yield SizedText(classes="table")
                yield SizedText(classes="tests")
            with Vertical(classes="models"):
                yield SizedText(classes="whiskers")
                yield Static(classes="warnings", markup=False)
                yield SizedText(classes="macros")
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one("#title").add_class("title")
        self.query_one(PairList).display = False
        self.query_one(".body").display = False
        analyst, rows, names, executions = self.console.analyst, self._rows, self._names, self._executions

        def ask() -> tuple[Comparison, list[RunMeasures]]:
            runs = dict.fromkeys(row["run"] for row in rows)
            return analyst.compare(rows, names, executions), [analyst.measure(run) for run in runs]

        self.in_background(ask, lambda answer: self._take(*answer), self.query_one(".message", Static).update)

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width >= WIDE_COLUMNS, "-wide")
        self._fit_list()
        self._say_what(event.size.width)

    def _fit_list(self) -> None:
        """A third of the screen for the list of pairs at most."""
        if self._comparison is not None:
            self.query_one(PairList).styles.height = 1 + min(
                len(self._comparison["pairs"]), max(3, self.size.height // 4)
            )

    # -- drawing ----------------------------------------------------------------------------------------------

    def _take(self, comparison: Comparison, runs: list[RunMeasures]) -> None:
        message = self.query_one(".message", Static)
        self._comparison, self._runs = comparison, runs
        self._say_what(self.size.width)
        message.display = not comparison["pairs"]
        message.set_class(not comparison["pairs"], "-none")
        if not comparison["pairs"]:
            step = IMPORT_STEP if "without texts" in comparison["reason"] else NEXT_STEP
            message.update(Text.assemble(("No verdict. ", "bold"), clean(comparison["reason"]), ".\n", step))
        self.query_one(".body").display = True
        self._draw_models(comparison, self._runs)
        self.query_one(".pair").display = bool(comparison["pairs"])
        pairs = self.query_one(PairList)
        pairs.display = len(comparison["pairs"]) > 1
        pairs.show(comparison)
        self._fit_list()
        if pairs.display:
            pairs.focus()
        if comparison["pairs"]:
            self._draw_pair()
        self.refresh_bindings()

    def _say_what(self, width: int) -> None:
        """The first line: the names where there is room for both."""
        comparison = self._comparison
        if comparison is None:
            return
        items = f"the same {format.count(comparison['items'])} items" if comparison["same_items"] else "different items"
        names = [clean(name) for name in comparison["names"]]
        of = clean(self._of)
        title = f" Compare on {items}: {of}{', ' * bool(of)}{' against '.join(names)}"
        if len(names) > 2 or cell_len(title) > width:
            title = f" Compare {len(names)} sets of answers to {items}{': ' * bool(of)}{of}"
        self.query_one("#title", TextLine).say(Text(title))

    @property
    def pair(self) -> Pair | None:
        """The pair under the cursor."""
        if self._comparison is None or not self._comparison["pairs"]:
            return None
        return self._comparison["pairs"][int(self.query_one(PairList).key or 0)]

    @on(PairList.Highlighted)
    def _draw_pair(self) -> None:
        comparison, pair = self._comparison, self.pair
        if comparison is None or pair is None:
            return
        names = comparison["names"][pair["a"]], comparison["names"][pair["b"]]
        colours = self._colours[pair["a"]], self._colours[pair["b"]]
        both, sentence = (pair["a"], pair["b"]), clean(pair["sentence"])
        self.query_one(".sentence", SizedText).show(
            both, lambda width, height: Text("\n".join(textwrap.wrap(sentence, max(20, width))), no_wrap=True)
        )
        limits = beyond_the_test(comparison, pair, self._runs)
        self.query_one(".limits").display = bool(limits)
        self.query_one(".limits", SizedText).show(
            both,
            lambda width, height: Text(
                "\n".join(line for doubt in limits for line in textwrap.wrap(f"! {clean(doubt)}", max(20, width))),
                THEME.warning or "",
                no_wrap=True,
            ),
        )
        self.query_one(".table").display = pair["about"] == "answers"
        self.query_one(".table", SizedText).show(
            both,
            lambda width, height: paired_table(
                pair["both_right"],
                pair["a_only"],
                pair["b_only"],
                pair["both_wrong"],
                names,
                width,
                colours=colours,
                ascii_only=self._ascii,
            ),
        )
        self.query_one(".tests", SizedText).show(both, lambda width, height: pair_text(comparison, pair, width))

    def _draw_models(self, comparison: Comparison, runs: list[RunMeasures]) -> None:
        measures, names, colours = comparison["measures"], comparison["names"], self._colours
        whiskers = [
            Whisker(name, m["accuracy"]["value"], m["accuracy"]["low"], m["accuracy"]["high"], colour)
            for m, name, colour in zip(measures, names, colours, strict=True)
        ]
        chance = 1 / len(runs[0]["labels"]) if runs and len({len(r["labels"]) for r in runs}) == 1 else None
        several = max(comparison["executions"]) > 1
        head = f"accuracy and its 95 % interval over the items{', of several executions over these too' * several}"
        self.query_one(".whiskers", SizedText).show(
            "whiskers",
            lambda width, height: Text.assemble(
                (fit(head, width, self._ascii).rstrip() + "\n", "dim"),
                dot_whisker(whiskers, width, chance=chance, ascii_only=self._ascii),
            ),
        )
        self.query_one(".macros", SizedText).show(
            "macros", lambda width, height: macro_text(measures, names, colours, width, self._ascii)
        )
        warnings = told_once(
            (name, warning["text"])
            for run in runs
            for row, name in zip(comparison["rows"], names, strict=True)
            if row["run"] == run["run"]
            for warning in run["warnings"]
            if warning["figure"] in TELLING and warning["variant"] in (None, row["variant"])
        )
        shown = self.query_one(".warnings", Static)
        shown.update("\n".join(warnings) + "\n")
        shown.display = bool(warnings)

    @property
    def _ascii(self) -> bool:
        return self.console.ascii_only

    # -- keys -------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "items" or self.pair is not None

    def action_scroll(self, lines: int) -> None:
        """Scroll what stands below the list."""
        self.query_one(".body").scroll_relative(y=lines, animate=False)

    def action_items(self) -> None:
        """The items on which the pair disagrees."""
        pair, comparison = self.pair, self._comparison
        if pair is None or comparison is None:
            return
        from labtui.console.screens.items import ItemsScreen

        both = (pair["a"], pair["b"])
        self.app.push_screen(
            ItemsScreen(
                [comparison["rows"][at] for at in both],
                [comparison["names"][at] + " first" * (comparison["executions"][at] > 1) for at in both],
                "disagree",
                self._of,
            )
        )
