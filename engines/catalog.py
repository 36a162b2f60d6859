"""Which engines and experiments exist. Nothing heavy is imported to answer."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import platformdirs

from engines.errors import ConfigError, UserError
from engines.memory.components import Machine, Need
from engines.methods import engine, engine_names
from engines.runs.credentials import refuse_secrets
from engines.runs.toml_files import read_toml
from engines.settings import flatten, nearest, resolve, settings

__all__ = ["Experiment", "engine", "engine_names", "experiments", "from_document", "parse_overrides", "read"]

SHIPPED_CONFIGS = Path(__file__).parent.parent / "configs"


def user_configs() -> Path:
    """The user's own config folder: $LABTUI_CONFIGS, else the platform's place."""
    given = os.environ.get("LABTUI_CONFIGS")
    return Path(given) if given else platformdirs.user_config_path("labtui") / "configs"


@dataclass(frozen=True)
class Experiment:
    """A resolved config: what runs, under which name, with which settings."""

    name: str  # "quickstart/distilbert-loop"
    engine: str
    title: str
    family: str
    config: Any  # an instance of the engine's Config
    changed: frozenset[str]  # dotted settings that differ from the engine's defaults

    def memory_needs(self, config: Any, machine: Machine) -> Need:
        """What the engine needs with `config`, this experiment's or one like it. `UserError` where it does not say."""
        needs = getattr(engine(self.engine), "memory_needs", None)
        if needs is None:
            raise UserError(f'engine = "{self.engine}": its memory is not estimated')
        need: Need = needs(config, machine)
        return need

    def document(self) -> dict[str, Any]:
        """The fully resolved TOML document, every setting written out."""
        head = {"engine": self.engine, "title": self.title, "family": self.family, "experiment": self.name}
        return {**head, **asdict(self.config)}


def experiments() -> dict[str, Path]:
    """Name to file of every experiment; a user's file hides a shipped one of the same name."""
    files: dict[str, Path] = {}
    for root in (SHIPPED_CONFIGS, user_configs()):
        for path in sorted(root.rglob("*.toml")):
            files[path.relative_to(root).with_suffix("").as_posix()] = path
    return files


def read(name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> Experiment:
    """Read an experiment by name or from a TOML file, with dotted `overrides` laid over it.

    Raises `ConfigError` with the place, the setting and the nearest name when anything does not fit.
    """
    known = experiments()
    path = known.get(str(name_or_path)) or Path(name_or_path)
    if not path.is_file():
        hint = "; `labtui experiments` lists them"
        raise ConfigError(f"{name_or_path}: no such experiment or file{nearest(name_or_path, known) or hint}")
    try:
        document = read_toml(path)
    except ValueError as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from None
    return from_document(document, place=str(path), name=_name(path, known), overrides=overrides)


def _name(path: Path, known: Mapping[str, Path]) -> str:
    return next((name for name, file in known.items() if file == path), path.stem)


def from_document(
    document: Mapping[str, Any], *, place: str, name: str, overrides: Mapping[str, Any] | None = None
) -> Experiment:
    """An experiment from a parsed TOML document; a frozen `config.toml` keeps the name it was launched under."""
    rest = dict(document)
    head = {key: rest.pop(key, "") for key in ("engine", "title", "family", "experiment")}
    for key, value in head.items():
        if not isinstance(value, str):
            raise ConfigError(f"{place}: {key} = {value!r} is not text")
    try:
        refuse_secrets(head)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None
    if not head["engine"]:
        raise ConfigError(f'{place}: engine is missing; add engine = "NAME", one of {", ".join(engine_names())}')
    try:
        module = engine(head["engine"])
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None
    config = resolve(module.Config, {**dict(flatten(rest)), **(overrides or {})}, place)
    defaults = {s.name: s.default for s in settings(module.Config)}
    changed = frozenset(key for key, value in flatten(asdict(config)) if value != defaults[key])
    return Experiment(
        name=head["experiment"] or name,
        engine=head["engine"],
        title=head["title"] or module.TITLE,
        family=head["family"] or name.rpartition("/")[0] or "experiments",
        config=config,
        changed=changed,
    )


def parse_overrides(pairs: list[str], config_class: type) -> dict[str, Any]:
    """`["training.epochs=2", ...]` to dotted values, checked against the config class."""
    known = {s.name: s for s in settings(config_class)}
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise ConfigError(f"--set {pair}: write it as name=value")
        if name not in known:
            raise ConfigError(f"--set {pair}: no such setting{nearest(name, known)}")
        values[name] = known[name].parse(text)
    return values
