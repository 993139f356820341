"""Waiting threads sleep, and the collector rests at the end of a command."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from covidlit.process import let_waiting_threads_sleep


@pytest.mark.parametrize("chosen", [{"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "7"}])
def test_the_user_s_choice_stands(chosen: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    let_waiting_threads_sleep()
    here = {n: os.environ[n] for n in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT") if n in os.environ}
    assert here == chosen


def test_both_commands_set_it_before_torch_is_loaded() -> None:
    code = (
        "import os, sys; os.environ.pop('GOMP_SPINCOUNT', None)\n"
        "import covidlit.process as threads\n"
        "set_ = threads.let_waiting_threads_sleep\n"
        "def watched():\n"
        "    assert 'torch' not in sys.modules\n"
        "    set_(); sys.exit(os.environ['GOMP_SPINCOUNT'])\n"
        "threads.let_waiting_threads_sleep = watched\n"
    )
    starts = (
        "from covidlit.cli.app import app; app(['evaluate', 'x.csv'])",
        "sys.argv = ['train.py']; from covidlit.cli.train import main; main()",
    )
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    for start in starts:
        done = subprocess.run(
            [sys.executable, "-c", code + start], capture_output=True, text=True, env=environment
        )
        assert done.stderr.strip() == "1000", done.stderr


def test_the_end_of_a_command_walks_through_no_objects() -> None:
    """What is registered first runs last: it sees what the command left to the collector."""
    code = (
        "import atexit, gc\n"
        "left = lambda: print(gc.get_freeze_count() > 1000, len(gc.get_objects()) < 100)\n"
        "atexit.register(left)\n"
        "from covidlit.cli.app import app\n"
        "app(['evaluate', 'missing.csv'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout.split() == ["True", "True"], done.stdout + done.stderr
