"""What loader processes take of a machine, held against what it has before the first batch."""

from __future__ import annotations

import os
from math import ceil

from covidlit.errors import ConfigError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

SHARED = "/dev/shm"
_AHEAD = 2
"""Batches that each loader process prepares ahead, by torch's default."""
_IN_USE = 2
"""Batches that the training holds: the one it learns from, and the next."""
_SMALL = 1 << 14
"""Bytes that the other tensors of a batch take: targets and the like, of a page each."""
_FILES, _FILES_PER_WORKER = 64, 16
"""Open files of a training, and of each loader process: pipes, and four tensors for each batch."""


def batches_in_flight(num_workers: int, n_batches: int) -> int:
    """How many batches lie in shared memory at once at most."""
    return min(_AHEAD * num_workers, n_batches) + _IN_USE if num_workers else 0


def free_shared_memory() -> int | None:
    """Bytes left of what loader processes hand their batches over in; None where not limited."""
    try:
        found = os.statvfs(SHARED)
    except (OSError, AttributeError):
        return None
    return found.f_bavail * found.f_frsize


def open_files_limit() -> int | None:
    """How many files this process may have open; None where not limited."""
    if resource is None:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def check_shared_memory(
    batch_bytes: int, num_workers: int, n_batches: int, *, free: int | None, processes: int = 1
) -> None:
    """Make sure that the batches of loader processes fit into shared memory.

    Where they do not, torch ends with a bus error in the middle of an epoch.

    Args:
        batch_bytes: of one batch.
        num_workers: loader processes of each training process.
        n_batches: of an epoch.
        free: bytes of shared memory; None: not limited.
        processes: that train on this machine.

    Raises:
        ConfigError: they do not fit.
    """
    batches = processes * batches_in_flight(num_workers, n_batches)
    needed = batches * (batch_bytes + _SMALL)
    if free is None or needed <= free:
        return
    raise ConfigError(
        f"loader processes hand over up to {batches} batches of {batch_bytes / 1e6:.1f} MB at once "
        f"through {SHARED}: {needed / 1e6:.1f} MB, and it has {free / 1e6:.1f} MB (64 in a "
        "container by Docker's default).",
        where=f"data.num_workers={num_workers}",
        fix="load in the training's own process (data.num_workers=0), or give the container more "
        f"(docker run --shm-size={ceil(1.25 * needed / 2**30)}g).",
    )


def check_open_files(num_workers: int, *, limit: int | None) -> None:
    """Make sure that loader processes may open what they hand over batches with.

    Where they may not, training waits for them for ever.

    Raises:
        ConfigError: too few files may be open.
    """
    needed = _FILES + _FILES_PER_WORKER * num_workers
    if limit is None or not num_workers or needed <= limit:
        return
    raise ConfigError(
        f"loader processes need about {needed} open files, and this process may open {limit}.",
        where=f"data.num_workers={num_workers}",
        fix=f"allow more (ulimit -n {max(1024, 2 * needed)}), or load in the training's own "
        "process (data.num_workers=0).",
    )
