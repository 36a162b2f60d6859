"""Files and folders that appear whole or not at all."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

UMASK = "LABTUI_UMASK"
"""In the environment of a worker, whose files are for its user alone: the umask that the user had, in octal."""
PRIVATE, SHARED = 0o600, 0o666
"""Modes of files: of a home, for its user alone; in places that a user names, as the umask says."""


def write_atomic(path: Path, data: bytes, mode: int = PRIVATE) -> None:
    """Write a small file whole or not at all: temporary name, fsync, rename."""
    with open_atomic(path, mode) as file:
        file.write(data)


@contextlib.contextmanager
def open_atomic(path: Path, mode: int = PRIVATE, text: bool = False) -> Iterator[IO[Any]]:
    """A file to write, of bytes or as UTF-8 text with its line ends as they are, that appears as `path` when the block
    has ended; nothing is left behind when it raises. An `OSError` names `path`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, mode)

    try:
        how = {"mode": "w", "encoding": "utf-8", "newline": ""} if text else {"mode": "wb"}
        with open(temporary, **how, opener=opener) as file:  # type: ignore[call-overload]
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)  # on a full disk it takes what little space is left
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            error.filename = str(path)
        raise


def make_private(folder: Path) -> None:
    """Make a folder that its user alone can enter, whatever the umask says; those above it are made as usual."""
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return
    folder.chmod(0o700)


@contextlib.contextmanager
def users_umask() -> Iterator[None]:
    """While inside, a worker makes files as its user's umask says and not for the user alone: those of a cache that
    others may share. For one thread at a time."""
    asked = os.environ.get(UMASK, "")
    if not asked:
        yield
        return
    before = os.umask(int(asked, 8))
    try:
        yield
    finally:
        os.umask(before)


def write_folder(target: Path, fill: Callable[[Path], None]) -> None:
    """Make the folder `target` appear whole: `fill` writes files into a folder beside it, which is synced and renamed.

    An older `target` is replaced. Nothing is left behind when `fill` raises.
    """
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700, parents=True)
    try:
        fill(partial)
        for path in (*partial.rglob("*"), partial):
            sync(path)
        if target.exists():
            shutil.rmtree(target)
        os.rename(partial, target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync(target.parent)


def sha256(file: Path) -> str:
    """Of a file's content, in hex."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
