"""What the lab sees of data before a run reads them."""

from pathlib import Path
from typing import Any

import pytest

from engines.data.settings import Data
from engines.errors import UserError
from engines.runs.home import Home
from engines.study.values import Disagreement
from labtui import inputs
from labtui.inputs import power_text


@pytest.mark.parametrize(
    ("items", "seen", "text"),
    [
        (
            2500,
            None,
            "2,500 test items: differences under 1.8 points cannot be seen reliably "
            "(80 % power, alpha 0.05, 10 % disagreement assumed)",
        ),
        (
            10_000,
            {"share": 0.0625, "pairs": 1},
            "10,000 test items: differences under 0.7 points cannot be seen "
            "reliably (80 % power, alpha 0.05, 6.25 % disagreement seen between 1 pair of earlier runs above chance "
            "and not told apart)",
        ),
        (
            50,
            None,
            "50 test items: differences under 15.0 points cannot be seen reliably "
            "(80 % power, alpha 0.05, one model never worse)",
        ),
        (1, None, "1 test item: no difference can be seen (80 % power, alpha 0.05)"),
    ],
)
def test_what_test_items_can_show_is_said_with_its_assumptions(
    items: int, seen: Disagreement | None, text: str
) -> None:
    assert power_text(items, seen) == text


@pytest.mark.parametrize("seen", [{"share": None, "pairs": 0}, {"share": 0.0, "pairs": 1}])
def test_runs_that_never_differ_say_nothing_of_other_models(seen: Disagreement) -> None:
    assert power_text(2500, seen) == power_text(2500, None)


def write(path: Path, texts: list[str]) -> Path:
    path.write_text("text,label\n" + "".join(f"{text},{'bad' if n % 2 else 'good'}\n" for n, text in enumerate(texts)))
    return path


def test_a_source_is_described_with_what_a_run_would_make_of_it(tmp_path: Path, home: Home) -> None:
    texts = [f"{'word ' * (n % 7)}unlike all others {n * 7919}" for n in range(60)]
    source = write(tmp_path / "a.csv", [*texts, texts[0], "one \x1b[31mred text"])
    description = inputs.describe(home, Data(str(source)), "tiny:distilbert", max_length=6)
    assert (description["layout"], description["rows"], description["copies"]) == ("delimited", 62, 1)
    assert {(c["name"], c["count"], c["share"]) for c in description["classes"]} == {
        ("bad", 31, 0.5),
        ("good", 31, 0.5),
    }
    assert {split["split"]: split["items"] for split in description["splits"]} == {
        "train": 50,
        "validation": 6,
        "test": 6,
    }
    assert description["words"]["longest"] == 10 and description["words"]["median"] == 7
    assert (
        description["tokens"] is not None
        and description["tokens"]["truncated"] > 0.9
        and description["tokens"]["max_length"] == 6
    )
    assert all(len(examples) == 5 for examples in description["examples"].values())
    assert inputs.smallest_difference(description) == pytest.approx(0.861, abs=0.001)
    text = "\n".join(inputs.lines(description))
    assert "columns     text (text), label (label)" in text and "1 texts equal an earlier one" in text
    assert "\x1b" not in text and "labelled reviews" in text


def test_text_that_a_tokenizer_cannot_read_is_counted(tmp_path: Path, home: Home) -> None:
    source = write(tmp_path / "a.csv", [f"我喜欢这个电影 {n}" for n in range(40)])
    tokens = inputs.describe(home, Data(str(source)), "tiny:distilbert")["tokens"]
    assert tokens is not None and tokens["unknown"] is not None and tokens["unknown"] > 0.5


def test_near_copies_are_shown_by_their_places(tmp_path: Path, home: Home) -> None:
    long = "the second act of this film drags on and on until nobody cares who did what to whom or why at all"
    source = write(tmp_path / "a.csv", [*(f"number {n} and nothing else" for n in range(40)), long, f"{long} really"])
    description = inputs.describe(home, Data(str(source)))
    assert ("line 42", "line 43") in {(pair["first"], pair["second"]) for pair in description["near_pairs"]}
    unsearched = inputs.describe(home, Data(str(source), near_copies="ignore"))
    assert unsearched["near_copies"] is None and "not searched for" in "\n".join(inputs.lines(unsearched))


def test_what_fails_after_the_reading_leaves_the_rest_to_see(tmp_path: Path, home: Home) -> None:
    source = write(tmp_path / "a.csv", [f"text {n}" for n in range(40)])
    description = inputs.describe(home, Data(str(source), train=100), str(tmp_path / "nowhere"))
    assert (
        description["splits"] == []
        and description["tokens"] is None
        and inputs.smallest_difference(description) is None
    )
    assert (
        "are asked for, there are 40" in description["problems"][0] and "no such folder" in description["problems"][1]
    )
    assert any(line.startswith("classes     2: bad 20 (50.0 %)") for line in inputs.lines(description))


def test_data_that_cannot_be_read_are_refused_in_a_sentence(tmp_path: Path, home: Home) -> None:
    arguments: dict[str, Any] = {"source": str(tmp_path / "nothing.csv")}
    with pytest.raises(UserError, match="nothing.csv: no such file; check data.source"):
        inputs.describe(home, Data(**arguments))
