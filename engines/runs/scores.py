"""What a test or a validation scored: a record with a place for what this version does not know."""

from typing import Any

import msgspec

from engines.runs.reading import wrong_with


class Scores(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Scores of one set of answers, or their means over the repeats of a run.

    Shares are fractions, 0 to 1. None, and empty, is what was not scored; `accuracy` is None where nothing was.
    """

    accuracy: float | None = None  # invalid answers, those that are no class, count as wrong
    accuracy_answered: float | None = None  # without the invalid ones
    macro_precision: float | None = None  # the `macro_` scores are plain means over the classes
    macro_recall: float | None = None
    macro_f1: float | None = None
    recall: dict[str, float] = {}  # by class, as the next two
    precision: dict[str, float] = {}
    f1: dict[str, float] = {}
    invalid: int | float | None = None  # answers
    repeats: list[float] = []  # the accuracy of each, where there is more than one
    accuracy_sd: float | None = None  # sample standard deviation of `repeats`
    untrained_head: bool = False
    written: int | None = None  # items about which the model also wrote a text
    written_other: int | None = None  # of these, texts that name another class than the likelihoods
    written_invalid: int | None = None  # of these, texts that name none
    mended: int | None = None  # items that only the tuned model answers right
    broken: int | None = None  # items that only the model before tuning does
    before: "Scores | None" = None  # of the same items, by the model before the run tuned it
    confusion: list[list[int]] = []  # of `before`; for all others the event holds it
    extra: dict[str, Any] = {}  # scores without a field here, by name

    def value(self, name: str) -> float | None:
        """The score of that name, whether or not it has a field here; None where it is not known or no number."""
        value = getattr(self, name) if name in _FIELDS else self.extra.get(name)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def as_json(self) -> dict[str, Any]:
        """One flat object with what was scored; `extra` stands among the others."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        if self.before is not None:
            values["before"] = self.before.as_json()
        extra: dict[str, Any] = values.pop("extra", {})
        return values | extra


_FIELDS = frozenset(Scores.__struct_fields__) - {"extra"}


def of_json(values: Any) -> Scores:
    """The scores of such a flat object; raises `ValueError` where one is of another type than its field.

    In files of older versions `before` is called "original".
    """
    if not isinstance(values, dict):
        raise ValueError(f"no scores: {values!r:.80} is no object")
    known = {name: value for name, value in values.items() if name in _FIELDS}
    extra = {name: value for name, value in values.items() if name not in _FIELDS}
    if isinstance(extra.get("original"), dict) and "before" not in known:
        known["before"] = extra.pop("original")
    before = known.pop("before", None)
    try:
        scores = msgspec.convert({**known, "extra": extra}, Scores)
    except msgspec.ValidationError as error:
        raise ValueError(f"no scores: {wrong_with(error)}") from None
    return scores if before is None else msgspec.structs.replace(scores, before=of_json(before))
