"""A checkpoint, and the test scans that it is to score."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from predict_runs import CONFIG, N_SCANS, held_out_rows, make_task, save_run

from covidlit.cohort.build import manifest_from_dicom
from covidlit.cohort.manifest import read_manifest, write_manifest
from covidlit.synthetic import make_cohort

Once = Callable[[str, Callable[[Path], object]], Path]


def _write_cohort(root: Path) -> None:
    cohort = make_cohort(
        root, preset="mild", n_scans=12, seed=0, matrix=32, thickness_mm=5.0, n_jobs=1
    )
    table = manifest_from_dicom(cohort.dicom, cohort.labels, folder=root, inclusion=None).manifest
    table["centre"] = ["train"] * (len(table) - N_SCANS) + ["test"] * N_SCANS
    write_manifest(table, root / "manifest.csv")


@pytest.fixture(scope="session")
def manifest(once: Once) -> Path:
    """A few synthetic scans as DICOM: one centre to train on, one held out."""
    return once("predict_cohort", _write_cohort) / "manifest.csv"


@pytest.fixture(scope="session")
def checkpoint(once: Once) -> Path:
    folder = once("predict_run", lambda folder: save_run(make_task(), CONFIG, folder / "best.ckpt"))
    return folder / "best.ckpt"


@pytest.fixture(scope="session")
def folder(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test scans as DICOM in one folder, one of them broken, and a damaged file."""
    root = tmp_path_factory.mktemp("dicom")
    table = read_manifest(manifest)
    for number, row in enumerate(held_out_rows(table).itertuples()):
        shutil.copytree(str(row.path), root / f"case{number}")
    victim = sorted(p for p in (root / "case0").rglob("*") if p.is_file())
    victim[len(victim) // 2].unlink()
    (root / "other").mkdir()
    (root / "other" / "empty.dcm").touch()
    return root
