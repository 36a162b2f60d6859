from labtui.console.widgets.item_list import answer_cells, short_labels
from tests.labtui.console.screens.test_items import answer, item

SHORT = {"negative": "neg", "positive": "pos"}


def test_answers_say_less_where_there_is_less_room() -> None:
    of_two = item(0, answer("positive"), answer(None, None))
    assert "".join(text for text, _ in answer_cells(of_two, SHORT, 40)) == "✗ pos 0.80  ?         "
    assert "".join(text for text, _ in answer_cells(of_two, SHORT, 12)) == "✗ pos  ?    "
    assert "".join(text for text, _ in answer_cells(of_two, SHORT, 8)) == "✗?"
    of_many = item(0, *[answer("negative")] * 30)
    assert "".join(text for text, _ in answer_cells(of_many, SHORT, 20)) == "✓" * 19 + "…"
    assert [style for _, style in answer_cells(of_two, SHORT, 8)] == ["bad", "warn"]


def test_labels_are_cut_so_far_as_they_stay_apart() -> None:
    assert short_labels(["negative", "positive"]) == SHORT
    assert list(short_labels(["comedy drama", "comedy horror"]).values()) == ["comedy d", "comedy h"]
    assert list(short_labels(["a\x1b[31m", "a"]).values()) == ["a", "a"]
    assert short_labels([]) == {}
