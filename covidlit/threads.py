"""How PyTorch's threads wait for each other on a machine that has other work too."""

from __future__ import annotations

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
