"""Checkpoints that are whole or not there: a folder of files, and a manifest, written last, that vouches for them.

`checkpoints/000003-step-250/`: the number in front grows with every checkpoint written.
"""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from engines.runs.reading import Count, read_json
from engines.runs.writing import sha256, sync, write_folder

MANIFEST = "manifest.json"
KEPT = 2
"""Newest checkpoints that stay: were one found damaged, there is another."""
_NAME = re.compile(r"(\d+)-step-(\d+)")


def write(folder: Path, step: int, fill: Callable[[Path], None]) -> Path:
    """Write a checkpoint of `step` into `folder`, its files made by `fill`, and return where it is."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for torn in folder.glob(".*.partial"):  # its writer was killed
        shutil.rmtree(torn, ignore_errors=True)
    serial = 1 + max((serial for serial, _, _ in _all(folder)), default=0)
    target = folder / f"{serial:06d}-step-{step}"

    def with_manifest(partial: Path) -> None:
        fill(partial)
        files = {file.name: {"size_bytes": file.stat().st_size, "sha256": sha256(file)} for file in partial.iterdir()}
        for file in partial.iterdir():  # a manifest must not reach the disk before what it vouches for
            sync(file)
        (partial / MANIFEST).write_text(json.dumps({"step": step, "files": files}, indent=1))

    write_folder(target, with_manifest)
    return target


class _File(msgspec.Struct):
    size_bytes: Count
    sha256: str


class _Manifest(msgspec.Struct):
    files: dict[str, _File]


def is_complete(checkpoint: Path) -> bool:
    """Whether the manifest names files and every one is there with its size and content."""
    try:
        files = read_json(checkpoint / MANIFEST, _Manifest).files
        return bool(files) and all(
            (checkpoint / name).stat().st_size == file.size_bytes and sha256(checkpoint / name) == file.sha256
            for name, file in files.items()
        )
    except (OSError, ValueError):
        return False


def newest_complete(folder: Path, damaged: Callable[[Path], None] = lambda checkpoint: None) -> Path | None:
    """The newest complete checkpoint, None without one; `damaged` is told of every newer one that is not."""
    for _, _, checkpoint in sorted(_all(folder), reverse=True):
        if is_complete(checkpoint):
            return checkpoint
        damaged(checkpoint)
    return None


def is_there(folder: Path, step: int) -> bool:
    """Whether a checkpoint of `step` was written, complete or not."""
    return any(s == step for _, s, _ in _all(folder))


def of_step(folder: Path, step: int) -> Path | None:
    """A complete checkpoint of `step`, None without one."""
    return next((path for _, s, path in sorted(_all(folder), reverse=True) if s == step and is_complete(path)), None)


def prune(folder: Path, best_step: int) -> None:
    """Remove all but the newest `KEPT` checkpoints and the newest one of `best_step`."""
    newest_first = sorted(_all(folder), reverse=True)
    best = [path for _, step, path in newest_first if step == best_step][:1]
    for _, _, path in newest_first[KEPT:]:
        if path not in best:
            shutil.rmtree(path, ignore_errors=True)


def size_bytes(checkpoint: Path) -> int:
    """What a checkpoint takes on the disk."""
    return sum(file.stat().st_size for file in checkpoint.iterdir())


def _all(folder: Path) -> list[tuple[int, int, Path]]:
    """Serial, step and path of every checkpoint, complete or not."""
    if not folder.is_dir():
        return []
    named = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir() if path.is_dir())
    return [(int(match[1]), int(match[2]), path) for match, path in named if match]
