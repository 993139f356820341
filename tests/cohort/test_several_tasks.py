"""Several tasks of one job make and prepare the same cohort at once, in an empty folder."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pandas as pd
import pytest

from covidlit.cohort.manifest import read_manifest
from covidlit.preprocess import Geometry, VolumeCache, prepare_cohort
from covidlit.synthetic.source import synthetic_manifest

N_TASKS = 2


def make(folder: Path) -> None:
    """The cohort, its manifest and its cache, as a run makes them."""
    manifest = synthetic_manifest(
        str(folder / "synthetic"), n_jobs=1, preset="mild", n_scans=12, seed=0, matrix=32,
        thickness_mm=5.0, progress=False,
    )  # fmt: skip
    geometry = Geometry((20, 24, 24), (8, 8, 8))
    table = prepare_cohort(
        read_manifest(manifest), folder / "cache", geometry, n_jobs=1, progress=False
    ).table
    cache = VolumeCache(folder / "cache")
    assert all(cache.contains(key, verify=True) for key in table["key"])


def task(folder: Path, start: Barrier) -> None:
    start.wait()
    make(folder)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file by its relative path, but for those that hold a time or a random pseudonym."""
    own = {"prepared.csv", "manifest.csv", "manifest.key"}
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in own and path.parent.name != "index"
    }


def tables(folder: Path) -> list[pd.DataFrame]:
    """The manifest and the listing of the cache, without what is random or of one task alone."""
    (manifest,) = folder.glob("synthetic/*/manifest.csv")
    found = pd.read_csv(manifest), pd.read_csv(folder / "cache" / "prepared.csv")
    own = ["patient_id", "renewed"]
    return [
        table.drop(columns=own, errors="ignore").sort_values("scan_id", ignore_index=True)
        for table in found
    ]


@pytest.mark.slow
def test_tasks_that_start_at_once_leave_what_one_would(tmp_path: Path) -> None:
    system = multiprocessing.get_context("fork")
    start = system.Barrier(N_TASKS)
    tasks = [system.Process(target=task, args=(tmp_path / "many", start)) for _ in range(N_TASKS)]
    for one in tasks:
        one.start()
    for one in tasks:
        one.join(120)
    assert [one.exitcode for one in tasks] == [0] * N_TASKS
    make(tmp_path / "one")
    found, expected = contents(tmp_path / "many"), contents(tmp_path / "one")
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
    for table, wanted in zip(tables(tmp_path / "many"), tables(tmp_path / "one"), strict=True):
        pd.testing.assert_frame_equal(table, wanted)
