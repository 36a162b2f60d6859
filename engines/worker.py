"""`python -m engines.worker RUN_DIR`: run one engine in this process, its story in the run folder.

Exit status: 0 finished, 1 failed, 2 cannot start, 3 stopped.
"""

import hashlib
import importlib.metadata
import json
import os
import shutil
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

from engines import catalog
from engines.parts import history, memory
from engines.reporter import Reporter, Stop
from engines.runs import processes, queue
from engines.runs.folder import RunFolder
from engines.settings import UserError

PACKAGES = ("torch", "transformers", "datasets", "scikit-learn", "accelerate", "peft", "trl", "bitsandbytes")


def main(argv: list[str]) -> int:
    if len(argv) != 2:
        sys.stderr.write("usage: python -m engines.worker RUN_DIR\n")
        return 2
    folder = RunFolder(argv[1])
    try:
        processes.hold_alive(folder.lock)
    except (processes.AlreadyRunning, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.chdir(folder.path)  # whatever a library writes to its working directory stays with the run
    report = Reporter(folder)
    try:
        try:
            _run(folder, report)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a run has one end: too late to stop, or to stop twice
        report.finished()
        shutil.rmtree(folder.checkpoints, ignore_errors=True)  # nothing is left to resume
        return 0
    except (Stop, KeyboardInterrupt) as stop:
        report.stopped(str(stop) or "interrupted")
        return 3
    except Exception as error:
        report.failed(error)
        return 1
    finally:
        report.close()


def _run(folder: RunFolder, report: Reporter) -> None:
    launch = processes.sign(folder)
    experiment = catalog.from_document(folder.read_document(), place=str(folder.config), name=folder.name)
    said: list[int] = []

    def waiting(ahead: int) -> None:
        if said[-1:] != [ahead]:
            report.queued(launch.devices, ahead)
            said.append(ahead)
        report.check_stop()

    turn = queue.wait_turn(folder, launch, waiting)
    os.environ["CUDA_VISIBLE_DEVICES"] = "" if turn.device == "cpu" else turn.device  # before torch is imported
    report.model = getattr(getattr(experiment.config, "model", None), "name", "")
    report.started(turn.device, experiment.config.seed, config_hash(experiment.document()), _versions())
    _estimate(experiment, turn.device, report)
    catalog.engine(experiment.engine).run(experiment.config, report)


def _estimate(experiment: catalog.Experiment, device: str, report: Reporter) -> None:
    """Leave the estimated peak memory in the folder, for later estimates to learn from."""
    try:
        found = memory.estimate(experiment, device="cpu" if device == "cpu" else "cuda")
    except UserError:
        return  # the model is not on this machine yet, or of a kind without formulae
    except Exception as error:  # an estimate is advice: no fault of it may cost a run
        report.note(f"no estimate of the peak memory: {type(error).__name__}: {error}", "warning")
        return
    history.record(report.folder, found.family, found.device, found.uncorrected_bytes)
    report.note(f"estimated peak memory: {memory.gib(found.total_bytes)}")


def config_hash(document: dict[str, Any]) -> str:
    """Equal for runs that differ in nothing but seed, name and title."""
    same = {k: v for k, v in document.items() if k not in ("seed", "title", "family", "experiment")}
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:16]


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # a second one must not cut the last words short
    raise Stop(signal.Signals(number).name)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
