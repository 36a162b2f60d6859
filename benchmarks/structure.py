"""How source code is laid out: files per folder, import chains, and what type checkers and readers stumble over.

`python -m benchmarks.structure` prints the folders of this checkout. Several paths, each optionally `NAME=PATH`, are
printed side by side as a Markdown table: `python -m benchmarks.structure before=../old after=.`. Standard library
only, so that the file also runs alone and on any Python project.

Every import counts, also those inside functions and under TYPE_CHECKING. Two things in one folder, modules or folders
within it, import each other both ways if anything below one imports anything below the other and back. Floors are the
longest chain of imports, where things that import each other in a circle stand on one floor.
"""

import argparse
import ast
import io
import statistics
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NO_SOURCE = {"tests", "test", "docs", "benchmarks", "examples", "scripts", "build", "dist"}
LONG_MODULE_LINES = 500


@dataclass
class Counts:
    """What is counted in a set of files."""

    any_type: int = 0  # the name `Any` in code, imports of it aside
    open_dicts: int = 0  # dict[str, Any]
    type_ignores: int = 0
    format_skips: int = 0  # `fmt: skip` and `fmt: off`
    private_reads: int = 0  # attributes and imported names that begin with one underscore, not of self or cls

    def add(self, tree: ast.AST, text: str) -> None:
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Name)
                and node.id == "Any"
                or isinstance(node, ast.Attribute)
                and node.attr == "Any"
            ):
                self.any_type += 1
            elif isinstance(node, ast.Subscript):
                self.open_dicts += ast.unparse(node).lower() in ("dict[str, any]", "typing.dict[str, any]")
            elif isinstance(node, ast.Attribute):
                own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
                self.private_reads += _is_private(node.attr) and not own
            elif isinstance(node, ast.ImportFrom):
                self.private_reads += sum(_is_private(alias.name) for alias in node.names)
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                self.type_ignores += "type: ignore" in token.string
                self.format_skips += "fmt: skip" in token.string or "fmt: off" in token.string


@dataclass
class Folder:
    """The modules and folders directly inside one folder of source code."""

    name: str  # dotted
    modules: int
    lines: int
    largest_lines: int
    floors: int
    two_way: list[tuple[str, str]]


@dataclass
class Structure:
    """A project: its folders in the order of their names, and figures of the whole."""

    folders: list[Folder]
    module_lines: dict[str, int]
    floors: int  # the longest chain of imports between single modules
    modules_in_circles: int
    source: Counts
    tests: Counts
    test_files: int
    two_way: int = field(init=False)

    def __post_init__(self) -> None:
        self.two_way = sum(len(folder.two_way) for folder in self.folders)


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _is_test(path: Path) -> bool:
    return path.name.startswith("test_") or path.name == "conftest.py" or "tests" in path.parts


def packages(root: Path) -> list[Path]:
    """The packages of a project: `root` itself, or those in it or in its `src`, tests and the like left out."""
    if (root / "__init__.py").is_file():
        return [root]
    for place in (root / "src", root):
        names = [p.parent for p in sorted(place.glob("*/__init__.py")) if p.parent.name not in NO_SOURCE]
        if names:
            return names
    raise SystemExit(f"{root} holds no Python package; give the folder that holds one")


def imported(tree: ast.AST, module: str, is_package: bool, known: set[str]) -> set[str]:
    """The modules among `known` that a module imports."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".")[: None if is_package and node.level == 1 else is_package - node.level]
                base = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                names.add(full if full in known else base)
    return {name for name in names if name in known and name != module}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected components of a graph, what is imported before what imports it (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    components: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            components.append(stack[at:])
            del stack[at:]

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return components


def floors(graph: dict[str, set[str]]) -> int:
    """How many nodes the longest chain has; a circle counts once."""
    height: dict[str, int] = {}
    for component in circles(graph):
        below = {height[other] for node in component for other in graph[node] if other not in component}
        height |= dict.fromkeys(component, 1 + max(below, default=0))
    return max(height.values(), default=0)


def within(folder: str, graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The imports between the things directly in a folder, by name; its own `__init__` is one of them."""

    def child(module: str) -> str | None:
        if module == folder:
            return "__init__"
        return module[len(folder) + 1 :].partition(".")[0] if module.startswith(folder + ".") else None

    inside: dict[str, set[str]] = defaultdict(set)
    for module, others in graph.items():
        if (name := child(module)) is not None:
            inside[name] |= {other for m in others if (other := child(m)) is not None and other != name}
    return dict(inside)


def _modules(root: Path) -> Iterator[tuple[str, Path]]:
    for package in packages(root):
        for path in sorted(package.rglob("*.py")):
            if not _is_test(path.relative_to(package)):
                parts = path.relative_to(package.parent).with_suffix("").parts
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _test_paths(root: Path) -> list[Path]:
    beside = [p for package in packages(root) for p in package.rglob("*.py") if _is_test(p.relative_to(package))]
    return sorted({*beside, *(p for name in ("tests", "test") for p in (root / name).rglob("*.py"))})


def measure(root: Path) -> Structure:
    """Read a checkout, or a package alone."""
    paths = dict(_modules(root))
    source, tests = Counts(), Counts()
    lines, graph = {}, {}
    for module, path in paths.items():
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        source.add(tree, text)
        lines[module] = len(text.splitlines())
        graph[module] = imported(tree, module, path.name == "__init__.py", set(paths))
    test_paths = _test_paths(root)
    for path in test_paths:
        text = path.read_text(encoding="utf-8")
        tests.add(ast.parse(text), text)
    in_folder: dict[str, list[str]] = defaultdict(list)
    for module, path in paths.items():
        in_folder[module if path.name == "__init__.py" else module.rpartition(".")[0]].append(module)
    folders = []
    for name, modules in sorted(in_folder.items()):
        inside, sizes = within(name, graph), [lines[module] for module in modules]
        pairs = [(a, b) for a in sorted(inside) for b in sorted(inside[a]) if a < b and a in inside[b]]
        folders.append(Folder(name, len(modules), sum(sizes), max(sizes), floors(inside), pairs))
    in_circles = sum(len(component) for component in circles(graph) if len(component) > 1)
    return Structure(folders, lines, floors(graph), in_circles, source, tests, len(test_paths))


def folder_table(structure: Structure) -> Iterator[str]:
    """The folders of one project, a Markdown line each."""
    yield "| folder | modules | lines | largest module | floors | two-way pairs |"
    yield "|---|---:|---:|---:|---:|---|"
    for f in structure.folders:
        pairs = ", ".join(f"{a} and {b}" for a, b in f.two_way) or "none"
        yield f"| {f.name} | {f.modules} | {f.lines:,} | {f.largest_lines:,} | {f.floors} | {pairs} |"


def rows(structure: Structure) -> Iterator[tuple[str, int | str]]:
    """The figures of a whole project, named."""
    lines = list(structure.module_lines.values())
    crowded = max(structure.folders, key=lambda folder: folder.modules)
    longest = max(structure.module_lines, key=lambda module: structure.module_lines[module])
    deepest = max(structure.folders, key=lambda folder: folder.floors)
    yield "modules", len(lines)
    yield "lines", sum(lines)
    yield "lines per module, median", round(statistics.median(lines))
    yield "lines of the largest module", f"{structure.module_lines[longest]:,} ({longest})"
    yield f"modules over {LONG_MODULE_LINES} lines", sum(n > LONG_MODULE_LINES for n in lines)
    yield "folders", len(structure.folders)
    yield "most modules in a folder", f"{crowded.modules} ({crowded.name})"
    yield "most floors in a folder", f"{deepest.floors} ({deepest.name})"
    yield "floors between all modules", structure.floors
    yield "modules in circles of imports", structure.modules_in_circles
    yield "two-way pairs", structure.two_way
    yield "`Any`", structure.source.any_type
    yield "`dict[str, Any]`", structure.source.open_dicts
    yield "`type: ignore`", structure.source.type_ignores
    yield "`fmt: skip`, source and tests", structure.source.format_skips + structure.tests.format_skips
    tests = structure.test_files > 0
    yield "`type: ignore` in tests", structure.tests.type_ignores if tests else "no tests"
    yield "reads of privates in tests", structure.tests.private_reads if tests else "no tests"


def comparison(named: Sequence[tuple[str, Structure]]) -> Iterator[str]:
    """Several projects side by side as a Markdown table."""
    yield f"| | {' | '.join(name for name, _ in named)} |"
    yield "|---|" + "---:|" * len(named)
    for same in zip(*(rows(structure) for _, structure in named), strict=True):
        cells = (f"{value:,}" if isinstance(value, int) else value for _, value in same)
        yield f"| {same[0][0]} | {' | '.join(cells)} |"


def _named(argument: str) -> tuple[str, Path]:
    name, equals, path = argument.rpartition("=")
    place = Path(path).expanduser()
    return (name if equals else place.resolve().name), place


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.structure", description=str(__doc__).partition("\n")[0])
    parser.add_argument("paths", nargs="*", default=["."], metavar="[NAME=]PATH", help="checkouts or packages")
    named = [_named(path) for path in parser.parse_args(arguments).paths]
    for _, path in named:
        if not path.is_dir():
            parser.error(f"{path} is no folder")
    measured = [(name, measure(path)) for name, path in named]
    out: Iterable[str] = comparison(measured)
    if len(measured) == 1:
        out = [*folder_table(measured[0][1]), "", *out]
    sys.stdout.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
