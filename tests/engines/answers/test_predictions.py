import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.answers import predictions
from engines.answers.predictions import Prediction
from engines.answers.variant import Variant
from engines.data.items import Example
from engines.errors import UserError
from engines.runs.folder import RunFolder
from engines.runs.home import Home

ANY_FLOATS = st.lists(st.floats(), max_size=4)


def same(a: Prediction, b: Prediction) -> bool:
    """Equal, where NaN equals NaN."""
    return repr(a) == repr(b)


@given(
    st.text(st.characters()),
    st.none() | st.text(),
    ANY_FLOATS,
    st.none() | st.integers(0, 2**31 - 1),
    st.integers(0, 99),
    st.sampled_from(Variant),
    st.none() | st.text(),
)
def test_every_prediction_comes_back_from_one_line_of_valid_json(
    label: str,
    predicted: str | None,
    probabilities: list[float],
    read: int | None,
    repeat: int,
    variant: Variant,
    text: str | None,
) -> None:
    prediction = Prediction("h", label, predicted, probabilities, read, repeat, variant, text)
    line = predictions.encode(prediction)

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is not JSON")

    json.loads(line, parse_constant=refuse)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert same(predictions.decode(line), prediction)


def test_a_probability_that_is_not_finite_is_null_and_its_place_is_named() -> None:
    values = json.loads(predictions.encode(Prediction("h", "a", None, [0.5, math.nan, -math.inf])))
    assert values["probabilities"] == [0.5, None, None]
    assert values["not_finite"] == {"probabilities.1": "nan", "probabilities.2": "-inf"}


def test_half_of_a_surrogate_pair_in_a_generated_text_is_kept() -> None:
    prediction = Prediction("h", "a", text="so \ud83d")
    assert predictions.decode(predictions.encode(prediction)) == prediction


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"hash": "h", "label": "a"}', Prediction("h", "a")),
        (
            b'{"hash":"h","label":"a","predicted":null,"probabilities":[NaN,Infinity],"tokens_read":null,"repeat":2}',
            Prediction("h", "a", None, [math.nan, math.inf], None, 2),
        ),
        (
            b'{"hash":"h","label":"a","predicted":null,"probabilities":[null,0.5],"tokens_read":3,"model":"original"}',
            Prediction("h", "a", None, [math.nan, 0.5], 3, 0, Variant.BEFORE),
        ),
        (
            b'{"hash":"h","label":"a","predicted":"a","probabilities":[1,0],"tokens_read":3,"model":"tuned"}',
            Prediction("h", "a", "a", [1.0, 0.0], 3, 0, Variant.OWN),
        ),
    ],
)
def test_lines_of_older_versions_are_read(line: bytes, expected: Prediction) -> None:
    assert same(predictions.decode(line), expected)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b'{"hash": "h"}',
        b'{"hash": 1, "label": "a"}',
        b'{"hash": "h", "label": "a", "probabilities": ["0.5"]}',
        b'{"hash": "h", "label": "a", "model": "another"}',
        b'{"hash": "h", "label": "a", "repeat": -1}',
        b'{"hash": "h", "label": "a", "probabilities": [null], "not_finite": 1}',
        b'{"hash": "h", "label": "a", "tokens_read": 4294967296}',
        b'{"hash": "h", "label": "\xff"}',
    ],
)
def test_what_is_no_prediction_is_refused_with_its_place(home: Home, line: bytes) -> None:
    folder = RunFolder.create(home, {"experiment": "a"})
    folder.predictions.write_bytes(predictions.encode(Prediction("h", "a")) + line + b"\n")
    with pytest.raises(UserError, match=rf"^{folder.name}: line 2 of predictions.jsonl is no answer \(.+\); run or"):
        list(predictions.read(folder))


def test_a_set_of_answers_is_written_and_read_in_the_order_of_the_items(home: Home) -> None:
    folder = RunFolder.create(home, {"experiment": "a"})
    examples = [Example("bad", 0, 4, "h0"), Example("good", 1, 9, "h1")]
    answers = predictions.predictions_of(
        examples, ["no", "yes"], [None, 1], [[], [0.1, 0.9]], [3, 4], repeat=1, texts={0: ""}
    )
    predictions.write(folder, answers)
    assert list(predictions.read(folder)) == [
        Prediction("h0", "no", None, [], 3, 1, text=""),
        Prediction("h1", "yes", "yes", [0.1, 0.9], 4, 1),
    ]


def test_a_variant_is_read_by_its_words_of_all_versions_and_by_no_others() -> None:
    assert [Variant(word) for word in ("", "tuned", "before", "original", "before tuning")] == [
        Variant.OWN,
        Variant.OWN,
        Variant.BEFORE,
        Variant.BEFORE,
        Variant.BEFORE,
    ]
    assert (Variant.OWN.words, Variant.BEFORE.words) == ("", "before tuning")
    with pytest.raises(ValueError, match="another"):
        Variant("another")
