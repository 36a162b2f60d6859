"""On a GPU: `python -m benchmarks.gpu [--minutes 8] [--output DIR] [--small] [PART ...]`; no downloads.

Full-size Mistral-7B and Gemma-2b of random weights, drawn on the card from the shipped configs, go through the
engines' own code: `qlora` trains them at 512 tokens, `prompting` scores reviews of IMDB's lengths with them, and a
full-size DistilBERT is trained by `finetune_loop` and by the founding study's loop in turn. Texts are made up and
tokenised by the tiny models' tokenizers, which changes nothing about the work.

Each part is a process of its own, so its peak memory is its own; parts that no longer fit into the minutes are
skipped and listed. Figures are merged into gpu.json of the output folder (default: docs/benchmarks), part by part, as
long as card and driver are the same, so parts can be measured one command after another. Without a GPU, or with
`--small`, all of it runs in one process on the CPU with models of two narrow layers: a rehearsal, not a benchmark.

Utilisation is the work that is required over the card's dense bf16 peak. Required are, for each weight of the blocks'
linear layers and each token of text (no padding), 4 FLOPs in LoRA training, 6 in full training, 2 in scoring, and the
same for the output head where it is asked. Not counted: recomputed activations, attention's products, adapters,
embeddings, and in scoring the shared beginning.
"""

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec

from benchmarks import harness
from benchmarks.drawn import draw_encoder, drawn_weights, imdb_words, write_model, write_texts
from engines import catalog
from engines.memory.estimate import Estimate, estimate_peak
from engines.models.architectures import Architecture, architecture, read_config
from engines.prompts import encoding, likelihood
from engines.reporter import Reporter, Restart, Stop
from engines.runs import events as ev
from engines.runs.event_files import read_all
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.training.adapter_tuning import AdapterTuning

PEAKS = {
    "H200 NVL": 835e12,
    "H200": 989e12,
    "H100 NVL": 835e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}
"""Dense bf16 FLOP/s with float32 sums, from NVIDIA's data sheets, the sparse figures halved; RTX: from the Ada and
Ampere architecture white papers. The first name that stands in the card's is taken."""

STUDY_CARD_BYTES = 15_000_000_000
EVALUATED = 2500
"""Reviews of the founding study's test."""
VERSIONS = ("torch", "transformers", "trl", "peft", "bitsandbytes", "accelerate")
STUDY: dict[str, Any] = {"training.batch_size": 1, "training.accumulation": 4}
ROOMY: dict[str, Any] = {
    "training.batch_size": 8,
    "training.accumulation": 1,
    "training.activation_checkpointing": False,
}


@dataclass(frozen=True)
class Part:
    """One thing to measure; `needs_s` is what it takes on a fast card, and so what has to be left to start it."""

    name: str
    work: str  # a key of WORK
    model: str  # a key of MODELS
    settings: dict[str, Any] = field(default_factory=dict)
    items: int = EVALUATED
    cap_bytes: int = 0  # of torch's allocator
    needs_s: float = 45


def _tune(name: str, model: str, precision: str, settings: dict[str, Any], cap_bytes: int = 0) -> Part:
    return Part(name, "tune", model, {"precision": precision, **settings}, 480, cap_bytes)


def _score(name: str, model: str, precision: str, shots: int, items: int = EVALUATED, cap_bytes: int = 0) -> Part:
    return Part(name, "score", model, {"precision": precision, "prompt.shots": shots}, items, cap_bytes)


PARTS = (  # the most telling first: the last ones are skipped where time is short
    _tune("mistral-lora", "mistral", "bf16", ROOMY),
    _score("mistral-zero-shot", "mistral", "bf16", 0),
    _tune("mistral-qlora", "mistral", "nf4", STUDY),
    _tune("gemma-qlora-15gb", "gemma", "nf4", STUDY, STUDY_CARD_BYTES),
    _score("gemma-few-shot-15gb", "gemma", "bf16", 4, 1000, STUDY_CARD_BYTES),
    Part("distilbert", "encode", "distilbert", items=4800, needs_s=90),
    _tune("mistral-lora-study", "mistral", "bf16", STUDY),
    _tune("gemma-lora", "gemma", "bf16", ROOMY),
    _score("gemma-zero-shot", "gemma", "bf16", 0),
    _score("mistral-few-shot", "mistral", "bf16", 4, 500),
    _tune("mistral-qlora-roomy", "mistral", "nf4", ROOMY),
    _score("mistral-zero-shot-nf4", "mistral", "nf4", 0, 500),
    _tune("gemma-qlora-15gb-ladder", "gemma", "nf4", {**ROOMY, "training.batch_size": 16}, STUDY_CARD_BYTES),
    _tune("mistral-lora-no-dropout", "mistral", "bf16", {**ROOMY, "lora.dropout": 0.0}),
)


@dataclass(frozen=True)
class Place:
    """Where and how large a part runs."""

    folder: Path  # of all parts: the models' folders, a home for each part
    small: bool

    @property
    def device(self) -> str:
        return "cpu" if self.small else "cuda"

    def model(self, part: Part) -> Path:
        return self.folder / "models" / part.model

    def home(self, part: Part) -> Home:
        return Home(self.folder / part.name)

    def size(self, full: int, small: int) -> int:
        return small if self.small else full


# -- clocks and memory --------------------------------------------------------------------------------------


class Clock(Reporter):
    """Remembers when the steps were reported and each phase's peak, and asks for a stop after `measure_s` of steps.

    Peaks are of the phases that have ended.
    """

    def __init__(self, folder: RunFolder, device: str, measure_s: float = 0) -> None:
        super().__init__(folder)
        self.device = device
        self.steps: list[tuple[float, int]] = []  # time and steps done
        self.began: dict[str, float] = {}  # phase to time
        self.peaks: dict[str, int] = {}
        self.reserved_bytes = 0  # most that torch's allocator held
        self._measure_s, self._in = measure_s, "start"

    def phase(self, name: str, total: int | None = None, unit: str = "items") -> None:
        self.peaks[self._in] = max(self.peaks.get(self._in, 0), harness.peak_bytes(self.device))
        self.reserved_bytes = max(self.reserved_bytes, harness.reserved_bytes(self.device))
        harness.reset_peak(self.device)
        self._in = name
        self.began.setdefault(name, time.perf_counter())
        super().phase(name, total, unit)

    def step(self, step: int, *args: Any, **more: Any) -> None:
        self.steps.append((time.perf_counter(), step))
        super().step(step, *args, **more)

    def should_stop(self) -> bool:
        return len(self.steps) > 1 and self.steps[-1][0] - self.steps[0][0] > self._measure_s


def against(measured: int, estimate: Estimate, phase: str) -> dict[str, Any]:
    """A phase's measured peak beside its estimate."""
    expected = sum(estimate.phases[phase].values())
    if estimate.device == "cpu":
        expected += sum(estimate.overhead.values())
    return {"peak_bytes": measured, "estimate_bytes": expected, "measured_by_estimated": round(measured / expected, 3)}


def shape(place: Place, part: Part) -> Architecture:
    return architecture(read_config(str(place.model(part))), part.model)


# -- the parts ----------------------------------------------------------------------------------------------


def tune(part: Part, place: Place) -> dict[str, Any]:
    """Training by `qlora`: steps from the first report on, after the longest batch and those steps warmed it up."""
    data = write_texts(place.folder / f"{part.name}.csv", [600] * place.size(part.items + 64, 40))
    settings = {
        "model.name": str(place.model(part)),
        "data.source": str(data),
        "data.train": place.size(part.items, 32),
        "data.validation": 0,
        "data.test": place.size(64, 8),  # one batch of scoring
        "training.epochs": 1,
        "training.log_every": place.size(4, 1),
        "training.max_length": place.size(512, 64),
        **part.settings,
    }
    asked = catalog.from_document({"engine": "qlora"}, place=part.name, name=part.name, overrides=settings)
    runs = list(place.home(part).runs.iterdir())
    folder = RunFolder(runs[0]) if runs else RunFolder.create(place.home(part), asked.document())
    folder.predictions.unlink(missing_ok=True)  # after a restart the first scores are measured again
    adjusted = folder.read_adjustments()
    used = catalog.from_document({"engine": "qlora"}, place=part.name, name=part.name, overrides=settings | adjusted)
    report = Clock(folder, place.device, place.size(10, 1))

    try:
        with drawn_weights(place.device):
            task = AdapterTuning(used.config, report)
            task.course.checkpoint = lambda: None  # type: ignore[method-assign]  # a restart begins with the first step
            with suppress(Stop):
                task.train()
            report.phase("end")  # closes the last one's peak
    except Restart as restart:
        folder.adjust(restart.adjusted.after)
        with open(folder.path / "restarts.jsonl", "a") as file:
            file.write(json.dumps(msgspec.to_builtins(restart.adjusted)) + "\n")
        report.close()
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks.gpu", *sys.argv[1:]])  # frees the memory
    report.close()

    (began, first), (ended, last) = report.steps[0], report.steps[-1]
    table, model = task.prompted.rows["train"], shape(place, part)
    rows = [row for step in range(first, last) for row in task.course.plan.rows(step)]
    tokens, answers = (sum(of[row] for row in rows) for of in (table.lengths, table.answer_tokens))
    seconds = ended - began
    flops = 4 * (model.linear_parameters * tokens + model.vocabulary * model.width * answers)
    estimate = estimate_peak(used, device=place.device)
    restarts = folder.path / "restarts.jsonl"
    training = used.config.training
    return {
        "precision": used.config.precision,
        "micro_batch": training.batch_size,
        "accumulation": training.accumulation,
        "activation_checkpointing": training.activation_checkpointing,
        "lora_dropout": used.config.lora.dropout,
        "steps": last - first,
        "seconds": seconds,
        "tokens_per_row": tokens / len(rows),
        "tokens_per_s": tokens / seconds,
        "flops_per_s": flops / seconds,
        "memory": {
            "train": against(report.peaks["train"], estimate, "train"),
            "score": against(report.peaks["test"], estimate, "score"),
        },
        "reserved_bytes": report.reserved_bytes,
        "restarts": [json.loads(line) for line in restarts.read_text().splitlines()] if restarts.exists() else [],
    }


def score(part: Part, place: Place) -> dict[str, Any]:
    """Scoring by `prompting`: the model's own pace, and the evaluation from the tokens to the last score."""
    from engines.methods import prompting

    items = place.size(part.items, 24)
    data = write_texts(place.folder / f"{part.name}.csv", imdb_words(items + 100))
    settings = {
        "model.name": str(place.model(part)),
        "data.source": str(data),
        "data.train": 64,
        "data.validation": 0,
        "data.test": items,
        "prompt.max_length": place.size(512, 64),
        "prompt.example_length": place.size(256, 32),
        **part.settings,
    }
    asked = catalog.from_document({"engine": "prompting"}, place=part.name, name=part.name, overrides=settings)
    report = Clock(RunFolder.create(place.home(part), asked.document()), place.device)
    seen: dict[str, Any] = {}

    class Clocked(likelihood.Scorer):
        def score(self, prompts: encoding.Encoded, *given: Any) -> list[list[float]]:
            began = time.perf_counter()
            log_likelihoods = super().score(prompts, *given)  # ends on the CPU
            seen.update(seconds=time.perf_counter() - began, rows=prompts.rows, shared=len(prompts.prefix))
            seen["batch_tokens"] = self.batches.tokens
            return log_likelihoods

    with drawn_weights(place.device), patch.object(prompting, "Scorer", Clocked):
        prompting.run(asked.config, report)
        ended = time.perf_counter()
        report.phase("end")
    report.close()
    tokens, seconds, model = sum(map(len, seen["rows"])), seen["seconds"], shape(place, part)
    evaluation_s = ended - report.began["test"]
    estimate = estimate_peak(asked, device=place.device)
    return {
        "precision": asked.config.precision,
        "examples": 2 * asked.config.prompt.shots,
        "shared_tokens": seen["shared"],
        "items": items,
        "tokens": tokens,
        "batch_tokens_max": seen["batch_tokens"],
        "seconds": seconds,
        "items_per_s": items / seconds,
        "tokens_per_s": tokens / seconds,
        "flops_per_s": 2 * model.linear_parameters * tokens / seconds,
        "evaluation_s": evaluation_s,
        "evaluation_2500_s": evaluation_s * EVALUATED / items,
        "memory": {"score": against(report.peaks["test"], estimate, "score")},
        "reserved_bytes": report.reserved_bytes,
    }


def encode(part: Part, place: Place) -> dict[str, Any]:
    """DistilBERT at up to 512 tokens: an epoch of `finetune_loop` and one of the founding study's loop, in turn."""
    from benchmarks.real_reviews import one_epoch, plain_seconds

    model, length = place.model(part), place.size(512, 64)
    draw_encoder(model)
    count, tested, pairs = place.size(part.items, 64), place.size(320, 16), place.size(2, 1)
    data = str(write_texts(place.folder / f"{part.name}.csv", imdb_words(count + tested)))
    settings = one_epoch(str(model), data, count, length) | {"data.test": tested}
    asked = catalog.from_document({"engine": "finetune_loop"}, place=part.name, name=part.name, overrides=settings)
    ours, study, flops, peaks = [], [], [], []
    for pair in range(pairs):
        summary = harness.run(place.home(part), "finetune_loop", f"pair {pair}", settings)
        end = summary.end
        assert end is not None and end.training_seconds is not None
        on_gpu = end.memory_peak_bytes is not None
        if on_gpu == place.small:
            raise RuntimeError(f"finetune_loop ran on the {'GPU' if on_gpu else 'CPU'}, which is not what is measured")
        ours.append(count / end.training_seconds)
        peaks.append(end.host_memory_peak_bytes if place.small else end.memory_peak_bytes)
        steps = [r.event for r in read_all(summary.folder.events) if isinstance(r.event, ev.Step)]
        paces = sorted(step.tokens_per_s for step in steps if step.tokens_per_s is not None)
        flops.append(6 * shape(place, part).linear_parameters * paces[len(paces) // 2])
        study.append(count / plain_seconds(str(model), data, count, length, "512" if length == 512 else "LONGEST"))
    estimate = estimate_peak(asked, device=place.device)
    return {
        "items": count,
        "ours_items_per_s": ours,
        "study_items_per_s": study,
        "ratio": harness.ratios(ours, study),
        "items_per_s": max(ours),
        "flops_per_s": max(flops),  # of the median report, the warm-up left out
        "memory": {"whole": against(max(peak or 0 for peak in peaks), estimate, estimate.peak_phase)},
    }


WORK: dict[str, Callable[[Part, Place], dict[str, Any]]] = {"tune": tune, "score": score, "encode": encode}


# -- one part, and all of them -------------------------------------------------------------------------------


def measure(part: Part, place: Place) -> dict[str, Any]:
    """A part's figures, or what kept it from having any."""
    import torch

    if not place.small:
        total = torch.cuda.get_device_properties(0).total_memory
        if part.cap_bytes:
            torch.cuda.set_per_process_memory_fraction(min(1.0, part.cap_bytes / total))
    try:
        return WORK[part.work](part, place)
    except Exception as error:
        harness.say(traceback.format_exc())
        return {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}


def measure_apart(part: Part, place: Place, limit_s: float) -> dict[str, Any]:
    """The same in a process of its own, ended after `limit_s`."""
    answer = place.folder / f"{part.name}.json"
    argv = [sys.executable, "-m", "benchmarks.gpu", part.name, "--place", str(place.folder)]
    try:
        done = subprocess.run(argv, cwd=Path(__file__).parent.parent, timeout=limit_s)
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {limit_s:.0f} s"}
    return json.loads(answer.read_bytes()) if answer.exists() else {"error": f"ended with status {done.returncode}"}


def card() -> dict[str, Any]:
    """Name, memory and driver of the first GPU; empty where there is none."""
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        return {
            "card": str(pynvml.nvmlDeviceGetName(handle)),
            "memory_bytes": int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
            "driver": str(pynvml.nvmlSystemGetDriverVersion()),
        }
    except Exception:  # no library, no driver, no card
        return {}


def peak_flops_per_s(name: str) -> float | None:
    """Dense bf16 peak of a card; None where it is not known."""
    return next((peak for key, peak in PEAKS.items() if re.search(rf"\b{key}\b", name)), None)


def run(place: Place, chosen: list[Part], minutes: float, figures: dict[str, Any], keep: Callable[[], None]) -> None:
    """Measure the chosen parts into `figures["parts"]`; `keep` is called after each."""
    began, peak = time.monotonic(), peak_flops_per_s(figures["machine"].get("card", ""))
    for name in {part.model: None for part in chosen}:
        write_model(place.folder / "models" / name, name, place.small)
    for part in chosen:
        left = 60 * minutes - (time.monotonic() - began)
        if left < part.needs_s and not place.small:
            result: dict[str, Any] = {"skipped": f"{left:.0f} s were left, it needs some {part.needs_s:.0f}"}
            if "flops_per_s" in figures["parts"].get(part.name, {}):
                continue  # figures of an earlier command stand
        else:
            started = time.monotonic()
            result = measure(part, place) if place.small else measure_apart(part, place, left)
            result["part_s"] = round(time.monotonic() - started, 1)
        if peak and "flops_per_s" in result:
            result["utilisation"] = round(result["flops_per_s"] / peak, 3)
        result["date"] = datetime.date.today().isoformat()
        if part.cap_bytes:
            result["allocator_cap_bytes"] = part.cap_bytes
        figures["parts"][part.name] = result
        harness.say(f"{part.name}: {json.dumps(result)}")
        keep()


def text(figures: dict[str, Any]) -> str:
    """All figures as Markdown tables."""
    named = {part.name: part for part in PARTS}
    rows: dict[str, list[list[Any]]] = {"tune": [], "score": [], "encode": [], "": []}
    for name, part in figures["parts"].items():
        if "flops_per_s" not in part:
            rows[""].append([name, part.get("skipped") or part.get("error")])
            continue
        share = f"{part['utilisation']:.0%}" if "utilisation" in part else "n/a"
        found_peaks = part["memory"].values()
        peaks = [f"{each['peak_bytes'] / 2**30:.2f} ({each['measured_by_estimated']})" for each in found_peaks]
        work = named[name].work
        if work == "tune":
            batch = f"{part['micro_batch']} x {part['accumulation']}"
            again = "yes" if part["activation_checkpointing"] else "no"
            first = [name, part["precision"], batch, again, part["tokens_per_s"]]
        elif work == "score":
            first = [
                name,
                part["precision"],
                part["examples"],
                part["items"],
                part["items_per_s"],
                part["evaluation_2500_s"],
            ]
        else:
            first = [name, part["items_per_s"], max(part["study_items_per_s"]), part["ratio"]["median"]]
        rows[work].append([*first, share, *peaks])
    memory_of = "peak GiB (by estimate)"
    headers = {
        "tune": [
            "training",
            "base",
            "micro-batches",
            "checkpointing",
            "tokens/s",
            "utilisation",
            f"training's {memory_of}",
            f"scoring's {memory_of}",
        ],
        "score": ["scoring", "base", "examples", "reviews", "reviews/s", "2,500 reviews, s", "utilisation", memory_of],
        "encode": [
            "encoder",
            "ours, items/s",
            "founding study's loop, items/s",
            "ratio (median)",
            "utilisation",
            memory_of,
        ],
        "": ["part", "no figures, because"],
    }
    tables = [harness.table(headers[kind], lines) for kind, lines in rows.items() if lines]
    peak = peak_flops_per_s(figures["machine"].get("card", ""))
    what = "Models of full size" if "card" in figures["machine"] else "A rehearsal: narrow models on the CPU"
    notes = [
        f"{what}, random weights; 512 tokens of review per row in training, IMDB's lengths, cut at 512, "
        "in scoring and for the encoder. Where fewer than 2,500 reviews were scored, their time is scaled.",
        "Utilisation: required FLOPs (4 per block weight and token in LoRA training, 6 in full training, 2 in scoring; "
        "nothing for recomputation, attention's products or padding) over "
        + (f"{peak / 1e12:.0f} TFLOP/s, the card's dense bf16 peak." if peak else "a peak that is not known here."),
        "15gb: torch's allocator is held to 15 GB, the memory of the founding study's card. "
        "In brackets: measured by estimated.",
    ]
    return "\n\n".join([*tables, *notes])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(part.name for part in PARTS))
    parser.add_argument("--minutes", type=float, default=8.0, help="for everything together")
    parser.add_argument("--output", type=Path, help="folder of gpu.json and gpu.md; small ones are kept only here")
    parser.add_argument("--small", action="store_true", help="narrow models on the CPU, as without a GPU")
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    names = {part.name: part for part in PARTS}
    if unknown := [name for name in arguments.parts if name not in names]:
        raise SystemExit(f"{unknown[0]} is no part; there are {', '.join(names)}")
    os.environ["HF_HUB_OFFLINE"] = "1"
    chosen = [names[name] for name in arguments.parts] or list(PARTS)
    if arguments.place:
        figures = measure(chosen[0], Place(arguments.place, small=False))
        (arguments.place / f"{chosen[0].name}.json").write_text(json.dumps(figures))
        return
    facts = {**card(), **harness.machine(VERSIONS)}
    small = arguments.small or "card" not in facts
    if small:
        facts = {key: value for key, value in facts.items() if key not in ("card", "memory_bytes", "driver")}
    output = arguments.output or (None if small else harness.DOCS)
    figures = {"machine": facts, "parts": {}}
    if output and (output / "gpu.json").exists():
        before = json.loads((output / "gpu.json").read_bytes())
        if all(before["machine"].get(key) == facts.get(key) for key in ("card", "driver")):
            figures["parts"] = before["parts"]

    def keep() -> None:
        if output:  # what a later interruption leaves
            output.mkdir(parents=True, exist_ok=True)
            (output / "gpu.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")

    with harness.home() as home:
        run(Place(home.path, small), chosen, arguments.minutes, figures, keep)
    if output:
        harness.write("gpu", "Full-size models on a GPU", figures, text(figures), output)
    else:
        harness.say(text(figures))


if __name__ == "__main__":
    main()
