"""The colours of the console, and the colour of a run, the same on every screen."""

from collections.abc import Iterable
from zlib import crc32

from textual.theme import Theme

from labtui.console.widgets.chart import PALETTE

# Colours that stay apart on a terminal of 16; the backgrounds all become black there.
THEME = Theme(
    name="lab",
    primary="#4ea1ff",
    secondary="#22b8cf",
    accent="#ffb000",
    warning="#ffb000",
    error="#ff5f5f",
    success="#3ddc84",
    foreground="#d7dae0",
    background="#0e1014",
    surface="#14171c",
    panel="#1c2027",
    dark=True,
)


def colour_of(name: str) -> str:
    """The colour of what is called so, today and tomorrow; there are six, so two names may share one."""
    return PALETTE[crc32(name.encode("utf-8", "surrogatepass")) % len(PALETTE)]


def free_colour(name: str, taken: Iterable[str]) -> str:
    """The colour of `name`, or the next one of the six that fewest of `taken` are."""
    used = list(taken)
    fewest = min(map(used.count, PALETTE))
    first = PALETTE.index(colour_of(name))
    return next(colour for colour in (*PALETTE[first:], *PALETTE[:first]) if used.count(colour) == fewest)


def colours_of(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name of a selection: its own, or the next that none before it has taken.

    Up to six names get six different ones; further names use all of them evenly.
    """
    chosen: dict[str, str] = {}
    for name in dict.fromkeys(names):
        chosen[name] = free_colour(name, chosen.values())
    return chosen
