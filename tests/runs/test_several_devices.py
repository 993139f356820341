"""Two processes of a training, of which one fails or is stopped: all end, and say why once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def _run(fault: str, run_dir: Path) -> tuple[int, str]:
    """Exit code and output of the command; all processes have ended, as their pipe has."""
    none = ["hydra/job_logging=none", "hydra/hydra_logging=none"]
    done = subprocess.run(
        [sys.executable, "tests/runs/failing_process.py", f"hydra.run.dir={run_dir}", *none],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=280,
        env={**os.environ, "FAULT": fault, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        ("1 step KeyError", 1, "KeyError: 'the made-up fault.'"),
        ("1 before CovidlitError", 2, "error: the made-up fault."),
        ("1 step SIGKILL", 2, "error: the process of rank 1 was killed (SIGKILL)"),
        ("0 step SIGTERM", 143, "The run was stopped (SIGTERM). No epoch was finished"),
        ("1 first SIGTERM", 143, "The run was stopped (SIGTERM). No epoch was finished"),
        ("1 first SIGINT", 130, "The run was stopped (Ctrl-C). No epoch was finished"),
    ],
)
def test_all_processes_end_with_the_message_of_the_first_that_failed(
    fault: str, code: int, message: str, tmp_path: Path
) -> None:
    found, output = _run(fault, tmp_path)
    assert found == code, output
    assert (tmp_path / "failed_at").is_file()
    processes = [int(number) for number in re.findall(r"^process (\d+)$", output, re.MULTILINE)]
    assert len(processes) == 2
    assert not any(Path("/proc", str(number)).exists() for number in processes)
    assert output.count(message) == 1, output
    assert output.count("Traceback (most recent call last)") == (1 if code == 1 else 0), output
