import hashlib
from pathlib import Path

from engines.models import cards


def test_foreign_text_stays_in_its_cell_and_is_no_markup() -> None:
    (head, rule, row) = cards.table(("label", "items"), [("a|b\n# <c>", "1_0")], numbers=("items",))
    assert (head, rule) == ("| label | items |", "|---|---:|")
    assert row == r"| a\|b \# \<c\> | 1\_0 |"
    assert cards.code("a`b\nc") == "a'b c"


def test_files_are_listed_with_their_hashes_and_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    lines = cards.files({"a": tmp_path / "a", "b": tmp_path / "b"})
    assert lines[2:] == [f"| a | {hashlib.sha256(b'x').hexdigest()} |"] and cards.digest(tmp_path / "b") == ""


def test_settings_are_listed_by_their_dotted_names() -> None:
    assert cards.settings({"seed": 1, "data": {"test": 0.5}})[2:] == ["| seed | 1 |", "| data.test | 0.5 |"]
