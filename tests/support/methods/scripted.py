"""An engine without a model: it steps until told to stop, so that tests can kill, queue and resume it."""

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

from engines.reporter import Reporter, Restart, Stop
from engines.runs import events as ev
from engines.runs.scores import Scores
from engines.settings import option

TITLE = "Scripted steps"
USES_GPU = False


@dataclass(frozen=True)
class Config:
    """Settings."""

    steps: int = option(5, "How many steps to report.", unit="steps", minimum=0)
    pause_s: float = option(0.0, "How long a step takes.", unit="seconds", minimum=0)
    fail: str = option("", "Raise an error with this message at the end.")
    grandchild: bool = option(False, "Start a sleeping process in a session of its own.")
    restart_above: int = option(0, "Begin anew with half the steps while there are more than so many; 0: never.")
    lingering: bool = option(False, "Leave a thread running that would keep the process for minutes.")
    ignore_requests: bool = option(False, "Do not look for requests.")
    seed: int = option(0, "Seed.")


def run(config: Config, report: Reporter) -> None:
    if config.grandchild:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"], start_new_session=True)
        (report.folder.path / "grandchild.pid").write_text(str(child.pid))
    if config.lingering:
        threading.Thread(target=time.sleep, args=(120,)).start()
    checkpoint = report.folder.path / "step.txt"
    first = int(checkpoint.read_text()) if checkpoint.exists() else 0
    if first:
        report.resumed(first)
    if config.restart_above and config.steps > config.restart_above:
        raise Restart(ev.Adjusted("too_many", {"steps": config.steps}, {"steps": config.steps // 2}))
    report.phase("train", config.steps, "steps")
    for step in range(first + 1, config.steps + 1):
        time.sleep(config.pause_s)
        report.step(step, config.steps, step / config.steps, 1.0 / step, 1e-4, grad_norm=float("nan"))
        if not config.ignore_requests and report.should_stop():
            checkpoint.write_text(str(step))
            raise Stop("asked")
    if config.fail:
        raise RuntimeError(config.fail)
    report.evaluated("test", Scores(accuracy=0.75), ["negative", "positive"], [[30, 10, 0], [10, 30, 0]])
    (report.folder.path / "pid.txt").write_text(str(os.getpid()))
