"""How a process of covidlit runs: how its threads wait, and when its garbage is collected."""

from __future__ import annotations

import atexit
import gc
import os

SPINS = "1000"
"""Turns of a waiting thread before it sleeps; GNU's OpenMP takes some hundred thousand."""


def let_waiting_threads_sleep() -> None:
    """Let OpenMP's threads sleep early while they wait, unless the user has chosen otherwise.

    Spinning threads keep a core from the one that they wait for as soon as anything else runs:
    `benchmarks/busy_cores.py` measures how much longer a training step takes then. OpenMP reads it
    when it is loaded, so this is to be called before torch is imported.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = SPINS


def collect_less() -> None:
    """Collect after 10,000 new objects instead of 700, and not at the end of the process.

    What torch, Lightning and the rest make while they are imported stays to the end, and the
    collector walks through it again and again: without this, `covidlit predict` takes half as much
    processor time again (7.4 s instead of 4.9 s), and importing what a command needs 8.6 s instead
    of 5.9 s (`benchmarks/garbage_collection.py`). What is to be closed at the end is closed by
    `atexit` or `with`, not by the collector.
    """
    gc.set_threshold(10_000, 20, 100)
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
