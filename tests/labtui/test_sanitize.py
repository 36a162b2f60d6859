import json
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labtui.sanitize import clean, json_text, plain

_HOSTILE = st.lists(
    st.one_of(
        st.sampled_from(
            ["\x1b]", "\x1b[", "\x1bP", "\x9b", "\x9d", "\x07", "\x1b\\", "\x1b", "31m", "52;c;", "\r\n", "\t"]
            + ["\u202e", "\u200b", "\ufeff", "\ud800", "\u0301", "[/i]", "0", "ab"]
        ),
        st.text(max_size=3),
        st.characters(),
    ),
    max_size=30,
).map("".join)


@given(_HOSTILE, st.booleans())
def test_nothing_that_steers_a_terminal_or_hides_survives(text: str, multiline: bool) -> None:
    cleaned = clean(text, multiline=multiline)
    for char in cleaned.replace("\n", "") if multiline else cleaned:
        assert unicodedata.category(char) not in {"Cc", "Cs", "Zl", "Zp"}
        assert unicodedata.bidirectional(char) not in {"LRO", "RLO", "LRE", "RLE", "PDF", "LRI", "RLI", "FSI", "PDI"}
        assert char not in "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad"
    cleaned.encode("utf-8")


@given(_HOSTILE, st.booleans())
def test_cleaning_twice_changes_nothing(text: str, multiline: bool) -> None:
    once = clean(text, multiline=multiline)
    assert clean(once, multiline=multiline) == once


@given(st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters="\u17b4\u17b5")))
def test_ordinary_text_is_left_alone(text: str) -> None:
    hidden = "\u115f\u1160\u3164\uffa0\u034f"
    assert clean(text) == "".join(char for char in text if char not in hidden)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b]52;c;aGFjaw==\x07b", "ab"),
        ("a\x1b]0;title\x1b\\b", "ab"),
        ("a\x9d52;c;aGk=\x9cb", "ab"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b(0lqk", "lqk"),
        ("\x1bPtmux;stuff\x1b\\end", "end"),
        ("open \x1b]8;;http://x", "open 8;;http://x"),
        ("nul\x00bel\x07del\x7f", "nul\ufffdbel\ufffddel\ufffd"),
        ("txt.\u202egpj", "txt.gpj"),
        ("pass\u200bword\u00ad", "password"),
        ("lone \ud83d half", "lone \ufffd half"),
        ("one\r\ntwo\nthree\tfour\u2028five", "one two three four five"),
        ("[/i] [@click=app.quit]x[/]", "[/i] [@click=app.quit]x[/]"),
        ("e" + "\u0301" * 50, "e" + "\u0301" * 3),
        ("naïve 映画 🎬", "naïve 映画 🎬"),
    ],
)
def test_hostile_pieces_become_harmless(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_multiline_keeps_lines_and_expands_tabs() -> None:
    assert clean("a\tb\r\n 10%\r 20%\nend", multiline=True) == "a       b\n 10%\n 20%\nend"


def test_plain_reads_no_markup() -> None:
    text = plain("[bold]x[/bold]\x1b[31m", "red")
    assert text.plain == "[bold]x[/bold]"
    assert text.spans == []


@pytest.mark.parametrize("piece", ["plain words \x1b[1m", "\x1b]a", "\x9d", "\x1b[0", "e\u0301\u200b\u0301", "\x1bP"])
def test_a_megabyte_of_anything_is_clean_in_linear_time(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    started = time.process_time()
    clean(text, multiline=True)
    assert time.process_time() - started < 3


@given(_HOSTILE)
def test_json_holds_nothing_that_steers_a_terminal_and_is_read_back_as_it_was(text: str) -> None:
    written = json_text({text: [text, 1.5]})
    assert json.loads(written) == {text: [text, 1.5]}
    for char in written:
        assert unicodedata.category(char) not in {"Cc", "Cs", "Zl", "Zp"}
        assert unicodedata.bidirectional(char) not in {"LRO", "RLO", "LRE", "RLE", "PDF", "LRI", "RLI", "FSI", "PDI"}


def test_numbers_that_json_does_not_have_are_null() -> None:
    assert json_text([{"a": float("nan")}, (float("-inf"), 1)]) == '[{"a": null}, [null, 1]]'
