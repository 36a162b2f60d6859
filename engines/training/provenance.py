"""What a model was trained on: hashes of texts beside its weights, carried on to models that start from it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from engines.data.items import Example, base_hash
from engines.errors import UserError
from engines.reporter import Reporter
from engines.runs import events as ev

FILE = "trained_on.txt"


def trained_on(folder: Path) -> set[str] | None:
    """Hashes of the texts that the model in `folder` and those before it were trained on; None without a record."""
    try:
        return set((folder / FILE).read_text(encoding="ascii").split())
    except (OSError, UnicodeDecodeError):
        return None


def record(folder: Path, train: Iterable[Example], started_from: Path | None = None) -> None:
    """Leave in `folder`, that of a new model, what it and the model it started from were trained on."""
    inherited = trained_on(started_from) if started_from else None
    hashes = {base_hash(example) for example in train} | (inherited or set())
    (folder / FILE).write_text("".join(f"{hashed}\n" for hashed in sorted(hashes)), encoding="ascii")


def check_apart(started_from: Path, name: str, test: Sequence[Example], overlap: str, report: Reporter) -> None:
    """Raise `UserError` where test items were trained on by the model `name` in `started_from` or one before it; with
    `overlap` "allow" it is reported instead. What a model does not say of itself cannot be known."""
    known = trained_on(started_from) or set()
    seen = sum(base_hash(example) in known for example in test)
    if not seen:
        return
    if overlap != "allow":
        raise UserError(
            f"{seen:,} of the {len(test):,} test items were training items of {name}, the model this run starts from; "
            'choose another model or other data, or set data.overlap = "allow"'
        )
    report.fact(ev.Overlap("test", "train", seen, run=name))
