"""Downloads from the model hub, as a phase in bytes; files that are in its cache already cost nothing."""

import os
import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar

from engines.errors import HubError
from engines.reporter import Listener
from engines.runs.writing import users_umask

if TYPE_CHECKING:
    from huggingface_hub.file_download import DryRunFileInfo

MODEL_FILES = ("*.json", "*.txt", "*.model", "*.jinja", "model*.safetensors")
"""Configuration, tokenizer and weights of a model; never a pickle, no second copy of the weights."""
DATASET_FILES = (
    "*.md",
    "*.yaml",
    "*.parquet",
    "*.csv",
    "*.tsv",
    "*.json",
    "*.jsonl",
    "*.csv.gz",
    "*.tsv.gz",
    "*.json.gz",
    "*.jsonl.gz",
)
"""Card and data files of a data set; never a script."""
T = TypeVar("T")
LOOK_UP_S = 3.0
_LOOK_EVERY_S = 0.1
_ROOM = 1.1  # free space asked for, in sizes of the download


class _Cancelled(Exception):
    """Ends the library's download threads after a stop."""


def fetch(
    repo_id: str, repo_type: Literal["model", "dataset"], patterns: Sequence[str], report: Listener, revision: str = ""
) -> Path:
    """The local folder of a repository's files that match `patterns` (globs over paths), downloaded where missing.

    Enters the phase "download" only when bytes have to come. Without the hub, a complete copy in the cache is
    enough. HF_ENDPOINT, HF_HOME, HF_TOKEN and HF_HUB_OFFLINE count. Raises `HubError`.
    """
    if os.environ.get("HF_ENDPOINT"):  # a mirror serves files over HTTP; xet would go round it
        os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        DryRunError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        XetDownloadError,
    )

    connection_errors = _connection_errors()
    request: dict[str, Any] = {
        "repo_id": repo_id,
        "repo_type": repo_type,
        "revision": revision or None,
        "allow_patterns": list(patterns),
    }
    try:
        files: list[DryRunFileInfo] = _in_thread(lambda: _look(request), report)
    except HFValidationError:
        raise HubError(_no_name(repo_id)) from None
    except (DryRunError, HfHubHTTPError, LocalEntryNotFoundError, *connection_errors) as error:
        try:
            return Path(snapshot_download(**request, local_files_only=True))
        except LocalEntryNotFoundError:
            _explain(error, repo_id, repo_type, revision)
    if not files:
        raise HubError(f"{page(repo_id, repo_type)} holds none of {', '.join(patterns)}; use another {repo_type}")
    missing = sum(file.file_size or 0 for file in files if file.will_download)
    if missing:
        _check_room(Path(constants.HF_HUB_CACHE), missing, repo_id)
        report.phase("download", missing, "bytes")
    try:
        folder = _download(request, missing, report)
    except (HfHubHTTPError, LocalEntryNotFoundError, *connection_errors) as error:
        _explain(error, repo_id, repo_type, revision)
    except (OSError, RuntimeError, XetDownloadError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise HubError(
            f"the download of {repo_id} broke off ({_first_line(error)}); what has come is kept, run it again"
        ) from None
    if missing:
        report.progress(missing)
        report.note(f"{repo_id}: {size_text(missing)} downloaded to {constants.HF_HUB_CACHE}")
    return Path(folder)


def look_up(repo_id: str, repo_type: Literal["model", "dataset"], revision: str = "") -> None:
    """Ask the hub whether it has a repository, for at most `LOOK_UP_S`.

    Raises `HubError` where it answers that there is none. Silent where it cannot be asked, or where the cache holds a
    copy, which is enough.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    refusals: list[HubError] = []

    def ask() -> None:
        where: dict[str, Any] = {"repo_id": repo_id, "repo_type": repo_type, "revision": revision or None}
        try:
            HfApi().repo_info(**where, timeout=LOOK_UP_S)
        except HFValidationError:
            refusals.append(HubError(_no_name(repo_id)))
        except (RepositoryNotFoundError, RevisionNotFoundError) as error:
            with suppress(Exception):
                snapshot_download(**where, local_files_only=True, allow_patterns=["config.json"])
                return
            try:
                _explain(error, repo_id, repo_type, revision)
            except HubError as refusal:
                refusals.append(refusal)
        except Exception:  # no network, a hub that is ill: the run itself will tell
            pass

    thread = threading.Thread(target=ask, name="look up", daemon=True)
    thread.start()
    thread.join(2 * LOOK_UP_S)
    if refusals:
        raise refusals[0]


def _no_name(repo_id: str) -> str:
    return f'"{repo_id}" is neither a file nor a name on the hub; write it as owner/name'


def page(repo_id: str, repo_type: str) -> str:
    """The address where a person looks at the repository."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{'datasets/' if repo_type == 'dataset' else ''}{repo_id}"


def size_text(size_bytes: float) -> str:
    """ "1.4 GB": decimal units, as the hub's pages have them."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size_bytes < 1000 or unit == "GB":
            break
        size_bytes /= 1000
    return f"{size_bytes:.0f} {unit}" if unit == "bytes" else f"{size_bytes:.1f} {unit}"


class _Count:
    """Bytes of all progress bars of one download; the library's threads add, the main thread reads."""

    def __init__(self) -> None:
        self.bars: dict[int, float] = {}
        self.cancelled = False

    @property
    def bytes(self) -> int:
        # one bar counts what comes from the net, another what is written: the further one is the progress
        return int(max(self.bars.values(), default=0))


def _counter(count: _Count) -> type:
    """A progress bar class that shows nothing and adds up bytes in `count`."""
    from tqdm import tqdm

    class Counter(tqdm):  # type: ignore[misc]  # tqdm has no types
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.in_bytes = kwargs.get("unit") == "B"
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> None:
            if count.cancelled:
                raise _Cancelled
            if self.in_bytes:
                count.bars[id(self)] = count.bars.get(id(self), 0) + (n or 0)

    return Counter


def _look(request: dict[str, Any]) -> "list[DryRunFileInfo]":
    """The matching files of a repository and which of them are in the cache already."""
    from huggingface_hub import HfApi, constants, snapshot_download

    where = {key: request[key] for key in ("repo_id", "repo_type", "revision")}
    # the one call that can be given a time limit: it finds out a hub that takes calls and never answers
    HfApi().repo_info(**where, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    files: list[DryRunFileInfo] = snapshot_download(**request, dry_run=True, tqdm_class=_counter(_Count()))
    return files


def _download(request: dict[str, Any], total_bytes: int, report: Listener) -> str:
    from huggingface_hub import snapshot_download

    count = _Count()

    def report_progress() -> None:
        if total_bytes:
            report.progress(min(count.bytes, total_bytes))

    try:
        return _in_thread(
            lambda: str(snapshot_download(**request, tqdm_class=_counter(count))), report, report_progress
        )
    finally:
        count.cancelled = True


def _in_thread(work: Callable[[], T], report: Listener, meanwhile: Callable[[], None] = lambda: None) -> T:
    """What `work` returns or raises in a thread, while this one calls `meanwhile` and checks for a request to stop."""
    result: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="download", daemon=True)
    with users_umask():  # the hub's cache may be one that several people share
        thread.start()
        while thread.is_alive():
            thread.join(_LOOK_EVERY_S)
            report.check_stop()
            meanwhile()
    if failure:
        raise failure[0]
    return result[0]


def _check_room(cache: Path, needed_bytes: int, repo_id: str) -> None:
    place = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free_bytes = shutil.disk_usage(place).free
    if free_bytes < needed_bytes * _ROOM:
        raise HubError(
            f"{repo_id} needs {size_text(needed_bytes * _ROOM)} on the disk of {cache}, {size_text(free_bytes)} are "
            "free; make room or set HF_HOME to a folder on another disk"
        )


def _connection_errors() -> tuple[Any, ...]:
    """What the library's HTTP client raises; its name changes between versions of the library."""
    import importlib

    from huggingface_hub import errors

    client = importlib.import_module(
        next(
            base.__module__ for base in errors.HfHubHTTPError.__mro__ if base.__module__.startswith("httpx")
        ).partition(".")[0]
    )
    return client.HTTPError, ConnectionError


def _explain(error: BaseException, repo_id: str, repo_type: str, revision: str) -> NoReturn:
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    setting = "data.source" if repo_type == "dataset" else "model.name"
    where = page(repo_id, repo_type)
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, HfHubHTTPError | OfflineModeIsEnabled):
        cause = cause.__cause__
    status = cause.response.status_code if isinstance(cause, HfHubHTTPError) else 0
    if isinstance(cause, GatedRepoError):
        who = "ask for access with the account of HF_TOKEN" if get_token() else "accept its terms"
        raise HubError(f"{repo_id} is gated: {who} at {where}, then set HF_TOKEN to a token of that account") from None
    if isinstance(cause, RevisionNotFoundError):
        raise HubError(f'{repo_id} has no revision "{revision}"; {where}/tree/main lists what there is') from None
    if isinstance(cause, RepositoryNotFoundError):
        raise HubError(
            f"there is no {repo_type} at {where}, or it is private; check {setting}, or set HF_TOKEN "
            "to a token that may read it"
        ) from None
    if status in (401, 403):
        raise HubError(f"{where} refuses access (HTTP {status}); set HF_TOKEN to a valid token") from None
    if isinstance(cause, OfflineModeIsEnabled):
        raise HubError(
            f"{repo_id} is not complete in {constants.HF_HUB_CACHE} and HF_HUB_OFFLINE forbids downloads; "
            f"unset it, or set {setting} to a local path"
        ) from None
    why = f"HTTP {status}" if status else _first_line(error.__cause__ or error)
    raise HubError(
        f"{repo_id} is not complete in {constants.HF_HUB_CACHE} and the hub at {constants.ENDPOINT} cannot "
        f"be reached ({why}); check the network, set HF_ENDPOINT to a mirror, or set {setting} "
        "to a local path"
    ) from None


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
