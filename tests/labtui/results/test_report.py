import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from random import Random

import pytest

from engines.answers import scoring
from engines.data.items import Example, write_items
from engines.errors import UserError
from engines.importing import importer
from engines.reporter import Reporter
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from labtui.results import report
from labtui.results.report_plots import MISSING
from tests.support import Silent

EVIL = "x\x1b[31m<script>alert(1)</script>&amp;\"'$m_1$"
VOID = {"meta", "br", "img", "link", "input", "hr", "path", "use", "rect"}
Answered = Callable[..., RunFolder]


class Page(HTMLParser):
    """Tags, what they point to, and whether every tag is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.alternatives: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        named = dict(attributes)
        self.links += [value or "" for name, value in attributes if name in ("src", "href", "xlink:href", "action")]
        self.ids += [named["id"] or ""] if "id" in named else []
        if tag == "svg":
            self.alternatives.append(named.get("aria-label") or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        self.words.append(text)

    @property
    def text(self) -> str:
        return " ".join(self.words)


@pytest.fixture
def answered(home: Home) -> Answered:
    """A finished run with answers to the same 40 items, right on `correct` of them: `answered("a", 30)`."""

    def make(experiment: str, correct: int, model: str = "tiny", label: str = "positive", epochs: int = 0) -> RunFolder:
        folder = RunFolder.create(
            home,
            {
                "engine": "bag_of_words",
                "title": "t",
                "family": "f",
                "experiment": experiment,
                "seed": 3,
                "data": {"source": "reviews.csv"},
            },
        )
        labels = ["negative", label]
        items = [Example(f"review {n}", n % 2, n, f"{n:064}") for n in range(40)]
        right = set(Random(correct).sample(range(40), correct))
        given = [[0.8, 0.2] if (item.label == 0) == (n in right) else [0.3, 0.7] for n, item in enumerate(items)]
        report_to = Reporter(folder)
        report_to.model = model
        report_to.started("cpu", 3, "abc", {"torch": "2.13.0", "labtui": "0.1.0"})
        for epoch in range(1, epochs + 1):
            scoring.report_validation(
                report_to, [0, 1], labels, [[0.9, 0.1], [0.4, 0.6]], loss=1 / epoch, step=epoch, epoch=float(epoch)
            )
        write_items(folder, items, labels)
        scoring.conclude(report_to, items, labels, given, tokens_read=[5] * 40)
        report_to.finished()
        report_to.close()
        return folder

    return make


@pytest.fixture
def executions(home: Home, tmp_path: Path) -> RunFolder:
    path = tmp_path / "theirs.csv"
    draw = Random(1)
    path.write_text(
        "label,run1,run2,run3\n"
        + "".join(",".join(str(draw.randrange(2)) for _ in range(4)) + "\n" for _ in range(200))
    )
    return importer.import_file(home, path, Silent(), name="theirs", varied="head", model="Gemma-2b")[0]


def test_the_page_holds_results_tests_repeats_and_exact_settings(
    home: Home, answered: Answered, executions: RunFolder
) -> None:
    first, second = answered("a", 38, epochs=2), answered("b", 20)
    page = Page(report.write(home, published=True))
    assert page.open == [] and "2 runs of this program (bag_of_words) and 1 imported" in page.text
    assert "0.950" in page.text and "0.500" in page.text
    assert "3 sets of answers to the same 200 items, 3 pairs" in page.text, "the columns of the foreign file"
    assert "first better" in page.text, "38 of 40 against 20 of 40 on the same items"
    assert "Fleiss kappa" in page.text and "agree no more than by chance" in page.text
    for folder in (first, second, executions):
        assert folder.name in page.text and folder.config.read_text() in page.text
    assert "torch 2.13.0" in page.text and "reviews.csv" in page.text
    assert "only 40 test items" in page.text
    assert "published: not measured by this program" in page.text and "published: DistilBERT loop" in page.text


def test_the_page_needs_nothing_from_outside_and_no_script(home: Home, answered: Answered) -> None:
    answered("a", 38, epochs=2)
    answered("b", 20)
    text = report.write(home, published=True)
    page = Page(text)
    assert page.links and all(link.startswith("#") for link in page.links)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert "http" not in text and "@import" not in text and not re.search(r"url\((?!#)", text)
    assert "prefers-color-scheme: dark" in text and "@media print" in text and "width=device-width" in text


def test_every_plot_has_words_and_names_of_its_own(home: Home, answered: Answered) -> None:
    answered("a", 38, epochs=2)
    page = Page(report.write(home))
    assert page.tags.count("svg") == 5  # accuracy, confusion, reliability, validation accuracy and loss
    assert all(len(words) > 20 for words in page.alternatives)
    assert "Confusion of a" in page.alternatives[1] and "true negative" in page.alternatives[1]
    assert len(page.ids) == len(set(page.ids))


def test_foreign_text_is_cleaned_and_escaped(home: Home, answered: Answered) -> None:
    answered(EVIL, 30, model=EVIL, label=EVIL, epochs=2)
    answered("other", 20, label=EVIL)
    text = report.write(home)
    page = Page(text)
    assert "script" not in page.tags and "\x1b" not in text
    assert "<script>alert(1)</script>" in page.text and page.open == []


def test_only_the_named_runs_are_in_the_page(home: Home, answered: Answered) -> None:
    first, second = answered("a", 38), answered("b", 20)
    text = report.write(home, [first.name])
    assert first.name in text and second.name not in text and "Comparisons" not in text
    with pytest.raises(UserError, match="has no scores of a test split"):
        report.write(home, ["nobody"])


def test_without_runs_the_message_says_what_to_do(home: Home) -> None:
    with pytest.raises(UserError, match="labtui quickstart"):
        report.write(home)


def test_a_run_whose_answers_cannot_be_read_keeps_its_row(home: Home, answered: Answered) -> None:
    folder = answered("a", 38)
    answered("b", 20)
    folder.predictions.unlink()
    text = Page(report.write(home)).text
    assert "0.950" in text and "has no answers" in text


def test_without_matplotlib_the_page_has_its_tables_and_names_the_extra(
    home: Home, answered: Answered, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [*sys.modules]:
        if name.partition(".")[0] == "matplotlib":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    answered("a", 38)
    said: list[str] = []
    page = Page(report.write(home, say=said.append))
    assert MISSING in said and 'pip install "labtui[report]"' in page.text
    assert "svg" not in page.tags and "0.950" in page.text
