"""What the command palette offers: the keys of the screen, the app's actions, every experiment and every run."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

from rich.text import Text
from textual.command import DiscoveryHit, Hit, Hits, Provider

from labtui.console.screens.base import Console


class LabCommands(Provider):
    """Names of experiments and runs are foreign text: they are shown as `Text`, which reads no markup."""

    def _commands(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        app, console = self.app, cast(Console, self.app)
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.description and active.enabled and (binding.show or binding.tooltip):
                yield (
                    binding.description,
                    binding.tooltip or "",
                    partial(app.call_next, app.run_action, binding.action, active.node),
                )
        for experiment in console.experiments:
            if not experiment.error:
                yield f"Launch {experiment.name}", experiment.title, partial(console.open_launch, experiment.name)
        for run in console.runs:
            yield f"Watch {run.experiment} {run.short}", run.state, partial(console.show_run, run.name)

    async def discover(self) -> Hits:
        for name, about, command in self._commands():
            yield DiscoveryHit(Text(name), command, text=name, help=_plain(about))

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, about, command in self._commands():
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, Text(name), command, text=name, help=_plain(about))


def _plain(text: str) -> str:
    """Text for a place that reads markup, with nothing to read in it."""
    return text.replace("[", "(").replace("]", ")").replace("\\", "/")
