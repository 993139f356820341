"""Troubles that others met in public: each is read right, told or refused by its true cause."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def _benchmark() -> ModuleType:
    spec = spec_from_file_location("cases", ROOT / "benchmarks" / "cases.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["cases"] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


cases = _benchmark()
pytestmark = pytest.mark.skipif(not cases.CASES.is_dir(), reason="shared/cases is not here")

Written = Callable[[str], tuple[Path, Any]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Writes the files of a case, once."""
    found: dict[str, tuple[Path, Any]] = {}

    def write(number: str) -> tuple[Path, Any]:
        if number not in found:
            out = tmp_path_factory.mktemp(f"case{number}")
            found[number] = (out, cases.write_case(number, out))
        return found[number]

    return write


@pytest.mark.parametrize("case", cases.READ, ids=lambda case: case.name)
def test_a_trouble_has_its_right_answer(case: Any, written: Written) -> None:
    assert cases.problem_of(case, *written(case.number)) == ""


def test_two_patients_stay_two(written: Written) -> None:
    assert cases.patients_problem(written("42")[0]) == ""


@pytest.mark.parametrize("table", ["kept.csv", "bom.csv", "semicolon.csv", "excel.csv"])
def test_a_table_of_a_spreadsheet(table: str, written: Written) -> None:
    assert cases.labels_problem(written("45")[0], table) == ""
