import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.importing.spreadsheets import escaped, unescaped


@given(st.lists(st.sampled_from(["'", "=", "+", "-", "@", "\t", "\r", "1", "a", " "])).map("".join))
def test_what_was_escaped_comes_back_and_never_begins_like_a_formula(text: str) -> None:
    assert unescaped(escaped(text)) == text
    assert escaped(text)[:1] not in ("=", "+", "-", "@", "\t", "\r")


@pytest.mark.parametrize("value", [-1, -0.5, None, True, "plain", "a=b", "'quoted'"])
def test_numbers_and_ordinary_texts_stay(value: object) -> None:
    assert escaped(value) is value and unescaped(value) is value
