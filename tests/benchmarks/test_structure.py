"""The figures of a small project, known by hand."""

from pathlib import Path

import pytest

from benchmarks import structure
from benchmarks.structure import measure

FILES = {
    "src/shop/__init__.py": "",
    "src/shop/app.py": "from shop.parts import wheel\nfrom . import paint\nimport json\n",
    "src/shop/paint.py": "def colour():\n    from shop import app\n",
    "src/shop/parts/wheel.py": "from typing import Any\nfrom .bolt import A\na: dict[str, Any] = {}\n1  # fmt: skip\n",
    "src/shop/parts/bolt.py": "A: int = 'M3'  # type: ignore[assignment]\n",
    "tests/test_app.py": "from shop.app import _hidden\nfrom shop import app\napp._state\n'# type: ignore'\n",
}


def test_this_project_has_no_circles_of_imports_and_no_module_over_500_lines() -> None:
    own = measure(Path(__file__).parent.parent.parent)
    assert [(f.name, f.two_way) for f in own.folders if f.two_way] == [] and own.modules_in_circles == 0
    assert [name for name, lines in own.module_lines.items() if lines > structure.LONG_MODULE_LINES] == []


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_a_circle_through_a_function_is_a_two_way_pair_and_one_floor(project: Path) -> None:
    measured = measure(project)
    assert {f.name: (f.modules, f.floors, f.two_way) for f in measured.folders} == {
        "shop": (3, 2, [("app", "paint")]),
        "shop.parts": (2, 2, []),
    }
    assert (measured.two_way, measured.modules_in_circles, measured.floors) == (1, 2, 3)


def test_open_types_silenced_checks_and_reads_of_privates_are_counted_in_code_alone(project: Path) -> None:
    measured = measure(project)
    assert (measured.source.any_type, measured.source.open_dicts, measured.source.type_ignores) == (1, 1, 1)
    assert measured.source.format_skips == 1
    assert (measured.tests.type_ignores, measured.tests.private_reads, measured.test_files) == (0, 2, 1)


def test_two_projects_stand_side_by_side(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    structure.main([f"before={project}", f"after={project / 'src' / 'shop'}"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| | before | after |"
    assert "| modules | 5 | 5 |" in lines and "| reads of privates in tests | 2 | no tests |" in lines


def test_a_folder_without_a_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="holds no Python package"):
        measure(tmp_path)
