from textual.app import App, ComposeResult

from labtui.console.widgets.result_table import Head, ResultTable, TableRow

HEADS = [Head("run", False), Head("score ↓", True), Head("95 %", True, 11), Head("words", False), Head("last", True)]


def row(key: str, *cells: str) -> TableRow:
    return TableRow(key, tuple(((cell, ""),) for cell in cells))


ROWS = [row("a", "first", "0.5", "–", "long words here", "1"), row("b", "second", "0.75", "–", "few", "22")]


class TableApp(App[None]):
    def compose(self) -> ComposeResult:
        yield ResultTable()


def shown(table: ResultTable) -> list[str]:
    return ["".join(part.text for part in table.render_line(y)).rstrip() for y in range(len(table.rows))]


async def test_columns_line_up_with_their_heads_and_keep_room_for_what_comes() -> None:
    app = TableApp()
    async with app.run_test(size=(80, 5)):
        table = app.query_one(ResultTable)
        table.show(HEADS, ROWS)
        assert table.heading("x").plain.rstrip() == " run     score ↓         95 %  words            last"
        assert shown(table) == [
            "›first       0.5            –  long words here     1",
            " second     0.75            –  few                22",
        ]


async def test_what_does_not_fit_is_left_out_or_cut_and_reached_sideways() -> None:
    app = TableApp()
    async with app.run_test(size=(40, 5)) as pilot:
        table = app.query_one(ResultTable)
        table.show(HEADS, ROWS)
        table.focus()
        assert table.heading("x").plain == " run     score ↓         95 %  words   →"
        assert shown(table)[0] == "›first       0.5            –  long word"
        await pilot.resize_terminal(28, 5)
        await pilot.pause()
        assert shown(table)[0] == "›first       0.5", "half a figure would be another figure"
        await pilot.press("right")
        assert table.first == 2 and shown(table)[1].split() == ["second", "–", "few"]
        assert table.heading("x").plain.startswith(" run   ← ")
        await pilot.press("right", "right", "right", "right")
        assert table.heading("x").plain.split()[-1] == "last" and shown(table)[1].split()[-1] == "22"
        furthest = table.first
        await pilot.press("left", "left", "left", "left", "left")
        assert table.first == 1
        table.bring_into_view(4)
        assert table.first == furthest
        table.bring_into_view(1)
        assert table.first == 1


async def test_the_cursor_stays_on_its_row_and_heads_can_be_clicked() -> None:
    app = TableApp()
    async with app.run_test(size=(80, 5)) as pilot:
        table = app.query_one(ResultTable)
        table.show(HEADS, ROWS)
        table.focus()
        await pilot.press("down")
        table.show(HEADS, [row("c", "new", "1", "", "", ""), *reversed(ROWS)])
        assert table.key == "b" and shown(table)[1].startswith("›second")
        metas = [span.style.meta for span in table.heading("screen.sort").spans if not isinstance(span.style, str)]
        assert {"@click": "screen.sort(2)"} in metas
