"""The processes of one run."""

from __future__ import annotations

import os


def process_rank() -> int:
    """0 for the first process of a run, also before Lightning has set up the others."""
    # SLURM_PROCID is also set, to 0, where Lightning itself starts the processes of one SLURM task.
    names = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
    return next((int(os.environ[name]) for name in names if name in os.environ), 0)


