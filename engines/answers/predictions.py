"""A line of `predictions.jsonl`: one answer to one test item. Every line is written and read here.

Lines are JSON objects with the fields of `Prediction`; `variant` is called `model` there. `text` and `model` stand only
where there is something to say. A probability that is not finite is null, and `not_finite` names it by its place:
`{"probabilities.1": "nan"}`.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from engines.answers.variant import Variant
from engines.errors import UserError
from engines.runs.folder import RunFolder
from engines.runs.reading import open_regular
from engines.runs.writing import write_atomic

if TYPE_CHECKING:
    from engines.data.items import Example


_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class Prediction(msgspec.Struct, frozen=True, gc=False):
    """What a model answered to one item; of older files also lines that lack all but `hash` and `label`."""

    hash: str  # of the item
    label: str  # the true class
    predicted: str | None = None  # None: an answer that is no class, invalid
    probabilities: Sequence[float] = []  # in class order; empty where there are none
    tokens_read: _Count | None = None  # of the item's text; None where it is not known
    repeat: _Count = 0
    variant: Variant = msgspec.field(default=Variant.OWN, name="model")
    text: str | None = None  # as generated, where it was kept


_decoder = msgspec.json.Decoder(Prediction)


def encode(prediction: Prediction) -> bytes:
    """One line, newline included."""
    values: dict[str, Any] = {
        "hash": prediction.hash,
        "label": prediction.label,
        "predicted": prediction.predicted,
        "probabilities": prediction.probabilities,
        "tokens_read": prediction.tokens_read,
        "repeat": prediction.repeat,
    }
    if prediction.variant:
        values["model"] = prediction.variant
    if prediction.text is not None:
        values["text"] = prediction.text
    if not all(map(math.isfinite, prediction.probabilities)):
        values["probabilities"] = [p if math.isfinite(p) else None for p in prediction.probabilities]
        values["not_finite"] = {
            f"probabilities.{at}": str(p) for at, p in enumerate(prediction.probabilities) if not math.isfinite(p)
        }
    try:
        return msgspec.json.encode(values) + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair has no UTF-8; JSON can escape it
        return json.dumps(values, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def decode(line: bytes) -> Prediction:
    """The prediction of one line; raises `ValueError` where it is none."""
    with suppress(msgspec.DecodeError):
        return _decoder.decode(line)
    return _decode_leniently(line)


def _decode_leniently(line: bytes) -> Prediction:
    """A line with probabilities that are not finite, as null or as the bare tokens of older files, or with lone
    surrogates, none of which a strict reader of JSON takes for a number or a text."""
    values = json.loads(line)
    if not isinstance(values, dict):
        raise ValueError("it is no object")
    try:
        not_finite: Mapping[str, str] = values.pop("not_finite", {})
        values["probabilities"] = [
            float(not_finite.get(f"probabilities.{at}", "nan")) if p is None else p
            for at, p in enumerate(values.get("probabilities") or ())
        ]
        return msgspec.convert(values, Prediction)
    except (AttributeError, TypeError, msgspec.ValidationError) as error:
        raise ValueError(str(error)) from None


def predictions_of(
    examples: Sequence["Example"],
    labels: Sequence[str],
    predicted: Sequence[int | None],
    probabilities: Sequence[Sequence[float]],
    tokens_read: Sequence[int] | None = None,
    *,
    repeat: int = 0,
    variant: Variant = Variant.OWN,
    texts: Mapping[int, str] | None = None,
) -> Iterator[Prediction]:
    """One set of answers, an entry per example; `predicted` are class numbers, None for invalid; `texts` are what the
    model wrote, by the example's place."""
    tokens: Sequence[int | None] = [None] * len(examples) if tokens_read is None else tokens_read
    rows = zip(examples, predicted, probabilities, tokens, strict=True)
    for at, (example, answer, row, read) in enumerate(rows):
        yield Prediction(
            hash=example.hash,
            label=labels[example.label],
            predicted=None if answer is None else labels[answer],
            probabilities=row,
            tokens_read=read,
            repeat=repeat,
            variant=variant,
            text=texts.get(at) if texts else None,
        )


def write(folder: RunFolder, predictions: Iterable[Prediction]) -> None:
    """Write `predictions.jsonl`, which appears whole or not at all."""
    write_atomic(folder.predictions, b"".join(map(encode, predictions)))


def read(folder: RunFolder) -> Iterator[Prediction]:
    """The predictions of a run in the order of the file.

    Raises `FileNotFoundError` where there is no file and `UserError` with the line that is no prediction.
    """
    with open_regular(folder.predictions) as file:
        for number, line in enumerate(file, 1):
            try:
                yield decode(line)
            except ValueError as error:
                raise UserError(
                    f"{folder.name}: line {number:,} of {folder.predictions.name} is no answer ({error}); "
                    "run or import it again"
                ) from None
