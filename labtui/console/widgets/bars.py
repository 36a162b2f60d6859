"""The first and the last line of every screen."""

from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widget import Widget

from labtui.console.widgets.device_panel import DeviceStrip
from labtui.devices import Sample

TABS = (("lab", "1", "Lab"), ("results", "2", "Results"), ("classify", "3", "Classify"))


class TextLine(Widget):
    """One line of text that is drawn anew only when it says something else."""

    DEFAULT_CSS = """
    TextLine { height: 1; width: 1fr; link-style: none; link-color: $foreground; link-background-hover: $primary 30%;
           link-color-hover: $foreground; link-style-hover: none; }
    """

    def __init__(self, text: Text | None = None, id: str | None = None) -> None:
        super().__init__(id=id)
        self._text = text or Text()

    def say(self, text: Text) -> None:
        """Show this line."""
        text.no_wrap, text.overflow, text.end = True, "crop", ""
        if text != self._text or text.spans != self._text.spans:
            self._text = text
            self.refresh()

    def render(self) -> Text:
        return self._text


class TopBar(Horizontal):
    """The screens with their keys, the current one marked, and how busy the devices are."""

    DEFAULT_CSS = """
    TopBar { height: 1; background: $panel; }
    TopBar > TextLine { width: 38; }
    """

    def __init__(self, current: str) -> None:
        """`current`: "lab", "results" or "classify"."""
        super().__init__()
        tabs = Text(" labtui  ", style="bold", no_wrap=True, end="")
        for mode, key, title in TABS:
            style = "bold reverse" if mode == current else ""
            tabs.append(f" {key} {title} ", Style.parse(style) + Style.from_meta({"@click": f"app.mode('{mode}')"}))
        self._tabs, self._strip = TextLine(tabs), DeviceStrip()

    def compose(self) -> ComposeResult:
        yield self._tabs
        yield self._strip

    def show(self, sample: Sample) -> None:
        """Show a new reading of the devices."""
        self._strip.show(sample)


class KeyBar(TextLine):
    """The keys of the focused widget, the screen and the app, and what leaving would leave running."""

    DEFAULT_CSS = "KeyBar { dock: bottom; background: $panel; }"

    def __init__(self) -> None:
        super().__init__()
        self._alive = 0

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def on_resize(self, event: events.Resize) -> None:
        self._changed()

    def show_alive(self, alive: int) -> None:
        """Say that `alive` runs go on when the console is left."""
        if alive != self._alive:
            self._alive = alive
            self._changed()

    def _changed(self, _: Screen[object] | None = None) -> None:
        if not self.is_mounted or not self.size.width:
            return
        go_on = f" ({self._alive} run{'s' if self._alive > 1 else ''} go{'es' if self._alive == 1 else ''} on)"
        last = Text()
        shown: list[Text] = []
        seen = set()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if not binding.show or not active.enabled or binding.action in seen:
                continue
            seen.add(binding.action)
            key, says = self.app.get_key_display(binding), binding.description
            if binding.action == "quit" and self._alive:
                says += go_on
            click = Style.from_meta({"@click": f"app.simulate_key('{binding.key}')"})
            piece = Text.assemble((f" {key}", "bold"), f" {says} ")
            piece.stylize(click)
            if binding.action in ("quit", "help"):
                last.append(piece)
            else:
                shown.append(piece)
        line = Text()
        room = self.size.width - last.cell_len
        for piece in shown:
            if line.cell_len + piece.cell_len > room:
                break
            line.append(piece)
        line.pad_right(max(0, room - line.cell_len))
        self.say(line.append(last))
