"""A small cohort of repeated scans with their true labels."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from covidlit.synthetic import CohortPaths, make_cohort


@pytest.fixture(scope="session")
def repeated(tmp_path_factory: pytest.TempPathFactory) -> CohortPaths:
    """Three scans of about 30 slices, two of them of one patient."""
    return make_cohort(
        tmp_path_factory.mktemp("repeated") / "severity",
        preset="severity",
        n_scans=3,
        seed=0,
        matrix=64,
        thickness_mm=10.0,
        progress=False,
    )


@pytest.fixture
def masks(repeated: CohortPaths, tmp_path: Path) -> Path:
    """A copy of the true labels, to be changed."""
    assert repeated.truth is not None
    return Path(shutil.copytree(repeated.truth, tmp_path / "masks"))
