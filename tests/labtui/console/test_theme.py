from hypothesis import given
from hypothesis import strategies as st

from labtui.console.theme import colour_of, colours_of, free_colour
from labtui.console.widgets.chart import PALETTE

NAMES = st.lists(st.text(max_size=8), unique=True)


def test_a_name_has_one_colour_whatever_ran_before() -> None:
    assert colour_of("20261123-161407-quickstart-bag-of-words-dea1") == "#e05fd0"
    assert len({colour_of(f"run {n}") for n in range(60)}) == len(PALETTE)


@given(NAMES)
def test_in_a_selection_no_colour_is_used_twice_before_all_are_used(names: list[str]) -> None:
    chosen = colours_of(names)
    assert list(chosen) == names and set(chosen.values()) <= set(PALETTE)
    counts = [list(chosen.values()).count(colour) for colour in PALETTE]
    assert max(counts) - min(counts) <= 1
    assert not names or chosen[names[0]] == colour_of(names[0])


@given(NAMES, st.text(max_size=8))
def test_a_name_that_comes_later_changes_no_colour_given_before(names: list[str], late: str) -> None:
    before = colours_of(names)
    assert before.items() <= colours_of([*names, late]).items()
    assert len(names) >= len(PALETTE) or free_colour(late, before.values()) not in before.values()
