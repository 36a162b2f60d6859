"""Where reviews come from and how they are split: the settings, checked without reading anything."""

from dataclasses import dataclass

from engines.data.dealing import SPLITS
from engines.data.labels import unified_name
from engines.data.table import Reading
from engines.data.tables import NO_URLS, is_url
from engines.errors import ConfigError
from engines.settings import option

QUICKSTART = "quickstart"
"""The source of the project's own reviews."""
QUICKSTART_REVIEWS = 4000
HUB_REVIEWS = 50_000
"""Reviews of a source whose size is not known before it is read: IMDB's."""


@dataclass(frozen=True)
class Data:
    """Where reviews come from and how they are split."""

    source: str = option(
        "quickstart",
        "A file (CSV, TSV, JSON, Parquet and others, also packed), a folder, a hub data set, or quickstart.",
    )
    text: str = option("", "Column of the texts, or several separated by commas, read as one; empty: detected by name.")
    label: str = option("", "Column of the labels; empty: detected by name.")
    labels: str = option("", "Names of the classes in class order, separated by commas; empty: taken from the data.")
    fold_labels: bool = option(False, "Unite labels that differ in case or spaces alone: ham, Ham and HAM.")
    empty: str = option("refuse", "Rows whose text is empty: refuse, or drop.", choices=("refuse", "drop"))
    encoding: str = option("", "Of text files, such as utf-8, cp1252 or gb18030; empty: told from the bytes.")
    separator: str = option("", "Between columns of text files, one character or tab; empty: told from the content.")
    split: str = option(
        "shuffled", "How rows are dealt to the splits.", choices=("in_order", "shuffled", "balanced", "official")
    )
    overlap: str = option(
        "refuse",
        "Test items found in training: refuse, drop (from training; from the test of a model that is "
        "only scored), or allow.",
        choices=("refuse", "drop", "allow"),
    )
    near_copies: str = option(
        "warn",
        "Test texts that nearly repeat a training text, in splits that are given: warn, refuse, drop them from "
        "training, or ignore. Dealt splits keep near copies together unless they are ignored.",
        choices=("warn", "refuse", "drop", "ignore"),
    )
    seed: int = option(0, "Seed of the split: runs that differ in their own seed alone are tested on the same reviews.")
    train: int | float = option(
        0.8, "Training reviews: a count, or a fraction with a point.", unit="reviews", minimum=0
    )
    validation: int | float = option(
        0.1, "Validation reviews: a count, or a fraction with a point.", unit="reviews", minimum=0
    )
    test: int | float = option(
        0.1, "Test reviews: a count, or a fraction with a point; 1.0 takes all that remain.", unit="reviews", minimum=0
    )

    def check(self) -> None:
        """Raise `ConfigError` where settings do not fit together; reads nothing."""
        if is_url(self.source):
            raise ConfigError(f'data.source = "{self.source}": {NO_URLS}')
        for split in SPLITS:
            size = getattr(self, split)
            if isinstance(size, float) and size > 1:
                raise ConfigError(f"data.{split} = {size} is above 1; write a count as a whole number")
        if not any(getattr(self, split) for split in SPLITS):
            raise ConfigError("data.train, data.validation and data.test are all 0; raise one of them")
        if len(self.reading.separator) > 1:
            raise ConfigError(f'data.separator = "{self.separator}" is not one character; write it alone, or "tab"')
        names = self.class_names()
        if self.labels and len(set(names)) < max(len(names), 2):
            raise ConfigError(f'data.labels = "{self.labels}" does not name two or more different classes')

    def check_splits(self, *needed: str) -> None:
        """Raise `ConfigError` where a split that an engine cannot do without is to be empty."""
        for split in needed:
            if not getattr(self, split):
                raise ConfigError(f"data.{split} = 0 leaves nothing to {split} on; raise it")

    @property
    def reading(self) -> Reading:
        """What is said of the source's files."""
        return Reading(self.encoding, {"tab": "\t", "\\t": "\t"}.get(self.separator, self.separator))

    def class_names(self) -> tuple[str, ...]:
        """The names in `labels`, in class order; empty when they are to be taken from the data."""
        return tuple(unified_name(name) for name in self.labels.split(",")) if self.labels.strip() else ()

    def expected_reviews(self, *splits: str) -> int:
        """How many reviews `splits` will hold, as far as is known before the source is read.

        Fractions are of the source's size where that is known, else of `HUB_REVIEWS`.
        """
        whole = QUICKSTART_REVIEWS if self.source == QUICKSTART else HUB_REVIEWS
        sizes = [getattr(self, split) for split in splits]
        return sum(size if isinstance(size, int) else round(size * whole) for size in sizes)
