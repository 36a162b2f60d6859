"""The finished runs as the results show them: a tree with rows open and marked, sorted by a column."""

from collections.abc import Mapping, Sequence

from rich.cells import cell_len

from engines.study.values import AnswerSet, RunMeasures, Spread
from labtui.console.theme import colours_of, free_colour
from labtui.console.widgets.figures import fit
from labtui.console.widgets.result_panel import WARN_MARK
from labtui.console.widgets.result_table import MARK_STYLES, Head, Pieces, TableRow
from labtui.results import groups
from labtui.results.columns import Column, columns_for, sort_rows
from labtui.results.rows import IMPORTED, ResultRow, published_rows

NARROW_NAME, WIDE_NAME = 27, 60  # most cells of a name
OPEN, CLOSED, BRANCH, LAST_BRANCH, MARK, MARK_INSIDE = "▾", "▸", "├", "└", "●", "○"


def _warned(row: ResultRow) -> set[str]:
    """The keys of the columns that bear a mark: what an untrained head answers has no accuracy to speak of."""
    return {column for column, _ in row.warnings} | ({"accuracy"} if row.untrained_head else set())


class ResultTree:
    """Groups of the same settings, their runs, the repeats of those, and the published figures beside them."""

    def __init__(self) -> None:
        self.rows: list[ResultRow] = []
        """The runs as they were read, without the published figures."""
        self.tops: list[ResultRow] = []
        """The tree, with what the answers tell, as of the last `gather`."""
        self.by_key: dict[str, ResultRow] = {}
        """Every row of the tree, on the screen or not."""
        self.lines: list[groups.Line] = []
        """The rows on the screen."""
        self.columns: list[Column] = []
        self.column = "accuracy"
        """The key of the column by which the rows are sorted."""
        self.descending = True
        self.shows_published = True
        self.opened: set[str] = set()
        """The keys of the rows whose children are on the screen."""
        self.marks: dict[str, str] = {}
        """The keys of marked rows with their colours, in the order of marking."""
        self._published_rows = published_rows()

    def gather(
        self, measured: Mapping[str, RunMeasures], spreads: Mapping[str, Spread], unreadable: Mapping[str, str]
    ) -> None:
        """Build the tree anew; the maps are by run, by group, and by run (the reason)."""
        rows = [*self.rows, *(self._published_rows if self.shows_published else [])]
        tops = groups.gather(rows, measured, spreads, unreadable)
        self.columns = columns_for(tops)
        if self.column not in [c.key for c in self.columns]:
            self.column, self.descending = "accuracy", True
        self.tops = sort_rows(tops, self.column, self.descending)
        self.by_key = {row.key: row for row in groups.every(self.tops)}
        self.lines = groups.lines(self.tops, self.opened & {key for key, row in self.by_key.items() if row.children})

    def heads(self) -> list[Head]:
        """The heads of the table."""
        arrow = " ↓" if self.descending else " ↑"
        return [Head(c.header + (arrow if c.key == self.column else ""), c.right, c.least) for c in self.columns]

    def table_rows(self, narrow: bool) -> list[TableRow]:
        """The lines as cells; `narrow`: with short names."""
        warned_columns = {column for row in self.by_key.values() for column in _warned(row)}
        return [TableRow(line.row.key, self._cells(line, narrow, warned_columns)) for line in self.lines]

    def _cells(self, line: groups.Line, narrow: bool, warned_columns: set[str]) -> tuple[Pieces, ...]:
        row = line.row
        style = "faint" if row.published else ""
        warned = _warned(row)
        cells = [self._name_cell(line, style, narrow)]
        for c in self.columns[1:]:
            untrained = c.key == "varied" and row.untrained_head
            mark = f" {WARN_MARK}" if c.key in warned else "  " if c.key in warned_columns else ""
            cells.append(((c.text(row), "warn" if untrained else style), (mark, "warn")))
        return tuple(cells)

    def _name_cell(self, line: groups.Line, style: str, narrow: bool) -> Pieces:
        row = line.row
        glyph = (OPEN if row.key in self.opened else CLOSED) if row.children else " "
        if line.depth:
            glyph = "  " * line.depth + (LAST_BRANCH if line.last else BRANCH) + (glyph if row.children else "")
        name = groups.line_name(line, short=narrow)
        if narrow and row.engine == IMPORTED:
            name = name.replace(f"{IMPORTED}: ", "imp. ", 1)
        most = (NARROW_NAME if narrow else WIDE_NAME) - cell_len(glyph) - 1
        return (glyph, style), self._mark(row), (name if cell_len(name) <= most else fit(name, most), style)

    def _mark(self, row: ResultRow) -> tuple[str, str]:
        if row.key in self.marks:
            return MARK, MARK_STYLES[self.marks[row.key]]
        inside = [] if row.key in self.opened else [r.key for r in groups.every(row.children) if r.key in self.marks]
        return (MARK_INSIDE, MARK_STYLES[self.marks[inside[0]]]) if inside else (" ", "")

    def marked(self) -> list[ResultRow]:
        """The marked rows, in the order of marking."""
        return [self.by_key[key] for key in self.marks if key in self.by_key]

    def toggle_mark(self, row: ResultRow) -> None:
        """Mark a row in a colour of its own, or take its mark away."""
        if row.key in self.marks:
            del self.marks[row.key]
        else:
            self.marks[row.key] = free_colour(row.key, self.marks.values())

    def toggle_open(self, row: ResultRow) -> bool:
        """Show what is under a row, or hide it and its like; False where there is nothing."""
        key = row.key if row.children else groups.parents(self.tops).get(row.key, "")
        if key:
            self.opened ^= {key}
        return bool(key)

    def sort_by(self, key: str) -> None:
        """Sort by a column: figures from the largest, words from the first letter; by the present one the other way."""
        if key == self.column:
            self.descending = not self.descending
        else:
            self.column, self.descending = key, next(c.right for c in self.columns if c.key == key)

    def executions(self, rows: Sequence[ResultRow]) -> list[tuple[list[AnswerSet], str, str]]:
        """All answers behind each of these rows, with its name and its colour; published rows have none."""
        colours = self.marks if self.marks.keys() >= {row.key for row in rows} else colours_of(r.key for r in rows)
        of_each = ((groups.executions_of(row), groups.executions_name(row), colours[row.key]) for row in rows)
        return [each for each in of_each if each[0]]

    def answers(self, rows: Sequence[ResultRow]) -> list[tuple[AnswerSet, str, str]]:
        """What stands for these rows: each set of answers once, with its name and its colour."""
        colours = self.marks if self.marks.keys() >= {row.key for row in rows} else colours_of(r.key for r in rows)
        answers_by_source: dict[tuple[str, str, int], tuple[AnswerSet, str, str]] = {}
        for row in rows:
            if answers := groups.answers_of(row):
                answers_by_source.setdefault(
                    (answers["run"], answers["variant"], answers["repeat"]),
                    (answers, groups.answers_name(row), colours[row.key]),
                )
        return list(answers_by_source.values())
