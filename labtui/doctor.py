"""`labtui doctor`: what works here, what does not, and what to do about it."""

import importlib.metadata
import json
import os
import shlex
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.errors import HomeError
from engines.runs import locks
from engines.runs.home import Home, knows_modes
from labtui import format
from labtui.devices import DeviceSampler

HUB = "https://huggingface.co"
FREE_BYTES_WANTED = 5 << 30


@dataclass(frozen=True)
class Finding:
    """One line: `ok`, or what is missing; `required` if runs do not work without it."""

    name: str
    ok: bool
    text: str
    required: bool = False


def examine(home: Home) -> list[Finding]:
    """All findings, in the order a newcomer would look for them. Reaches for the hub for at most 3 seconds."""
    return [*_python(), *_libraries(), *_devices(), *_hub(), *_home(home)]


def _python() -> Iterator[Finding]:
    version = sys.version.split()[0]
    yield Finding("python", sys.version_info >= (3, 11), f"{version}, {sys.executable}", required=True)
    linux = sys.platform == "linux"
    text = "Linux" if linux else f"{sys.platform}: runs need Linux (open-file-description locks, /proc)"
    yield Finding("system", linux, text, required=True)


def _libraries() -> Iterator[Finding]:
    probe = subprocess.run(
        [sys.executable, "-m", "engines.models.environment"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    try:
        seen: dict[str, Any] = json.loads(probe.stdout)
    except ValueError:
        yield Finding("torch", False, f"could not be asked: {probe.stderr.strip()[-300:]}", required=True)
        return
    torch, quantised = seen["torch"], seen["bitsandbytes"]
    if "error" in torch:
        yield Finding("torch", False, f"{torch['error']}; install with constraints.txt", required=True)
    else:
        yield Finding("torch", True, f"{torch['version']}, {torch['threads']} CPU threads", required=True)
        yield _cuda(torch)
    for name in ("transformers", "datasets", "scikit-learn", "textual"):
        try:
            yield Finding(name, True, importlib.metadata.version(name), required=True)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, False, "not installed", required=True)
    if "error" in quantised:
        yield Finding("bitsandbytes", False, f"{quantised['error']}; needed for 4-bit models only")
    else:
        yield Finding("bitsandbytes", True, quantised["version"])


def _cuda(torch: dict[str, Any]) -> Finding:
    if torch["cuda_available"]:
        bf16 = "" if torch["bf16"] else "; no bf16"
        return Finding("cuda", True, f"{torch['cuda_build']}: {', '.join(torch['devices'])}{bf16}")
    if torch["cuda_build"] is None:
        return Finding("cuda", False, "this torch is a CPU build; engines run on the CPU")
    return Finding(
        "cuda", False, f"torch is built for CUDA {torch['cuda_build']} but sees no device; engines run on the CPU"
    )


def _devices() -> Iterator[Finding]:
    sampler = DeviceSampler()
    sample = sampler.sample()
    if sample.gpus:
        for device in sampler.list_devices():
            if device.id != "cpu":
                yield Finding(
                    "gpu", True, f"{device.label}, {format.bytes_text(device.memory_free_bytes)} free, {device.id}"
                )
    else:
        yield Finding("driver", False, sample.gpu_reason or "no NVIDIA device")


def _hub() -> Iterator[Finding]:
    endpoint = os.environ.get("HF_ENDPOINT", HUB)
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        yield Finding("hub", False, "HF_HUB_OFFLINE is set: only models and data in the cache can be used")
    else:
        try:
            with urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=3):
                yield Finding("hub", True, f"{endpoint} answers")
        except urllib.error.HTTPError as error:
            yield Finding("hub", error.code < 500, f"{endpoint} answers {error.code}")
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            yield Finding(
                "hub",
                False,
                f"{endpoint}: {getattr(reason, 'strerror', None) or reason}; local models and data still work",
            )
    token_file = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser() / "token"
    token = bool(os.environ.get("HF_TOKEN")) or token_file.is_file()
    yield Finding("hub token", token, "found" if token else "none; gated models (Gemma, Mistral) need HF_TOKEN")


def _access(home: Home) -> Finding:
    """Who may write in the home."""
    try:
        home.check_writable()
    except HomeError as error:
        return Finding("access", False, str(error), required=True)
    if not knows_modes(home.path):
        return Finding("access", False, "this disk keeps no permissions: who reaches it can read and change your runs")
    mode = stat.S_IMODE(home.path.stat().st_mode)
    readable = "" if mode & 0o077 == 0 else f"; others may look in, `chmod 700 {shlex.quote(str(home.path))}` shuts it"
    return Finding("access", True, f"mode {mode:03o}{readable}", required=True)


def _home(home: Home) -> Iterator[Finding]:
    try:
        with tempfile.NamedTemporaryFile(dir=home.cache) as probe:
            fd = locks.try_lock(Path(probe.name))
            locked = fd is not None
            if fd is not None:
                os.close(fd)
        text = (
            str(home.path) if locked else f"{home.path}: file locks do not work here; set LABTUI_HOME to a local disk"
        )
        yield Finding("home", locked, text, required=True)
        yield _access(home)
        free = shutil.disk_usage(home.path).free
        yield Finding("disk", free >= FREE_BYTES_WANTED, f"{format.bytes_text(free)} free for runs")
    except OSError as error:
        yield Finding(
            "home", False, f"{home.path}: {error.strerror}; set LABTUI_HOME to a folder you can write", required=True
        )
    cache = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    existing = next(p for p in (cache, *cache.parents) if p.exists())
    yield Finding("hub cache", True, f"{cache}, {format.bytes_text(shutil.disk_usage(existing).free)} free")
    yield Finding("host", True, socket.gethostname())
