"""Which model: a tiny one that ships with the project, a local folder, or a name on the hub."""

from dataclasses import dataclass
from pathlib import Path

from engines import hub
from engines.errors import ModelError
from engines.models import sources
from engines.reporter import Reporter
from engines.settings import nearest, option


@dataclass(frozen=True)
class Model:
    """The model to start from."""

    name: str = option("distilbert/distilbert-base-uncased", 'A name on the hub, a local folder, or "tiny:distilbert".')
    revision: str = option("", "Branch, tag or commit of a model on the hub; empty: its main branch.")


def locate(model: Model, report: Reporter) -> Path:
    """The folder with the model's configuration, tokenizer and safetensors, downloaded first where needed.

    Raises `ModelError` (or `HubError`) in one sentence.
    """
    path = Path(model.name).expanduser()
    if not model.name:
        raise ModelError("model.name is empty; set it to a name on the hub, a local folder or tiny:distilbert")
    folder = sources.folder(model.name)
    if model.revision and (folder or path.exists()):
        raise ModelError(
            f'model.revision = "{model.revision}" is for models of the hub, {model.name} is local; leave it empty'
        )
    if folder:
        return _checked(folder, model.name)
    if path.exists():
        return _checked(path, model.name)
    if model.name.startswith((".", "/", "~")) or model.name.count("/") > 1:
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise ModelError(f"model.name = {model.name}: no such folder{nearest(path.name, beside)}; check the path")
    return _checked(hub.fetch(model.name, "model", hub.MODEL_FILES, report, model.revision), model.name)


def _checked(folder: Path, name: str) -> Path:
    if not folder.is_dir():
        raise ModelError(f"model.name = {name} is a file; set it to the folder that holds config.json")
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"model.name = {name} holds no config.json; set it to a folder or a hub name of a transformers model"
        )
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"model.name = {name} holds no weights as *.safetensors, and pickled ones (*.bin) are never "
            "opened; convert them, or use another model"
        )
    return folder
