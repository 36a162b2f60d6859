"""Training in this process, stopped at a chosen step."""

from collections.abc import Callable
from typing import Any, TypeVar

from engines import catalog
from engines.reporter import Reporter, Stop
from engines.runs import events as ev
from engines.runs.event_files import read_all
from engines.runs.folder import RunFolder

E = TypeVar("E", bound=ev.Event)


class StoppedReporter(Reporter):
    """Is asked to stop when `stop(phase, step)` says so."""

    def __init__(self, folder: RunFolder, stop: Callable[[str, int], bool]) -> None:
        super().__init__(folder)
        self._stops = stop
        self.at = ("", 0)

    def phase(self, name: str, total: int | None = None, unit: str = "items") -> None:
        super().phase(name, total, unit)
        self.at = (name, 0)

    def step(self, step: int, *args: Any, **kwargs: Any) -> None:
        super().step(step, *args, **kwargs)
        self.at = ("train", step)

    def should_stop(self) -> bool:
        return self._stops(*self.at)


def train(folder: RunFolder, stop: Callable[[str, int], bool] = lambda phase, step: False) -> bool:
    """Run the engine of `folder` in this process with the run's adjustments; whether it came to its end."""
    experiment = catalog.from_document(
        folder.read_document(), place="test", name="t", overrides=folder.read_adjustments()
    )
    report = StoppedReporter(folder, stop)
    try:
        catalog.engine(experiment.engine).run(experiment.config, report)
        return True
    except Stop:
        return False
    finally:
        report.close()


def records(folder: RunFolder, kind: type[E]) -> list[E]:
    """The events of a kind, as they were written."""
    return [r.event for r in read_all(folder.events) if isinstance(r.event, kind)]
