"""Items: the test items behind the figures, with what each model or repeat answered, and the full review."""

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from engines.study.values import AnswerSet, Item, ItemPage, ItemQuery, ItemText, RunMeasures, Which
from labtui import format
from labtui.console.screens.base import ConsoleScreen
from labtui.console.widgets.bars import KeyBar
from labtui.console.widgets.figures import common_start
from labtui.console.widgets.item_list import MARKS, PAGE_ITEMS, ItemList, mark
from labtui.sanitize import clean

KEPT_TEXTS = 200
REST_S = 0.08  # a cursor that runs on asks for no review
LATE_S = 0.3  # after so long without the review its first words stand in for it
CUT_BELOW = 0.75  # tokens per word: no tokenizer makes so few of a text that it read in full
MIN_NAME, ANSWER_ROOM = 12, 40  # cells of a row's name, and those that its answer takes
WIDE_COLUMNS = 110
# fewest and most words, 0: no limit
LENGTHS: dict[str, tuple[int, int]] = {
    "any length": (0, 0),
    "under 100 words": (0, 99),
    "100–300 words": (100, 300),
    "over 300 words": (301, 0),
}
NOTHING: dict[Which, str] = {
    "wrong": "No wrong answer",
    "disagree": "No item on which the answers differ",
    "confident errors": "No wrong answer with a probability",
    "invalid": "No invalid answer",
    "all": "No item",
}
NO_TEXT = "The run was imported without texts: only the labels and the answers are known."


def asked(rows: Sequence[AnswerSet]) -> list[str]:
    """Which models Classify is to ask for the answers of these rows: runs, or repeats of a run by their rows' keys."""
    keys = [
        f"{row['run']} repeat {row['repeat']}" if row["repeat"] and not row["variant"] else row["run"] for row in rows
    ]
    return list(dict.fromkeys(keys))


def review_text(item: Item, text: ItemText | None, names: Sequence[str], room: int) -> Content:
    """The whole item, to be wrapped at `room` cells: true label, every row's answer, and the review; without `text` its
    first words."""
    width = min(max(map(cell_len, names), default=0), max(MIN_NAME, room - ANSWER_ROOM))
    parts: list[tuple[str, str]] = [("true label  ", "dim"), (clean(item["label"]), "bold")]
    styles = {"good": "$text-success", "bad": "bold $text-error", "warn": "bold $text-warning"}
    for name, answer in zip(names, item["answers"], strict=True):
        sign, style = mark(answer, item["label"])
        predicted = "invalid" if answer["predicted"] is None else clean(answer["predicted"])
        name = name if cell_len(name) <= width else set_cell_size(name, width - 1) + "…"
        parts += [("\n" + set_cell_size(name, width) + "  ", "dim"), (f"{sign} {predicted}", styles[style])]
        if answer["probability"] is not None:
            parts.append((f"  {100 * answer['probability']:.1f} %", ""))
        tokens = answer["tokens_read"]
        if tokens is not None:
            parts.append((f"  read {format.count(tokens)} tokens", "dim"))
            if tokens < CUT_BELOW * item["words"]:
                parts.append((" (cut)", "$text-warning"))
        if answer["text"]:
            parts += [("\n  generated: ", "dim"), (clean(answer["text"]), "italic")]
    parts.append(("\n\n", ""))
    if text is None:
        parts += [(clean(item["start"]), ""), (" …", "dim")]
    else:
        body = clean(text["text"], multiline=True)
        parts.append((body, "") if body else (NO_TEXT, "dim"))
    return Content.assemble(*parts)


class ItemsScreen(ConsoleScreen[None]):
    """The items on which some rows of the results were right or wrong."""

    TITLE = "Items"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE_COLUMNS, "-wide")]
    BINDINGS = [
        Binding("w", "which('wrong')", "Wrong", tooltip="Items that the first of the rows got wrong"),
        Binding("d", "which('disagree')", "Differ", tooltip="Items on which the rows' answers differ"),
        Binding("f", "which('confident errors')", "Confident", tooltip="Errors of the first row, most confident first"),
        Binding("n", "which('invalid')", "Invalid", tooltip="Answers of the first row that are no label"),
        Binding("a", "which('all')", "All", tooltip="All items"),
        Binding("l", "label", "Class", show=False, tooltip="Only items of one true class, the next one"),
        Binding(
            "right_square_bracket",
            "length(1)",
            "Length",
            show=False,
            key_display="[ ]",
            tooltip="Only items of some length: any, under 100, 100 to 300, over 300 words",
        ),
        Binding("left_square_bracket", "length(-1)", show=False),
        Binding("c", "classify", "Classify", tooltip="Send the review to Classify, with its true label; 2 comes back"),
        Binding(
            "o",
            "other",
            "Other first",
            show=False,
            tooltip="Put the next row first: wrong, invalid and confident look at the first",
        ),
        Binding("escape,q", "app.pop_screen", "Back", key_display="esc", tooltip="Back to where one came from"),
        Binding("pagedown", "scroll(1)", "Scroll", key_display="PgUp PgDn", tooltip="Scroll the review"),
        Binding("pageup", "scroll(-1)", show=False),
    ]
    DEFAULT_CSS = """
    ItemsScreen > Static { height: auto; max-height: 3; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    ItemsScreen > .names { color: $text-muted; text-wrap: wrap; }
    ItemsScreen .panes { height: 1fr; }
    ItemsScreen ItemList { height: 2fr; }
    ItemsScreen VerticalScroll { height: 3fr; padding: 0 1; border-top: solid $panel-lighten-2;
                                 border-title-color: $text-accent; border-subtitle-color: $text-muted; }
    ItemsScreen VerticalScroll Static { width: 1fr; height: auto; }
    ItemsScreen.-wide .panes { layout: horizontal; }
    ItemsScreen.-wide ItemList { width: 1fr; height: 1fr; }
    ItemsScreen.-wide VerticalScroll { width: 1fr; height: 1fr; border-left: solid $panel-lighten-2; }
    """

    def __init__(self, rows: list[AnswerSet], names: list[str], which: Which = "wrong", of: str = "") -> None:
        """`names`: how the rows are called, one per row; `of` is what all of them are of, and otherwise the words with
        which all names begin."""
        super().__init__()
        self._rows = rows
        self._of, self._names = (clean(of), [clean(n) for n in names]) if of else common_start([*map(clean, names)])
        self._heads: list[str] = []  # the names of the answers on the screen
        self._which: Which = which
        self._label = ""
        self._length = 0
        self._labels: list[str] = []
        self._asked = self._query(0)  # the selection that is wanted
        self._listed = False  # whether the list shows it
        self._alone: dict[tuple[str, int], int] = {}  # how many items there are of a class and length
        self._places: dict[str, int] = {}
        self._texts: dict[str, ItemText] = {}
        self._error = ""
        self._drawn = "", False, 0  # hash of the item in the pane, whether it is there in full, the pane's width
        self._rest: Timer | None = None
        self._late: Timer | None = None

    def compose(self) -> ComposeResult:
        yield Static(classes="title", markup=False)
        yield Static(classes="names", markup=False)
        with Container(classes="panes"):
            yield ItemList()
            with VerticalScroll(can_focus=False):
                yield Static(markup=False)
        yield KeyBar()

    @property
    def items(self) -> ItemList:
        return self.query_one(ItemList)

    @property
    def _pane(self) -> VerticalScroll:
        return self.query_one(VerticalScroll)

    def on_mount(self) -> None:
        self.items.focus()
        self._select()
        analyst, run = self.console.analyst, self._rows[0]["run"]
        # where the run cannot be measured, the list says why
        self.in_background(lambda: analyst.measure(run), self._take_labels, lambda sentence: None, kind="labels")

    def _take_labels(self, measures: RunMeasures) -> None:
        self._labels = measures["labels"]
        self.items.name_labels(self._labels)

    # -- the selection ----------------------------------------------------------------------------------------

    def _query(self, offset: int) -> ItemQuery:
        fewest, most = list(LENGTHS.values())[self._length]
        return {
            "rows": self._rows,
            "which": self._which,
            "label": self._label,
            "fewest_words": fewest,
            "most_words": most,
            "offset": offset,
            "limit": PAGE_ITEMS,
        }

    @staticmethod
    def _key(query: ItemQuery) -> str:
        """Names a selection, whatever its page."""
        return repr({**query, "offset": 0})

    def _select(self) -> None:
        """Ask for the items that the keys have chosen; the list stays as it is until they are there."""
        index = self._places.get(self._key(self._query(0)), 0)
        self._asked, self._listed = self._query(index // PAGE_ITEMS * PAGE_ITEMS), False
        self._draw_title()
        self._ask_page(self._asked)

    def _ask_page(self, query: ItemQuery) -> None:
        analyst = self.console.analyst
        chosen = self._label, self._length
        count = chosen not in self._alone

        def question() -> tuple[ItemPage, int | None]:
            page = analyst.items(query)
            if not count or query["which"] == "all":
                return page, page["total"] if count else None
            return page, analyst.items({**query, "which": "all", "offset": 0, "limit": 1})["total"]

        self.in_background(
            question,
            lambda answer: self._take_page(query, chosen, *answer),
            lambda sentence: self._take_error(query, sentence),
            kind="page",
        )

    def _take_page(self, query: ItemQuery, chosen: tuple[str, int], page: ItemPage, alone: int | None) -> None:
        if self._key(query) != self._key(self._asked):
            return  # the user has moved on
        self._error = ""
        if alone is not None:
            self._alone[chosen] = alone
        if self._listed:
            self.items.add(page)
        else:
            self._listed = True
            self._name_rows()
            self.items.start(page, self._places.get(self._key(query), 0), self._labels, self._nothing())
        self._draw_title()

    def _take_error(self, query: ItemQuery, sentence: str) -> None:
        if self._key(query) == self._key(self._asked):
            self._error, self._listed = sentence, True
            self.items.start(None, 0, self._labels, sentence)
            self._draw_title()

    @on(ItemList.Lacking)
    def _lacking(self, event: ItemList.Lacking) -> None:
        if self._listed and not self._error:
            self._ask_page(self._query(event.offset))

    def _nothing(self) -> str:
        """What an empty list says."""
        if self._which == "disagree" and len(self._rows) == 1:
            return (
                "One set of answers cannot differ from itself: mark several rows in the results,\n"
                "or open the repeats of a run."
            )
        label = f" of class {clean(self._label)}" if self._label else ""
        length = f", {list(LENGTHS)[self._length]}" if self._length else ""
        return NOTHING[self._which] + label + length + ("; l and [ ] widen the choice." if label or length else ".")

    def _draw_title(self) -> None:
        number = "computing …"
        if self._error:
            number = format.MISSING
        elif self._listed:
            number = format.count(self.items.total)
            if self._which != "all":
                number += f" of {format.count(self._alone.get((self._label, self._length)))}"
        first = "answer 1 " if len(self._rows) > 1 and self._which not in ("disagree", "all") else ""
        which = "the answers differ" if self._which == "disagree" else self._which
        label = f"class {clean(self._label)}" if self._label else "any class"
        self.query_one(".title", Static).update(
            Content.assemble(
                ("Items  ", "bold $primary"),
                (f"{first}{which}: {number}", "bold"),
                ("   l ", "bold"),
                label,
                ("   [ ] ", "bold"),
                list(LENGTHS)[self._length],
            )
        )

    def _name_rows(self) -> None:
        heads = self._names
        if len(heads) > 1:
            heads = [head if head == str(n) else f"{n} {head}" for n, head in enumerate(heads, start=1)]
        self._heads, self._drawn = heads, ("", False, 0)
        line, width = f"{self._of}:  " * bool(self._of) + "   ".join(heads), self.size.width - 3
        marks = MARKS.rjust(width - cell_len(line))
        self.query_one(".names", Static).update(line + marks if cell_len(marks) > len(MARKS) else line)

    def on_resize(self) -> None:
        if self._listed:
            self._name_rows()
            self._draw_review()

    # -- the review -------------------------------------------------------------------------------------------

    @on(ItemList.Moved)
    def _moved(self) -> None:
        if self._listed:
            self._places[self._key(self._asked)] = self.items.index
        for timer in (self._rest, self._late):
            if timer is not None:
                timer.stop()
        item = self.items.item
        if item is None:
            self._draw_review()
        elif item["hash"] in self._texts:
            self._rest = self.set_timer(REST_S, self._draw_review)
        else:
            self._rest = self.set_timer(REST_S, self._ask_text)
            self._late = self.set_timer(LATE_S, self._draw_review)

    def _ask_text(self) -> None:
        item = self.items.item
        if item is None:
            return
        analyst, run, wanted = self.console.analyst, self._rows[0]["run"], item["hash"]
        self.in_background(lambda: analyst.item(run, wanted), self._take_text, kind="text")

    def _take_text(self, text: ItemText) -> None:
        if len(self._texts) >= KEPT_TEXTS:
            del self._texts[next(iter(self._texts))]
        self._texts[text["hash"]] = text
        self._draw_review()

    def _draw_review(self) -> None:
        """The item under the cursor, as far as it is known."""
        item, pane = self.items.item, self._pane
        shown = pane.query_one(Static)
        pane.display = self.items.total > 0
        if item is None:
            self._drawn = "", False, 0
            pane.border_title = pane.border_subtitle = None
            shown.update("")
            return
        text = self._texts.get(item["hash"])
        drawn = item["hash"], text is not None, pane.size.width
        if drawn == self._drawn:
            return
        if drawn[0] != self._drawn[0]:
            pane.scroll_home(animate=False)
        self._drawn = drawn
        shown.update(review_text(item, text, self._heads, pane.size.width))
        of = f"item {format.count(self.items.index + 1)} of {format.count(self.items.total)}"
        number = f" · row {format.count(item['number'])} of the source" if item["number"] is not None else ""
        pane.border_title = of + number + (f" · {format.count(item['words'])} words" if item["words"] else "")

    # -- keys -------------------------------------------------------------------------------------------------

    def action_which(self, which: Which) -> None:
        """Show the wrong items, those that differ, ..."""
        self._which = which
        self._select()

    def action_label(self) -> None:
        """Only the next class, after the last all."""
        if not self._labels:
            self.notify("the classes are not known yet", markup=False)
            return
        choices = ["", *self._labels]
        self._label = choices[(choices.index(self._label) + 1) % len(choices)]
        self._select()

    def action_length(self, step: int) -> None:
        """Only items of the next or previous length."""
        self._length = (self._length + step) % len(LENGTHS)
        self._select()

    def action_other(self) -> None:
        """The next row becomes the first."""
        if len(self._rows) > 1:
            self._rows = [*self._rows[1:], self._rows[0]]
            self._names = [*self._names[1:], self._names[0]]
            self._select()

    def action_scroll(self, pages: int) -> None:
        """Scroll the review by its height."""
        self._pane.scroll_relative(y=pages * max(1, self._pane.size.height - 1), animate=False)

    def action_classify(self) -> None:
        """Send the review to Classify."""
        item = self.items.item
        text = self._texts.get(item["hash"]) if item else None
        if item is None or text is None:
            self.notify("there is no review to send yet", markup=False)
        elif not text["text"]:
            self.notify("this item has no text: the run was imported without texts", markup=False)
        else:
            self.console.classify_text(asked(self._rows), text["text"], item["label"])
