"""Where everything lives: the home folder and the folders beneath it."""

import os
import re
import secrets
import socket
import time
from pathlib import Path

import platformdirs


class Home:
    """The home folder: `$LABTUI_HOME`, else the user's data directory. Folders are made on demand, mode 0700."""

    def __init__(self, path: Path | str | None = None) -> None:
        given = path or os.environ.get("LABTUI_HOME") or platformdirs.user_data_path("labtui")
        self.path = Path(given).expanduser().absolute()

    def _folder(self, *parts: str) -> Path:
        folder = self.path.joinpath(*parts)
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    @property
    def runs(self) -> Path:
        """One folder per run."""
        return self._folder("runs")

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
