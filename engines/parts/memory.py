"""How much memory a run will need at its peak, and which setting would make it fit. Standard library only.

Formulae, their sources and how they were checked: docs/memory.md. Each engine says what it needs in one function,
listed in `_NEEDS`; a run has phases, and the highest of them is its peak.

Imports nothing that imports torch, even later: the console reads it. What it has to know of modules that do stands
here a second time, and a test compares.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

from engines.parts.architectures import Architecture, ArchitectureError, Fetch, architecture, read_config
from engines.parts.history import Pace, PastRun, correction, pace
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.settings import UserError

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
    "scikit-learn": 200 << 20, "transformers": 460 << 20, "Trainer": 570 << 20, "transformers, scikit-learn": 630 << 20
}  # fmt: skip
"""Resident memory of a worker with these in use, model and data left out (measured on Linux with torch for CPUs)."""
TEXT_BYTES = 4 << 10
"""A review on the host: its text and copies, its tokens."""
QUICKSTART, QUICKSTART_REVIEWS = "quickstart", 4000
HUB_REVIEWS = 50_000
"""Reviews of a source whose size is not known before it is read: IMDB's."""
BATCH_TOKENS = {"cuda": 32768, "cpu": 4096}
"""Padded tokens of a batch that is scored, `engines.parts.classifier`'s."""
CACHED_TOKENS = 1 << 17
"""Positions whose keys and values stand at once while prompting, `engines.parts.likelihood`'s."""

NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
"""A weight in nf4 with double quantisation: half a byte, one byte of scale for 64, a float32 for 256 of those."""
LINEAR_NAMES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_INSTRUCTION_TOKENS = 64
_ANSWER_TOKENS = 8


class Experiment(Protocol):
    """What is asked of `engines.catalog.Experiment`."""

    @property
    def engine(self) -> str: ...

    @property
    def config(self) -> Any: ...


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
        found = {name: size for name, size in self.phases[self.peak_phase].items() if size}
        if change := self.measured_bytes - self.uncorrected_bytes:
            found["correction by earlier runs"] = change
        if self.device == "cuda":
            found["allocator"] = round(ALLOCATOR_SHARE * self.measured_bytes)
        return {**found, **self.overhead}

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
        return (f"the least is {gib(least.total_bytes)}, with {least.text}; choose a device with "
                f"{gib(least.total_bytes / TIGHT_SHARE)} free, or a smaller model")  # fmt: skip


def estimate(
    experiment: Experiment,
    history: Sequence[PastRun] = (),
    *,
    device: str = "cuda",
    home: Home | None = None,
    fetch: Fetch | None = None,
) -> Estimate:
    """The peak memory of `experiment` on `device` ("cpu", else a GPU; a GPU's UUID picks its runs for the time).

    Offline: the model's config.json is looked for on this machine; only `fetch` asks the hub. `history` holds
    finished runs (`engines.parts.history.past_runs`), `home` the runs among which `evaluate` finds its model. Raises
    `UserError` in one sentence where the model is not known.
    """
    machine = _Machine("cpu" if device == "cpu" else "cuda", home, partial(_architecture, fetch=fetch))
    found = _estimated(experiment.engine, experiment.config, machine)
    factor, runs = correction(history, found.family, found.device, experiment.engine)
    others = [
        Alternative(changes, replace(_estimated(experiment.engine, config, machine), factor=factor).least_bytes)
        for changes, config in _variants(experiment.config)
    ]
    place = "cpu" if found.device == "cpu" else device
    expected = pace(history, experiment.engine, experiment.config, place)
    return replace(found, factor=factor, corrected_by=runs, pace=expected, alternatives=tuple(others))


def describe(estimate: Estimate, free_bytes: int | None = None) -> list[str]:
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
        lines.append(f"corrected by {runs} of {estimate.family}: measured is {estimate.factor:.2f} of the estimate "
                     "(median)")  # fmt: skip
    lines += estimate.notes
    lines.append(estimate.pace.text if estimate.pace else "time: no earlier run of this engine and model here")
    return lines


def gib(size_bytes: float) -> str:
    """Bytes in binary units: "1.23 GiB", "45 MiB"."""
    return f"{size_bytes / 2**30:.2f} GiB" if abs(size_bytes) >= 2**29 else f"{size_bytes / 2**20:.0f} MiB"


# -- settings, whatever table they stand in -----------------------------------------------------------------


def _leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in vars(config).items():
        if hasattr(value, "__dict__"):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _dotted(config: Any, name: str) -> str:
    """Dotted name of the first setting called `name`, or an empty string."""
    return next((dotted for dotted, _ in _leaves(config) if dotted.rpartition(".")[2] == name), "")


def _get(config: Any, name: str, default: Any) -> Any:
    return dict(_leaves(config)).get(_dotted(config, name), default)


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
    if _get(config, "activation_checkpointing", True) is False:
        yield {_dotted(config, "activation_checkpointing"): True}


def _halved(config: Any) -> Iterator[dict[str, Any]]:
    name, steps = _dotted(config, "batch_size"), _dotted(config, "accumulation")
    size, accumulation = _get(config, "batch_size", 1), _get(config, "accumulation", 1)
    while size > 1:
        size, accumulation = size // 2, accumulation * 2
        yield {name: size, **({steps: accumulation} if steps else {})}


def _quantised(config: Any) -> Iterator[dict[str, Any]]:
    if _get(config, "precision", "nf4") != "nf4":
        yield {_dotted(config, "precision"): "nf4"}


def _shortened(config: Any) -> Iterator[dict[str, Any]]:
    length = _get(config, "max_length", 0)
    while length > 128:
        length = max(128, length // 2)
        yield {_dotted(config, "max_length"): length}


# -- what a transformer needs -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lora:
    """Adapters of a rank on named linear layers."""

    rank: int
    targets: tuple[str, ...] = LINEAR_NAMES
    dropout: float = 0.0


@dataclass(frozen=True)
class Numbers:
    """In which types is computed: bytes a number in the blocks, and whether autocast makes them of float32 weights."""

    compute_bytes: int
    autocast: bool = False
    on_gpu: bool = True

    @property
    def mask_bytes(self) -> int:
        """Of an element of a dropout mask: bool on a GPU, a factor on the CPU."""
        return 1 if self.on_gpu else self.compute_bytes


def saved_bytes(
    model: Architecture, tokens: int, length: int, numbers: Numbers, lora: Lora | None = None, padded: bool = False
) -> int:
    """What one block keeps for its backward pass, of `tokens` in rows of `length`.

    Without `lora` every weight is trained. Attention is scaled_dot_product_attention in its fused form: nothing of
    length^2, but for the mask of a `padded` batch, and on the CPU for dropout inside attention.
    """
    d, f, e = model.width, model.intermediate, numbers.compute_bytes
    q, kv = model.heads * model.head_dim, model.kv_heads * model.head_dim
    statistics = 4 * model.heads + (8 if model.is_decoder else 16)  # log-sum-exp, norms
    if not model.is_decoder:
        dropouts = (1 if model.family == "distilbert" else 2) if model.dropout else 0
        # inputs of linear layers, queries to values, result, both sums that are normed (in float32 under autocast)
        kept = (16 * d + 8 * d if numbers.autocast else 8 * d * e) + 2 * f * e + dropouts * d * numbers.mask_bytes
        if model.attention_dropout and not numbers.on_gpu:
            statistics += 3 * model.heads * length * e
    else:
        attention = (2 * q + 2 * (q if padded else kv)) * e
        if lora is None:
            kept = (26 * d if numbers.autocast else 6 * d * e) + attention + 4 * f * e
        else:
            kept = 8 * d + attention + 3 * f * e + _lora_bytes(model, lora, numbers)
    mask = length * e if padded else 0
    return tokens * (kept + statistics + mask)


def _lora_bytes(model: Architecture, lora: Lora, numbers: Numbers) -> int:
    """Inputs of the adapters, a token: each dropped out by itself, else shared by those that read the same."""
    inner = len(lora.targets) * lora.rank * numbers.compute_bytes
    sizes = {name: model.linears[name][0] for name in lora.targets}
    if lora.dropout:
        return inner + sum(sizes.values()) * (numbers.compute_bytes + numbers.mask_bytes)
    shared = {"k_proj": "q_proj", "v_proj": "q_proj", "up_proj": "gate_proj", "o_proj": ""}  # o_proj reads the result
    sources = {shared.get(name, name): size for name, size in sizes.items()}
    return inner + sum(size for name, size in sources.items() if name) * numbers.compute_bytes


def training_activations(
    model: Architecture, batch: int, length: int, numbers: Numbers, lora: Lora | None, checkpointing: bool
) -> int:
    """Bytes kept for the backward pass of one micro-batch, all blocks and both ends."""
    tokens = batch * length
    block = saved_bytes(model, tokens, length, numbers, lora, padded=batch > 1 and not model.is_decoder)
    norm = 8 if lora is None else 4  # the last one: its input, and what its weight is trained by
    ends = tokens * model.width * (norm if model.is_decoder else 8 + 4 + numbers.mask_bytes)
    if checkpointing:
        stream = 4 if numbers.autocast and lora is None else numbers.compute_bytes
        return model.layers * tokens * model.width * stream + block + ends
    return model.layers * block + ends


def _passing_bytes(model: Architecture, tokens: int, numbers: Numbers) -> int:
    """What a block holds at once while nothing is kept: the residual stream and the widest of its feed-forward."""
    wide = (3 if model.is_decoder else 2) * model.intermediate * numbers.compute_bytes
    streams = 3 if model.is_decoder else 2  # embeddings, residual and normed states
    copy = 2 * max(inputs * outputs for inputs, outputs in model.linears.values()) if numbers.autocast else 0
    return tokens * (wide + (10 if numbers.autocast else streams * numbers.compute_bytes) * model.width) + copy


def _backward_bytes(model: Architecture, tokens: int, numbers: Numbers) -> int:
    """Gradients of activations under way, beyond what they replace."""
    wide = (2 if model.is_decoder else 1) * model.intermediate * numbers.compute_bytes
    return tokens * (wide + 8 * model.width)


def _weights(model: Architecture, precision: str, more: int = 0) -> dict[str, int]:
    """Of a decoder with its output head, or with `more` parameters in its stead."""
    whole = model.parameters + (more or model.head_parameters)
    if precision == "nf4":
        linear = model.linear_parameters
        largest = max(inputs * outputs for inputs, outputs in model.linears.values())
        return {
            "weights, nf4": round(linear * NF4_BYTES),
            "weights, bf16": 2 * (whole - linear),
            "a weight unpacked": 2 * largest,
        }
    return {f"weights, {precision}": (4 if precision == "float32" else 2) * whole}


def decoder_bytes(folder: Path, precision: str) -> int:
    """What the weights of the decoder in `folder` take on a GPU, "auto" as bf16; their files where it is not known."""
    try:
        model = architecture(read_config(str(folder)), folder.name)
    except ArchitectureError:
        return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    return sum(_weights(model, "bf16" if precision == "auto" else precision).values())


# -- what each engine needs -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Machine:
    kind: str  # "cuda" or "cpu"
    home: Home | None
    architecture: Callable[[Any], Architecture]

    @property
    def on_gpu(self) -> bool:
        return self.kind == "cuda"

    @property
    def encoder_numbers(self) -> Numbers:
        """float32 weights, by bf16 autocast on a GPU."""
        return Numbers(2, autocast=True) if self.on_gpu else Numbers(4, on_gpu=False)


@dataclass(frozen=True)
class _Need:
    family: str
    phases: dict[str, dict[str, int]]
    least: dict[str, dict[str, int]] = field(default_factory=dict)  # where a run halves batches by itself: the last
    libraries: str = "transformers"
    host: dict[str, int] = field(default_factory=dict)  # counts where the CPU computes
    unseen: dict[str, int] = field(default_factory=dict)  # on the GPU, but not counted by torch
    notes: tuple[str, ...] = ()
    on_host: bool = False  # computes on the CPU whatever there is


def _architecture(config: Any, fetch: Fetch | None = None) -> Architecture:
    name = config.model.name
    return architecture(read_config(name, config.model.revision, fetch), name)


def _estimated(engine: str, config: Any, machine: _Machine) -> Estimate:
    if engine not in _NEEDS:
        raise UserError(f'engine = "{engine}": its memory is not estimated')
    need = _NEEDS[engine](config, machine)
    kind = "cpu" if need.on_host else machine.kind
    if kind == "cuda":
        overhead = {**need.unseen, "CUDA context": CUDA_CONTEXT_BYTES}
        always = {"cuBLAS": CUBLAS_BYTES}
    else:
        overhead, always = {**need.host, "Python and libraries": HOST_BYTES[need.libraries]}, {}
    phases = {name: {**parts, **always} for name, parts in need.phases.items()}
    least = {name: {**parts, **always} for name, parts in need.least.items()}
    return Estimate(engine, need.family, kind, phases, overhead, least, need.notes)


def _reviews(config: Any, *splits: str) -> int:
    """How many reviews the splits hold; fractions are of the source's size where it is known, else of IMDB's."""
    whole = QUICKSTART_REVIEWS if config.data.source == QUICKSTART else HUB_REVIEWS
    sizes = [getattr(config.data, split) for split in splits]
    return sum(size if isinstance(size, int) else round(size * whole) for size in sizes)


def _texts(config: Any) -> dict[str, int]:
    return {"texts and tokens": TEXT_BYTES * _reviews(config, "train", "validation", "test")}


def _classes(config: Any) -> int:
    return max(2, len([name for name in config.data.labels.split(",") if name.strip()]))


def _bag_of_words(config: Any, machine: _Machine) -> _Need:
    texts = _reviews(config, "train")
    # measured with one and two words a feature; the vocabulary before its cut grows less than the texts do
    counts = round((70 << 20) * (max(texts, 1) / 2000) ** 0.815 * config.features.ngrams / 2)
    regression = 8 * 25 * config.features.max_features  # gradient, coefficients and ten pairs of both
    parts = {"words and their counts": counts, "regression": min(regression, counts), **_texts(config)}
    return _Need("bag of words", {"train": parts}, libraries="scikit-learn", on_host=True)


def _classify(model: Architecture, length: int, classes: int, machine: _Machine) -> dict[str, int]:
    """Scoring texts by an encoder or a sequence classifier in float32."""
    numbers = machine.encoder_numbers
    budget = BATCH_TOKENS[machine.kind]
    rows = max(1, budget // length)
    mask = rows * length * length * numbers.compute_bytes
    return {
        "weights, float32": 4 * model.classifier_parameters(classes),
        "activations": _passing_bytes(model, rows * length, numbers) + mask,
    }


def _frozen_features(config: Any, machine: _Machine) -> _Need:
    model = machine.architecture(config)
    features = 8 * 3 * model.width * _reviews(config, "train")  # as they are, standardised, and the solver's copy
    host = {**_texts(config), "features": features}
    return _Need(model.family, {"features": _classify(model, config.features.max_length, 1, machine)},
                 libraries="transformers, scikit-learn", host=host, notes=_unknown(model))  # fmt: skip


def _finetuning(config: Any, machine: _Machine, libraries: str = "transformers") -> _Need:
    model = machine.architecture(config)
    numbers, training = machine.encoder_numbers, config.training
    parameters = model.classifier_parameters(_classes(config))
    weights = {"weights, float32": 4 * parameters}
    copies = {"weights, bf16 copies": 2 * model.linear_parameters if numbers.autocast else 0}
    moments = {"optimiser, AdamW float32": 8 * parameters}
    tokens = training.batch_size * training.max_length
    kept = training_activations(model, training.batch_size, training.max_length, numbers, None, False)
    under_way = {"activations": kept, "activations under way": _backward_bytes(model, tokens, numbers)}
    scoring = _classify(model, training.max_length, _classes(config), machine)
    phases = {  # going back, gradients take the room that activations leave: the two ends are the highest
        "train": {**weights, **copies, **moments, **under_way},
        "optimiser step": {**weights, **moments, "gradients": 4 * parameters},
        "validate": {**scoring, **moments},
    }
    return _Need(model.family, phases, libraries=libraries, host=_texts(config), notes=_unknown(model))


def _evaluate(config: Any, machine: _Machine) -> _Need:
    """Of the engine that made the model: its scoring alone."""
    folder = RunFolder((machine.home or Home()).runs / config.run) if config.run else None
    if folder is None or not folder.config.is_file():
        raise UserError(f'run = "{config.run}" is no run here; set it to the name of a finished run')
    document = folder.read_document()
    source = _namespace({**document, "data": vars(config.data)})
    if document.get("engine") == "evaluate":
        return _evaluate(_namespace({"run": document.get("run", ""), "data": vars(config.data)}), machine)
    try:
        need = _NEEDS[str(document.get("engine"))](source, machine)
    except (AttributeError, KeyError) as error:  # written by another version
        raise UserError(f"{config.run}: its config lacks {error}, which an estimate needs") from None
    name = next(name for name in ("validate", "score", "features", "train") if name in need.phases)
    phases, least = (
        {"test": {part: size for part, size in phases[name].items() if not part.startswith("optimiser")}}
        for phases in (need.phases, need.least or need.phases)
    )
    return replace(need, phases=phases, least=least if need.least else {}, unseen={})


def _namespace(document: Mapping[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(
        **{key: _namespace(value) if isinstance(value, Mapping) else value for key, value in document.items()}
    )


def _precision(config: Any, machine: _Machine, default: str) -> str:
    asked = str(_get(config, "precision", default))
    if asked == "auto":
        return "bf16" if machine.on_gpu else "float32"
    return asked


def _scoring(config: Any, model: Architecture, machine: _Machine, precision: str, rows: int = 0) -> dict[str, int]:
    """Label words after prompts: keys and values of the shared beginning and of a batch, last positions' logits.

    `rows` texts a batch, 0 for as many as the scorer starts with.
    """
    numbers = Numbers(4 if precision == "float32" else 2, on_gpu=machine.on_gpu)
    e, q, kv = numbers.compute_bytes, model.heads * model.head_dim, model.kv_heads * model.head_dim
    review = int(_get(config, "max_length", 512)) + _ANSWER_TOKENS
    shots = int(_get(config, "shots", 0)) * _classes(config)
    shared = _INSTRUCTION_TOKENS + shots * int(_get(config, "example_length", 256))
    if model.context:
        shared = max(0, min(shared, model.context - review))
    rows = rows or max(1, min(BATCH_TOKENS[machine.kind] // review, CACHED_TOKENS // (shared + review)))
    # a mask meets the cache: keys and values are repeated for every head, one block at a time
    repeated = 2 * q * e if q > kv else 0
    attention = rows * (review * (3 * model.width + 2 * q) * e + (shared + review) * (repeated + review * e))
    return {
        **_weights(model, precision),
        "KV cache": model.layers * 2 * kv * e * (rows * (shared + review) + shared),
        "activations": max(attention, _passing_bytes(model, rows * review, numbers)),
        "attention mask": rows * review * (shared + review),
        "logits": rows * model.vocabulary * (4 + 8),
    }


def _prompting(config: Any, machine: _Machine) -> _Need:
    model = machine.architecture(config)
    precision = _precision(config, machine, "auto")
    notes = _unknown(model)
    if _get(config, "method", "") == "untrained_head":
        length = int(_get(config, "max_length", 512))
        numbers = Numbers(4 if precision == "float32" else 2, on_gpu=machine.on_gpu)
        tokens = max(1, BATCH_TOKENS[machine.kind] // length) * length
        parts = {
            **_weights(model, precision, model.width * _classes(config)),
            "activations": _passing_bytes(model, tokens, numbers),
        }
        return _Need(model.family, {"score": parts}, host=_texts(config), notes=notes)
    score, one = (_scoring(config, model, machine, precision, rows) for rows in (0, 1))
    return _Need(model.family, {"score": score}, {"score": one}, host=_texts(config), notes=notes)


def _qlora(config: Any, machine: _Machine) -> _Need:
    model = machine.architecture(config)
    precision = _precision(config, machine, "nf4")
    numbers = Numbers(4 if precision == "float32" else 2, on_gpu=machine.on_gpu)
    targets = tuple(name for name in LINEAR_NAMES if name in _targets(str(_get(config, "targets", "all-linear"))))
    lora = Lora(int(_get(config, "rank", 64)), targets, float(_get(config, "dropout", 0.1)))
    adapters = model.lora_parameters(lora.rank, lora.targets)
    adapter_bytes = 2 if precision == "nf4" else 4  # on a 4-bit base adapters are bf16, else float32
    batch = int(_get(config, "batch_size", 1))
    length = int(_get(config, "max_length", 512)) + _INSTRUCTION_TOKENS + _ANSWER_TOKENS
    optimizer = str(_get(config, "optimizer", "paged_adamw_8bit")) if machine.on_gpu else "AdamW float32"
    moments = {f"optimiser, {optimizer}": adapters * (2 if "8bit" in optimizer else 8)}
    paged = "paged" in optimizer  # CUDA's managed memory, which torch does not count
    checkpointing = bool(_get(config, "activation_checkpointing", True))
    answers = batch * _ANSWER_TOKENS  # only these meet the output head
    held = {
        **_weights(model, precision),
        "adapters": adapters * adapter_bytes,
        **({} if paged else moments),
    }
    train = {
        **held,
        "gradients": adapters * adapter_bytes,
        "activations": training_activations(model, batch, length, numbers, lora, checkpointing),
        "activations under way": _backward_bytes(model, batch * length, numbers),
        "logits": answers * model.vocabulary * 4,
    }
    score, one = ({**_scoring(config, model, machine, precision, rows), **held} for rows in (0, 1))
    return _Need(model.family, {"train": train, "score": score}, {"train": train, "score": one}, "Trainer",
                 _texts(config), moments if paged else {}, _unknown(model))  # fmt: skip


def _targets(asked: str) -> tuple[str, ...]:
    return LINEAR_NAMES if asked == "all-linear" else tuple(name.strip() for name in asked.split(","))


def _unknown(model: Architecture) -> tuple[str, ...]:
    if model.known:
        return ()
    nearest = "Llama" if model.is_decoder else "BERT"
    return (f"models of type {model.family} are not known here; it is counted like {nearest}",)


_NEEDS: dict[str, Callable[[Any, _Machine], _Need]] = {
    "bag_of_words": _bag_of_words,
    "frozen_features": _frozen_features,
    "finetune_loop": _finetuning,
    "finetune_trainer": partial(_finetuning, libraries="Trainer"),
    "evaluate": _evaluate,
    "prompting": _prompting,
    "qlora": _qlora,
}
"""What each engine needs: one function each, from its config and the machine."""
