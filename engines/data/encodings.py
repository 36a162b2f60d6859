"""Bytes of a text file as text: what encoding they are in, told from the bytes."""

import codecs
import re
from dataclasses import dataclass

from engines.errors import DataError

UTF8 = "utf-8"
SINGLE_BYTE = "cp1252"
"""Windows' western alphabet, which holds Latin-1's letters too: what single bytes above 127 mostly are."""
MULTI_BYTE = ("gb18030", "big5", "cp932", "shift_jis", "euc_jp", "euc_kr", "cp949", "johab", "iso2022_jp", "iso2022_kr")
GUESSED_BYTES = 1 << 20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WORD = re.compile(r"\S*[^\x00-\x7f]\S*")


@dataclass(frozen=True)
class Decoded:
    """A text and where it is from."""

    text: str  # without a byte order mark, lines ending in "\n", "\r\n" or "\r" as they were
    encoding: str
    guessed: bool  # neither given, nor UTF-8, nor told by a byte order mark

    @property
    def sample(self) -> str:
        """A word that would read otherwise in another encoding; empty where all is ASCII."""
        match = _WORD.search(self.text)
        return match[0][:40] if match else ""


def decode(content: bytes, name: str, encoding: str = "") -> Decoded:
    """Bytes as text: in `encoding` where it is given, else by a byte order mark, as UTF-8, as UTF-16 without a mark,
    in a multi-byte encoding of East Asia that charset-normalizer tells, else as Windows-1252.

    Raises `DataError` naming the file, and line and byte where they do not fit.
    """
    if encoding:
        return _given(content, name, encoding)
    for mark, marked in _MARKS:
        if content.startswith(mark):
            return Decoded(_given(content, name, marked).text, marked, False)
    if wide := _wide(content):  # ASCII in UTF-16 reads as UTF-8 too, full of zeros
        return Decoded(_given(content, name, wide).text, wide, True)
    try:
        return Decoded(content.decode(UTF8), UTF8, False)
    except UnicodeDecodeError:
        pass
    if guess := _multi_byte(content):
        return Decoded(content.decode(guess), guess, True)
    return Decoded(content.decode(SINGLE_BYTE, "replace"), SINGLE_BYTE, True)


def _given(content: bytes, name: str, encoding: str) -> Decoded:
    try:
        return Decoded(content.decode(encoding).removeprefix("\ufeff"), encoding, False)
    except LookupError:
        raise DataError(
            f'{name}: data.encoding = "{encoding}" is no encoding; use a name such as utf-8, cp1252 or gb18030'
        ) from None
    except UnicodeError as error:
        at = error.start if isinstance(error, UnicodeDecodeError) else 0
        line = 1 + content.count(b"\n", 0, at)
        shown = f" (0x{content[at]:02x})" if at < len(content) else ""
        raise DataError(
            f"{name} line {line}: byte {at}{shown} is not {encoding.upper()}; set data.encoding to the file's encoding"
        ) from None


def _wide(content: bytes) -> str:
    """UTF-16 without a byte order mark, which puts a zero beside every ASCII letter; empty where it is not."""
    head = content[: GUESSED_BYTES & ~1]
    zeros = {"utf-16-le": head[1::2].count(0), "utf-16-be": head[::2].count(0)}
    likely = max(zeros, key=lambda encoding: zeros[encoding])
    if zeros[likely] <= 0.3 * len(head) / 2 or min(zeros.values()) > 0.01 * len(head):
        return ""
    text = head.decode(likely, "replace")
    odd = sum(not (c.isprintable() or c.isspace()) for c in text)
    return likely if odd <= 0.01 * len(text) else ""


def _multi_byte(content: bytes) -> str:
    """An encoding of `MULTI_BYTE` in which all bytes read, and most of them as letters of its own; else empty."""
    from charset_normalizer import from_bytes

    high = sum(byte > 127 for byte in content[:GUESSED_BYTES])
    if high < 8:  # single accented letters: any pair of bytes may look like a sign
        return ""
    best = from_bytes(content[:GUESSED_BYTES], cp_isolation=list(MULTI_BYTE)).best()
    if best is None:
        return ""
    try:
        text = content.decode(best.encoding)
    except UnicodeDecodeError:
        return ""
    signs = sum(ord(c) > 0x2E7F for c in text)
    others = sum(0x7F < ord(c) <= 0x2E7F for c in text)
    return best.encoding if signs > 4 * others and _runs(text) else ""


def _runs(text: str) -> bool:
    """Whether signs stand beside signs, as words of East Asia do; a lone sign between letters is an accent misread."""
    lone = len(re.findall(r"(?<![\u2e80-\U0003ffff])[\u2e80-\U0003ffff](?![\u2e80-\U0003ffff])", text))
    return lone < 0.3 * sum(ord(c) > 0x2E7F for c in text)
