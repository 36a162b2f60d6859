"""A study as one HTML page: what was run, figures with intervals, tests, plots, and the exact settings behind them.

The page needs neither network nor script, takes the reader's light or dark, and prints.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from html import escape
from importlib.metadata import version

from engines.answers.metrics import beside_accuracy
from engines.answers.variant import Variant
from engines.errors import UserError
from engines.models import cards
from engines.runs import events as ev
from engines.runs.event_files import EventReader
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.reading import read_small
from engines.study.reader import ResultsReader
from engines.study.values import Comparison, Measures, Pair, RepeatTable, Share
from labtui import format
from labtui.results import groups, tables
from labtui.results.columns import known_columns, sort_rows
from labtui.results.report_plots import MISSING, Plots
from labtui.results.rows import IMPORTED, ResultRow, collect_rows, published_rows, short_name
from labtui.sanitize import clean

MANY_PAIRS = 12  # from here on, the sentences of a comparison are left to its table
STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --faint: #68717c; --line: #d5dae0;
        --accent: #1463b8; --warn: #8a4b00; --soft: #f3f5f8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #d7dae0; --paper: #0e1014; --faint: #98a1ad; --line: #2c323b; --accent: #62acff; --warn: #ffb84d;
          --soft: #171b21; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 76rem; color: var(--ink); background: var(--paper);
       font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; margin: 0.5rem 0; } h2 { font-size: 1.25rem; margin: 2.2rem 0 0.6rem; }
h3 { font-size: 1.02rem; margin: 1.5rem 0 0.4rem; } a { color: var(--accent); }
p, ul { margin: 0.5rem 0; max-width: 62rem; } small, .faint { color: var(--faint); }
.scroll { overflow-x: auto; margin: 0.6rem 0; } .warn { color: var(--warn); }
table { border-collapse: collapse; font-size: 0.86rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.22rem 0.55rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; border-bottom-color: var(--faint); vertical-align: bottom; }
th.l, td.l { text-align: left; } td.under { padding-left: 1.8rem; } td.under2 { padding-left: 3rem; }
tr.published td { color: var(--faint); font-style: italic; }
caption { text-align: left; color: var(--faint); padding-bottom: 0.2rem; white-space: nowrap; }
.plots { display: flex; flex-wrap: wrap; gap: 0.5rem 1.5rem; align-items: flex-start; }
figure { margin: 0.6rem 0; flex: 0 1 auto; max-width: 100%; } figcaption { font-size: 0.86rem; color: var(--faint); }
svg { width: 100%; min-width: 14rem; height: auto; display: block; font-family: system-ui, sans-serif; }
figure.wide { width: 100%; overflow-x: auto; } figure.wide svg { min-width: 36rem; }
.plots figure { width: 16.5rem; }
.each { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 34rem), 1fr)); gap: 0 1rem; }
pre { background: var(--soft); padding: 0.7rem; overflow-x: auto; font-size: 0.8rem; line-height: 1.4; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.1rem 1rem; margin: 0.4rem 0; font-size: 0.9rem; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 34rem) { body { font-size: 15px; padding: 0.7rem; } dl { grid-template-columns: 1fr; }
  dt { margin-top: 0.3rem; }
  .scroll td:first-child, .scroll th:first-child { position: sticky; left: 0; background: var(--paper);
    white-space: normal; min-width: 8.5rem; max-width: 9.5rem; } .scroll td.under { padding-left: 1.1rem; }
  .scroll td.under2 { padding-left: 1.7rem; } ul { padding-left: 1.2rem; } }
@media print { :root { --ink: #000; --paper: #fff; --faint: #555; --line: #ccc; --accent: #1463b8; --soft: #f6f6f6;
  --warn: #7a4200; } body { max-width: none; font-size: 9.5pt; padding: 0; } .scroll { overflow: visible; }
  @page { size: A4 landscape; margin: 12mm; }
  table { font-size: 6.6pt; } th, td { padding: 0.1rem 0.22rem; } th, td.l { white-space: normal; }
  h2, h3 { break-after: avoid; }
  figure, tr, .plots { break-inside: avoid; } pre { white-space: pre-wrap; } nav { display: none; } }
"""


def write(
    home: Home, runs: Sequence[str] = (), *, published: bool = False, say: Callable[[str], object] = lambda text: None
) -> str:
    """The page about these runs (all finished ones where none is named), as text; `say` takes narration.

    With `published` the figures of the founding study stand beside them, marked as such. Raises `UserError` where
    there is no run with scores of a test split.
    """
    rows = collect_rows(home)
    known = {row.run for row in rows}
    for run in runs:
        if run not in known:
            raise UserError(f"{run} has no scores of a test split: it has not finished, or has not been tested")
    rows = [row for row in rows if not runs or row.run in runs]
    if not rows:
        raise UserError("no finished runs yet; `labtui quickstart` makes some")
    try:
        plots: Plots | None = Plots()
    except ImportError:
        plots = None
        say(MISSING)
    return _Page(home, rows, published_rows() if published else [], plots, say).html()


class _Page:
    def __init__(
        self,
        home: Home,
        rows: list[ResultRow],
        published: list[ResultRow],
        plots: Plots | None,
        say: Callable[[str], object],
    ) -> None:
        self._home, self._rows, self._published, self._plots = home, rows, published, plots
        self._study = ResultsReader(home)
        self._runs = list(dict.fromkeys(row.run for row in rows))  # newest first
        self._names = {row.run: short_name(row) for row in rows if not row.variant}
        self._imported = {row.run for row in rows if row.engine == IMPORTED}
        read = groups.read(self._study, [*rows, *published], say)
        self._measured, self._unread = read.measured, read.unreadable
        self._tops = sort_rows(read.tops, "accuracy")

    def html(self) -> str:
        """The whole page."""
        sections = [
            ("results", "Results", self._results()),
            ("repeats", "Repeats", self._repeats()),
            ("comparisons", "Comparisons on the same items", self._comparisons()),
            ("answers", "Answers of each run", self._answers()),
            ("training", "Validation", self._validation()),
            ("runs", "Settings, versions and data", self._details()),
        ]
        sections = [section for section in sections if section[2]]
        nav = " · ".join(f'<a href="#{key}">{title}</a>' for key, title, _ in sections)
        body = "".join(f'<section><h2 id="{key}">{title}</h2>{content}</section>\n' for key, title, content in sections)
        left_out = f"<p class=warn>{_text(MISSING[0].upper() + MISSING[1:])}.</p>" if self._plots is None else ""
        title = f"Results of {len(self._runs)} run{'s' if len(self._runs) > 1 else ''}"
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{title}</title><style>{STYLE}</style></head><body>\n"
            f"<header><h1>{title}</h1><p>{self._summary()}</p><p><small>Written {time.strftime('%Y-%m-%d %H:%M')} by "
            f'labtui {_text(version("labtui"))}.</small></p>{left_out}<nav aria-label="Contents">{nav}</nav></header>'
            f"\n<main>{body}</main></body></html>\n"
        )

    # -- what was run ---------------------------------------------------------------------------------------

    def _summary(self) -> str:
        own = [row for row in self._rows if not row.variant]
        imported = sum(row.engine == IMPORTED for row in own)
        engines = sorted({row.engine for row in own if row.engine != IMPORTED})
        sets = Counter(measured["test_set"] for measured in self._measured.values())
        items = sorted({row.items for row in own if row.items})
        sentence = f"{len(own) - imported} run{'' if len(own) - imported == 1 else 's'} of this program"
        if engines:
            sentence += f" ({', '.join(map(_text, engines))})"
        if imported:
            sentence += f" and {imported} imported from other programs"
        count = (
            f"{format.count(items[0])}"
            if len(items) == 1
            else f"{format.count(items[0])} to {format.count(items[-1])}"
            if items
            else "no"
        )
        tested = f", tested on {len(sets)} set{'' if len(sets) == 1 else 's'} of {count} items"
        more = (
            f" {len(self._published)} published figures stand beside them; they were not measured by this program."
            if self._published
            else ""
        )
        return (
            f"{sentence}{tested}. Intervals are 95 % and over the items (Wilson for accuracies, bootstrap for macro "
            "scores and for means over repeats); standard deviations are of the sample and between repeats. "
            "Which of two is better is told by the comparisons, not by intervals that overlap or do not." + more
        )

    def _results(self) -> str:
        lines = groups.lines(self._tops, {row.key for top in self._tops for row in (top, *top.children)})
        rows = [line.row for line in lines]
        shown = known_columns(rows)
        notes: dict[str, int] = {}
        body = []
        for line in lines:
            cells = []
            for column in shown:
                text = _text(column.text(line.row))
                for touched, sentence in line.row.warnings:
                    beside = "accuracy" if touched == "model" else touched  # what a doubtful model makes worthless
                    if beside == column.key and line.row.level != "repeat":
                        number = notes.setdefault(clean(sentence), len(notes) + 1)
                        text += f'<a class=warn href="#note{number}" title="{_text(sentence)}">&#9888;{number}</a>'
                kind = "" if column.right else "l"
                if column is shown[0] and line.depth:
                    text, kind = _text(self._child_name(line.row)), f"l under{'2' if line.depth > 1 else ''}"
                cells.append(f"<td class='{kind}'>{text}</td>" if kind else f"<td>{text}</td>")
            published = " class=published" if line.row.published else ""
            body.append(f"<tr{published}>{''.join(cells)}</tr>")
        head = "".join(f"<th{'' if c.right else ' class=l'} scope=col>{_text(c.header)}</th>" for c in shown)
        listed = "".join(
            f'<li id="note{number}" class=warn>&#9888;{number} {_text(text)}</li>' for text, number in notes.items()
        )
        told = "".join(f"<li>{_text(note)}</li>" for note in tables.published_notes(self._published))
        told += "".join(
            f"<li class=warn>{_text(self._names.get(run, run))}: {_text(why)}</li>" for run, why in self._unread.items()
        )
        return (
            _table("All results", head, body)
            + (f"<ul>{listed}{told}</ul>" if listed or told else "")
            + self._accuracies()
        )

    def _child_name(self, row: ResultRow) -> str:
        if row.published:
            return f"published: {row.title}"
        if row.level == "repeat":
            return f"repeat {row.repeat + 1}" + (f": {row.value}" if row.value else "")
        return f"{row.run.rpartition('-')[2]} seed {row.seed}" if row.seed is not None else row.run

    def _accuracies(self) -> str:
        if self._plots is None:
            return ""
        points = [
            (short_name(row), row.accuracy, *(row.interval or (None, None)), row.published)
            for row in self._tops
            if row.accuracy is not None
        ]
        return _figure(
            self._plots.accuracies(points),
            "Accuracy with its 95 % interval"
            + ("; hollow: published, not measured by this program" if self._published else ""),
            wide=True,
        )

    # -- repeats --------------------------------------------------------------------------------------------

    def _repeats(self) -> str:
        tables = []
        for run, measured in self._measured.items():
            for variant in measured["spreads"]:
                tables.append(self._repeat_table(self._name(run, variant), self._study.repeats(run, variant)))
        return "".join(tables)

    def _repeat_table(self, name: str, table: RepeatTable) -> str:
        spread, labels = table["spread"], table["labels"]
        head = _heads(
            [
                "repeat",
                table["varied"].replace("_", " ") or "given",
                "accuracy",
                "95 %",
                *(f"rec. {label}" for label in labels),
                *(f"prec. {label}" for label in labels),
                "invalid",
            ],
            2,
        )
        body = [self._repeat_row(str(m["row"]["repeat"] + 1), m["value"], m, labels) for m in table["measures"]]
        body.append(self._repeat_row("majority", "", table["majority"], labels))
        interval = f" (95 % over {spread['interval_over']} {_range(*spread['interval'])})" if spread["interval"] else ""
        sd = f", sample standard deviation {spread['sd']:.4f}" if spread["sd"] is not None else ""
        sentence = (
            f"Mean accuracy {spread['mean']:.4f}{interval}{sd}, from {spread['lowest']:.4f} to {spread['highest']:.4f}."
        )
        if spread["all_agree"] is not None:
            kappa = f", Fleiss kappa {spread['kappa']:.4f}" if spread["kappa"] is not None else ""
            sentence += (
                f" All {len(table['measures'])} agree on {100 * spread['all_agree']:.1f} % of the items"
                f"{kappa}; {format.count(spread['flips'])} items flip."
            )
            if spread["kappa"] is not None and spread["kappa"] < 0.1:
                sentence += " A kappa near zero or below means that the repeats agree no more than by chance."
        agreement = [
            f"<tr><td class=l>{at + 1}</td>"
            + "".join(
                f"<td>{'' if other == at else f'{100 * share:.1f} %' + _kappa(table['cohen'][at][other])}</td>"
                for other, share in enumerate(shares)
            )
            + "</tr>"
            for at, shares in enumerate(table["agreement"])
        ]
        numbers = [str(at + 1) for at in range(len(table["agreement"]))]
        return (
            f"<h3>{_text(name)}</h3><p>{sentence}</p>"
            + _table(f"Repeats of {name}", head, body)
            + _table(
                "Share of items on which two repeats agree (Cohen's kappa)",
                _heads(["repeat", *numbers], 1),
                agreement,
                shown=True,
            )
        )

    def _repeat_row(self, name: str, value: str, m: Measures, labels: Sequence[str]) -> str:
        recall = [m["recall"].get(label) for label in labels]
        cells = [
            f"{m['accuracy']['value']:.4f}",
            _interval(m["accuracy"]),
            *(format.score(share and share["value"]) for share in recall),
            *(format.score(m["precision"].get(label)) for label in labels),
            format.count(m["invalid"]),
        ]
        return (
            f"<tr><td class=l>{_text(name)}</td><td class=l>{_text(value)}</td>"
            + "".join(f"<td>{cell}</td>" for cell in cells)
            + "</tr>"
        )

    # -- comparisons ----------------------------------------------------------------------------------------

    def _comparisons(self) -> str:
        sets: dict[str, list[ResultRow]] = {}
        for row in self._rows:
            if row.run in self._measured:
                # columns of a foreign file are what it was made for; repeats of our own stand in a table above
                own = [*row.children] if row.engine == IMPORTED and row.children else [row]
                sets.setdefault(self._measured[row.run]["test_set"], []).extend(own)
        parts = []
        for digest, rows in sorted(sets.items(), key=lambda pair: -len(pair[1])):
            if len(rows) < 2:
                continue
            rows = sort_rows(rows, "accuracy")
            executions = [groups.executions_of(row) for row in rows]
            firsts, names = [each[0] for each in executions], [groups.executions_name(row) for row in rows]
            try:
                comparison = self._study.compare(firsts, names, executions)
            except UserError as error:
                parts.append(f"<p class=warn>{_text(str(error))}</p>")
                continue
            parts.append(self._comparison(digest, comparison))
        return "".join(parts)

    def _comparison(self, digest: str, comparison: Comparison) -> str:
        names, pairs = comparison["names"], comparison["pairs"]
        sentence = (
            f"{len(names)} sets of answers to the same {format.count(comparison['items'])} items, {len(pairs)} pairs."
        )
        if len(pairs) > 1:
            sentence += (
                " The p of the last column is corrected for all of these pairs (Holm), and the verdict goes by it."
            )
        if comparison["reason"]:
            return f"<h3>Test set {_text(digest[:12])}</h3><p>{_text(comparison['reason'])}</p>"
        head = _heads(
            [
                "first",
                "second",
                "verdict",
                "difference",
                "95 %",
                "both right",
                "only first",
                "only second",
                "both wrong",
                "p",
                "p (Holm)",
            ],
            3,
        )
        told = "".join(f"<li>{_text(pair['sentence'])}.</li>" for pair in pairs) if len(pairs) < MANY_PAIRS else ""
        return (
            f"<h3>Test set {_text(digest[:12])}</h3><p>{sentence}</p>"
            + (f"<ul>{told}</ul>" if told else "")
            + _table(f"Pairs on test set {digest[:12]}", head, [self._pair(pair, names) for pair in pairs])
        )

    def _pair(self, pair: Pair, names: Sequence[str]) -> str:
        verdict = {"a": "<b>first better</b>", "b": "<b>second better</b>"}.get(pair["verdict"], "not told apart")
        low, high = pair["difference"]["low"], pair["difference"]["high"]
        interval = format.MISSING if low is None or high is None else f"{100 * low:+.1f} to {100 * high:+.1f}"
        counts = (pair["both_right"], pair["a_only"], pair["b_only"], pair["both_wrong"])
        return (
            f"<tr><td class=l>{_text(names[pair['a']])}</td><td class=l>{_text(names[pair['b']])}</td>"
            f"<td class=l>{verdict}</td><td>{100 * pair['difference']['value']:+.1f}</td><td>{interval}</td>"
            + "".join(f"<td>{format.count(n) if pair['about'] == 'answers' else format.MISSING}</td>" for n in counts)
            + f"<td>{_p(pair['p'])}</td><td>{_p(pair['p_holm'])}</td></tr>"
        )

    # -- the answers of each run ----------------------------------------------------------------------------

    def _answers(self) -> str:
        if self._plots is None:
            return ""
        parts = []
        for run, measured in self._measured.items():
            for m in measured["measures"]:
                if m["row"]["repeat"]:
                    continue
                name = self._name(run, m["row"]["variant"])
                which = ", repeat 1" if m["row"]["variant"] in measured["spreads"] else ""
                figures = _figure(
                    self._plots.confusion(name, [clean(label) for label in measured["labels"]], m["confusion"]),
                    "Confusion: true classes in rows",
                )
                if m["reliability"]:
                    told = ", ".join(_of_probabilities(m))
                    figures += _figure(self._plots.reliability(name, m["reliability"]), f"Reliability; {told}")
                parts.append(f"<div><h3>{_text(name + which)}</h3><div class=plots>{figures}</div></div>")
        return f"<div class=each>{''.join(parts)}</div>"

    def _validation(self) -> str:
        curves = [
            (self._names.get(run, run), measured["validation"])
            for run, measured in self._measured.items()
            if sum(point["epoch"] is not None for point in measured["validation"]) > 1
        ]
        if not curves or self._plots is None:
            return ""
        figures = ""
        for key in ("accuracy", "loss"):
            known = [(name, points) for name, points in curves if any(point[key] is not None for point in points)]
            if known:
                figures += _figure(self._plots.validation(known, key), f"Validation {key} by epoch", wide=True)
        return figures

    # -- settings, versions, data ---------------------------------------------------------------------------

    def _details(self) -> str:
        return "".join(self._detail(RunFolder(self._home.runs / run)) for run in self._runs)

    def _detail(self, folder: RunFolder) -> str:
        records = EventReader(folder.events).read(1 << 16)
        started = next((r.event for r in records if isinstance(r.event, ev.Started)), None)
        imported = folder.name in self._imported
        facts = [("run", folder.name)]
        if records:
            at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(records[0].time))
            facts.append(("imported" if imported else "began", at))
        if started:
            if not imported:
                facts.append(("device", started.device))
            if started.seed is not None:
                facts.append(("seed", str(started.seed)))
            facts.append(("versions", ", ".join(f"{name} {number}" for name, number in started.versions.items())))
        if folder.name in self._measured:
            facts.append(("test set", self._measured[folder.name]["test_set"]))
        for path in (folder.items, folder.splits, folder.predictions):
            if digest := cards.digest(path):
                facts.append((f"sha256 of {path.name}", digest))
        listed = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in facts if value)
        try:
            config = read_small(folder.config).decode("utf-8", "replace")
        except OSError as error:
            config = f"config.toml cannot be read: {error}"
        if adjusted := folder.read_adjustments():
            config += "\n# changed by the run itself\n" + "\n".join(f"# {k} = {v}" for k, v in adjusted.items())
        name = self._names.get(folder.name, folder.name)
        return f"<h3>{_text(name)}</h3><dl>{listed}</dl><pre tabindex=0>{escape(clean(config, multiline=True))}</pre>"

    def _name(self, run: str, variant: Variant) -> str:
        return f"{self._names.get(run, run)} {variant.words}".rstrip()


# -- pieces -----------------------------------------------------------------------------------------------


def _text(text: str) -> str:
    """Foreign text in the page: cleaned and escaped."""
    return escape(clean(text))


def _of_probabilities(measures: Measures) -> list[str]:
    """The metrics that the reliability diagram is about, in words."""
    return [
        f"{metric.words_with_unit} {measures['figures'][metric.name]['value']:.4f}"
        for metric in beside_accuracy()
        if metric.needs_probabilities and metric.name in measures["figures"]
    ]


def _heads(names: Iterable[str], left: int) -> str:
    """Header cells; the first `left` of them stand above words."""
    return "".join(
        f"<th{' class=l' if at < left else ''} scope=col>{_text(name)}</th>" for at, name in enumerate(names)
    )


def _table(caption: str, head: str, body: Sequence[str], shown: bool = False) -> str:
    """A table that scrolls by itself where it is wider than the page; its caption is heard, or `shown` too."""
    title = f"<caption>{_text(caption)}</caption>" if shown else ""
    return (
        f'<div class=scroll tabindex=0 role=region aria-label="{_text(caption)}"><table>{title}'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _figure(svg: str, caption: str, wide: bool = False) -> str:
    return f"<figure{' class=wide' if wide else ''}>{svg}<figcaption>{_text(caption)}</figcaption></figure>"


def _range(low: float, high: float) -> str:
    return f"{low:.4f} to {high:.4f}"


def _interval(share: Share) -> str:
    low, high = share["low"], share["high"]
    return format.MISSING if low is None or high is None else f"{low:.4f}–{high:.4f}"


def _kappa(kappa: float | None) -> str:
    return f" ({kappa:.3f})" if kappa is not None else ""


def _p(p: float) -> str:
    """Never as zero."""
    return f"{p:.4f}" if p >= 0.001 else f"{p:.1e}"
