"""Which encoding bytes are in."""

import pytest

from engines.data.encodings import decode
from engines.errors import DataError

WESTERN = "text,label\nLe café était bon à Besançon,pos\nmüde Größe, naïve señor,neg\n" * 4
CHINESE = "text,label\n这部电影很好看，我非常喜欢。,pos\n非常糟糕的服务,neg\n" * 4
JAPANESE = "text,label\nこの映画はとても面白かったです。,pos\n最悪のサービスでした,neg\n" * 4
KOREAN = "text,label\n이 영화는 정말 재미있었어요,pos\n최악의 서비스였다,neg\n" * 4


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (WESTERN, "utf-8"),
        (WESTERN, "utf-8-sig"),
        (WESTERN, "utf-16"),
        (WESTERN, "utf-16-be"),
        (WESTERN, "latin-1"),
        (WESTERN, "cp1252"),
        (CHINESE, "utf-8"),
        (CHINESE, "gb18030"),
        (CHINESE, "utf-16"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (KOREAN, "euc_kr"),
    ],
)
def test_the_encoding_is_told_from_the_bytes(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding), "a.csv").text == text


def test_a_guess_shows_a_word_that_another_guess_would_spoil() -> None:
    decoded = decode("text\nhe drank a café au lait\n".encode("cp1252"), "a.csv")
    assert (decoded.guessed, decoded.encoding, decoded.sample) == (True, "cp1252", "café")


def test_an_encoding_that_is_given_holds_or_is_refused_with_line_and_byte() -> None:
    russian = "Этот фильм\nплохой\n".encode("cp1251")
    assert decode(russian, "a.csv", "cp1251").text == "Этот фильм\nплохой\n"
    with pytest.raises(DataError, match=r"a.csv line 2: byte 1 \(0xe9\) is not UTF-8; set data.encoding"):
        decode(b"\n\xe9\n", "a.csv", "utf-8")
    with pytest.raises(DataError, match='data.encoding = "utf9" is no encoding'):
        decode(b"a", "a.csv", "utf9")
