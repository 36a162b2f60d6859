"""`python -m engines.serve SERVING_DIR [IDLE_S]`: keep a finished run's model warm and answer requests.

Takes no place in the queue. Ends by itself after `IDLE_S` seconds without a request, and on SIGTERM.
Exit status: 0 ended, 1 the model could not be loaded, 2 cannot start.
"""

import contextlib
import json
import math
import os
import signal
import sys
import time
import traceback
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

from engines.answers.classifier import Classifier, of_repeat
from engines.errors import AlreadyRunningError, UserError, sentence_of
from engines.methods import engine
from engines.methods.evaluate import open_classifier, source_run
from engines.runs import processes, serving
from engines.runs.folder import RunFolder
from engines.runs.writing import make_private, write_atomic

ANSWERS_MAX_BYTES = 1 << 20
ANSWERS_KEPT_S = 60.0  # an asker reads its answer within milliseconds; nobody waits longer
REQUEST_MAX_AGE_S = 60.0  # at the start: an older request lost its asker with the worker before


def main(argv: list[str]) -> int:
    if len(argv) not in (2, 3):
        sys.stderr.write("usage: python -m engines.serve SERVING_DIR [IDLE_S]\n")
        return 2
    folder = serving.ServingFolder(argv[1])
    began = time.time()
    idle_s = float(argv[2]) if len(argv) == 3 else serving.IDLE_S
    try:
        make_private(folder.requests)
        processes.hold_alive(folder.lock)
    except (AlreadyRunningError, OSError) as error:
        sys.stderr.write(f"{sentence_of(error)}\n")
        return 2
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.chdir(folder.path)
    status = serving.Status(serving.LOADING, idle_timeout_s=idle_s)
    try:
        folder.write_status(status)
        try:
            status, model = _load(folder.run, status)
        except Exception as error:
            folder.write_status(replace(status, state=serving.FAILED, message=_error_sentence(error)))
            return 1
        _tidy(folder, began)
        folder.write_status(status)
        _serve(folder, model, status)
    except KeyboardInterrupt:
        pass
    folder.write_status(replace(status, state=serving.ENDED))
    return 0


def _load(run: RunFolder, status: serving.Status) -> tuple[serving.Status, Classifier]:
    # a running training keeps half of the cores: read by torch and scikit-learn when they are imported
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // 2)))
    source = source_run(run)
    device, name, reason = _choose_device(source)
    model = open_classifier(source, device)
    model.classify(["warm up"])  # the first forward pass pays for kernels and buffers
    return (
        replace(
            status, state=serving.READY, device=name, reason=reason, labels=list(model.labels), ready_at=time.time()
        ),
        model,
    )


def _choose_device(run: RunFolder) -> tuple[str, str, str]:
    """Torch's device, its name for people, and why: the visible GPU with most free memory if the model fits."""
    module = engine(str(run.read_document().get("engine")))
    if not module.USES_GPU:
        return "cpu", "cpu", "this model needs no GPU"
    import torch

    if not torch.cuda.is_available():
        return "cpu", "cpu", "no GPU is visible"
    if hasattr(module, "weight_bytes"):  # a model that was only prompted lies elsewhere
        weights = module.weight_bytes(run)
    else:
        weights = sum(file.stat().st_size for file in run.model.rglob("*.safetensors"))
    needed = weights * 3 // 2 + (1 << 30)
    free, best = max((_free_bytes(n), -n) for n in range(torch.cuda.device_count()))
    memory = f"{free / 2**30:.1f} GiB free, {needed / 2**30:.1f} GiB needed"
    if free < needed:
        return "cpu", "cpu", f"the GPU is too full: {memory}"
    return f"cuda:{-best}", torch.cuda.get_device_name(-best), memory


def _free_bytes(index: int) -> int:
    """Free memory of a GPU that torch sees, by NVML where it answers: torch itself would settle on the GPU to ask."""
    import torch

    with contextlib.suppress(Exception):  # no NVML, or a slice of a GPU it does not tell of
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(index).uuid}")
        return int(pynvml.nvmlDeviceGetMemoryInfo(handle).free)
    return int(torch.cuda.mem_get_info(index)[0])


def _serve(folder: serving.ServingFolder, model: Classifier, status: serving.Status) -> None:
    last = time.monotonic()
    while time.monotonic() - last < status.idle_timeout_s:
        waiting = _waiting(folder)
        for request in waiting:
            _answer(folder, request, model, status.device)
            last = time.monotonic()
        if not waiting:
            time.sleep(serving.POLL_S)


def _waiting(folder: serving.ServingFolder) -> list[Path]:
    """Open requests in the order of asking; half-written ones have other names."""
    try:
        names = os.listdir(folder.requests)
    except FileNotFoundError:
        return []
    return [folder.requests / name for name in sorted(names) if name.endswith(".json")] if names else []


def _answer(folder: serving.ServingFolder, request: Path, model: Classifier, device: str) -> None:
    try:
        question = json.loads(request.read_bytes())
        began = time.perf_counter()
        answers = of_repeat(model, question.get("repeat", 0)).classify(question["texts"])
        model_ms = round((time.perf_counter() - began) * 1000, 3)
        if not all(math.isfinite(p) for answer in answers for p in answer.probabilities):
            raise UserError("the model answers with NaN: its training diverged")
        line = json.dumps({"answers": [asdict(a) for a in answers], "model_ms": model_ms, "device": device})
    except FileNotFoundError:
        return  # withdrawn
    except Exception as error:
        line = json.dumps({"error": _error_sentence(error)})
    head = json.dumps({"id": request.stem, "time": time.time()})
    _append(folder.answers, f"{head[:-1]}, {line[1:]}\n".encode())
    request.unlink(missing_ok=True)


def _append(path: Path, line: bytes) -> None:
    size = path.stat().st_size if path.exists() else 0
    if size > ANSWERS_MAX_BYTES:
        kept = [old for old in path.read_bytes().splitlines(keepends=True) if _is_young(old)]
        write_atomic(path, b"".join(kept) + line)  # a new inode: askers read it from the start
        return
    with open(path, "ab", buffering=0) as file:
        while line:
            line = line[file.write(line) :]


def _is_young(line: bytes) -> bool:
    with contextlib.suppress(ValueError):
        return bool(json.loads(line)["time"] > time.time() - ANSWERS_KEPT_S)
    return False  # torn


def _error_sentence(error: Exception) -> str:
    """One sentence for the asker; the traceback of a fault of ours goes to the log."""
    if isinstance(error, UserError) or isinstance(error, OSError) and error.strerror:
        return sentence_of(error)
    traceback.print_exc()
    return f"{type(error).__name__}: {error}"


def _tidy(folder: serving.ServingFolder, began: float) -> None:
    """Close off what a worker before this one left behind: a torn line, requests nobody waits for."""
    if folder.answers.exists() and not folder.answers.read_bytes().endswith(b"\n"):
        _append(folder.answers, b"\n")  # never cut in place: an asker may have noted the length already
    for request in _waiting(folder):
        with contextlib.suppress(FileNotFoundError):
            if began - request.stat().st_mtime > REQUEST_MAX_AGE_S:
                request.unlink()


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # a second one must not interrupt the report of the end
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv))
