"""The loader of a dataset: its worker processes, and what they must not disturb."""

from __future__ import annotations

import sys
from typing import Any

import SimpleITK
import torch
from torch.utils.data import Dataset

from covidlit.datamodules.loader_limits import (
    check_open_files,
    check_shared_memory,
    free_shared_memory,
    open_files_limit,
)
from covidlit.datamodules.sampling import EpochLoader, EpochSampler

_CAN_FORK = sys.platform == "linux"


def epoch_loader(
    dataset: Dataset[Any],
    sampler: EpochSampler,
    *,
    batch_size: int,
    num_workers: int = 0,
    collate: Any = None,
    row_bytes: int = 0,
    processes: int = 1,
) -> EpochLoader:
    """Batches of a dataset in the order of a sampler.

    Args:
        dataset: takes the sampler's draws.
        sampler: of this process.
        batch_size: rows per batch and device.
        num_workers: loader processes; 0: in this process.
        collate: makes a batch of rows; None: torch's own.
        row_bytes: of the tensors of a row.
        processes: that train on this machine, each with such a loader.

    Raises:
        ConfigError: the machine has too little shared memory, or allows too few open files, for
            the loader processes.
    """
    loader = EpochLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=num_workers,
        drop_last=sampler.drop_last,
        collate_fn=collate,
        persistent_workers=num_workers > 0,
        # Forked, also where Python's default is another: a worker then starts at once, instead
        # of importing torch and Lightning again. It computes with one thread and takes no lock
        # that another thread of this process (of gloo, of a progress bar) may hold.
        multiprocessing_context="fork" if num_workers and _CAN_FORK else None,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_one_thread,
        # Its own generator: the loader must not draw from the global one, whose state a resumed
        # run restores.
        generator=torch.Generator().manual_seed(sampler.seed),
    )
    check_open_files(num_workers, limit=open_files_limit())
    check_shared_memory(
        batch_size * row_bytes, num_workers, len(loader),
        free=free_shared_memory(), processes=processes,
    )  # fmt: skip
    return loader


def _one_thread(worker: int) -> None:
    """Keep SimpleITK inside a loader process to one thread; PyTorch sees to its own."""
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
