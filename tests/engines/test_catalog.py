import dataclasses
import importlib
import tomllib
from pathlib import Path

import pytest
import tomli_w

from engines import catalog
from engines.errors import ConfigError
from engines.settings import flatten, settings

SHIPPED = sorted(
    p.relative_to(catalog.SHIPPED_CONFIGS).with_suffix("").as_posix() for p in catalog.SHIPPED_CONFIGS.rglob("*.toml")
)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_config_resolves_and_holds_only_differences(name: str) -> None:
    experiment = catalog.read(name)
    assert experiment.name == name and experiment.title and experiment.family
    document = tomllib.loads((catalog.SHIPPED_CONFIGS / f"{name}.toml").read_text())
    written = {key for key, _ in flatten({k: v for k, v in document.items() if k not in ("engine", "title", "family")})}
    assert written == experiment.changed, "a config names only what differs from its engine's defaults"


@pytest.mark.parametrize("name", catalog.engine_names())
def test_every_engine_keeps_the_contract(name: str) -> None:
    engine = catalog.engine(name)
    assert engine.TITLE and isinstance(engine.USES_GPU, bool) and callable(engine.run) and callable(engine.load)
    declared = settings(engine.Config)
    assert any(s.name == "data.source" for s in declared)
    for setting in declared:
        assert setting.help.endswith("."), f"{setting.name} needs a sentence"
        assert setting.check(setting.default) == setting.default


@pytest.mark.parametrize("name", catalog.engine_names())
def test_a_resolved_document_resolves_to_itself(name: str) -> None:
    first = catalog.from_document({"engine": name}, place="x", name="some/name")
    text = tomli_w.dumps(first.document())
    again = catalog.from_document(tomllib.loads(text), place="y", name="other")
    assert again == first and again.name == "some/name" and not again.changed


def test_a_user_config_hides_a_shipped_one_and_adds_new_ones() -> None:
    folder = catalog.user_configs()
    folder.mkdir(parents=True)
    (folder / "bag-of-words.toml").write_text('engine = "bag_of_words"\ntitle = "Mine"\n')
    (folder / "new.toml").write_text('engine = "finetune_loop"\nseed = 5\n')
    assert catalog.read("bag-of-words").title == "Mine"
    assert catalog.read("new").config.seed == 5


def test_overrides_are_laid_over_the_file_and_checked() -> None:
    config_class = catalog.engine("bag_of_words").Config
    overrides = catalog.parse_overrides(["data.seed=9", "data.train=100"], config_class)
    experiment = catalog.read("bag-of-words", overrides)
    assert experiment.config.data.seed == 9 and experiment.config.data.train == 100
    with pytest.raises(ConfigError, match=r'did you mean "data.train"'):
        catalog.parse_overrides(["data.trian=1"], config_class)
    with pytest.raises(ConfigError, match="name=value"):
        catalog.parse_overrides(["data.seed"], config_class)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("seed = ", "not a TOML file"),
        ("seed = 1", "engine is missing"),
        ('engine = "bag_of_wrods"', 'did you mean "bag_of_words"'),
        ('engine = "finetune_loop"\nseeed = 1', 'did you mean "seed"'),
        ("engine = 3", "is not text"),
    ],
)
def test_a_broken_config_is_named_with_its_file(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        catalog.read(str(path))
    assert sentence in str(error.value) and str(path) in str(error.value)


def test_an_unknown_experiment_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean"):
        catalog.read("bag-of-word")


def test_config_classes_are_frozen() -> None:
    for name in catalog.engine_names():
        assert dataclasses.fields(importlib.import_module(f"engines.methods.{name}").Config)
        assert catalog.engine(name).Config.__dataclass_params__.frozen


def test_a_value_where_a_table_belongs_is_named_even_under_an_override() -> None:
    with pytest.raises(ConfigError, match="test: training: no such setting"):
        document = {"engine": "finetune_loop", "training": 3}
        catalog.from_document(document, place="test", name="x", overrides={"training.epochs": 2})
