"""How a process of covidlit runs: how its threads wait, and when its garbage is collected."""

from __future__ import annotations

import atexit
import gc
import os

from covidlit.errors import CovidlitError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

SPINS = "1000"
"""Turns of a waiting thread before it sleeps; GNU's OpenMP takes some hundred thousand."""


LEAST_ADDRESSES = 700_000_000
"""Bytes of addresses that the libraries which read DICOM need to be loaded at all."""


def check_address_space() -> None:
    """Make sure that `ulimit -v` lets the libraries be loaded, some of which abort without room.

    Raises:
        CovidlitError: it does not.
    """
    if resource is None:
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY or limit >= LEAST_ADDRESSES:
        return
    raise CovidlitError(
        f"a process may take {limit / 1e6:.0f} MB here, and loading the libraries takes "
        f"{LEAST_ADDRESSES / 1e6:.0f} MB of addresses (training and prediction 5 GB).",
        where="ulimit -v",
        fix="allow more (`ulimit -v unlimited`), or ask for more memory where a scheduler sets it.",
    )


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
