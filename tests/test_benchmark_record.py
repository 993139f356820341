"""What a benchmark says about the code that it measured."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = (
    "covidlit/runs/lightning_runner.py",
    "benchmarks/memory.py",
    "benchmarks/results/memory.json",
    "experiments/quickstart/results.json",
    "experiments/quickstart/run.py",
)


def commit_of(folder: Path) -> str:
    spec = spec_from_file_location("record", ROOT / "benchmarks" / "record.py")
    assert spec is not None
    assert spec.loader is not None
    record = module_from_spec(spec)
    spec.loader.exec_module(record)
    return str(record.commit_of(folder))


@pytest.fixture
def change(tmp_path: Path) -> Callable[[str], str]:
    """Changes a committed file and returns what the commit is called then."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1\n")
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)

    def run(name: str) -> str:
        (tmp_path / name).write_text("2\n")
        return commit_of(tmp_path / "benchmarks")

    return run


@pytest.mark.parametrize("name", FILES)
def test_results_do_not_make_a_commit_dirty_and_code_does(
    name: str, change: Callable[[str], str]
) -> None:
    assert change(name).endswith("-dirty") is name.endswith(".py")


def test_outside_of_a_working_tree_the_commit_is_unknown(tmp_path: Path) -> None:
    assert commit_of(tmp_path) == "unknown"
