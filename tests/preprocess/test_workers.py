"""Workers end with their parent, and one that dies costs its own task."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from covidlit.preprocess.backends import run_in_parallel

_TASKS = """
import os, sys, time
def slow(number):
    with open(sys.argv[1], "a") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(300)
"""
_STARTS = {
    "prepare": """
from covidlit.preprocess.backends import run_in_parallel
list(run_in_parallel(slow, [0, 1], n_jobs=2))
""",
    "predict": """
from functools import partial
from covidlit.cohort.scan_sources import ScanSource
from covidlit.deploy.preparation import prepare_ahead
from covidlit.preprocess.geometry import Geometry
sources = [ScanSource("", str(k), read=partial(slow, k)) for k in range(2)]
list(prepare_ahead(sources, Geometry(), n_jobs=2))
""",
}


def _square_or_die(number: int) -> int:
    if number == 3:
        os._exit(1)
    return number**2


def test_a_worker_that_dies_costs_its_own_task() -> None:
    done = run_in_parallel(_square_or_die, range(8), n_jobs=2, lost=lambda number: -number)
    assert sorted(done) == [-3, 0, 1, 4, 16, 25, 36, 49]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="asks /proc for the process")
@pytest.mark.parametrize("command", _STARTS)
def test_workers_end_with_their_killed_parent(command: str, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = tmp_path / "tasks.py"
    script.write_text(_TASKS.replace("sys.argv[1]", repr(str(pids))))
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nfrom tasks import slow\n"
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    parent = subprocess.Popen([sys.executable, "-c", code + _STARTS[command]], env=environment)
    try:
        deadline = time.monotonic() + 60
        while not pids.exists() or len(pids.read_text().split()) < 2:
            assert time.monotonic() < deadline
            assert parent.poll() is None
            time.sleep(0.05)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    workers = [int(word) for word in pids.read_text().split()]
    deadline = time.monotonic() + 5
    while any(_is_running(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
