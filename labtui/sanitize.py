"""The only door through which foreign text reaches a widget or the terminal.

Foreign is everything this program did not write itself: reviews, model output, worker logs, file names, device
names, exception messages. Raw escapes reach the terminal from every Textual widget, so text is cleaned once, where
it enters.
"""

import json
import math
import re
from typing import TYPE_CHECKING, Any

from engines.runs.credentials import redacted

if TYPE_CHECKING:
    from rich.text import Text

_PRINTABLE = r"[^\x00-\x1f\x7f-\x9f]"
_UNSAFE = re.compile(
    # Operating system commands and other strings, then CSI, then any other escape; an unfinished one loses its head.
    rf"(?P<sequence>(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]){_PRINTABLE}*(?:\x07|\x1b\\|\x9c)"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|\x1b[ -/]*[0-~]?)"
    r"|(?P<line>\r\n|[\n\r\x0b\x0c\x85\u2028\u2029])"
    r"|(?P<tab>\t)"
    # Bidirectional controls, zero-width and invisible characters, variation selectors, tags.
    r"|(?P<hidden>[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+)"
    # The fourth and later of a pile of combining marks: they would climb over the lines above.
    r"|(?<=[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{3})"
    r"(?P<pile>[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+)"
    r"|(?P<control>[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff])"
)
_TAB_WIDTH = 8
_SHOWN_CHARACTERS_MAX, _SHOWN_AT_THE_END = 2000, 500  # the end of a sentence says what to do
_STEERING_IN_JSON = re.compile(
    # What `json.dumps` leaves as it is and a terminal may act upon: C1 codes, directions, half surrogate pairs.
    r"[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def clean(text: str, *, multiline: bool = False) -> str:
    """Return `text` with nothing in it that could steer a terminal or hide what it says, and no access token.

    Escape sequences and invisible or direction-changing characters disappear; a stray control code or lone surrogate
    becomes U+FFFD, so that its place can be seen. With `multiline`, every kind of line end becomes a newline and tabs
    are expanded to columns of 8; without, both become one space. Cleaning twice changes nothing more.
    """
    if text.isascii() and text.isprintable():
        return redacted(text)

    def replacement(match: re.Match[str]) -> str:
        kind = match.lastgroup
        if kind == "line":
            return "\n" if multiline else " "
        if kind == "tab":
            return "\t" if multiline else " "
        return "\ufffd" if kind == "control" else ""

    # Removing a hidden character can join two piles of combining marks: go on until nothing changes.
    while (cleaned := _UNSAFE.sub(replacement, text)) != text:
        text = cleaned
    return redacted(text.expandtabs(_TAB_WIDTH) if multiline else text)


def plain(text: str, style: str = "", *, multiline: bool = False) -> "Text":
    """`clean(text)` as a Rich `Text`, which widgets and table cells show as it is, without reading markup."""
    from rich.text import Text

    return Text(clean(text, multiline=multiline), style=style)


def shortened(text: str) -> str:
    """`text`; one of more than 2,000 characters without its middle, and how many characters that had."""
    more = len(text) - _SHOWN_CHARACTERS_MAX
    if more <= 0:
        return text
    head, tail = text[: _SHOWN_CHARACTERS_MAX - _SHOWN_AT_THE_END], text[-_SHOWN_AT_THE_END:]
    return f"{head} ... ({more:,} characters left out) ... {tail}"


def json_text(value: Any, *, indent: int | None = None) -> str:
    """`value` as JSON in which characters that steer a terminal or turn text round are escaped; read back, it is the
    same, but for NaN and infinities, which JSON does not have: they are null."""
    try:
        text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_without_nan(value), indent=indent, ensure_ascii=False)
    return _STEERING_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(held) for held in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
