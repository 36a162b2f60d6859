"""What the documents list is what there is."""

import re
from pathlib import Path

import pytest

from engines import catalog
from labtui import cli

ROOT = Path(__file__).parent.parent


def test_the_readme_shows_every_command_in_the_order_of_the_help() -> None:
    used = (ROOT / "README.md").read_text().partition("## Use\n```\n")[2].partition("```")[0]
    shown = re.findall(r"\blabtui ([a-z]+)", used)
    listed = re.findall(r"^  ([a-z]+) +\w", str(cli._parser().epilog).partition("exit codes")[0], re.M)
    assert ["quickstart", *shown] == listed


def test_the_table_of_engines_is_the_catalog() -> None:
    table = (ROOT / "docs" / "engines.md").read_text().partition("\n\n| engine |")[2].partition("\n\n")[0]
    listed = {
        name: re.findall(r"`([^`]+)`", cell) for name, cell in re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", table, re.M)
    }
    experiments: dict[str, list[str]] = {name: [] for name in catalog.engine_names()}
    for name in catalog.experiments():
        if "/" not in name:
            experiments[catalog.read(name).engine].append(name)
    experiments["evaluate"] = ["labtui evaluate RUN"]
    assert listed == experiments


def test_every_page_is_linked_from_the_readme_and_every_link_leads_somewhere() -> None:
    pages = sorted((ROOT / "docs").rglob("*.md"))
    readme = (ROOT / "README.md").read_text()
    for page in [ROOT / "README.md", *pages]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).is_file(), f"{page.name}: {link}"
    assert [str(p.relative_to(ROOT)) for p in pages if f"]({p.relative_to(ROOT)})" not in readme] == []


PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
SOURCES = [p for folder in ("engines", "labtui", "benchmarks") for p in (ROOT / folder).rglob("*.py")]


@pytest.mark.parametrize("page", [*PAGES, *SOURCES], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_and_module_that_a_text_names_exists(page: Path) -> None:
    text = page.read_text()
    made_by_the_page = set(re.findall(r"^`([^`\n]+)`:\n```", text, re.M))
    for name in re.findall(r"(?<![\w/.~-])((?:engines|labtui|configs|tests|benchmarks|docs)/[\w/.-]*\w)", text):
        assert (ROOT / name).exists() or name in made_by_the_page, name
    for name in re.findall(r"`(?:python -m )?((?:engines|labtui|benchmarks)(?:\.\w+)+)[` ]", text):
        assert is_module(name), name


def is_module(name: str) -> object:
    """Whether a dotted name is a module, or something in one."""
    place = ROOT
    for part in name.split("."):
        if (place / f"{part}.py").is_file():
            return True
        place = place / part
    above = place.parent / "__init__.py"
    return (place / "__init__.py").is_file() or above.is_file() and re.search(rf"\b{place.name}\b", above.read_text())


def test_the_make_target_and_the_readme_check_the_same() -> None:
    make = re.findall(
        r"^\t\$\(BIN\)/(.*)$", (ROOT / "Makefile").read_text().partition("\ncheck:")[2].partition("\n\n")[0], re.M
    )
    readme = (ROOT / "README.md").read_text().partition("<!-- test -->")[2].partition("<!-- end -->")[0]
    assert make == re.findall(r"&& \.venv/bin/(?!pip)(.*?)(?= &&|\n)", readme) and len(make) == 4


def test_the_quick_tests_are_there() -> None:
    make = (ROOT / "Makefile").read_text()
    run = re.findall(r"\btests/[\w/.]+", make.partition("QUICK_TESTS =")[2].partition("NOT_QUICK")[0])
    left_out = re.findall(r"\b(?:engines|labtui)/[\w/.]+", make.partition("NOT_QUICK =")[2].partition("\n\n")[0])
    assert run and left_out
    assert [name for name in [*run, *(f"tests/{name}" for name in left_out)] if not (ROOT / name).exists()] == []
