"""What the documents list is what there is."""

import re
from pathlib import Path

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
