"""The rooms of covidlit stand in one order, and no import goes in a circle."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def _structure() -> ModuleType:
    spec = spec_from_file_location("structure", ROOT / "benchmarks" / "structure.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["structure"] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


structure = _structure()
FILES = structure.modules()
IMPORTS = structure.imports(FILES)


def test_no_import_goes_in_a_circle() -> None:
    # Imports inside functions and those of types alone count like any other.
    assert structure.module_circles(IMPORTS) == []
    assert structure.room_circles(IMPORTS) == []
    assert structure.room_circles(IMPORTS, structure.PLATFORM) == []


def test_a_room_imports_only_from_rooms_below_it() -> None:
    assert structure.against_the_order(IMPORTS) == []


def test_every_module_that_is_imported_is_there() -> None:
    assert structure.missing(FILES, IMPORTS) == []


def test_an_import_inside_a_function_keeps_a_heavy_library_away() -> None:
    late = structure.late_imports(FILES, IMPORTS)
    assert [f"{i.where}:{i.line} {i.what}" for i in late] == []


def test_few_modules_are_loose_and_no_file_is_long() -> None:
    assert len(structure.loose_modules(FILES)) <= structure.MOST_LOOSE
    long = {
        str(path.relative_to(ROOT)): lines
        for path in FILES.values()
        if (lines := len(path.read_text().splitlines())) > structure.MOST_LINES
    }
    assert long == {}


def _write(root: Path, **files: str) -> dict[str, Path]:
    for name, text in {"__init__": "", **files}.items():
        path = root / "covidlit" / f"{name.replace('__of__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return dict(structure.modules(root))


@pytest.mark.parametrize(
    "text",
    [
        "from covidlit import files",
        "def f():\n    from covidlit.files import read",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import covidlit.files",
    ],
    ids=["top", "function", "type"],
)
def test_a_circle_and_a_way_up_are_seen_wherever_the_import_stands(
    text: str, tmp_path: Path
) -> None:
    files = _write(tmp_path, errors=text, files="from covidlit.errors import CovidlitError")
    found = structure.imports(files)
    assert structure.module_circles(found) == [["covidlit.errors", "covidlit.files"]]
    assert structure.room_circles(found) == [["errors", "files"]]
    (wrong,) = structure.against_the_order(found)
    assert (wrong.where, wrong.what) == ("covidlit.errors", "covidlit.files")


def test_a_circle_of_rooms_within_the_platform_is_seen(tmp_path: Path) -> None:
    files = _write(
        tmp_path,
        platform__of__options="from covidlit.platform.grading.choices import Settings",
        platform__of__grading__of__choices="",
        platform__of__grading__of__views="def f():\n    import covidlit.platform.options",
    )
    found = structure.imports(files)
    assert structure.room_circles(found) == structure.module_circles(found) == []
    assert structure.room_circles(found, structure.PLATFORM) == [["grading", "options"]]


def test_neighbours_and_unknown_rooms_are_against_the_order(tmp_path: Path) -> None:
    files = _write(
        tmp_path,
        models__of__net="import covidlit.datamodules.volumes",
        datamodules__of__volumes="import covidlit.attic",
        attic="",
    )
    wrong = structure.against_the_order(structure.imports(files))
    assert {i.what for i in wrong} == {"covidlit.datamodules.volumes", "covidlit.attic"}


def test_a_module_that_is_not_there_is_named_where_types_alone_need_it(tmp_path: Path) -> None:
    files = _write(
        tmp_path,
        errors="import json",
        files="from covidlit.errors import CovidlitError\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from covidlit.arrays import Array",
    )
    (wrong,) = structure.missing(files, structure.imports(files))
    assert (wrong.where, wrong.what, wrong.line) == ("covidlit.files", "covidlit.arrays", 4)


def test_only_what_keeps_a_heavy_library_away_may_stand_in_a_function(tmp_path: Path) -> None:
    files = _write(
        tmp_path,
        files="import json",
        tasks__of__base="import torch.nn",
        tasks__of__load="import covidlit.tasks.base",
        runs__of__steps="def f():\n    import covidlit.tasks.load\n    import covidlit.files",
        runs__of__fit="import torch\ndef f():\n    import covidlit.tasks.load\n    import monai",
        cli__of__run="def f():\n    import covidlit.files",
    )
    late = structure.late_imports(files, structure.imports(files))
    assert {(i.where, i.what) for i in late} == {
        ("covidlit.runs.steps", "covidlit.files"),
        ("covidlit.runs.fit", "covidlit.tasks.load"),
    }


def test_a_name_imported_at_first_use_is_of_the_module_that_holds_it(tmp_path: Path) -> None:
    lazy = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
        "    from covidlit.tasks.base import Task\n"
        "def __getattr__(name):\n    return None"
    )
    files = _write(
        tmp_path,
        tasks__of____init__=lazy,
        tasks__of__base="import torch",
        runs__of__steps="def f():\n    from covidlit.tasks import Task",
    )
    found = structure.imports(files)
    assert ("covidlit.runs.steps", "covidlit.tasks.base") in {(i.where, i.what) for i in found}
    assert structure.late_imports(files, found) == []
