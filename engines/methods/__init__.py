"""One engine per file; the file name is the engine's name."""

import importlib
import pkgutil
from types import ModuleType

from engines.errors import ConfigError
from engines.settings import nearest


def engine_names() -> list[str]:
    """Names of all engines: the modules of this package."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__))


def engine(name: str) -> ModuleType:
    """The engine's module, with `TITLE`, `Config`, `run` and `load`. `ConfigError` on an unknown name."""
    if name not in engine_names():
        raise ConfigError(f'engine = "{name}": no such engine{nearest(name, engine_names())}')
    return importlib.import_module(f"{__name__}.{name}")
