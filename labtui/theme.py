"""The colours of the console."""

from textual.theme import Theme

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
