"""The collector rests at the end of a command."""

from __future__ import annotations

import subprocess
import sys


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
