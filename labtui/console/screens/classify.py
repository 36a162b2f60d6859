"""Classify: one review, several finished models, their answers side by side."""

import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import NamedTuple

from rich.segment import Segment
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.widgets import SelectionList, Static, TextArea
from textual.widgets.selection_list import Selection

from engines.runs.folder import RunFolder
from engines.runs.serving import READY, Client, Reply
from labtui import format
from labtui.console.screens.base import ConsoleScreen, is_abandoned
from labtui.console.widgets.bars import KeyBar
from labtui.devices import short_device_name
from labtui.results.columns import sort_rows
from labtui.results.rows import IMPORTED, Follower, ResultRow, name_of, short_name
from labtui.sanitize import clean

POLL_S = 0.01  # while a request is open
NO_MODEL = ("evaluate", IMPORTED)  # engines whose runs hold none
BAR_WIDTH = 10
NAME_WIDTH = 24
WIDE_COLUMNS = 138  # from here on a verdict stands on one line


class ReviewArea(TextArea):
    """The review: what is pasted is cleaned; up in its first line brings back earlier texts."""

    PLACE = "In the review"
    BINDINGS = [
        Binding(
            "escape",
            "screen.leave_text",
            "Leave text",
            tooltip="Leave the text, so that 1, 2, 3, ? and q are keys again",
        ),
    ]

    class Recall(Message):
        """An earlier (-1) or later (1) text is wanted."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def render_line(self, y: int) -> Strip:
        if not self.content_size.width:  # the base class fails to wrap its placeholder then
            return Strip.blank(self.size.width, self.rich_style)
        return super().render_line(y)

    def on_paste(self, event: events.Paste) -> None:
        event.text = clean(event.text, multiline=True)  # the handler of the base class is called after this one

    def action_cursor_up(self, select: bool = False) -> None:
        if not select and self.cursor_at_first_line:
            self.post_message(self.Recall(-1))
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        if not select and self.cursor_at_last_line:
            self.post_message(self.Recall(1))
        else:
            super().action_cursor_down(select)


class ModelList(SelectionList[str]):
    """Finished runs to choose from."""

    PLACE = "In the list of models"

    def render_line(self, y: int) -> Strip:
        """As the base class draws it, but the box of an option that is not chosen is empty, not only pale."""
        strip, index = super().render_line(y), self.scroll_offset.y + y
        if index >= self.option_count or self.get_option_at_index(index).value in self.selected:
            return strip
        left, inner, *rest = strip
        return Strip([left, Segment(" ", inner.style), *rest], strip.cell_length)


class TimedReply(NamedTuple):
    """A worker's reply to one question, and what asking took; `loaded`: the model was loaded for it."""

    reply: Reply
    total_ms: float
    loaded: bool
    idle_s: float  # until the worker ends when it is asked nothing more


@dataclass
class Verdict:
    """What one model has said of the current text, or why it has not yet."""

    run: str  # the key of its row
    name: str
    waiting: str = ""  # "loading model …", while there is no answer
    error: str = ""
    label: str = ""
    probability: float | None = 0.0  # None: it answered in words
    model_ms: float = 0.0
    total_ms: float = 0.0
    loaded: bool = False  # the total holds the loading of the model
    tokens_read: int = 0
    tokens_total: int = 0
    device: str = ""
    cold_at: float = 0.0  # time.monotonic() at which the idle worker ends
    true_label: str = ""  # of the text, where it is known
    disagrees: bool = False  # with the true label, else with most of the others

    @property
    def done(self) -> bool:
        return bool(self.label)


def mark_disagreement(verdicts: list[Verdict]) -> str:
    """Mark the answers that differ from the true label, and where it is not known, from the most frequent answer (all
    on a tie); a sentence of how they stand."""
    votes = Counter(v.label for v in verdicts if v.done)
    true_label = next((v.true_label for v in verdicts), "")
    for v in verdicts:
        v.disagrees = bool(true_label) and v.done and v.label != true_label
    if true_label:
        right = f"; {votes[true_label]} of {sum(votes.values())} right" if votes else ""
        return f"true label: {true_label}{right}"
    if sum(votes.values()) < 2:
        return ""
    if len(votes) == 1:
        asked = sum(not v.error for v in verdicts)
        of = f"all {asked}" if asked == sum(votes.values()) else f"{sum(votes.values())} of {asked}"
        return f"{of} models say {next(iter(votes))}"
    (first, most), (_, second), *_ = votes.most_common()
    for v in verdicts:
        v.disagrees = v.done and (v.label != first or most == second)
    counts = (f"{n} say{'s' if n == 1 else ''} {label}" for label, n in votes.most_common())
    return "the models disagree: " + ", ".join(counts)


def _fitted(name: str) -> str:
    """A run's name, cut in the middle: its last digits, and the repeat, tell runs apart."""
    last = name[name.rfind(" ") :]
    return name if len(name) <= NAME_WIDTH else f"{name[: NAME_WIDTH - 1 - len(last)]}…{last}"


def _offered(row: ResultRow) -> str:
    """A row in the list of models."""
    if row.level == "repeat":
        return f"  {format.score(row.accuracy)}  repeat {row.repeat + 1}  {row.value}".rstrip()
    return f"{format.score(row.accuracy)}  {name_of(row)}"


def _asked(row: ResultRow) -> str:
    """What its answer is called, in the end as `labtui classify --run` takes it; a run answers as its first repeat."""
    if row.level == "repeat":
        return f"{short_name(replace(row, level='run'))}:{row.repeat + 1}"
    return short_name(row)


def verdict_text(v: Verdict, wide: bool) -> Content:
    """One line per model, two on a narrow screen."""
    odd, gap = "bold $text-error", "   " if wide else "  "
    sign = ("✗ " if v.disagrees else "✓ ") if v.true_label and v.done else "! " if v.disagrees else "  "
    parts: list[tuple[str, str]] = [(sign, odd if v.disagrees else ""), (f"{_fitted(v.name):<{NAME_WIDTH}} ", "")]
    if v.error:
        return Content.assemble(*parts, (v.error, "$text-error"))
    if not v.done:
        return Content.assemble(*parts, (v.waiting, "dim"))
    filled = round((v.probability or 0.0) * BAR_WIDTH)
    total = f"{v.total_ms:.0f} ms" if v.total_ms < 1000 else f"{v.total_ms / 1000:.1f} s"
    total += " with loading" if v.loaded else " in all"
    cut = v.tokens_read < v.tokens_total
    read = f"read {format.count(v.tokens_read)} of " if cut else ""
    warm_s = v.cold_at - time.monotonic()
    return Content.assemble(
        *parts,
        (f"{v.label[:10]:<10} ", odd if v.disagrees else "bold"),
        ("█" * filled, "$primary"),
        ("░" * (BAR_WIDTH - filled), "dim"),
        "  in words" if v.probability is None else f" {100 * v.probability:5.1f} %",
        gap if wide else "\n  ",
        (f"{v.model_ms:{6 if wide else 1}.1f} ms model, {total}", "" if wide else "dim"),
        (f"{gap}{read}{format.count(v.tokens_total)} tokens", "$text-warning" if cut else "dim"),
        (f"{gap}{v.device}, " + (f"warm {format.duration(warm_s)}" if warm_s > 0 else "cold"), "dim"),
    )


class ClassifyScreen(ConsoleScreen[None]):
    """Type or paste a review and ask one or several finished runs."""

    TITLE = "Classify"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]
    BINDINGS = [
        Binding(
            "ctrl+s,f5,ctrl+enter",
            "send",
            "Classify",
            key_display="^s F5",
            priority=True,
            tooltip="Ask the chosen models (ctrl+s, F5, and ctrl+enter where the terminal has it)",
        ),
        Binding(
            "ctrl+up",
            "recall(-1)",
            "Earlier text",
            key_display="↑",
            tooltip="Bring back earlier texts; up in the first line does it too",
        ),
        Binding("ctrl+down", "recall(1)", "Later text", show=False),
        Binding("ctrl+l", "clear", "Clear", tooltip="Empty the text"),
    ]
    DEFAULT_CSS = """
    ClassifyScreen .question { height: 40%; min-height: 6; }
    ClassifyScreen ReviewArea { width: 1fr; height: 1fr; border: round $panel-lighten-2; padding: 0 1;
                                border-subtitle-color: $text-accent; }
    ClassifyScreen ReviewArea:focus, ClassifyScreen SelectionList:focus { border: round $primary; }
    ClassifyScreen SelectionList { width: 56; height: 1fr; border: round $panel-lighten-2; padding: 0; }
    ClassifyScreen .verdict { height: auto; padding: 0 2; color: $text-muted; }
    ClassifyScreen .verdict.-disagree { color: $text-error; text-style: bold; }
    ClassifyScreen .answers { height: 1fr; padding: 0 1; }
    ClassifyScreen .answers Static { height: auto; width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
    ClassifyScreen .answers .-failed { text-wrap: wrap; }
    ClassifyScreen.-narrow .question { layout: vertical; height: 12; }
    ClassifyScreen.-narrow SelectionList { width: 1fr; height: 5; }
    ClassifyScreen.-narrow ReviewArea { height: 7; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._chosen: list[str] = []  # asked for by `choose`; otherwise the best run is chosen
        self._rows: dict[str, ResultRow] = {}
        self._follower: Follower | None = None
        self._verdicts: dict[str, Verdict] = {}
        self._question = 0
        self._history: list[str] = []
        self._true_labels: dict[str, str] = {}  # of the texts that came from a test set
        self._at = 0  # place in the history; its length is the text being written
        self._draft = ""

    def compose(self) -> ComposeResult:
        with Horizontal(classes="question"):
            area = ReviewArea(
                soft_wrap=True,
                tab_behavior="focus",
                show_line_numbers=False,
                placeholder="Type or paste a review, then ctrl+s",
            )
            area.border_title = "Review"
            yield area
            models = ModelList()
            models.border_title = "Models (space chooses)"
            yield models
        yield Static(classes="verdict", markup=False)
        yield VerticalScroll(classes="answers", can_focus=False)
        yield KeyBar()

    @property
    def area(self) -> ReviewArea:
        return self.query_one(ReviewArea)

    @property
    def models(self) -> ModelList:
        return self.query_one(ModelList)

    def on_mount(self) -> None:
        self._follower = Follower(self.console.home)
        self.area.focus()
        self._timer = self.set_interval(1.0, self._draw_answers)
        self._find_models()

    def on_screen_suspend(self) -> None:
        self._timer.pause()

    def on_screen_resume(self) -> None:
        self._timer.resume()
        self._find_models()

    # -- models -----------------------------------------------------------------------------------------------

    def choose(self, runs: list[str]) -> None:
        """Make these runs, or repeats of a run by their rows' keys, the chosen models."""
        self._chosen = runs
        if self._follower is not None:
            self._find_models()

    def take(self, runs: list[str], text: str, true_label: str) -> None:
        """Put a text of a test set in place, with its true label, and choose those of these runs that hold a model."""
        text = clean(text, multiline=True)
        self._true_labels[text] = clean(true_label)
        self.area.text = text
        self._at = len(self._history)
        self._verdicts = {}
        self._question += 1  # answers about an earlier text are not wanted any more
        self.query_one(".answers", VerticalScroll).remove_children()
        self._say("")
        self.choose(runs)
        self.models.focus()  # single keys are keys there: ctrl+s asks, 2 goes back

    @on(TextArea.Changed)
    def _name_true_label(self) -> None:
        label = self._true_labels.get(self.area.text, "")
        self.area.border_subtitle = Content(f"true label: {label}") if label else None

    def _find_models(self) -> None:
        assert self._follower is not None
        follower = self._follower
        self.in_background(
            lambda: [row for row in follower.finished() if row.engine not in NO_MODEL],
            self._offer,
            lambda sentence: self._say(f"the runs cannot be read: {sentence}"),
            kind="models",
        )

    def _offer(self, rows: list[ResultRow]) -> None:
        """List the finished runs, best first, each with its repeats below it, keeping what is chosen."""
        ranked = sort_rows(rows, "accuracy")
        offered = {row.key: row for run in ranked for row in (run, *run.children)}
        wanted, self._chosen = self._chosen, []
        # a repeat that is not to be had is the run's own answer
        able = [next((key for key in (run, run.partition(" ")[0]) if key in offered), "") for run in wanted]
        able = list(dict.fromkeys(filter(None, able)))
        chosen = able or [r for r in self.models.selected if r in offered] or [r.run for r in ranked[:1]]
        if offered != self._rows or set(chosen) != set(self.models.selected):
            self._rows = offered
            with self.prevent(SelectionList.SelectedChanged):
                self.models.clear_options()
                for key, row in offered.items():
                    self.models.add_option(Selection(Content(_offered(row)), key, key in chosen))
        if able:
            self.models.highlighted = min(map(list(offered).index, able))
            self.call_after_refresh(self.models.scroll_to_highlight)
        if not rows:
            self._say("No run has finished yet. Launch one from the Lab (key 1); finished runs can be asked here.")
        elif wanted and not able:
            self._say("Those answers came from no model that can be asked: imported runs and evaluations hold none.")
        elif not self._verdicts:
            self._say("")

    def _say(self, text: str, disagree: bool = False) -> None:
        message = self.query_one(".verdict", Static)
        message.update(text)
        message.set_class(disagree, "-disagree")

    # -- asking -----------------------------------------------------------------------------------------------

    def action_send(self) -> None:
        """Ask the chosen models about the text."""
        text, runs = self.area.text, list(self.models.selected)
        if not text.strip():
            self._say("There is no text yet: type or paste a review, then ctrl+s.")
            return
        if not runs:
            self._say("No model is chosen: tab to the list, space chooses one or several.")
            return
        if not self._history or self._history[-1] != text:
            self._history.append(text)
        self._at = len(self._history)
        self._draft = ""
        self._question += 1
        true_label = self._true_labels.get(text, "")
        self._say("")
        order = [run for run in self._rows if run in runs]
        self._verdicts = {
            run: Verdict(run, _asked(self._rows[run]), waiting="asking …", true_label=true_label) for run in order
        }
        answers = self.query_one(".answers", VerticalScroll)
        answers.remove_children()
        answers.mount_all(Static(name=run, markup=False) for run in order)
        self._draw_answers()
        for run in order:
            self._ask(run, self._rows[run], text, self._question)

    def _ask(self, run: str, row: ResultRow, text: str, question: int) -> None:
        home = self.console.home

        def ask() -> TimedReply | None:
            began = time.monotonic()
            client = Client(home, RunFolder(home.runs / row.run))  # no client is shared between threads
            cold = client.status().state != READY
            request = client.ask([text], repeat=row.repeat)
            if cold:
                self.call_later(self._show_loading, run, question)
            while (reply := client.poll(request)) is None:
                if is_abandoned() or question != self._question:
                    client.withdraw(request)
                    return None
                time.sleep(POLL_S)
            return TimedReply(reply, (time.monotonic() - began) * 1000, cold, client.status().idle_timeout_s)

        self.in_background(
            ask,
            lambda answer: self._take_answer(run, question, answer),
            lambda sentence: self._take_error(run, question, sentence),
            kind=f"ask {run}",
        )

    def _show_loading(self, run: str, question: int) -> None:
        if question == self._question:
            self._verdicts[run].waiting = "loading model …"
            self._draw_answers()

    def _take_error(self, run: str, question: int, sentence: str) -> None:
        if question == self._question:
            self._verdicts[run].error = sentence
            self._draw_answers()

    def _take_answer(self, run: str, question: int, answer: TimedReply | None) -> None:
        if answer is None or question != self._question:
            return
        verdict, reply, item = self._verdicts[run], answer.reply, answer.reply.answers[0]
        verdict.label = clean(str(item["label"]))
        verdict.probability = max(item["probabilities"], default=None)
        verdict.tokens_read, verdict.tokens_total = item["tokens_read"], item["tokens_total"]
        verdict.model_ms, verdict.total_ms, verdict.loaded = reply.model_ms, answer.total_ms, answer.loaded
        verdict.device, verdict.cold_at = short_device_name(clean(reply.device)), time.monotonic() + answer.idle_s
        sentence = mark_disagreement(list(self._verdicts.values()))
        self._say(sentence, any(v.disagrees for v in self._verdicts.values()))
        self._draw_answers()

    def _draw_answers(self) -> None:
        wide = self.size.width >= WIDE_COLUMNS
        for line in self.query(".answers Static").results(Static):
            verdict = self._verdicts[str(line.name)]
            text = verdict_text(verdict, wide)
            if not (isinstance(line.content, Content) and text.is_same(line.content)):
                line.set_class(bool(verdict.error), "-failed")
                line.update(text)

    # -- the text ---------------------------------------------------------------------------------------------

    @on(ReviewArea.Recall)
    def _recall_wanted(self, event: ReviewArea.Recall) -> None:
        self.action_recall(event.step)

    def action_recall(self, step: int) -> None:
        """Bring back an earlier (-1) or later (1) text; what was being written is kept as the last one."""
        at = min(max(self._at + step, 0), len(self._history))
        if at == self._at:
            return
        if self._at == len(self._history):
            self._draft = self.area.text
        self._at = at
        self.area.text = self._history[at] if at < len(self._history) else self._draft
        if step > 0:
            self.area.move_cursor(self.area.document.end)

    def action_clear(self) -> None:
        """Empty the text and go to it."""
        self.area.text = ""
        self._at = len(self._history)
        self.area.focus()

    def action_leave_text(self) -> None:
        """Go to the list of models, where single keys are keys again."""
        self.models.focus()
