"""A form made from the settings of an engine: one field per setting, checked as it is typed."""

from collections.abc import Iterable, Mapping
from typing import Any

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Select, Static

from engines.errors import ConfigError
from engines.settings import Setting
from labtui.sanitize import clean

CHANGED, FROM_FILE = "●", "○"
LEGEND = f"{CHANGED} changed here  {FROM_FILE} set by the experiment"


def written(value: Any) -> str:
    """A value as `--set` and the form take it: `true`, `5e-05`, `512`, text as it is."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class Choice(Select[str], inherit_bindings=False):
    """A select that opens with enter or space only, so that up and down walk through the form."""

    BINDINGS = [Binding("enter,space", "show_overlay", "Choose", show=False)]
    DEFAULT_CSS = "Choice > SelectOverlay { max-height: 12; }"

    def __init__(self, options: Iterable[tuple[str, str]], value: str, **kwargs: Any) -> None:
        super().__init__(options, value=value, allow_blank=False, compact=True, **kwargs)


class TextInput(Input, inherit_bindings=False):
    """An input whose pasted text is cleaned, and that leaves up, down and the page keys to the form."""

    BINDINGS = Input.BINDINGS

    def on_paste(self, event: events.Paste) -> None:
        event.text = clean(event.text.strip())  # the handler of the base class is called after this one


class Field(Vertical):
    """One setting: mark, name, value, unit and help, and under it the error."""

    DEFAULT_CSS = """
    Field { height: auto; }
    Field > Horizontal { height: auto; }
    Field .name { width: 26; }
    Field .value { width: 40; margin-right: 2; }
    Field Input.value { background: $surface; }
    Field .help { width: 1fr; height: auto; padding-right: 1; color: $text-muted; }
    Field .error { display: none; height: auto; padding-left: 26; color: $text-error; }
    Field.-changed .name { color: $text-warning; text-style: bold; }
    Field.-wrong .error { display: block; }
    Field.-wrong Input.value { color: $text-error; }
    """

    class Edited(Message):
        """The field's text changed."""

    class Focused(Message):
        """The field is being edited."""

        def __init__(self, field: "Field") -> None:
            super().__init__()
            self.field = field

    def __init__(self, setting: Setting, value: Any) -> None:
        super().__init__()
        self.setting = setting
        self.baseline = value
        self.value = value  # None while the text is wrong
        self.error = ""

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static(classes="name", markup=False)
            yield self._editor()
            yield Static(self.help_text, classes="help", markup=False)
        yield Static(classes="error", markup=False)

    def _editor(self) -> Widget:
        text = clean(written(self.baseline))
        words = self.setting.choices or (("true", "false") if bool in self.setting.types else ())
        if words:
            return Choice([(word or "(none)", word) for word in words], text, classes="value")
        return TextInput(text, compact=True, select_on_focus=False, classes="value")

    def on_mount(self) -> None:
        self._mark()

    @property
    def help_text(self) -> str:
        """Unit, sentence and default of the setting."""
        unit = f"{self.setting.unit} · " if self.setting.unit else ""
        default = written(self.setting.default)
        return f"{unit}{self.setting.help}" + (f" Default {default}." if default else "")

    @property
    def editor(self) -> Widget:
        return self.query_one(".value")

    @property
    def changed(self) -> bool:
        return not self.error and self.value != self.baseline

    def put(self, text: str) -> None:
        """Take typed text: parse it, mark the field, show the error."""
        try:
            self.value, self.error = self.setting.parse(text), ""
        except ConfigError as wrong:
            self.value, self.error = None, clean(str(wrong))
        self.complain(self.error)

    def complain(self, error: str) -> None:
        """Show an error under the field, or none; it need not be the field's own."""
        self.query_one(".error", Static).update(error)
        self.set_class(bool(error), "-wrong")
        self._mark()

    def _mark(self) -> None:
        self.set_class(self.changed, "-changed")
        mark = CHANGED if self.changed else FROM_FILE if self.baseline != self.setting.default else " "
        self.query_one(".name", Static).update(f"{mark} {self.setting.name.rpartition('.')[2]}")

    def on_descendant_focus(self) -> None:
        self.post_message(self.Focused(self))

    @on(Input.Changed)
    @on(Select.Changed)
    def _typed(self, event: Input.Changed | Select.Changed) -> None:
        event.stop()
        text = str(event.value)
        if text == clean(written(self.baseline)):  # what a file holds may be longer than one clean line
            self.value, self.error = self.baseline, ""
            self.complain("")
        else:
            self.put(text)
        self.post_message(self.Edited())


class SettingsForm(VerticalScroll, inherit_bindings=False):
    """All settings, a section a group; up and down walk through the fields."""

    PLACE = "In the form"
    BINDINGS = [
        Binding("up", "app.focus_previous", "Previous field", show=False),
        Binding("down", "app.focus_next", "Next field", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
    ]
    DEFAULT_CSS = """
    SettingsForm { height: 1fr; padding: 0 1; }
    SettingsForm .group { margin-top: 1; color: $text-accent; text-style: bold; }
    SettingsForm .group:first-child { margin-top: 0; }
    """

    class Changed(Message):
        """A value changed; `overrides` and `errors` are up to date."""

    def __init__(self, settings: Iterable[Setting], values: Mapping[str, Any]) -> None:
        """`values` holds the baseline of every setting by its dotted name."""
        super().__init__(can_focus=False)
        self._fields = {s.name: Field(s, values[s.name]) for s in settings}

    def compose(self) -> ComposeResult:
        group = None
        for name, field in self._fields.items():
            table = name.rpartition(".")[0]
            if table != group:
                group = table
                yield Static(table or "general", classes="group", markup=False)
            yield field

    @property
    def overrides(self) -> dict[str, Any]:
        """Dotted name and value of every field that differs from its baseline."""
        return {name: f.value for name, f in self._fields.items() if f.changed}

    @property
    def errors(self) -> dict[str, str]:
        """Dotted name and error of every field whose text is wrong."""
        return {name: f.error for name, f in self._fields.items() if f.error}

    @property
    def fields(self) -> list[Field]:
        return list(self._fields.values())

    def field(self, name: str) -> Field:
        """The field of a dotted setting."""
        return self._fields[name]

    def on_field_edited(self, event: Field.Edited) -> None:
        event.stop()
        self.post_message(self.Changed())
