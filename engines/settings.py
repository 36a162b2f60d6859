"""Settings of an engine: frozen dataclasses whose every field carries a unit and a sentence.

A `Config` holds groups (nested dataclasses, one TOML table each) and plain values. From the fields alone the
console builds its form, the command line its `--set`, and `resolve` checks a TOML document, without importing
anything heavy.
"""

import dataclasses
import difflib
import hashlib
import json
import math
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engines.errors import ConfigError
from engines.runs.credentials import refuse_secrets


def option(
    default: Any,
    help: str,
    *,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Declare a dataclass field with what a form needs to show and check it.

    `help` is one sentence, `unit` the unit of the value ("tokens", "reviews", "per step"); `minimum` and
    `maximum` are inclusive bounds of a number; `choices` the allowed words of a string.
    """
    metadata = {"help": help, "unit": unit, "minimum": minimum, "maximum": maximum, "choices": choices}
    return field(default=default, metadata=metadata)


def group(factory: Any) -> Any:
    """Declare a nested table of settings."""
    return field(default_factory=factory)


@dataclass(frozen=True)
class Setting:
    """One leaf of a `Config`, as the form and the help see it."""

    name: str  # dotted, as in TOML: "training.learning_rate"
    types: tuple[type, ...]  # accepted types, bool, int, float or str
    default: Any
    help: str
    unit: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]

    def parse(self, text: str) -> Any:
        """Turn typed text into a value of this setting's type; `ConfigError` says what is wrong with it."""
        text = text.strip()
        value: Any = text
        if bool in self.types:
            words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
            value = words.get(text.lower(), text)
        elif int in self.types or float in self.types:
            plain = text.replace(",", "") if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+", text) else text
            try:
                value = int(plain)
            except ValueError:
                try:
                    value = float(plain)
                except ValueError:
                    value = text
        return self.check(value)

    def check(self, value: Any) -> Any:
        """Return `value` in this setting's type, or raise `ConfigError`, also where it holds a token or a password."""
        refuse_secrets({self.name: value})
        if float in self.types and int not in self.types and type(value) is int:
            value = float(value)
        if type(value) not in self.types:
            wanted = " or ".join(
                {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[t] for t in self.types
            )
            raise ConfigError(f"{self.name} = {value!r} is not {wanted}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{self.name} = {value} is not a finite number")
        if self.choices and value not in self.choices:
            raise ConfigError(
                f"{self.name} = {value!r} is none of {', '.join(self.choices)}{nearest(value, self.choices)}"
            )
        unit = f" {self.unit}" if self.unit else ""
        if self.minimum is not None and value < self.minimum:
            raise ConfigError(f"{self.name} = {value} is below the least, {self.minimum:g}{unit}")
        if self.maximum is not None and value > self.maximum:
            raise ConfigError(f"{self.name} = {value} is above the most, {self.maximum:g}{unit}")
        return value


def nearest(word: object, known: typing.Iterable[str]) -> str:
    """'; did you mean "x"?' for the closest known word, or an empty string."""
    close = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else ""


def settings(config_class: type) -> list[Setting]:
    """All leaves of a config class, in the order of its fields, with dotted names."""
    return list(_walk(config_class, config_class(), ""))


def _walk(cls: type, defaults: Any, prefix: str) -> Iterator[Setting]:
    hints = typing.get_type_hints(cls)
    for f in dataclasses.fields(cls):
        hint, default, name = hints[f.name], getattr(defaults, f.name), prefix + f.name
        if dataclasses.is_dataclass(hint):
            yield from _walk(typing.cast(type, hint), default, name + ".")
        else:
            accepted = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
            yield Setting(name, accepted, default, **f.metadata)


def resolve(config_class: type, values: Mapping[str, Any], place: str) -> Any:
    """Build a config from its defaults and a mapping, nested (a parsed TOML document) or with dotted names.

    Raises `ConfigError` naming `place`, the dotted setting, the value and, on a typo, the nearest name.
    """
    known = {s.name: s for s in settings(config_class)}
    given: dict[str, Any] = {}
    for name, value in flatten(values):
        if name not in known:
            raise ConfigError(f"{place}: {name}: no such setting{nearest(name, known)}")
        try:
            given[name] = known[name].check(value)
        except ConfigError as error:
            raise ConfigError(f"{place}: {error}") from None
    config = _build(config_class, config_class(), given, "")
    for part in (config, *(getattr(config, f.name) for f in dataclasses.fields(config))):
        if hasattr(part, "check"):  # settings may have to fit each other
            try:
                part.check()
            except ConfigError as error:
                raise ConfigError(f"{place}: {error}") from None
    return config


def _build(cls: type, defaults: Any, given: Mapping[str, Any], prefix: str) -> Any:
    values = {}
    for f in dataclasses.fields(cls):
        current, name = getattr(defaults, f.name), prefix + f.name
        if dataclasses.is_dataclass(current):
            values[f.name] = _build(type(current), current, given, name + ".")
        else:
            values[f.name] = given.get(name, current)
    return cls(**values)


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name and value of every leaf of nested mappings."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `flatten`."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *tables, leaf = name.split(".")
        table = nested
        for t in tables:
            table = table.setdefault(t, {})
        table[leaf] = value
    return nested


def settings_digest(document: Mapping[str, Any]) -> str:
    """Equal for two resolved config documents of the same settings: those that differ at most in seed, title and
    family. 16 hex digits; empty without settings."""
    shared = {key: value for key, value in document.items() if key not in ("seed", "title", "family")}
    text = json.dumps(shared, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16] if shared else ""
