"""`python -m engines.worker RUN_DIR`: run one engine in this process, its story in the run folder.

Exit status: 0 finished, 1 failed, 2 cannot start, 3 stopped.
"""

import importlib.metadata
import logging
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import NoReturn

import psutil

from engines import catalog
from engines.answers import columns
from engines.errors import AlreadyRunningError, RunError, UserError, sentence_of
from engines.inputs import asking, checks
from engines.inputs.asking import InputsError
from engines.memory import history
from engines.memory.estimate import estimate_peak, gib
from engines.reporter import Reporter, Restart, Stop
from engines.runs import processes, queue
from engines.runs.folder import Launch, RunFolder
from engines.settings import settings_digest

AWAITED_EVERY_S = 0.5
PACKAGES = ("torch", "transformers", "datasets", "scikit-learn", "accelerate", "peft", "trl", "bitsandbytes")


def main(argv: list[str]) -> int:
    if len(argv) != 2:
        sys.stderr.write("usage: python -m engines.worker RUN_DIR\n")
        return 2
    folder = RunFolder(argv[1])
    try:
        alive_fd = processes.hold_alive(folder.lock)
        signal.signal(signal.SIGTERM, _terminate)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.chdir(folder.path)  # whatever a library writes to its working directory stays with the run
        report = Reporter(folder)
    except (AlreadyRunningError, OSError) as error:
        sys.stderr.write(f"{sentence_of(error)}\n")
        return 2
    try:
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))  # blocked by `processes.reexec`
            lease = _lease_device(folder, report)
            try:
                _run(folder, report, lease.device)
            except Restart as restart:
                _restart(folder, report, restart, alive_fd, lease)
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


def _lease_device(folder: RunFolder, report: Reporter) -> queue.DeviceLease:
    launch = processes.record_pid(folder)
    # no waiting in vain
    experiment = catalog.from_document(folder.read_document(), place=str(folder.config), name=folder.name)
    _await_model(folder, experiment, launch, report)
    if checks.needs_rest(experiment) and not folder.splits.exists():
        with suppress(InputsError):  # the run meets the same fault, and tells it better
            document, home = experiment.document(), str(folder.home.path)
            asking.ask("check", report.check_stop, document=document, home=home, whole=True)
    reported: int | None = None

    def waiting(ahead: int) -> None:
        nonlocal reported
        if ahead != reported:
            report.queued(launch.devices, ahead)
            reported = ahead
        report.check_stop()

    return queue.kept_lease(folder.home) or queue.wait_for_device(folder, launch, waiting)


def _await_model(folder: RunFolder, experiment: catalog.Experiment, launch: Launch, report: Reporter) -> None:
    """Wait until the run whose model this one starts from has made it. Raises `UserError` where it ended without."""
    reported = False
    while run := checks.awaited_run(experiment, folder.home):
        if not reported:
            queue.leave(folder, launch)  # nobody waits for it, least of all the run that it waits for
            report.note(f"waits for the model of {run.name}")
            report.queued(launch.devices, 1)
            reported = True
        report.check_stop()
        time.sleep(AWAITED_EVERY_S)
    if reported:
        checks.check_made(experiment, folder.home)


def _run(folder: RunFolder, report: Reporter, device: str) -> None:
    document, place = folder.read_document(), str(folder.config)
    asked = catalog.from_document(document, place=place, name=folder.name)
    used = catalog.from_document(document, place=place, name=folder.name, overrides=folder.read_adjustments())
    os.environ["CUDA_VISIBLE_DEVICES"] = "" if device == "cpu" else device  # before torch is imported
    report.model = getattr(getattr(asked.config, "model", None), "name", "")
    report.started(device, getattr(asked.config, "seed", None), settings_digest(document), _versions())
    _estimate(used, device, report)
    catalog.engine(used.engine).run(used.config, report)
    _keep_columns(folder, report)


def _restart(
    folder: RunFolder, report: Reporter, restart: Restart, alive_fd: int, lease: queue.DeviceLease
) -> NoReturn:
    """Go on in a fresh process that keeps the lock of the run and the device, with the changed settings."""
    adjusted = restart.adjusted
    if adjusted.after.items() <= folder.read_adjustments().items():
        changes = ", ".join(f"{name} = {value}" for name, value in adjusted.after.items())
        raise RunError(
            f"{adjusted.reason.replace('_', ' ')}, but {changes} was set already; start a new run with other settings"
        )
    folder.adjust(adjusted.after)
    report.fact(adjusted)
    queue.keep_lease(lease)
    processes.reexec([sys.executable, "-m", "engines.worker", str(folder.path)], alive_fd, [lease.lock_fd])


def _estimate(experiment: catalog.Experiment, device: str, report: Reporter) -> None:
    """Leave the estimated peak memory in the folder, for later estimates to learn from."""
    try:
        estimate = estimate_peak(experiment, device="cpu" if device == "cpu" else "cuda")
    except UserError:
        return  # the model is not on this machine yet, or of a kind without formulae
    except Exception as error:  # an estimate is advice: no fault of it may cost a run
        report.note(f"no estimate of the peak memory: {type(error).__name__}: {error}", "warning")
        return
    history.record(report.folder, estimate.family, estimate.device, estimate.uncorrected_bytes)
    report.note(f"estimated peak memory: {gib(estimate.total_bytes)}")


def _keep_columns(folder: RunFolder, report: Reporter) -> None:
    """Leave the answers as arrays too, so that the results open at once; they can be rebuilt at any time."""
    if not folder.predictions.exists():
        return
    try:
        columns.write(folder)
    except Exception as error:  # no fault of it may cost a run
        report.note(f"{folder.predictions_columns.name}: {type(error).__name__}: {error}", "warning")


def _versions() -> dict[str, str]:
    versions = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # a second one must not interrupt the report of the end
    raise Stop(signal.Signals(number).name)


def _leave(code: int) -> NoReturn:
    """End this process and its children now: libraries take seconds to take down what nobody needs any more."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            child.kill()
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    _leave(main(sys.argv))
