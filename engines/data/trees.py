"""Files by their paths, whether they lie in a folder or in an archive: read one at a time, never extracted.

An archive is never trusted: names that lead out of it, links, devices, archives in archives and sizes beyond the
bounds below are refused before anything is read.
"""

import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from engines.errors import DataError

MEMBERS_MAX = 2_000_000
MEMBER_BYTES_MAX = 4 << 30
ARCHIVE_BYTES_MAX = 64 << 30
"""Of all members together, unpacked."""
RATIO_MAX = 1000
"""Unpacked by packed size of a member above 1 MiB: text reaches some 20, a bomb a thousand and more."""
PARTS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "tst", "eval", "evaluation"), "test"),
}
"""What folders and files of official splits are called."""
NOISE = ("__MACOSX", ".ipynb_checkpoints")
_WORD = re.compile(r"[^a-z]")
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


@dataclass(frozen=True)
class Member:
    """A file of a tree."""

    path: PurePosixPath  # below the root
    size_bytes: int
    read: Callable[..., bytes]  # all of it, or so many bytes from its start; raises `DataError`


@dataclass(frozen=True)
class Tree:
    """The files below a folder or inside an archive, sorted by path; hidden files and what systems add are left out."""

    name: str  # for sentences
    members: tuple[Member, ...]
    sample: bool = False  # see `Reading.sample`

    def names(self) -> list[str]:
        return [str(member.path) for member in self.members]


def part_of(name: str) -> str:
    """The official split that a folder or file is named after, "" where it is none: "train-00000-of-00001" is train."""
    return PARTS.get(_WORD.split(name.lower())[0], "")


def is_archive(head: bytes) -> bool:
    """Whether a file that begins so is a zip or a tar file, not compressed."""
    return head.startswith(b"PK\x03\x04") or head[257:262] == b"ustar"


def of_folder(folder: Path) -> Tree:
    """All regular files below `folder`; links to files are followed, links to folders are not."""
    members = []
    for relative, entry in _walk(folder, ""):
        members.append(Member(PurePosixPath(relative), entry.stat().st_size, partial(_read_file, entry.path)))
        if len(members) > MEMBERS_MAX:
            raise DataError(f"{folder} holds more than {MEMBERS_MAX:,} files; set data.source to a folder below it")
    return _tree(folder, members)


def _walk(folder: Path | str, prefix: str) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}); check its permissions") from None
    for entry in entries:
        if entry.name.startswith(".") or entry.name in NOISE:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, f"{prefix}{entry.name}/")
        elif entry.is_file():
            yield prefix + entry.name, entry


def _read_file(path: str, most_bytes: int = -1) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(most_bytes)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); check its permissions") from None


def is_zip(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"PK\x03\x04"


def of_archive(path: Path) -> Tree:
    """The files of a zip or tar archive, the latter also compressed by gzip, bzip2 or xz."""
    try:
        return _of_zip(path) if is_zip(path) else _of_tar(path)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: damaged or unknown archive ({reason}); copy or pack it again") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); copy it again") from None


def _of_zip(path: Path) -> Tree:
    archive = zipfile.ZipFile(path)
    members: list[Member] = []
    total = 0
    for info in archive.infolist():
        if info.is_dir():
            continue
        kind = info.external_attr >> 28
        total = _checked(
            path, info.filename, kind not in (0, 8), info.file_size, info.compress_size, total, len(members)
        )
        if info.flag_bits & 1:
            raise DataError(
                f"{path}: {info.filename} is encrypted; unpack the archive, and set data.source to the folder"
            )

        def read(most_bytes: int = -1, name: str = info.filename, size: int = info.file_size) -> bytes:
            try:
                with archive.open(name) as file:
                    if 0 <= most_bytes < size:
                        return file.read(most_bytes)
                    return _bounded(file.read(size + 1), size, path, name)
            except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
                raise DataError(f"{path}: {name} is damaged ({error}); copy or pack the archive again") from None

        if _is_wanted(info.filename):
            members.append(Member(PurePosixPath(info.filename), info.file_size, read))
    return _tree(path, members)


def _of_tar(path: Path) -> Tree:
    """A tar file is read in one go from its start: to seek in a compressed one means to unpack it again and again."""
    members: list[Member] = []
    total, packed = 0, path.stat().st_size
    with tarfile.open(path, "r:*") as archive:
        for info in archive:
            if info.isdir():
                continue
            total = _checked(path, info.name, not info.isreg(), info.size, 0, total, len(members))
            if total > 1 << 20 and total > RATIO_MAX * packed:
                raise DataError(f"{path}: it unpacks to more than {RATIO_MAX} times its size; it is not read")
            if not _is_wanted(info.name):
                continue
            file = archive.extractfile(info)
            content = _bounded(file.read(info.size + 1) if file else b"", info.size, path, info.name)
            members.append(Member(PurePosixPath(info.name), info.size, partial(_first_bytes, content)))
    return _tree(path, members)


def _first_bytes(content: bytes, most_bytes: int = -1) -> bytes:
    return content if most_bytes < 0 else content[:most_bytes]


def _tree(path: Path, members: list[Member]) -> Tree:
    """Sorted, and without a folder that all members stand in: archives mostly hold one."""
    ordered = sorted(members, key=lambda member: member.path.parts)
    while ordered and all(len(m.path.parts) > 1 for m in ordered) and len({m.path.parts[0] for m in ordered}) == 1:
        top = ordered[0].path.parts[0]
        if part_of(top):
            break
        ordered = [replace(m, path=PurePosixPath(*m.path.parts[1:])) for m in ordered]
    return Tree(path.name, tuple(ordered))


def _is_wanted(name: str) -> bool:
    return not any(part.startswith(".") or part in NOISE for part in PurePosixPath(name).parts)


def _checked(path: Path, name: str, odd: bool, size: int, packed: int, total: int, count: int) -> int:
    """The size of all members so far; `DataError` where this one must not be read."""
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise DataError(f"{path}: the member {name!r} leads out of the archive; it is not read")
    if odd:
        raise DataError(f"{path}: the member {name!r} is a link or device, not a file; it is not read")
    if name.lower().endswith(ARCHIVES):
        raise DataError(f"{path}: the member {name!r} is an archive itself; unpack the outer one")
    if size > MEMBER_BYTES_MAX or total + size > ARCHIVE_BYTES_MAX:
        raise DataError(
            f"{path}: it unpacks to more than {ARCHIVE_BYTES_MAX >> 30} GiB; unpack it, and name a part of it"
        )
    if packed and size > 1 << 20 and size > RATIO_MAX * packed:
        raise DataError(f"{path}: the member {name!r} unpacks to {size // packed:,} times its size; it is not read")
    if count >= MEMBERS_MAX:
        raise DataError(f"{path}: it holds more than {MEMBERS_MAX:,} files; unpack it, and name a part of it")
    return total + size


def _bounded(content: bytes, size: int, path: Path, name: str) -> bytes:
    if len(content) != size:
        raise DataError(f"{path}: the member {name!r} has another size than the archive says; pack it again")
    return content
