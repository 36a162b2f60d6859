"""Which model: a tiny one that ships with the project, a local folder, or a name on the hub."""

import json
from dataclasses import dataclass
from pathlib import Path

from engines import hub
from engines.errors import ModelError
from engines.models import gguf_files, sources
from engines.models.kinds import needs_own_code
from engines.reporter import Listener, Reporter
from engines.settings import nearest, option

HEADER_BYTES_MAX = 100 << 20
"""Longer ones are refused by the format itself."""


@dataclass(frozen=True)
class Model:
    """The model to start from."""

    name: str = option(
        "distilbert/distilbert-base-uncased", 'A name on the hub, a local folder, a .gguf file, or "tiny:distilbert".'
    )
    revision: str = option("", "Branch, tag or commit of a model on the hub; empty: its main branch.")


def locate(model: Model, report: Reporter, trust_remote_code: bool = False) -> Path:
    """The folder with the model's configuration, tokenizer and safetensors, downloaded first where needed.

    Raises `ModelError` (or `HubError`) in one sentence; also where the model cannot be opened without code that it
    brings along, unless `trust_remote_code` says that this may be run.
    """
    path = _local_path(model)
    if path is None:
        path = hub.fetch(model.name, "model", hub.MODEL_FILES, report, model.revision)
    elif gguf_files.is_gguf(model.name):
        path = gguf_files.dequantised(path, report)
    _checked(path, model.name)
    if not trust_remote_code and needs_own_code(path):
        raise ModelError(
            f"model.name = {model.name} brings code of its own, of a kind that transformers does not know; prompting "
            "runs it where trust_remote_code = true, the other engines never do: choose another model"
        )
    return path


def locate_tokenizer(model: Model, report: Listener) -> Path:
    """The folder with the model's tokenizer; of a model on the hub nothing else is downloaded.

    Raises `ModelError` (or `HubError`) in one sentence.
    """
    path = _local_path(model)
    if path is None:
        path = hub.fetch(model.name, "model", ("*config.json", "*.txt", *TOKENIZER_FILES), report, model.revision)
    elif gguf_files.is_gguf(model.name):
        raise ModelError(f"model.name = {model.name}: the tokenizer of a .gguf file is read by a run alone")
    _check_tokenizer(path, model.name)
    return path


def check_local(model: Model) -> bool:
    """Whether a model lies on this machine, under its own name; false for a name on the hub.

    Raises `ModelError` where it lies there in no usable way.
    """
    path = _local_path(model)
    if path is None:
        return False
    if gguf_files.is_gguf(model.name):
        gguf_files.check(path)
    else:
        _checked(path, model.name)
    return True


def _local_path(model: Model) -> Path | None:
    """Where a model lies on this machine, None where it is to come from the hub. Raises `ModelError`."""
    path = Path(model.name).expanduser()
    if not model.name:
        raise ModelError("model.name is empty; set it to a name on the hub, a local folder or tiny:distilbert")
    folder = sources.folder(model.name)
    if model.revision and (folder or path.exists()):
        raise ModelError(
            f'model.revision = "{model.revision}" is for models of the hub, {model.name} is local; leave it empty'
        )
    if folder:
        return folder
    if gguf_files.is_gguf(model.name) or path.exists():
        return path
    if model.name.startswith((".", "/", "~")) or model.name.count("/") > 1:
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise ModelError(f"model.name = {model.name}: no such folder{nearest(path.name, beside)}; check the path")
    return None


TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
    "tekken.json",
    "*.tiktoken",
)
"""Any of these holds a tokenizer's words; without one transformers makes an empty tokenizer that knows none."""


def _checked(folder: Path, name: str) -> Path:
    """The folder, once all that opening it needs is there. Raises `ModelError` naming what is missing."""
    if not folder.is_dir():
        raise ModelError(f"model.name = {name} is a file; set it to the folder that holds config.json")
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"model.name = {name} holds no config.json; set it to a folder or a hub name of a transformers model"
        )
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ModelError(
            f"model.name = {name} holds no weights as *.safetensors, and pickled ones (*.bin) are never "
            "opened; convert them, or use another model"
        )
    if missing := _missing_shards(folder):
        raise ModelError(
            f"model.name = {name} lacks {', '.join(missing[:3])}{', ...' * (len(missing) > 3)}, {len(missing)} of the "
            "files that its index names; copy or download them again"
        )
    for file in weights:
        _check_header(file, name)
    _check_tokenizer(folder, name)
    return folder


def _check_tokenizer(folder: Path, name: str) -> None:
    if not any(any(folder.glob(pattern)) for pattern in TOKENIZER_FILES):
        raise ModelError(
            f"model.name = {name} holds no tokenizer (none of {', '.join(TOKENIZER_FILES)}), and would read nothing; "
            "copy its tokenizer's files into it"
        )
    if (folder / "vocab.json").exists() and not any((folder / f).exists() for f in ("merges.txt", "tokenizer.json")):
        raise ModelError(f"model.name = {name} lacks merges.txt, a part of its tokenizer; copy it into the folder")


def _missing_shards(folder: Path) -> list[str]:
    """Weight files that an index names and that are not there."""
    names: set[str] = set()
    for index in folder.glob("*.safetensors.index.json"):
        try:
            names |= set(map(str, json.loads(index.read_bytes())["weight_map"].values()))
        except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
            raise ModelError(f"{index} is damaged; copy or download it again") from None
    return sorted(name for name in names if not (folder / name).is_file())


def _check_header(file: Path, name: str) -> None:
    """A safetensors file begins with the length of its header, eight bytes, and ends where the header says."""
    try:
        with open(file, "rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            size = file.stat().st_size
            header = json.loads(stream.read(length)) if 2 <= length <= min(size - 8, HEADER_BYTES_MAX) else {}
        ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
        whole = bool(header) and 8 + length + max(ends, default=0) == size
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise ModelError(f"model.name = {name}: {file.name} is damaged or cut off; copy or download it again")
