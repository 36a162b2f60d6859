"""Plots of the report as SVG that stands inside a page, made by matplotlib: no script, nothing fetched.

Text, axes and fills take the colours of the page, so that a plot is readable on a light and on a dark one.
"""

import io
import re
from collections.abc import Sequence
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from engines.study.values import Bin, Validation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MISSING = 'the plots are left out: matplotlib is not installed here; pip install "labtui[report]" adds it'
_INK, _FAINT, _ACCENT = "#010203", "#040506", "#070809"  # stand for the page's colours until the SVG is written
_STANDS_FOR = {_INK: "currentColor", _FAINT: "var(--faint)", _ACCENT: "var(--accent)"}
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Told apart by the colour-blind, and on white and black."""
_MARKERS = ("o", "o", "s", "s", "^", "^", "D", "D")
_INCH_PT = 72
_NAMED = re.compile(r'(\bid="|xlink:href="#|url\(#)')


class Plots:
    """Draws the plots of one page; each gets names of its own inside it."""

    def __init__(self) -> None:
        """Raises `ImportError` where matplotlib is not installed."""
        import matplotlib.figure  # noqa: F401

        self._count = 0

    def accuracies(self, rows: Sequence[tuple[str, float, float | None, float | None, bool]]) -> str:
        """Dot and whisker, one line per row (name, accuracy, low, high, published): first on top, published hollow."""
        with self._drawing(7.2, 0.55 + 0.27 * len(rows)) as (figure, axes):
            for at, (_, value, low, high, published) in enumerate(rows):
                if low is not None and high is not None:
                    axes.plot([low, high], [at, at], color=_FAINT if published else _ACCENT, linewidth=1.8)
                axes.plot(
                    [value],
                    [at],
                    "o",
                    markersize=5.5,
                    color=_FAINT if published else _ACCENT,
                    markerfacecolor="none" if published else _ACCENT,
                )
            axes.set_yticks(range(len(rows)), [row[0] for row in rows])
            axes.set_ylim(len(rows) - 0.5, -0.5)
            axes.set_xlabel("accuracy")
            axes.grid(axis="x", color=_FAINT, alpha=0.35, linewidth=0.6)
            axes.tick_params(axis="y", length=0)
            spoken = "; ".join(f"{name} {value:.3f}" for name, value, *_ in rows[:12])
            return self._svg(figure, f"Accuracies with 95 % intervals: {spoken}")

    def reliability(self, name: str, bins: Sequence[Bin]) -> str:
        """Accuracy against confidence, a dot a bin, the larger the more items; the diagonal is perfect calibration."""
        most = max(each["items"] for each in bins)
        with self._drawing(3.1, 2.9) as (figure, axes):
            axes.plot([0, 1], [0, 1], color=_FAINT, linewidth=0.9, linestyle="--")
            axes.plot([b["confidence"] for b in bins], [b["accuracy"] for b in bins], color=_ACCENT, linewidth=1.0)
            axes.scatter(
                [b["confidence"] for b in bins],
                [b["accuracy"] for b in bins],
                color=_ACCENT,
                linewidths=0,
                s=[10 + 60 * b["items"] / most for b in bins],
            )
            start = min(b["low"] for b in bins)
            axes.set_xlim(start, 1.02)
            axes.set_ylim(0, 1.04)
            axes.set_xlabel("confidence")
            axes.set_ylabel("accuracy")
            spoken = "; ".join(
                f"confidence {b['confidence']:.2f}, accuracy {b['accuracy']:.2f}, {b['items']:,} items" for b in bins
            )
            return self._svg(figure, f"Reliability of {name}: {spoken}")

    def confusion(self, name: str, labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> str:
        """A heat map: a row per true class, a column per answer, `invalid` last where there is one; row shares."""
        columns = [*labels, "invalid"] if any(row[-1] for row in confusion) else list(labels)
        size = max(len(labels), len(columns))
        with self._drawing(1.3 + 0.62 * size, 0.9 + 0.5 * len(labels)) as (figure, axes):
            for y, row in enumerate(confusion):
                for x in range(len(columns)):
                    share = row[x] / sum(row) if sum(row) else 0.0
                    axes.add_patch(_cell(x, y, share))
                    axes.text(x, y, f"{row[x]:,}", ha="center", va="center", fontsize=8)
            axes.set_xticks(range(len(columns)), columns, rotation=0 if size < 4 else 60)
            axes.set_yticks(range(len(labels)), labels)
            axes.set_xlim(-0.5, len(columns) - 0.5)
            axes.set_ylim(len(labels) - 0.5, -0.5)
            axes.set_xlabel("answered")
            axes.set_ylabel("true")
            axes.tick_params(length=0)
            spoken = "; ".join(
                f"true {label}: " + ", ".join(f"{row[x]:,} {column}" for x, column in enumerate(columns))
                for label, row in zip(labels, confusion, strict=True)
            )
            return self._svg(figure, f"Confusion of {name}: {spoken}")

    def validation(self, curves: Sequence[tuple[str, Sequence[Validation]]], key: Literal["loss", "accuracy"]) -> str:
        """The `key` ("loss" or "accuracy") of several runs on their validation splits, over epochs."""
        from matplotlib.ticker import MaxNLocator

        with self._drawing(7.2, 2.7) as (figure, axes):
            spoken = []
            for at, (name, points) in enumerate(curves):
                known = [(x, y) for p in points if (x := p["epoch"]) is not None and (y := p[key]) is not None]
                axes.plot(
                    [x for x, _ in known],
                    [y for _, y in known],
                    linewidth=1.5,
                    label=name,
                    color=LINES[at % len(LINES)],
                    linestyle=(0, (3, 3)) if at % 2 else "-",  # of two equal curves both can be seen
                    marker=_MARKERS[at % len(_MARKERS)],
                    markersize=3 if at % 2 else 6,
                    markerfacecolor=None if at % 2 else "none",
                )
                spoken.append(f"{name} " + ", ".join(f"{y:.3f}" for _, y in known))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_xlabel("epoch")
            axes.set_ylabel(f"validation {key}")
            axes.grid(color=_FAINT, alpha=0.35, linewidth=0.6)
            axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
            return self._svg(figure, f"Validation {key} by epoch: {'; '.join(spoken)}")

    @contextmanager
    def _drawing(self, width_inch: float, height_inch: float) -> "Iterator[tuple[Figure, Axes]]":
        import matplotlib
        from matplotlib.figure import Figure

        colours = {
            f"{part}.{kind}": _INK
            for part, kind in (("text", "color"), ("axes", "labelcolor"), ("xtick", "color"), ("ytick", "color"))
        }
        style: Any = {
            **colours,
            "axes.edgecolor": _FAINT,
            "axes.facecolor": "none",
            "figure.facecolor": "none",
            "font.size": 9,
            "font.family": "sans-serif",
            "svg.fonttype": "none",
            "svg.hashsalt": "labtui",
            "text.parse_math": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.unicode_minus": True,
        }
        with matplotlib.rc_context(style):
            figure = Figure((width_inch, height_inch))
            yield figure, figure.add_subplot()

    def _svg(self, figure: "Figure", words: str) -> str:
        """The figure as an SVG element that scales with the page, `words` its text for who does not see it."""
        written = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(written, format="svg", bbox_inches="tight", pad_inches=0.04, metadata=nothing)
        text = written.getvalue()
        text = text[text.index("<svg") :]
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
        head, rest = text.split(">", 1)
        box = re.search(r'viewBox="([^"]+)"', head)
        assert box is not None  # matplotlib writes one
        width = float(box.group(1).split()[2])
        for colour, ours in _STANDS_FOR.items():
            rest = rest.replace(colour, ours)
        self._count += 1
        rest = _NAMED.sub(lambda match: f"{match.group(1)}plot{self._count}-", rest)
        return (
            f'<svg viewBox="{box.group(1)}" role="img" style="max-width:{1.25 * width / _INCH_PT:.2f}in" '
            f'aria-label="{escape(words)}">{rest.strip()}'
        )


def _cell(x: int, y: int, share: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, facecolor=_ACCENT, alpha=0.08 + 0.6 * share, linewidth=0)
