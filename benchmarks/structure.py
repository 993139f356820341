"""How covidlit hangs together: import circles, the order of its rooms, loose modules, file lengths.

python benchmarks/structure.py            counts, prints what breaks a rule, writes the results
python benchmarks/structure.py --list     prints every import inside a function as well

A room is a package or a loose module of `covidlit/`, or of `covidlit/platform/`.
`tests/test_structure.py` holds the rules.
"""

from __future__ import annotations

import argparse
import ast
import statistics
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
COMMAND = "python benchmarks/structure.py"
BEFORE = "d01ca56"
"""The commit before the rooms were moved."""

ORDER: tuple[tuple[str, ...], ...] = (
    ("errors", "version"),
    ("names", "process", "counted", "progress", "terminal", "figure_text"),
    ("arguments", "files"),
    ("tables",),
    ("settings",),
    ("scans",),
    ("transforms",),
    ("dicom",),
    ("cohort",),
    ("synthetic",),
    ("preprocess",),
    ("datamodules", "models"),
    ("checkpoints",),
    ("tasks",),
    ("baselines", "evaluation", "lesions"),
    ("deploy", "montage"),
    ("explain", "quantify"),
    ("runs",),
    ("sweep", "cards"),
    ("papers",),
    ("platform",),
    ("cli",),
    ("__main__",),
)
"""The rooms from the floor up: a room imports from earlier lines only, not from its neighbours."""

PLATFORM = "covidlit.platform"
"""A package with rooms of its own."""

HEAVY = frozenset(
    [
        *("torch", "torchvision", "pytorch_lightning", "monai", "torchio", "captum", "reportlab"),
        *("openvino", "onnx", "onnxscript", "onnxruntime", "sklearn", "skops", "torchmetrics"),
        "lightgbm",
        *("pandera", "matplotlib", "reportlab", "optuna", "hydra", "pandas", "openpyxl", "joblib"),
    ]
)
"""Libraries kept away from commands that do without them: torch takes two seconds to import, skops
with scikit-learn four, pandera and Optuna more than half a second, Matplotlib and reportlab a
quarter, Hydra a tenth, joblib a twentieth."""

EXTRAS = frozenset(("dask", "distributed", "ray", "tabm", "django", "ninja", "psycopg"))
"""Libraries that come with an extra and may be missing."""

MOST_LINES = 400
MOST_LOOSE = 10


@dataclass(frozen=True)
class Import:
    """One import statement's module.

    Attributes:
        where: the importing module, such as `covidlit.runs.steps`.
        what: the imported module; of another library its first name only, such as `torch`.
        line: the line in the importing file.
        kind: "top", "function" or "type" (under `if TYPE_CHECKING`).
    """

    where: str
    what: str
    line: int
    kind: str


def modules(root: Path = ROOT, package: str = "covidlit") -> dict[str, Path]:
    """The files of a package by module name; a folder's `__init__.py` by the folder's."""
    found: dict[str, Path] = {}
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(files: dict[str, Path]) -> list[Import]:
    """Every absolute import of the modules.

    `from a import b` is `a.b` where that is a module, and where the package `a` imports `b` at its
    first use, the module that it says `b` is from (under `if TYPE_CHECKING`).
    """
    found: list[Import] = []
    later = _imported_at_first_use(files)
    for module, path in files.items():
        for node, kind in _statements(ast.parse(path.read_text()), "top"):
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                targets = {
                    name if name in files else later.get(name, str(node.module)) for name in names
                }
            else:
                targets = {alias.name for alias in node.names}
            for target in sorted(targets):
                own = target.split(".")[0] == module.split(".")[0]  # also one that is not there
                what = target if own else target.split(".")[0]
                found.append(Import(module, what, node.lineno, kind))
    return found


def _imported_at_first_use(files: dict[str, Path]) -> dict[str, str]:
    """The module of each name, such as `covidlit.tasks.load_task`, that a `__getattr__` imports."""
    found: dict[str, str] = {}
    for module, path in files.items():
        tree = ast.parse(path.read_text())
        if not any(_binds(node, "__getattr__") for node in tree.body):
            continue
        for node, kind in _statements(tree, "top"):
            if kind == "type" and isinstance(node, ast.ImportFrom) and node.module in files:
                found |= {f"{module}.{alias.name}": node.module for alias in node.names}
    return found


def _binds(node: ast.stmt, name: str) -> bool:
    """Whether a statement defines a function of this name, or assigns to it."""
    if isinstance(node, ast.FunctionDef):
        return node.name == name
    targets = node.targets if isinstance(node, ast.Assign) else []
    names = [n for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
    return any(n.id == name for n in names)


def _statements(node: ast.AST, kind: str) -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, kind
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _statements(child, "type")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _statements(child, "function")
        else:
            yield from _statements(child, kind)


def room(module: str, package: str = "covidlit") -> str:
    """The room of a module within a package: the part of its name behind the package's."""
    inside = module.removeprefix(f"{package}.")
    return "" if inside == module else inside.split(".")[0]


def circles(edges: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Groups of two or more nodes that reach each other (strongly connected components)."""
    onward: dict[str, set[str]] = defaultdict(set)
    for start, end in edges:
        onward[start].add(end)
    reached = {node: _reachable(node, onward) for node in list(onward)}
    groups = {
        frozenset({node} | {other for other in found if node in reached.get(other, ())})
        for node, found in reached.items()
    }
    return sorted(sorted(group) for group in groups if len(group) > 1)


def _reachable(node: str, onward: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [node]
    while waiting:
        new = onward.get(waiting.pop(), set()) - found
        found |= new
        waiting.extend(new)
    return found


def module_circles(found: list[Import], *, types: bool = True) -> list[list[str]]:
    """Circles of modules, those of imports inside functions and, unless told, of types included."""
    return circles((i.where, i.what) for i in found if types or i.kind != "type")


def room_circles(
    found: list[Import], package: str = "covidlit", *, types: bool = True
) -> list[list[str]]:
    """Circles of the rooms of a package, counted like `module_circles`."""
    kept = [i for i in found if types or i.kind != "type"]
    pairs = ((room(i.where, package), room(i.what, package)) for i in kept)
    return circles(pair for pair in pairs if all(pair) and pair[0] != pair[1])


def against_the_order(found: list[Import]) -> list[Import]:
    """Imports of a room that is not further down, or that `ORDER` does not know; of types too."""
    level = {name: number for number, names in enumerate(ORDER) for name in names}
    return [
        i
        for i in _inner(found)
        if room(i.where) != room(i.what)
        and (
            room(i.where) not in level
            or room(i.what) not in level
            or level[room(i.what)] >= level[room(i.where)]
        )
    ]


def missing(files: dict[str, Path], found: list[Import]) -> list[Import]:
    """Imports of modules of covidlit that are not there, also where they are never carried out."""
    return [i for i in found if room(i.what) and i.what not in files]


def _inner(found: list[Import]) -> list[Import]:
    return [i for i in found if room(i.where) and room(i.what)]


def loose_modules(files: dict[str, Path]) -> list[str]:
    """The modules that lie in `covidlit/` itself, but `__main__`, which Python looks for there."""
    loose = [m for m, path in files.items() if path.parent.name == "covidlit" and room(m)]
    return [m for m in loose if room(m) != "__main__"]


def late_imports(files: dict[str, Path], found: list[Import]) -> list[Import]:
    """Imports inside functions that keep no library away from what does without it.

    One keeps a library away if what it imports loads, at its top and through other modules, a
    library of `HEAVY` or `EXTRAS` that its own file has not loaded yet. The files of `covidlit/cli`
    and what they load at their tops may import inside functions whatever they like: they are all
    loaded before `covidlit --help` or `python train.py --help` prints a line.
    """
    loaded = _loaded(files, found)
    light = set().union(*(loaded[m] for m in files if room(m) == "cli"))

    def heavy(name: str) -> set[str]:
        return (loaded.get(name, set()) | {name}) & (HEAVY | EXTRAS)

    return [
        i
        for i in found
        if i.kind == "function"
        and room(i.where) != "cli"
        and i.where not in light
        and heavy(i.what) <= heavy(i.where)
    ]


def _loaded(files: dict[str, Path], found: list[Import]) -> dict[str, set[str]]:
    """What importing each module loads."""
    onward: dict[str, set[str]] = defaultdict(set)
    for i in found:
        if i.kind == "top":
            onward[i.where].add(i.what)
    for module in files:  # importing a module runs its folders' __init__.py too
        parts = module.split(".")
        onward[module] |= {".".join(parts[:n]) for n in range(1, len(parts))}
    return {module: _reachable(module, onward) for module in files}


def lines_of(commit: str | None = None) -> dict[str, int]:
    """Lines of the package's Python files by path, of the working tree or of a commit."""
    where = [commit] if commit else []
    command = ["git", "grep", "--count", "-I", "", *where, "--", "covidlit/*.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    counted: dict[str, int] = {}
    for line in done.stdout.splitlines():
        *_, path, number = line.split(":")
        counted[path] = int(number)
    return counted


def _figure(figure: str, value: float, unit: str, target: str | None) -> dict[str, Any]:
    return {
        "figure": figure,
        "value": value,
        "unit": unit,
        "target": target,
        "peer": None,
        "command": COMMAND,
    }


def figures() -> list[dict[str, Any]]:
    """Everything that is counted, in the form of `record.write_results`."""
    files = modules()
    found = imports(files)
    lines = {module: len(path.read_text().splitlines()) for module, path in files.items()}
    before = lines_of(BEFORE)
    inside = [i for i in found if i.kind == "function"]
    in_platform = room_circles(found, PLATFORM)
    long = [module for module, number in lines.items() if number > MOST_LINES]
    median = statistics.median(number for number in lines.values() if number)
    return [
        _figure("import circles between modules", len(module_circles(found)), "", "0"),
        _figure("import circles between rooms", len(room_circles(found)), "", "0"),
        _figure("import circles between rooms of the platform", len(in_platform), "", "0"),
        _figure("imports against the order of rooms", len(against_the_order(found)), "", "0"),
        _figure("imports of modules that are not there", len(missing(files, found)), "", "0"),
        _figure("imports inside functions", len(inside), "", None),
        _figure("of them, keeping no heavy library away", len(late_imports(files, found)), "", "0"),
        _figure("loose modules", len(loose_modules(files)), "", f"<= {MOST_LOOSE}"),
        _figure(f"files over {MOST_LINES} lines", len(long), "", "0"),
        _figure("longest file", max(lines.values()), "lines", f"<= {MOST_LINES}"),
        _figure("median file", median, "lines", "<= 150"),
        _figure("files", len(lines), "", None),
        _figure(f"files at {BEFORE}", len(before), "", None),
        _figure("lines in covidlit", sum(lines.values()), "lines", None),
        _figure(f"lines in covidlit at {BEFORE}", sum(before.values()), "lines", None),
    ]


def main() -> None:
    """Print and write the counts, and name what breaks a rule."""
    from record import write_results

    parser = argparse.ArgumentParser(description="Count circles, rooms, loose modules and lines.")
    parser.add_argument("--list", action="store_true", help="name every import inside a function")
    listed = parser.parse_args().list
    files = modules()
    found = imports(files)
    groups = module_circles(found), room_circles(found), room_circles(found, PLATFORM)
    for circle in chain(*groups):
        print("circle:", " ".join(circle))
    for i in against_the_order(found):
        print(f"against the order: {i.where}:{i.line} imports {i.what} ({i.kind})")
    for i in missing(files, found):
        print(f"not there: {i.where}:{i.line} imports {i.what} ({i.kind})")
    late = late_imports(files, found)
    for i in found:
        if i in late:
            print(f"inside a function for no heavy library: {i.where}:{i.line} imports {i.what}")
        elif listed and i.kind == "function":
            print(f"inside a function: {i.where}:{i.line} imports {i.what}")
    counted = figures()
    for figure in counted:
        print(f"{figure['figure']}: {figure['value']} {figure['unit']}".rstrip())
    print(write_results("structure", counted))


if __name__ == "__main__":
    main()
