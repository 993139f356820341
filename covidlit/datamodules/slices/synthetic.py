"""The labelled slices of the synthetic cohort."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from covidlit.datamodules.slices.label_volumes import label_volumes
from covidlit.synthetic.source import synthetic_manifest


def synthetic_slices(folder: str, n_jobs: int = -1, **arguments: Any) -> Path:
    """The slices of a synthetic cohort, drawn once, with all classes of contract 7.

    Args:
        folder: cohorts with other arguments stand side by side in it.
        n_jobs: processes.
        **arguments: of `covidlit.synthetic.make_cohort`.

    Returns:
        The path of the table of slices.
    """
    manifest = synthetic_manifest(folder, n_jobs, inclusion=None, **arguments)
    root = manifest.parent
    return label_volumes(str(manifest), str(root / "truth"), str(root / "slices"), n_jobs=n_jobs)
