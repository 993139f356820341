"""A cache that holds every scan serves from a disk on which nothing can be written."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from covidlit.preprocess import Geometry, prepare_cohort
from covidlit.preprocess.features.cache import cohort_features
from covidlit.preprocess.thumbnails import cohort_thumbnails
from covidlit.scans.images import write_nifti

GEOMETRY = Geometry((5, 4, 4), (6, 12, 12))
_CALL = """
import sys, pandas as pd
from covidlit.errors import CovidlitError
from covidlit.preprocess import Geometry, prepare_cohort
from covidlit.preprocess.features.cache import cohort_features
from covidlit.preprocess.thumbnails import cohort_thumbnails
folder, size = sys.argv[1], int(sys.argv[2])
manifest = pd.read_csv(folder + "/manifest.csv")
geometry = Geometry((5, 4, 4), (6, 12, size))
try:
    table = prepare_cohort(manifest, folder + "/cache", geometry, n_jobs=1, progress=False).table
except CovidlitError as error:
    sys.exit(str(error))
keys = table["key"].to_list()
print(cohort_thumbnails(folder + "/cache", keys, n_jobs=1).shape)
print(cohort_features(folder + "/cache", keys, n_jobs=1, progress=False).shape[0])
"""


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Two scans with their manifest, prepared."""
    affine = np.array([[0, 0, 2, 0], [0, 2, 0, 5], [5, 0, 0, -70], [0, 0, 0, 1]], float)
    for k in range(2):
        hu = np.random.default_rng(k).integers(-1000, 1000, (6, 24, 20)).astype(np.int16)
        write_nifti(hu, affine, tmp_path / f"scan{k}.nii.gz")
    paths = [str(tmp_path / f"scan{k}.nii.gz") for k in range(2)]
    manifest = pd.DataFrame({"scan_id": ["S0", "S1"], "path": paths})
    manifest.to_csv(tmp_path / "manifest.csv", index=False)
    prepare_cohort(manifest, tmp_path / "cache", GEOMETRY, n_jobs=1, progress=False)
    return tmp_path


def _read_only(folder: Path, size: int) -> subprocess.CompletedProcess[str]:
    """Prepare again where the cache is mounted read-only, in a namespace of its own."""
    cache = folder / "cache"
    mount = f'mount --bind "{cache}" "{cache}" && mount -o remount,bind,ro "{cache}"'
    tried = subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True)
    if tried.returncode:
        pytest.skip("no private mounts here")
    script = folder / "call.py"
    script.write_text(_CALL)
    call = f'{mount} && exec "{sys.executable}" "{script}" "{folder}" {size}'
    return subprocess.run(["unshare", "-rm", "sh", "-c", call], capture_output=True, text=True)


def _files(folder: Path) -> dict[Path, tuple[int, bytes]]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in found}


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs private mounts (Linux)")
@pytest.mark.parametrize("kept", [True, False], ids=["complete", "without thumbnails"])
def test_a_complete_cache_serves_read_only_and_stays_as_it_is(cohort: Path, kept: bool) -> None:
    if not kept:
        shutil.rmtree(cohort / "cache" / "thumbnails")
    before = _files(cohort / "cache")
    done = _read_only(cohort, 12)
    assert done.stdout.splitlines()[-2:] == ["(2, 8, 8, 8)", "2"], done.stderr
    assert _files(cohort / "cache") == before


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs private mounts (Linux)")
def test_a_scan_that_is_missing_there_is_said(cohort: Path) -> None:
    done = _read_only(cohort, 8)
    assert done.returncode == 1
    assert "cannot write: Read-only file system" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_measured_read_only_is_the_same(
    cohort: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By injection, where private mounts are not allowed."""
    manifest = pd.read_csv(cohort / "manifest.csv")
    keys = prepare_cohort(
        manifest, cohort / "cache", GEOMETRY, n_jobs=1, progress=False
    ).table["key"].to_list()  # fmt: skip
    kept = cohort_thumbnails(cohort / "cache", keys, n_jobs=1)
    shutil.rmtree(cohort / "cache" / "thumbnails")
    before = _files(cohort / "cache")
    for module in ("thumbnails", "features.cache", "prepare"):
        monkeypatch.setattr(f"covidlit.preprocess.{module}.is_writable", lambda _: False)
    np.testing.assert_array_equal(cohort_thumbnails(cohort / "cache", keys, n_jobs=1), kept)
    cohort_features(cohort / "cache", keys, n_jobs=1, progress=False)
    prepare_cohort(manifest, cohort / "cache", GEOMETRY, n_jobs=1, progress=False)
    assert _files(cohort / "cache") == before
