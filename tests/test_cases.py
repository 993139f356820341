"""Troubles that others met in public: each is read right, told or refused by its true cause."""

from __future__ import annotations

import shlex
import subprocess
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


def test_a_last_batch_of_one_is_named_and_the_named_knob_trains(tmp_path: Path) -> None:
    script = cases.CASES / "52_batch_of_one.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, capture_output=True)
    line = (tmp_path / "commands.sh").read_text().splitlines()[1]
    command = [sys.executable, "-m", "covidlit", *shlex.split(line)[1:], f"data_dir={tmp_path}"]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *more], cwd=tmp_path, capture_output=True, text=True)

    refused = run()
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
    for knob in ("data.drop_last=true", "data.batch_size=12", "model.task.net.norm=group"):
        assert knob in refused.stderr
    trained = run("data.drop_last=true", "evaluation.n_bootstrap=100")
    assert trained.returncode == 0, trained.stderr
