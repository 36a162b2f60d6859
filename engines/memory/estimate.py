"""How much memory a run will need at its peak, and which setting would make it fit. Standard library only.

A run has phases, and the highest of them is its peak. What the phases of an engine need is told by its own
`memory_needs`, the formulae stand in `engines.memory.formulas`; docs/memory.md says where they are from and how they
were checked. Imports nothing that imports torch, even later: the console reads it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from engines.memory.components import Machine, NamedModel, Need
from engines.memory.history import Pace, PastRun, correction, pace
from engines.models.architectures import Architecture, Fetch, architecture, read_config
from engines.runs.home import Home

FITS, TIGHT, DOES_NOT_FIT = "fits", "tight", "does not fit"
TIGHT_SHARE = 0.87
"""A larger share of the free memory is tight: the estimate may be short by 15 %."""

CUDA_CONTEXT_BYTES = 600 << 20
"""The driver's context and the kernels loaded: outside of what torch counts."""
CUBLAS_BYTES = 32 << 20
"""The workspace that torch allocates for cuBLAS on Hopper; 8 MiB elsewhere."""
ALLOCATOR_SHARE = 0.04
"""What torch's allocator reserves beyond what it hands out, as a share of that."""
HOST_BYTES = {
    "scikit-learn": 200 << 20,
    "transformers": 460 << 20,
    "Trainer": 570 << 20,
    "transformers, scikit-learn": 630 << 20,
}
"""Resident memory of a worker with these in use, model and data left out (measured on Linux with torch for CPUs)."""


class Experiment(Protocol):
    """What is asked of `engines.catalog.Experiment`."""

    @property
    def engine(self) -> str: ...

    @property
    def config(self) -> Any: ...

    def memory_needs(self, config: Any, machine: Machine) -> Need: ...


@dataclass(frozen=True)
class Alternative:
    """Other settings, and the peak they would have."""

    changes: dict[str, Any]  # dotted setting to value
    total_bytes: int

    @property
    def text(self) -> str:
        return ", ".join(f"{name} = {_written(value)}" for name, value in self.changes.items())


@dataclass(frozen=True)
class Estimate:
    """Peak memory of a run on a device, and where it goes."""

    engine: str
    family: str  # of the model: "mistral"; runs of one family correct each other
    device: str  # "cuda" or "cpu"
    phases: dict[str, dict[str, int]]  # phase to component to bytes
    overhead: dict[str, int]  # at all times, and not counted in a run's measured peak on a GPU
    least: dict[str, dict[str, int]] = field(default_factory=dict)  # the phases of a run that has halved its batches
    notes: tuple[str, ...] = ()
    factor: float = 1.0  # measured by estimated, of finished runs
    corrected_by: int = 0  # how many runs that is the median of
    pace: Pace | None = None
    alternatives: tuple[Alternative, ...] = ()  # in the order in which they are to be preferred

    @property
    def peak_phase(self) -> str:
        return max(self.phases, key=lambda name: sum(self.phases[name].values()))

    @property
    def uncorrected_bytes(self) -> int:
        """What a finished run's measured peak is compared with: on a GPU what torch allocates, on the CPU all."""
        allocated = sum(self.phases[self.peak_phase].values())
        return allocated if self.device == "cuda" else allocated + sum(self.overhead.values())

    @property
    def measured_bytes(self) -> int:
        """The peak that the run is expected to report: `uncorrected_bytes` after the correction."""
        return round(self.uncorrected_bytes * self.factor)

    @property
    def components(self) -> dict[str, int]:
        """Bytes of each component at the peak; they sum to `total_bytes`. A correction may be negative."""
        components = {name: size for name, size in self.phases[self.peak_phase].items() if size}
        if change := self.measured_bytes - self.uncorrected_bytes:
            components["correction by earlier runs"] = change
        if self.device == "cuda":
            components["allocator"] = round(ALLOCATOR_SHARE * self.measured_bytes)
        return {**components, **self.overhead}

    @property
    def total_bytes(self) -> int:
        """Memory that has to be free."""
        return sum(self.components.values())

    @property
    def least_bytes(self) -> int:
        """Memory that has to be free when a run, out of memory, has halved its batches as far as it does itself."""
        return replace(self, phases=self.least, least={}).total_bytes if self.least else self.total_bytes

    def verdict(self, free_bytes: int) -> str:
        """`FITS`, `TIGHT` (or only in batches that the run halves itself) or `DOES_NOT_FIT` in so much memory."""
        if self.total_bytes > free_bytes:
            return TIGHT if self.least_bytes <= TIGHT_SHARE * free_bytes else DOES_NOT_FIT
        return TIGHT if self.total_bytes > TIGHT_SHARE * free_bytes else FITS

    def suggestion(self, free_bytes: int) -> str:
        """What would make it fit, tried by estimating: "it fits with precision = nf4 (6.1 GiB)"; "" if it does.

        The first of the single changes, then of the combined ones, that fits; else what is least.
        """
        if self.verdict(free_bytes) == FITS:
            return ""
        if self.least and self.least_bytes <= TIGHT_SHARE * free_bytes:
            return f"the run halves its batches until they fit; with the smallest it needs {gib(self.least_bytes)}"
        for other in self.alternatives:
            if other.total_bytes <= TIGHT_SHARE * free_bytes:
                return f"it fits with {other.text} ({gib(other.total_bytes)})"
        least = min(self.alternatives, key=lambda other: other.total_bytes, default=None)
        if least is None or least.total_bytes >= self.total_bytes:
            return f"no setting makes it smaller; choose a device with {gib(self.total_bytes / TIGHT_SHARE)} free"
        return (
            f"the least is {gib(least.total_bytes)}, with {least.text}; choose a device with "
            f"{gib(least.total_bytes / TIGHT_SHARE)} free, or a smaller model"
        )


def estimate_peak(
    experiment: Experiment,
    history: Sequence[PastRun] = (),
    *,
    device: str = "cuda",
    home: Home | None = None,
    fetch: Fetch | None = None,
) -> Estimate:
    """The peak memory of `experiment` on `device` ("cpu", else a GPU; a GPU's UUID picks its runs for the time).

    Offline: the model's config.json is looked for on this machine; only `fetch` asks the hub. `history` holds
    finished runs (`engines.memory.history.past_runs`), `home` the runs among which `evaluate` finds its model. Raises
    `UserError` in one sentence where the model is not known.
    """
    machine = Machine("cpu" if device == "cpu" else "cuda", home, partial(_architecture, fetch=fetch))
    plain = _uncorrected(experiment, experiment.config, machine)
    factor, runs = correction(history, plain.family, plain.device, experiment.engine, plain.uncorrected_bytes)
    alternatives = [
        Alternative(changes, replace(_uncorrected(experiment, config, machine), factor=factor).least_bytes)
        for changes, config in _variants(experiment.config)
    ]
    place = "cpu" if plain.device == "cpu" else device
    expected = pace(history, experiment.engine, experiment.config, place)
    return replace(plain, factor=factor, corrected_by=runs, pace=expected, alternatives=tuple(alternatives))


def _uncorrected(experiment: Experiment, config: Any, machine: Machine) -> Estimate:
    need = experiment.memory_needs(config, machine)
    kind = "cpu" if need.on_host else machine.kind
    if kind == "cuda":
        overhead = {**need.unseen, "CUDA context": CUDA_CONTEXT_BYTES}
        always = {"cuBLAS": CUBLAS_BYTES}
    else:
        overhead, always = {**need.host, "Python and libraries": HOST_BYTES[need.libraries]}, {}
    phases = {name: {**parts, **always} for name, parts in need.phases.items()}
    least = {name: {**parts, **always} for name, parts in need.least.items()}
    return Estimate(experiment.engine, need.family, kind, phases, overhead, least, need.notes)


def _architecture(model: NamedModel, fetch: Fetch | None = None) -> Architecture:
    return architecture(read_config(model.name, model.revision, fetch), model.name)


def describe_estimate(estimate: Estimate, free_bytes: int | None = None) -> list[str]:
    """The estimate as lines of text: components, total, verdict, what would make it fit, corrections, time."""
    phase = f", highest in the phase {estimate.peak_phase}" if len(estimate.phases) > 1 else ""
    where = "on the GPU" if estimate.device == "cuda" else "in the host's memory"
    width = max(map(len, estimate.components))
    lines = [f"peak {where}{phase}"]
    lines += [f"  {name:<{width}}  {gib(size):>10}" for name, size in estimate.components.items()]
    lines.append(f"  {'total':<{width}}  {gib(estimate.total_bytes):>10}")
    if free_bytes is not None:
        lines.append(f"{estimate.verdict(free_bytes)}: {gib(estimate.total_bytes)} of {gib(free_bytes)} free")
        if suggestion := estimate.suggestion(free_bytes):
            lines.append(suggestion)
    if estimate.corrected_by:
        runs = f"{estimate.corrected_by} finished run{'s' if estimate.corrected_by > 1 else ''}"
        lines.append(
            f"corrected by {runs} of {estimate.family}: measured is {estimate.factor:.2f} of the estimate (median)"
        )
    lines += estimate.notes
    lines.append(estimate.pace.text if estimate.pace else "time: no earlier run of this engine and model here")
    return lines


def gib(size_bytes: float) -> str:
    """Bytes in binary units: "1.23 GiB", "45 MiB"."""
    return f"{size_bytes / 2**30:.2f} GiB" if abs(size_bytes) >= 2**29 else f"{size_bytes / 2**20:.0f} MiB"


# -- other settings ------------------------------------------------------------------------------------------


def _leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in vars(config).items():
        if hasattr(value, "__dict__"):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _dotted_name(config: Any, name: str) -> str:
    """Dotted name of the first setting called `name`, whatever table it stands in, or an empty string."""
    return next((dotted for dotted, _ in _leaves(config) if dotted.rpartition(".")[2] == name), "")


def _setting(config: Any, name: str, default: Any) -> Any:
    """Value of the first setting called `name`, or `default`."""
    return dict(_leaves(config)).get(_dotted_name(config, name), default)


def _with(config: Any, dotted: str, value: Any) -> Any:
    head, _, rest = dotted.partition(".")
    return replace(config, **{head: _with(getattr(config, head), rest, value) if rest else value})


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _variants(config: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Changes that may save memory, with the changed config: each alone, the least harmful first, then together."""
    steps = (_checkpointed, _halved, _quantised, _shortened)
    for step in steps:
        yield from _applied(config, step(config))
    changes: dict[str, Any] = {}
    changed = config
    for step in steps:
        for more in step(changed):
            changes = {**changes, **more}
            both = list(_applied(config, [changes]))
            yield from both
            changed = both[-1][1]
            if step is _checkpointed or step is _quantised:
                break


def _applied(config: Any, all_changes: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    for changes in all_changes:
        changed = config
        for dotted, value in changes.items():
            changed = _with(changed, dotted, value)
        yield changes, changed


def _checkpointed(config: Any) -> Iterator[dict[str, Any]]:
    if _setting(config, "activation_checkpointing", True) is False:
        yield {_dotted_name(config, "activation_checkpointing"): True}


def _halved(config: Any) -> Iterator[dict[str, Any]]:
    name, steps = _dotted_name(config, "batch_size"), _dotted_name(config, "accumulation")
    size, accumulation = _setting(config, "batch_size", 1), _setting(config, "accumulation", 1)
    while size > 1:
        size, accumulation = size // 2, accumulation * 2
        yield {name: size, **({steps: accumulation} if steps else {})}


def _quantised(config: Any) -> Iterator[dict[str, Any]]:
    if _setting(config, "precision", "nf4") != "nf4":
        yield {_dotted_name(config, "precision"): "nf4"}


def _shortened(config: Any) -> Iterator[dict[str, Any]]:
    length = _setting(config, "max_length", 0)
    while length > 128:
        length = max(128, length // 2)
        yield {_dotted_name(config, "max_length"): length}
