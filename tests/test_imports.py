"""Who may import whom, checked in clean interpreters and by the import contracts."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "transformers", "datasets", "sklearn", "scipy", "numpy", "pandas", "pyarrow"}


def modules_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n'.join(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("arguments", ["['--help']", "['list']", "['list', '--json']", "['experiments']"])
def test_help_and_list_import_neither_textual_nor_anything_heavy(arguments: str) -> None:
    loaded = modules_after(
        f"import contextlib, io\nfrom labtui.cli import main\n"
        f"with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): main({arguments})"
    )
    assert not loaded & (HEAVY | {"textual", "rich"})


def test_the_console_with_all_its_screens_imports_nothing_heavy() -> None:
    loaded = modules_after(
        "import labtui.console.app, labtui.console.screens.lab, labtui.console.screens.launch\n"
        "import labtui.console.screens.results\n"
        "import labtui.console.screens.classify, labtui.console.screens.help\n"
        "from engines import catalog\n"
        "for name in catalog.engine_names(): catalog.engine(name)"
    )
    assert "textual" in loaded and not loaded & HEAVY


def test_a_worker_that_waits_its_turn_has_not_imported_torch() -> None:
    assert not modules_after("import engines.worker") & (HEAVY | {"textual"})


def test_import_contracts_hold() -> None:
    done = subprocess.run([Path(sys.executable).with_name("lint-imports")], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
