from dataclasses import dataclass
from typing import Any

import pytest

from engines.errors import ConfigError
from engines.settings import Setting, flatten, group, nest, option, resolve, settings, settings_digest


@dataclass(frozen=True)
class Training:
    """Training."""

    epochs: int = option(3, "Passes over the training split.", unit="epochs", minimum=1)
    learning_rate: float = option(5e-5, "Peak rate.", minimum=0.0, maximum=1.0)


@dataclass(frozen=True)
class Config:
    """A config."""

    training: Training = group(Training)
    share: int | float = option(0.5, "A count or a fraction.")
    order: str = option("shuffled", "The order.", choices=("shuffled", "in_order"))
    fast: bool = option(True, "Quick or not.")
    seed: int = option(0, "Seed.")

    def check(self) -> None:
        if self.fast and self.training.epochs > 100:
            raise ConfigError("training.epochs above 100 is not fast; lower it or set fast = false")


def of(name: str) -> Setting:
    return next(s for s in settings(Config) if s.name == name)


def test_settings_are_listed_in_order_with_dotted_names_units_and_help() -> None:
    assert [s.name for s in settings(Config)] == [
        "training.epochs",
        "training.learning_rate",
        "share",
        "order",
        "fast",
        "seed",
    ]
    assert of("training.epochs").unit == "epochs" and of("training.epochs").help.endswith(".")


def test_defaults_are_kept_and_tables_laid_over_them() -> None:
    config = resolve(Config, {"training": {"epochs": 5}, "seed": 7}, "x.toml")
    assert (config.training.epochs, config.training.learning_rate, config.seed) == (5, 5e-5, 7)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"training": {"epoch": 5}}, 'x.toml: training.epoch: no such setting; did you mean "training.epochs"?'),
        ({"training": {"epochs": 0}}, "x.toml: training.epochs = 0 is below the least, 1 epochs"),
        ({"training": {"epochs": "3"}}, "x.toml: training.epochs = '3' is not a whole number"),
        ({"training": {"epochs": True}}, "x.toml: training.epochs = True is not a whole number"),
        ({"training": {"learning_rate": 2.0}}, "x.toml: training.learning_rate = 2.0 is above the most, 1"),
        ({"order": "shufled"}, "x.toml: order = 'shufled' is none of shuffled, in_order; did you mean \"shuffled\"?"),
        ({"training": {"epochs": 101}}, "x.toml: training.epochs above 100 is not fast; lower it or set fast = false"),
    ],
)
def test_a_wrong_value_is_named_with_place_value_and_remedy(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        resolve(Config, values, "x.toml")
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("training.epochs", " 3 ", 3),
        ("training.epochs", "1,000", 1000),
        ("training.learning_rate", "5e-5", 5e-5),
        ("training.learning_rate", "1", 1.0),
        ("share", "2500", 2500),
        ("share", "0.2", 0.2),
        ("share", "1.0", 1.0),
        ("fast", "no", False),
        ("order", "in_order", "in_order"),
    ],
)
def test_typed_text_becomes_a_value_of_the_right_type(name: str, text: str, value: object) -> None:
    parsed = of(name).parse(text)
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("training.epochs", "2.5"),
        ("training.epochs", ""),
        ("fast", "perhaps"),
        ("training.learning_rate", "nan"),
        ("share", "half"),
        ("share", "0,5"),
    ],
)
def test_text_that_does_not_fit_is_refused(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=name):
        of(name).parse(text)


def test_nesting_and_flattening_are_inverse() -> None:
    nested = {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    assert dict(flatten(nested)) == {"a.b": 1, "a.c.d": 2, "e": 3} and nest(dict(flatten(nested))) == nested


def test_the_digest_of_settings_is_that_of_all_but_seed_title_and_family() -> None:
    document = {"engine": "a", "experiment": "x/a", "seed": 1, "title": "A", "family": "x", "training": {"epochs": 2}}
    digest = settings_digest(document)
    assert digest == settings_digest({**document, "seed": 2, "title": "B", "family": "y"})
    others = ({**document, "training": {"epochs": 3}}, {**document, "engine": "b"}, {**document, "experiment": "x/b"})
    assert len({digest, *map(settings_digest, others)}) == 4 and len(digest) == 16
    assert settings_digest({"seed": 1}) == ""
