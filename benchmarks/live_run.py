"""`live_run.py RUN_DIR SECONDS`: writes the events of a training run at 50 steps per second, as a worker would."""

import math
import random
import sys
import time

from engines.reporter import Reporter
from engines.runs import processes
from engines.runs.folder import RunFolder
from engines.runs.scores import Scores

STEPS_PER_S = 50
TOTAL = 6000


def main() -> None:
    folder, seconds = RunFolder(sys.argv[1]), float(sys.argv[2])
    processes.hold_alive(folder.lock)
    processes.record_pid(folder)
    report = Reporter(folder)
    report.started("cpu", 0, "", {})
    report.phase("train", TOTAL, "steps")
    draw, began = random.Random(0), time.monotonic()
    for step in range(1, TOTAL + 1):
        loss = 2.4 * math.exp(-step / 900) + 0.3 + draw.gauss(0, 0.08)
        norm, pace = abs(draw.gauss(1, 0.3)), 800 + draw.gauss(0, 20)
        rate = 5e-5 * (1 - step / TOTAL)
        report.step(step, TOTAL, step / 2000, loss, rate, grad_norm=norm, examples_per_s=pace, tokens_per_s=9e4)
        if step % 300 == 0:
            scores = Scores(accuracy=0.9 - 0.3 * math.exp(-step / 800))
            confusion = [[45, 5, 0], [5, 45, 0]]
            report.evaluated("validation", scores, ["a", "b"], confusion, loss=loss, step=step, epoch=step / 2000)
        time.sleep(max(0.0, began + step / STEPS_PER_S - time.monotonic()))
        if time.monotonic() - began > seconds:
            break


if __name__ == "__main__":
    main()
