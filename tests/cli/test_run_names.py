"""The name of a run becomes a folder's: it follows the rule before anything is made by it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["../../escaped", "a/b", "", ".hidden", "CON"])
def test_a_name_that_is_no_name_makes_no_folder(name: str, tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), f"name={name}"],
        cwd=below, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 2
    assert "error: name: the name" in done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b"]
