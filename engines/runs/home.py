"""Where everything lives: the home folder and the folders beneath it, and who may write there."""

import errno
import os
import pwd
import re
import secrets
import shlex
import socket
import stat
import tempfile
import time
from pathlib import Path

import platformdirs

from engines.errors import HomeError
from engines.runs.writing import make_private

SHARED_HOME = "LABTUI_SHARED_HOME"
"""An environment variable: at 1 the home of somebody else, and one that others may write in, is written in too."""
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class Home:
    """The home folder: `$LABTUI_HOME`, else the user's data directory. Folders are made on demand, mode 0700.

    Reading asks nothing of it; whoever is about to write calls `check_writable` first.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        given = path or os.environ.get("LABTUI_HOME") or platformdirs.user_data_path("labtui")
        self.path = Path(given).expanduser().absolute()

    def _folder(self, *parts: str) -> Path:
        folder = self.path.joinpath(*parts)
        if not folder.is_dir():
            try:
                make_private(self.path)
                for at in range(len(parts)):
                    make_private(self.path.joinpath(*parts[: at + 1]))
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                    raise  # else the home is only read: whoever writes in the folder meets the same error
        return folder

    @property
    def owner(self) -> str:
        """Whose the home is; empty where it is this user's, or not there yet."""
        try:
            user = self.path.stat().st_uid
        except OSError:
            return ""
        return "" if user == os.geteuid() else _user_name(user)

    def check_writable(self) -> None:
        """Raise `HomeError`, with the command that mends it, where the home belongs to somebody else or others may
        write in it: who does could change what runs do. Not for root, nor where `SHARED_HOME` allows it."""
        user = os.geteuid()
        if user == 0 or os.environ.get(SHARED_HOME) == "1":
            return
        allowed = f"or set {SHARED_HOME}=1 where it is meant to be shared"
        for folder in (self.path, *(self.path / name for name in ("runs", "queue", "serving", "items"))):
            try:
                seen = folder.stat()
            except FileNotFoundError:
                continue
            if seen.st_uid != user:
                raise HomeError(
                    f"{folder} belongs to {_user_name(seen.st_uid)}: it can be read, and nothing is written there; set "
                    f"LABTUI_HOME to a folder of yours, {allowed}"
                )
            if seen.st_mode & _WRITABLE_BY_OTHERS and knows_modes(folder):
                raise HomeError(
                    f"{folder} can be written by others, who could change what your runs do; "
                    f"`chmod go-w {shlex.quote(str(folder))}` mends it, {allowed}"
                )

    @property
    def runs(self) -> Path:
        """One folder per run."""
        return self._folder("runs")

    @property
    def launches(self) -> Path:
        """The names of the runs, a line each time that one is made or launched (`engines.runs.order`)."""
        return self.path / "launches.txt"

    @property
    def items(self) -> Path:
        """Test items of the runs, one content-addressed file per set."""
        return self._folder("items")

    @property
    def cache(self) -> Path:
        """Rebuildable: tokenised texts, hub downloads."""
        return self._folder("cache")

    @property
    def serving(self) -> Path:
        """Warm classify workers, one folder per run."""
        return self._folder("serving")

    @property
    def queue(self) -> Path:
        """Tickets and device locks of this host (devices belong to a host, a home may be shared by several)."""
        return self._folder("queue", re.sub(r"[^A-Za-z0-9.-]", "_", socket.gethostname()) or "localhost")

    def new_run_name(self, config_name: str) -> str:
        """`<yyyymmdd-hhmmss>-<config>-<4 hex>`, the config's slashes and odd characters made dashes."""
        slug = re.sub(r"[^a-z0-9]+", "-", config_name.lower()).strip("-")[:60] or "run"
        return f"{time.strftime('%Y%m%d-%H%M%S')}-{slug}-{secrets.token_hex(2)}"


def knows_modes(folder: Path) -> bool:
    """Whether the disk under a folder keeps who may read and write a file; some, as those of Windows, do not."""
    with tempfile.NamedTemporaryFile(dir=folder) as probe:
        return os.fstat(probe.fileno()).st_mode & 0o077 == 0


def _user_name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
