"""Help: the keys of the screen one comes from, read from its bindings, and the few ideas behind the program."""

from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from labtui.sanitize import clean

CONCEPTS = (
    (
        "A run is a folder.",
        "Its settings, events, scores and model stand in one folder under the home folder; the console only reads it. "
        "Everything on the screen can be rebuilt from disk.",
    ),
    (
        "Leaving is harmless.",
        "Runs are processes of their own: quitting, a dropped line or a killed terminal stops none of them. "
        "Open the console again and they are there with their full curves.",
    ),
    (
        "One run per device.",
        "A run launched while its device is busy waits its turn by itself and says how many go first.",
    ),
    (
        "Stopping is a ladder.",
        "First ask: the run saves a checkpoint and stops at its next step, and can be resumed. "
        "If it does not answer: SIGTERM to the whole process tree, then SIGKILL.",
    ),
    ("Everything has a command.", "`labtui --help` lists them; the Launch form shows the one that does the same."),
)

UNSAID = ("screen.copy_text", "screen.minimize")  # Textual's own, of no use here


def key_groups(screen: Screen[Any], app: App[Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """(Title, [(key, what it does)]) of the screen, its focused widget and the app; keys of one action share a line.

    A widget names its group by a class attribute `PLACE`. Of Textual's own widgets only the keys that the footer
    shows are listed.
    """
    groups: dict[str, dict[tuple[str, str], list[str]]] = {}
    for active in screen.active_bindings.values():
        binding, node = active.binding, active.node
        words = binding.tooltip or binding.description
        own = isinstance(node, App | Screen) or _is_ours(node, binding)
        if not words or not (own or binding.show) or binding.action in UNSAID:
            continue
        title = "Everywhere" if node is app else "This screen" if isinstance(node, Screen) else _place(node)
        keys = groups.setdefault(title, {}).setdefault((words, binding.action), [])
        key = app.get_key_display(binding)
        if key not in keys:
            keys.append(key)
    order = sorted(groups, key=lambda title: (title != "This screen", title == "Everywhere", title))
    return [(title, [(", ".join(keys), words) for (words, _), keys in groups[title].items()]) for title in order]


def _is_ours(node: DOMNode, binding: Binding) -> bool:
    """Whether the key was given by this program, not by the widget of Textual that the node is made from."""
    ours = (kind for kind in type(node).__mro__ if kind.__module__.startswith("labtui"))
    given = (entry for kind in ours for entry in vars(kind).get("BINDINGS", ()))
    return any(isinstance(entry, Binding) and entry.action == binding.action for entry in given)


def _place(node: DOMNode) -> str:
    """What a widget is called in the help: its `PLACE`, or its nearest ancestor's."""
    places = (getattr(owner, "PLACE", "") for owner in node.ancestors_with_self)
    return next(filter(None, places), "Where the cursor is")


class HelpScreen(ModalScreen[None]):
    """One page over the screen that was active."""

    BINDINGS = [Binding("escape,question_mark,q", "dismiss", "Back")]
    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > Vertical { width: 96; max-width: 96%; height: auto; max-height: 94%; border: round $primary;
                            background: $surface; padding: 0 1; }
    HelpScreen VerticalScroll { height: auto; }
    HelpScreen Static { width: 1fr; height: auto; }
    """

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "Help"
            box.border_subtitle = "esc goes back"
            with VerticalScroll():
                yield Static(markup=False)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        below = self.app.screen_stack[-2]
        keys = Table.grid(padding=(0, 2))
        keys.add_column(justify="right", no_wrap=True, style="bold")
        keys.add_column()
        for title, lines in key_groups(below, self.app):
            keys.add_row("", Text(title, "dim"))
            for key, words in lines:
                keys.add_row(Text(key), Text(clean(words)))
        ideas = [Text.assemble((f"{head} ", "bold"), words) for head, words in CONCEPTS]
        self.query_one(Static).update(Group(keys, Text(), *ideas))
