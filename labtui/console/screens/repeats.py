"""Repeats: one model asked several times, and how far its answers depend on what was varied."""

import math
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import DataTable, Static

from engines.answers.variant import Variant
from engines.study.values import Measures, RepeatTable, Spread
from labtui import format
from labtui.console.screens.base import ConsoleScreen
from labtui.console.screens.items import ItemsScreen
from labtui.console.widgets.bars import KeyBar
from labtui.console.widgets.figures import dot_strip
from labtui.console.widgets.item_list import short_labels
from labtui.console.widgets.result_panel import WARN_MARK, agreement_words, matrix_text
from labtui.sanitize import clean

MAJORITY = "majority"
NAME_WIDTH = 12  # of a label or value; the whole value stands over its confusion matrix
STRIP_WIDTH = 40
NARROW_COLUMNS = 100
GAP = 4  # cells between two matrices side by side
NOTHING_REPEATED = "Nothing was repeated: this run answered its test items once."


def axis(values: Sequence[float]) -> tuple[float, float]:
    """The ends of an axis in whole hundredths around some shares."""
    return (max(0.0, math.floor(100 * min(values) - 0.5) / 100), min(1.0, math.ceil(100 * max(values) + 0.5) / 100))


def spread_lines(spread: Spread, varied: str, items: int, ascii_only: bool = False) -> list[str]:
    """How the repeats differ: mean, sample standard deviation, range, dots, and how far the answers agree."""
    n = len(spread["accuracies"])
    what = f"varied: {clean(varied)}" if varied else "nothing varied between them"
    lines = [
        f"mean {format.score(spread['mean'])}   {format.score(spread['lowest'])} to "
        f"{format.score(spread['highest'])}   standard deviation {format.score(spread['sd'])}   {what}"
    ]
    if spread["interval"]:
        repeated = spread["interval_over"] == "items and repeats"
        of_what = "and other repeats" if repeated else f"by the same {n} repeats"
        lines.append(f"95 % of the mean {format.interval(*spread['interval'])}, over other items {of_what}")
    elif spread["no_interval"]:
        lines.append(f"The mean has no interval: {spread['no_interval']}.")
    low, high = axis(spread["accuracies"])
    strip = dot_strip(spread["accuracies"], STRIP_WIDTH, low, high, ascii_only)
    signs = "o a repeat, | the mean" if ascii_only else "• a repeat, ┃ the mean"
    lines.append(f"{low:.2f} [{strip}] {high:.2f}   {signs}")
    if not spread["same_items"]:
        return [*lines, "The repeats were given different items: how far they agree cannot be said."]
    lines.append(
        f"Fleiss {agreement_words(spread['kappa'])}."
        if spread["kappa"] is not None
        else f"There is {agreement_words(None)}."
    )
    if spread["all_agree"] is not None and spread["flips"] is not None:
        lines.append(
            f"All {n} agree on {100 * spread['all_agree']:.1f} % of the items; "
            f"{format.count(spread['flips'])} of {format.count(items)} flip (i reads them)."
        )
    return lines


def _fitted(label: str) -> str:
    label = clean(label)
    return label if cell_len(label) <= NAME_WIDTH else set_cell_size(label, NAME_WIDTH - 1) + "…"


def agreement_text(agreement: Sequence[Sequence[float]], cohen: Sequence[Sequence[float | None]], width: int) -> Text:
    """The repeats against each other, below the diagonal the share of items answered alike, above it Cohen's kappa;
    in blocks of as many columns as `width` cells hold."""
    text = Text(no_wrap=True)
    n = len(agreement)
    columns = max(1, (width - 3) // 8)
    for first in range(0, n, columns):
        block = range(first, min(n, first + columns))
        if first:
            text.append("\n")
        text.append("   " + "".join(f"{place + 1:>8}" for place in block) + "\n", "dim")
        for row in range(n):
            text.append(f"{row + 1:>3}", "dim")
            for place in block:
                if row == place:
                    text.append(f"{'·':>8}", "dim")
                elif place < row:
                    text.append(f"{100 * agreement[row][place]:>6.1f} %")
                else:
                    kappa = cohen[row][place]
                    text.append(f"{format.MISSING if kappa is None else f'{kappa:.2f}':>8}", "bold")
            text.append("\n")
    text.rstrip()
    return text


class RepeatsScreen(ConsoleScreen[None]):
    """The repeats of one variant of a run, as a table and as a whole."""

    TITLE = "Repeats"
    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-tall")]
    BINDINGS = [
        Binding("i", "items", "Items that flip", tooltip="Read the items on which the repeats differ"),
        Binding("pagedown", "scroll(1)", "Scroll", key_display="PgUp PgDn", tooltip="Scroll what is under the table"),
        Binding("pageup", "scroll(-1)", show=False),
        Binding("escape,q", "app.pop_screen", "Back", key_display="esc", tooltip="Back to where one came from"),
    ]
    DEFAULT_CSS = """
    RepeatsScreen > .title { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    RepeatsScreen DataTable { height: auto; max-height: 45%; }
    RepeatsScreen DataTable > .datatable--fixed { background: $surface; }
    RepeatsScreen DataTable:focus { background-tint: $foreground 0%; }
    RepeatsScreen VerticalScroll { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    RepeatsScreen.-tall VerticalScroll { padding: 1; }
    RepeatsScreen VerticalScroll Static { height: auto; width: 1fr; }
    RepeatsScreen .warnings { color: $warning; }
    RepeatsScreen .matrices { height: auto; layout: vertical; }
    RepeatsScreen .matrices Static { margin: 1 0 0 0; width: auto; }
    RepeatsScreen .matrices.-beside { layout: horizontal; }
    RepeatsScreen .matrices.-beside .agreement { margin: 1 0 0 4; }
    """

    def __init__(self, run: str, variant: Variant, name: str) -> None:
        """`name`: how the run is called."""
        super().__init__()
        self._run, self._variant, self._called = run, variant, clean(name)
        self._repeats: RepeatTable | None = None
        self._narrow = False

    def compose(self) -> ComposeResult:
        yield Static(classes="title", markup=False)
        yield DataTable(cursor_type="row", fixed_columns=1, header_height=2, cell_padding=0)
        with VerticalScroll(can_focus=False):
            yield Static(classes="warnings", markup=False)
            yield Static(classes="spread", markup=False)
            with Horizontal(classes="matrices"):
                yield Static(classes="confusion", markup=False)
                yield Static(classes="agreement", markup=False)
        yield KeyBar()

    @property
    def table(self) -> DataTable[Text]:
        return self.query_one(DataTable)

    def on_mount(self) -> None:
        self.table.display = False
        self._say("computing …")
        analyst, run, variant = self.console.analyst, self._run, self._variant

        def question() -> tuple[RepeatTable, list[str]]:
            return analyst.repeats(run, variant), [
                warning["text"] for warning in analyst.measure(run)["warnings"] if warning["variant"] in (None, variant)
            ]

        self.in_background(question, lambda answer: self._take(*answer), self._say_in_place)

    def _say(self, text: str) -> None:
        self.query_one(".title", Static).update(
            Content.assemble(("Repeats  ", "bold $primary"), (self._called, "bold"), f"   {text}")
        )

    def _say_in_place(self, sentence: str) -> None:
        """Say why there is no table, where its spread would stand."""
        self._say("")
        self.query_one(".spread", Static).update(Content(sentence))

    def _take(self, repeats: RepeatTable, warnings: list[str]) -> None:
        if len(repeats["measures"]) < 2:
            self._say_in_place(NOTHING_REPEATED)
            return
        self._repeats = repeats
        shown = self.query_one(".warnings", Static)
        shown.update("\n".join(f"{WARN_MARK} {clean(text)}" for text in warnings))
        shown.display = bool(warnings)
        self._draw(repeats)
        self.table.focus()
        self.refresh_bindings()

    def _draw(self, repeats: RepeatTable) -> None:
        measures, spread = repeats["measures"], repeats["spread"]
        items = measures[0]["items"]
        self._say(f"{len(measures)} repeats, {'the same ' * spread['same_items']}{format.count(items)} items")
        labels = short_labels(repeats["labels"])
        value = _fitted(repeats["varied"]) or "value"
        heads = [
            "repeat",
            value,
            "accuracy",
            "95 %",
            *(f"recall\n{labels[label]}" for label in repeats["labels"]),
            *(f"prec.\n{labels[label]}" for label in repeats["labels"]),
            "invalid",
        ]
        lines = [self._cells(repeats, m, str(n)) for n, m in enumerate(measures, start=1)]
        lines.append(self._cells(repeats, repeats["majority"], MAJORITY))
        table, at = self.table, self.table.cursor_row
        table.display = True
        self._narrow = self.size.width < NARROW_COLUMNS
        gap = " " if self._narrow else "   "

        def cell(place: int, text: str, style: str = "") -> Text:
            spaced = "\n".join(f" {part}{gap}" if place < 2 else f"{gap}{part}" for part in text.split("\n"))
            return Text(spaced, style, justify="left" if place < 2 else "right")

        with self.prevent(DataTable.RowHighlighted):
            table.clear(columns=True)
            for place, head in enumerate(heads):
                # a width of our own: the table measures late and would draw its first lines too narrow
                width = max(map(cell_len, [*head.split("\n"), *(line[place] for line in lines)])) + len(gap)
                table.add_column(cell(place, head), width=width + (place < 2))
            for line in lines:
                style = "italic" if line[0] == MAJORITY else ""
                table.add_row(*(cell(place, text, style) for place, text in enumerate(line)))
            table.move_cursor(row=at)
        sentences = spread_lines(spread, repeats["varied"], items, self.console.ascii_only)
        self.query_one(".spread", Static).update(Content("\n".join(sentences)))
        self._draw_matrices()

    @staticmethod
    def _cells(repeats: RepeatTable, m: Measures, name: str) -> list[str]:
        if name == MAJORITY:
            value = "no ties" if not m["invalid"] else f"{format.count(m['invalid'])} tied"
        else:
            value = _fitted(m["value"])
        recall = [m["recall"].get(label) for label in repeats["labels"]]
        return [
            name,
            value or format.MISSING,
            format.score(m["accuracy"]["value"]),
            format.interval(m["accuracy"]["low"], m["accuracy"]["high"]),
            *(format.score(share["value"] if share else None) for share in recall),
            *(format.score(m["precision"].get(label)) for label in repeats["labels"]),
            format.count(m["invalid"]),
        ]

    @on(DataTable.RowHighlighted)
    def _draw_matrices(self) -> None:
        """The confusion matrix of the row under the cursor, and the repeats against each other."""
        repeats = self._repeats
        if repeats is None:
            return
        at = self.table.cursor_row
        majority = at >= len(repeats["measures"])
        chosen = repeats["majority"] if majority else repeats["measures"][max(0, at)]
        name = "majority vote, a tie is wrong" if majority else f"repeat {at + 1} {clean(chosen['value'])}".rstrip()
        room = self.size.width - 4
        confusion = Text.assemble((name, "bold"), "\n")
        confusion.append_text(
            matrix_text(repeats["labels"], chosen["confusion"], "true", "tied" if majority else "invalid", room)
        )
        agreement = Text.assemble(("alike %", ""), (" below, ", "dim"), ("Cohen's kappa", "bold"), (" above\n", "dim"))
        agreement.append_text(agreement_text(repeats["agreement"], repeats["cohen"], room))
        widths = [max(map(cell_len, text.plain.splitlines())) for text in (confusion, agreement)]
        self.query_one(".matrices").set_class(sum(widths) + GAP <= room, "-beside")
        self.query_one(".confusion", Static).update(confusion)
        self.query_one(".agreement", Static).update(agreement)

    def on_resize(self, event: events.Resize) -> None:
        if self._repeats is not None and (event.size.width < NARROW_COLUMNS) != self._narrow:
            self._draw(self._repeats)
        else:
            self._draw_matrices()

    # -- keys -------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "items" or self._repeats is not None

    def action_items(self) -> None:
        """Read the items that flip."""
        repeats = self._repeats
        if repeats is None:
            return
        measures = repeats["measures"]
        values = [clean(m["value"]) for m in measures]
        told = all(values) and len(set(values)) == len(values)
        names = values if told else [f"repeat {n}" for n in range(1, len(values) + 1)]
        self.app.push_screen(ItemsScreen([m["row"] for m in measures], names, "disagree", self._called))

    def action_scroll(self, pages: int) -> None:
        """Scroll what is under the table."""
        pane = self.query_one(VerticalScroll)
        pane.scroll_relative(y=pages * max(1, pane.size.height - 1), animate=False)
