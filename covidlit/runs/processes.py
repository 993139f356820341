"""The processes of one run."""

from __future__ import annotations

import os

_RANKS = ("RANK", "NODE_RANK", "GROUP_RANK", "LOCAL_RANK", "SLURM_PROCID")
"""Of torchrun, Lightning and SLURM. Lightning sets no RANK, and may start the processes of one
task of SLURM, whose SLURM_PROCID is then the same."""


class ProcessError(Exception):
    """A process of a training on several devices failed; its traceback is the message."""


def process_rank() -> int:
    """0 for the first process of a run, also before Lightning has set up the others.

    In the others it is their rank where the environment has one, else at most that.
    """
    return max(int(os.environ.get(name, 0)) for name in _RANKS)


def started_from_outside() -> bool:
    """Whether srun or torchrun has started this process as one of several."""
    sizes = ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
    return process_rank() > 0 or any(int(os.environ.get(name, 1)) > 1 for name in sizes)
