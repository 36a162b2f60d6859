"""The run folder: one class owns every file name in it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from engines.errors import RunError
from engines.runs import order
from engines.runs.credentials import refuse_secrets
from engines.runs.home import Home
from engines.runs.reading import Count, Seconds, read_json, wrong_with
from engines.runs.toml_files import read_toml
from engines.runs.writing import make_private, write_atomic


@dataclass(frozen=True)
class Launch:
    """`launch.json`: how the worker was started, enough to find and signal it safely."""

    argv: list[str]
    host: str
    boot_id: str
    launched: Seconds
    devices: list[str]  # device ids the run accepts: "cpu" or GPU UUIDs
    pid: Count = 0
    pid_start_ticks: Count = 0  # /proc/PID/stat field 22: a reused pid has other ticks
    number: Count = 0  # the order of the queue (`engines.runs.order`); 0: of a version that went by the clock
    last_seq: int | None = None  # of the last event before this launch, -1: there was none; None: as above


class _Model(msgspec.Struct):
    name: str = ""


class _Document(msgspec.Struct):
    """`config.toml` as far as somebody other than its engine reads it."""

    experiment: str = ""
    engine: str = ""
    title: str = ""
    family: str = ""
    run: str = ""
    seed: int | None = None
    model: _Model | None = None
    data: dict[str, Any] | None = None
    training: dict[str, Any] | None = None


class RunFolder:
    """Names and small files of one run. Reading never creates anything."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).absolute()

    @classmethod
    def create(cls, home: Home, document: dict[str, Any]) -> "RunFolder":
        """Make a new run folder with its resolved config frozen in it.

        Raises `ConfigError` on a secret in that, `HomeError` where this user should not write.
        """
        refuse_secrets(document)
        home.check_writable()
        while True:
            path = home.runs / home.new_run_name(document["experiment"])
            try:
                path.mkdir(mode=0o700)
                path.chmod(0o700)  # whatever the umask
                break
            except FileExistsError:
                continue
        folder = cls(path)
        order.append(home, folder.name)
        make_private(folder.requests)
        write_atomic(folder.config, tomli_w.dumps(document).encode())
        return folder

    def __repr__(self) -> str:
        return f"RunFolder({self.path})"

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def home(self) -> Home:
        return Home(self.path.parent.parent)

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def adjustments(self) -> Path:
        """Settings that the run had to change itself, laid over its config; absent where there are none."""
        return self.path / "adjustments.json"

    @property
    def launch(self) -> Path:
        return self.path / "launch.json"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def log(self) -> Path:
        return self.path / "worker.log"

    @property
    def lock(self) -> Path:
        return self.path / "alive.lock"

    @property
    def requests(self) -> Path:
        return self.path / "requests"

    @property
    def items(self) -> Path:
        return self.path / "items.jsonl"

    @property
    def splits(self) -> Path:
        """Which item went to which split: one line per item, its hash, row and split."""
        return self.path / "splits.jsonl"

    @property
    def near_copies(self) -> Path:
        """Pairs of texts of the source that nearly repeat each other; absent where there are none."""
        return self.path / "near_copies.jsonl"

    @property
    def estimate(self) -> Path:
        """What the peak memory was estimated to be, before the start."""
        return self.path / "estimate.json"

    @property
    def predictions(self) -> Path:
        return self.path / "predictions.jsonl"

    @property
    def predictions_columns(self) -> Path:
        """The predictions as arrays; rebuilt from them where it is missing or older."""
        return self.path / "predictions.npz"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """The finished model: weights as safetensors, the rest JSON."""
        return self.path / "model"

    def read_document(self) -> dict[str, Any]:
        """The frozen config as a TOML document. Raises `OSError`, or `RunError` where it is damaged."""
        try:
            document = read_toml(self.config)
            msgspec.convert(document, _Document)
        except msgspec.ValidationError as error:
            raise RunError(f"{self.config}: {wrong_with(error)}; put it right, or start a new run") from None
        except ValueError as error:
            raise RunError(f"{self.config}: not a TOML file: {error}; put it right, or start a new run") from None
        return document

    def read_adjustments(self) -> dict[str, Any]:
        """Dotted settings to values; empty where the run goes by its config alone. Raises `RunError` on damage."""
        try:
            return read_json(self.adjustments, dict[str, Any])
        except FileNotFoundError:
            return {}
        except RunError as error:
            raise RunError(f"{error}; start a new run") from None

    def adjust(self, changes: dict[str, Any]) -> None:
        """Let further settings hold for every later worker of this run."""
        write_atomic(self.adjustments, json.dumps({**self.read_adjustments(), **changes}, indent=1).encode())

    def read_launch(self) -> Launch | None:
        """How the worker was last launched; None before the first launch or when the file is unreadable."""
        try:
            return read_json(self.launch, Launch)
        except (OSError, RunError):
            return None

    def write_launch(self, launch: Launch) -> None:
        write_atomic(self.launch, json.dumps(asdict(launch), indent=1).encode())

    def request(self, what: str) -> None:
        """Ask the worker for something ("stop") by leaving a file; asking twice is asking once."""
        self.home.check_writable()
        make_private(self.requests)
        (self.requests / what).touch(mode=0o600)

    def requested(self, what: str) -> bool:
        return (self.requests / what).exists()

    def clear_request(self, what: str) -> None:
        (self.requests / what).unlink(missing_ok=True)
