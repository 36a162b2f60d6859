"""Launch: the form of an experiment, the command that does the same, and the start."""

import re
import shlex
import textwrap
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import tomli_w
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Select, Static

from engines import catalog
from engines.catalog import Experiment
from engines.data import files
from engines.errors import ConfigError, UserError
from engines.memory.estimate import FITS, Estimate, gib
from engines.runs import queue
from engines.runs.folder import RunFolder
from engines.runs.summary import Summary
from engines.runs.writing import write_atomic
from engines.settings import flatten, nest, settings
from engines.study.values import Disagreement
from labtui import actions
from labtui.console.screens.base import ConsoleScreen
from labtui.console.screens.data import DataScreen
from labtui.console.screens.form import LEGEND, Choice, Field, SettingsForm, TextInput, written
from labtui.console.widgets.bars import KeyBar
from labtui.console.widgets.sized_text import SizedText
from labtui.devices import Device, DeviceSampler
from labtui.format import bytes_text
from labtui.inputs import power_text
from labtui.sanitize import clean

ESTIMATE_LINES = 3
CONFIG_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*")


def command_text(words: list[str], overrides: Mapping[str, Any], device: str) -> str:
    """The command line that does what the form would, quoted for a shell."""
    sets = [word for name, value in overrides.items() for word in ("--set", f"{name}={written(value)}")]
    return shlex.join(["labtui", *words, *sets, "--device", device])


def estimate_text(estimate: Estimate, free_bytes: int | None) -> str:
    """The estimate in a sentence: whether it fits, what to do, how long it takes, and the components, largest first."""
    text = f"memory {gib(estimate.total_bytes)}"
    if free_bytes is not None:
        text = f"{estimate.verdict(free_bytes)}, {gib(free_bytes)} free: {text}"
        if suggestion := estimate.suggestion(free_bytes):
            text += f"; {suggestion}"
    if estimate.corrected_by:
        text += f"; corrected by {estimate.corrected_by} earlier runs"
    if estimate.pace:
        text += f"; {estimate.pace.text}"
    parts = sorted(estimate.components.items(), key=lambda part: -abs(part[1]))
    return f"{text}; of it " + " + ".join(f"{name} {gib(size)}" for name, size in parts if gib(size) != "0 MiB")


def cut_to(text: str, width: int, height: int) -> str:
    """Text in so many lines of this width; three dots say that there is more."""
    return "\n".join(textwrap.wrap(text, max(4, width), max_lines=height, placeholder=" …"))


def save_config(name: str, experiment: Experiment) -> None:
    """Write an experiment into the user's config folder under `name`: only what differs from the engine's defaults."""
    values = dict(flatten(asdict(experiment.config)))
    kept = {key: values[key] for key in values if key in experiment.changed}
    document = {"engine": experiment.engine, "title": experiment.title, **nest(kept)}
    path = catalog.user_configs() / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, tomli_w.dumps(document).encode())


class FormScreen(ConsoleScreen[RunFolder | None]):
    """A form of settings, a device, the equivalent command; dismissed with the new run, or None.

    What is made is said by three methods: `read` (the experiment on opening), `words` (the command without options)
    and `start` (in a thread: the new run).
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]
    BINDINGS = [
        Binding(
            "ctrl+s",
            "start",
            "Start",
            tooltip="Start the run; it waits its turn by itself (enter in a field does the same)",
        ),
        Binding(
            "ctrl+t",
            "show_data",
            "Data",
            tooltip="What is in the data: classes, lengths, copies, and the splits as they would be dealt",
        ),
        Binding("escape", "back", "Back", tooltip="Back without starting anything"),
    ]
    DEFAULT_CSS = """
    FormScreen .title { height: 1; padding: 0 1; background: $panel; text-style: bold; text-wrap: nowrap;
                        text-overflow: ellipsis; }
    FormScreen .bottom { height: auto; padding: 0 1; border-top: solid $panel-lighten-2; }
    FormScreen .asked { height: auto; max-height: 3; color: $text-muted; display: none; }
    FormScreen .device-line { height: 1; }
    FormScreen .device-line Label { width: 8; }
    FormScreen .device-line Choice { width: 34; }
    FormScreen .queue { width: 1fr; padding-left: 2; color: $text-muted; }
    FormScreen .estimate { color: $text-muted; }
    FormScreen .estimate.-warns { color: $text-warning; }
    FormScreen .power { height: auto; max-height: 2; color: $text-muted; display: none; }
    FormScreen .power.-shown { display: block; }
    FormScreen .problem { height: auto; color: $text-error; display: none; }
    FormScreen .problem.-shown { display: block; }
    FormScreen .command { height: auto; max-height: 4; color: $text-success; }
    FormScreen .command.-none { color: $text-warning; }
    FormScreen .broken { padding: 1 2; color: $text-error; }
    FormScreen .legend { height: 1; color: $text-muted; padding: 0 1; }
    FormScreen.-narrow .device-line Choice { width: 30; }
    FormScreen.-narrow .asked { display: block; }
    FormScreen.-narrow .help { display: none; }
    FormScreen.-narrow .value { width: 1fr; margin-right: 0; }
    """

    hidden: tuple[str, ...] = ()  # settings that are no field

    def __init__(self) -> None:
        super().__init__()
        self._experiment: Experiment | None = None
        self._broken = ""
        self._problem = ""
        self._starting = False
        self._tested: tuple[int, str] | None = None  # how many test items, and of which source
        self._disagreements: dict[str, Disagreement | None] = {}  # by source; None while it is asked for
        try:
            self._experiment = self.read()
        except UserError as error:
            self._broken = clean(str(error))

    # -- what a form makes --------------------------------------------------------------------------------

    def read(self) -> Experiment:
        """The experiment as it stands; raises `UserError`."""
        raise NotImplementedError

    def words(self) -> list[str]:
        """The command without its options: `["run", NAME]`."""
        raise NotImplementedError

    def start(self, experiment: Experiment, overrides: dict[str, Any], device: str) -> RunFolder:
        """Start it, in a thread; raises `UserError` or `OSError`."""
        raise NotImplementedError

    def heading(self, experiment: Experiment) -> str:
        return f"Launch {experiment.name} · engine {experiment.engine} · {experiment.title}"

    # -- the screen ---------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        experiment = self._experiment
        if experiment is None:
            yield Static("This cannot be launched", classes="title", markup=False)
            yield Static(f"{self._broken}\n\nMend it and open it again; esc goes back.", classes="broken", markup=False)
            yield KeyBar()
            return
        yield Static(clean(self.heading(experiment)), classes="title", markup=False)
        yield Static(LEGEND, classes="legend", markup=False)
        values = dict(flatten(asdict(experiment.config)))
        fields = [s for s in settings(type(experiment.config)) if s.name not in self.hidden]
        yield SettingsForm(fields, values)
        with Vertical(classes="bottom"):
            yield Static(classes="asked", markup=False)
            with Horizontal(classes="device-line"):
                yield Label("device")
                yield Choice(self._first_choices(), self._first_choices()[0][1], id="device")
                yield Static(classes="queue", markup=False)
            yield SizedText(classes="estimate")
            yield Static(classes="power", markup=False)
            yield Static(classes="problem", markup=False)
            yield Static(classes="command", markup=False)
        yield KeyBar()

    @property
    def _uses_gpu(self) -> bool:
        return self._experiment is not None and bool(catalog.engine(self._experiment.engine).USES_GPU)

    def _first_choices(self) -> list[tuple[str, str]]:
        return [("auto", "auto")] if self._uses_gpu else [("cpu", "cpu")]

    def on_mount(self) -> None:
        if self._experiment is None:
            return
        self._check()
        if self._uses_gpu:
            self.in_background(lambda: DeviceSampler().list_devices(), self._offer_devices)
        self._ask_queue()
        self.set_interval(2.0, self._ask_queue)

    @property
    def form(self) -> SettingsForm:
        return self.query_one(SettingsForm)

    @property
    def device(self) -> str:
        return str(self.query_one("#device", Choice).value)

    def _offer_devices(self, devices: list[Device]) -> None:
        first = "auto: first free GPU" if len(devices) > 1 else "auto: cpu, there is no GPU"
        choices = [(first, "auto")]
        for device in devices:
            free = f", {bytes_text(device.memory_free_bytes)} free" if device.memory_free_bytes is not None else ""
            choices.append((clean(device.label) + free, device.label.split()[0]))
        choice = self.query_one("#device", Choice)
        with self.prevent(Select.Changed):
            chosen = self.device
            choice.set_options(choices)
            choice.value = chosen

    def _ask_queue(self) -> None:
        assert self._experiment is not None
        home, engine, device = self.console.home, self._experiment.engine, self.device

        def ask() -> str:
            ahead = queue.runs_ahead(home, actions.accepted_devices(engine, device))
            if not ahead:
                return "starts at once"
            return f"waits its turn: {ahead} run{'s' if ahead > 1 else ''} go{'es' if ahead == 1 else ''} first"

        self.in_background(ask, self._say_queue, self._say_queue, kind="queue")

    def _say_queue(self, sentence: str) -> None:
        self.query_one(".queue", Static).update(sentence)

    def _ask_estimate(self, experiment: Experiment) -> None:
        home, device = self.console.home, self.device

        def estimated(answer: tuple[Estimate, int | None]) -> None:
            estimate, free_bytes = answer
            fits = free_bytes is None or estimate.verdict(free_bytes) == FITS
            self._say_estimate(estimate_text(estimate, free_bytes), not fits)

        self.in_background(
            lambda: actions.estimate(home, experiment, device),
            estimated,
            lambda sentence: self._say_estimate(f"memory: no estimate ({sentence})", False),
            kind="estimate",
        )

    def _say_estimate(self, sentence: str, warns: bool) -> None:
        line = self.query_one(".estimate", SizedText)
        line.show(sentence, lambda width, height: Text(cut_to(sentence, width, ESTIMATE_LINES)))
        line.set_class(warns, "-warns")

    def _show_power(self, experiment: Experiment) -> None:
        """Say what the test split can show, where its size is a count; ask once a source what earlier runs say."""
        data = getattr(experiment.config, "data", None)
        if data is not None and isinstance(data.test, int) and data.test:
            source = data.source if data.source == "quickstart" else files.absolute(data.source)  # as runs keep it
            self._tested = data.test, source
            if source not in self._disagreements:
                self._disagreements[source] = None
                self._ask_disagreement(source, experiment.engine)

    def _ask_disagreement(self, source: str, engine: str) -> None:
        analyst = self.console.analyst

        def answered(disagreement: Disagreement) -> None:
            self._disagreements[source] = disagreement
            self._say_power()

        # without an answer the assumption stands
        self.in_background(lambda: analyst.disagreement(source, engine), answered, lambda sentence: None)

    def _say_power(self) -> None:
        line = self.query_one(".power", Static)
        if self._tested:
            items, source = self._tested
            line.update(power_text(items, self._disagreements[source]))
        line.set_class(self._tested is not None, "-shown")

    @on(Field.Focused)
    def _show_help(self, event: Field.Focused) -> None:
        self.query_one(".asked", Static).update(clean(event.field.help_text))

    @on(SettingsForm.Changed)
    def _check(self) -> None:
        """Check the settings against each other and write the command."""
        assert self._experiment is not None
        form = self.form
        for field in form.fields:
            field.complain(field.error)
        self._problem = ""
        self._tested = None
        if not form.errors:
            try:
                experiment = self.resolved()
                self._ask_estimate(experiment)
                self._show_power(experiment)
            except ConfigError as error:
                self._complain(str(error))
        self._say_power()
        if form.errors:
            count = len(form.errors)
            text = f"{count} setting{'s' if count > 1 else ''} to mend before there is a command"
        else:
            text = command_text(self.words(), form.overrides, self.device)
        command = self.query_one(".command", Static)
        command.update(clean(text))
        command.set_class(bool(form.errors), "-none")
        problem = self.query_one(".problem", Static)
        problem.update(self._problem)
        problem.set_class(bool(self._problem), "-shown")

    def _complain(self, error: str) -> None:
        """Show an error of several settings under the first field that it names, else above the command."""
        sentence = clean(error.removeprefix(f"{self._place}: "))
        named = [(sentence.find(f.setting.name), f) for f in self.form.fields if f.setting.name in sentence]
        if named:
            min(named, key=lambda pair: pair[0])[1].complain(sentence)
        self._problem = sentence

    @property
    def _place(self) -> str:
        assert self._experiment is not None
        return self._experiment.name

    def resolved(self) -> Experiment:
        """The experiment with the form's values; raises `ConfigError` when they do not go together."""
        assert self._experiment is not None
        return catalog.from_document(
            self._experiment.document(), place=self._place, name=self._experiment.name, overrides=self.form.overrides
        )

    @on(Select.Changed, "#device")
    def _device_changed(self) -> None:
        self._check()
        self._ask_queue()

    @on(Input.Submitted)
    def action_start(self) -> None:
        """Start the run, or say what is to be mended."""
        if self._experiment is None or self._starting:
            return
        if self.refuses():
            return
        self._starting = True
        self._say_queue("starting …")
        experiment, overrides, device = self.resolved(), self.form.overrides, self.device
        self.in_background(lambda: self.start(experiment, overrides, device), self._started, self._not_started)

    def refuses(self) -> bool:
        """Whether something is to be mended first: then go to the field, under which it is said."""
        if not (self.form.errors or self._problem):
            return False
        self.app.bell()
        wrong = next((f for f in self.form.fields if f.has_class("-wrong")), None)
        if wrong:
            wrong.editor.focus()
        return True

    def _started(self, folder: RunFolder) -> None:
        self.pop_until_active()  # help or the palette may have been opened meanwhile
        self.dismiss(folder)

    def _not_started(self, sentence: str) -> None:
        self._starting = False
        self._problem = sentence
        problem = self.query_one(".problem", Static)
        problem.update(sentence)
        problem.add_class("-shown")
        self._problem = ""

    def action_show_data(self) -> None:
        """Show what is in the data that the form names."""
        if self._experiment is None or self.refuses():
            return
        config = self.resolved().config
        data = getattr(config, "data", None)
        if data is None:
            self.console.complain("this experiment reads no data")
        else:
            self.app.push_screen(DataScreen(data, asdict(config)))

    def action_back(self) -> None:
        if not self._starting:
            self.dismiss(None)


class LaunchScreen(FormScreen):
    """Launch an experiment of the catalog by name."""

    BINDINGS = [
        Binding("w,ctrl+o", "save", "Save as mine", key_display="^o", tooltip="Save the form as a config of your own"),
    ]

    def __init__(self, experiment_name: str) -> None:
        self.experiment_name = experiment_name
        super().__init__()

    def read(self) -> Experiment:
        return catalog.read(self.experiment_name)

    def words(self) -> list[str]:
        return ["run", self.experiment_name]

    def start(self, experiment: Experiment, overrides: dict[str, Any], device: str) -> RunFolder:
        return actions.launch(self.console.home, experiment, device)

    def action_save(self) -> None:
        """Ask for a name and write the form's values as a config of the user."""
        if self._experiment is None:
            return
        if self.refuses():
            return
        suggestion = f"mine/{self.experiment_name.rpartition('/')[2].lower()}"
        self.app.push_screen(NameScreen(suggestion), self._save)

    def _save(self, name: str | None) -> None:
        if name is None:
            return
        try:
            save_config(name, self.resolved())
        except OSError as error:
            self.notify(clean(f"not saved: {error}"), severity="error", markup=False)
        else:
            self.notify(f"saved; `labtui run {name}` runs it", markup=False)


class EvaluateScreen(FormScreen):
    """Score a finished run on other data: a new run without training."""

    hidden = ("run", "data.train", "data.validation")  # nothing is trained

    def __init__(self, summary: Summary) -> None:
        self.summary = summary
        super().__init__()

    def read(self) -> Experiment:
        return catalog.from_document(
            {"engine": "evaluate", "run": self.summary.name},
            place="evaluate",
            name=f"{self.summary.experiment}-evaluate",
        )

    def heading(self, experiment: Experiment) -> str:
        return f"Evaluate {self.summary.experiment} {self.summary.short} on other data"

    def words(self) -> list[str]:
        return ["evaluate", self.summary.name]

    def start(self, experiment: Experiment, overrides: dict[str, Any], device: str) -> RunFolder:
        return actions.evaluate(self.console.home, self.summary.folder, overrides, device)


class NameScreen(ModalScreen[str | None]):
    """Ask for the name of a config; dismissed with it, or None."""

    BINDINGS = [Binding("escape", "dismiss(None)", "Back")]
    DEFAULT_CSS = """
    NameScreen { align: center middle; }
    NameScreen > Vertical { width: 64; max-width: 90%; height: auto; padding: 1 2; border: round $primary;
                            background: $surface; }
    NameScreen Input { background: $panel; margin: 1 0; }
    NameScreen .message { height: auto; color: $text-muted; }
    """

    def __init__(self, suggestion: str) -> None:
        super().__init__()
        self._suggestion = suggestion
        self._confirmed = ""

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Label("Save these settings as my config")
            yield TextInput(self._suggestion, compact=True)
            yield Static("enter saves, esc goes back; a slash makes a family", classes="message", markup=False)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        name, message = event.value.strip(), self.query_one(".message", Static)
        if not CONFIG_NAME.fullmatch(name) or ".." in name:
            message.update("write small letters, digits, dots, dashes; a slash makes a family: mine/longer-texts")
        elif (catalog.user_configs() / f"{name}.toml").exists() and self._confirmed != name:
            self._confirmed = name
            message.update(f"you have a config {name} already; enter again writes over it")
        else:
            self.dismiss(name)
