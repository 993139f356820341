"""The collector rests while things are loaded and at the end of a command."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from covidlit.garbage_collection import no_collection


@pytest.mark.parametrize("enabled", [True, False])
def test_it_rests_in_the_block_and_is_then_as_it_was(enabled: bool) -> None:
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        frozen = gc.get_freeze_count()
        with no_collection():
            assert not gc.isenabled()
        assert gc.get_freeze_count() > frozen
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
        gc.unfreeze()


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
