"""What the screens and the command line do. Both call these; nothing here imports Textual."""

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from engines import catalog
from engines.catalog import Experiment
from engines.data import files
from engines.errors import ConfigError, UserError
from engines.importing import importer
from engines.inputs import asking
from engines.inputs.asking import InputsError
from engines.memory import history
from engines.memory.estimate import Estimate, estimate_peak
from engines.runs import processes
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.summary import FINISHED, list_runs, summarize
from engines.settings import nearest
from labtui.devices import Device, DeviceSampler

QUICKSTART = "quickstart/"
LEAVES_WITHIN_S = 10.0  # a worker that has written its last event takes a moment to let go of the run
FIRST = "quickstart/distilbert-loop"  # its curves are what a newcomer sees first


def accepted_devices(experiment_engine: str, device: str) -> list[str]:
    """Device ids a run accepts: "cpu" or GPU UUIDs.

    `device` is "auto" (the first GPU to come free, the CPU where there is none or the engine uses none), an id,
    a UUID or a label's first word ("gpu0"). Raises `ConfigError` when there is no such device.
    """
    return [accepted.id for accepted in _accepted(experiment_engine, device)]


def _accepted(experiment_engine: str, device: str) -> list[Device]:
    devices = DeviceSampler().list_devices()
    if device == "auto":
        gpus = [d for d in devices if d.id != "cpu"]
        return gpus if gpus and catalog.engine(experiment_engine).USES_GPU else devices[-1:]
    for known in devices:
        if device in (known.id, known.label.split()[0]):
            return [known]
    names = [d.label.split()[0] for d in devices]
    raise ConfigError(f'no device "{device}"; there is {", ".join(names)}{nearest(device, names)}')


def estimate(home: Home, experiment: Experiment, device: str = "auto") -> tuple[Estimate, int | None]:
    """The estimated peak memory, corrected by earlier runs, and the free memory of the device it would run on.

    Of several devices the one with most free memory. Offline; raises `UserError` where the model's config is not
    on this machine.
    """
    best = max(_accepted(experiment.engine, device), key=lambda d: d.memory_free_bytes or 0)
    peak = estimate_peak(experiment, history.past_runs(home), device=best.id, home=home)
    return peak, best.memory_free_bytes


def launch(home: Home, experiment: Experiment, device: str = "auto") -> RunFolder:
    """Look at what the run will read, freeze its config in a new run folder and start its worker, which waits its turn
    by itself.

    Raises `UserError` where data or model cannot be used; then nothing is left behind.
    """
    devices = accepted_devices(experiment.engine, device)
    document = _with_absolute_paths(experiment.document())
    if "data" in document or "model" in document:
        with suppress(InputsError):  # the worker meets the same fault, and its run keeps the traceback
            asking.ask("check", document=document, home=str(home.path), whole=False)
    return _start(home, document, devices)


def _start(home: Home, document: dict[str, Any], devices: list[str]) -> RunFolder:
    folder = RunFolder.create(home, document)
    processes.launch(folder, devices)
    return folder


def _with_absolute_paths(document: dict[str, Any]) -> dict[str, Any]:
    """Local files and folders named relative to the caller's directory mean the same to the worker."""
    for table, key in (("data", "source"), ("model", "name")):
        if table in document and document[table][key] != "quickstart":
            document[table] = {**document[table], key: files.absolute(document[table][key])}
    return document


def resume(home: Home, folder: RunFolder) -> RunFolder:
    """Start a worker again on a run that stopped, failed or was lost; it goes on from its newest checkpoint."""
    summary = summarize(folder)
    if summary.engine == importer.ENGINE:
        raise UserError(f"{folder.name} was imported: there is nothing to go on with; `labtui import` makes a new run")
    if summary.state == FINISHED:
        raise UserError(f"{folder.name} has finished; `labtui run {summary.experiment}` starts a new run")
    launched = folder.read_launch()
    devices = launched.devices if launched else accepted_devices(summary.engine, "auto")
    deadline = time.monotonic() + LEAVES_WITHIN_S
    while summary.end is not None and processes.is_alive(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    processes.launch(folder, devices)
    return folder


def stop(folder: RunFolder, rung: str = "ask") -> str:
    """One rung of the stop ladder ("ask", "terminate", "kill"), as a sentence of what was done."""
    return processes.stop(folder, rung)


def evaluate(home: Home, run: RunFolder, overrides: Mapping[str, Any], device: str = "auto") -> RunFolder:
    """Score a finished run on other data: a new run without training."""
    summary = summarize(run)
    if summary.state != FINISHED:
        raise UserError(f"{run.name} is not finished (it is {summary.state}); only a finished run can be scored")
    if summary.engine == importer.ENGINE:
        raise UserError(f"{run.name} was imported: it holds answers and no model; choose a run of this program")
    document = {
        "engine": "evaluate",
        "run": run.name,
        "family": summary.document.get("family", ""),
        "title": f"{summary.document.get('title', summary.experiment)}, other data",
    }
    experiment = catalog.from_document(
        document, place="labtui evaluate", name=f"{summary.experiment}-evaluate", overrides=overrides
    )
    return launch(home, experiment, device)


def quickstart(home: Home, *, again: bool = False) -> list[RunFolder]:
    """The runs of the quickstart study, the missing ones launched (all of them with `again`), watched one first."""
    names = sorted((n for n in catalog.experiments() if n.startswith(QUICKSTART)), key=lambda n: (n != FIRST, n))
    existing: dict[str, RunFolder] = {}
    if not again:
        for folder in list_runs(home):  # newest first
            name = _experiment_of(folder)
            if name in names:
                existing.setdefault(name, folder)
    runs = []
    for name in names:
        if name in existing:
            runs.append(existing[name])
            continue
        experiment = catalog.read(name)  # shipped, with all that it reads: there is nothing to look at
        runs.append(_start(home, experiment.document(), accepted_devices(experiment.engine, "auto")))
    return runs


def _experiment_of(folder: RunFolder) -> str:
    try:
        return str(folder.read_document().get("experiment", ""))
    except (OSError, ValueError):
        return ""


def wait(folder: RunFolder, timeout_s: float) -> str:
    """Block until a run has ended; its state."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        summary = summarize(folder)
        if summary.state not in ("queued", "running"):
            return summary.state
        time.sleep(0.1)
    return summarize(folder).state
