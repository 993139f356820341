"""Thumbnails tell copies of a scan from scans of other patients."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from covidlit.cohort.manifest import read_manifest
from covidlit.cohort.near_copies import ALIKE_HU
from covidlit.cohort.scan_reader import load_scan
from covidlit.preprocess import Geometry, prepare_scan
from covidlit.preprocess.cache import VolumeCache
from covidlit.preprocess.thumbnails import cohort_thumbnails, thumbnail
from covidlit.scans.scan import Scan

GEOMETRY = Geometry((5.0, 6.0, 4.5), (64, 64, 96))
FLIPS = [axes for n in range(4) for axes in combinations(range(3), n)]


def small(scan: Scan) -> NDArray[np.int16]:
    return thumbnail(prepare_scan(scan, GEOMETRY).array, GEOMETRY.spacing)


def difference(one: NDArray[np.int16], other: NDArray[np.int16]) -> float:
    return min(
        float(np.sqrt(np.mean((one.astype(float) - np.flip(other, axes)) ** 2))) for axes in FLIPS
    )


def copies(scan: Scan) -> dict[str, Scan]:
    """What people make of one scan without noticing that it is one."""
    noise = np.random.default_rng(0).normal(0, 30, scan.hu.shape)
    noisy = np.clip(scan.hu + noise, -1000, 3000).astype(np.int16)
    changed = {
        "1 HU added": scan.hu + np.int16(1),
        "first slice lost": scan.hu[1:],
        "last slice lost": scan.hu[:-1],
        "three slices lost": scan.hu[3:],
        "another kernel": np.where(scan.hu > -1024, noisy, scan.hu),
        **{f"flipped in {axes}": np.flip(scan.hu, axes) for axes in FLIPS[1:]},
    }
    return {name: replace(scan, hu=np.ascontiguousarray(hu)) for name, hu in changed.items()}


@pytest.fixture(scope="module")
def synthetic(tiny_data: Path) -> list[Scan]:
    manifest = read_manifest((tiny_data / "manifest_path").read_text())
    return [load_scan(path) for path in manifest["path"][:10]]


def test_copies_are_alike_and_patients_are_not(synthetic: list[Scan]) -> None:
    made = [small(scan) for scan in synthetic]
    assert min(difference(one, other) for one, other in combinations(made, 2)) > 3 * ALIKE_HU
    for k in (0, 4):
        for name, copy in copies(synthetic[k]).items():
            assert difference(made[k], small(copy)) < ALIKE_HU, name


def test_real_scans_are_told_from_their_copies(
    shared_data: Path, archive: Callable[[str], Path], synthetic: list[Scan]
) -> None:
    whole = load_scan(shared_data / "ct" / "lidc_0314_nonCOVID_2mm.nii.gz")
    part = load_scan(archive("ct/partial_chest_real.tar.xz"))
    made = {"whole": small(whole), "part": small(part)}
    others = [*made.values(), *map(small, synthetic[:3])]
    assert min(difference(one, other) for one, other in combinations(others, 2)) > 3 * ALIKE_HU
    for name, copy in copies(whole).items():
        assert difference(made["whole"], small(copy)) < ALIKE_HU, name
    for name, copy in copies(part).items():
        # A tenth of a metre in all: slices that are lost move the lungs' middle.
        if "lost" not in name:
            assert difference(made["part"], small(copy)) < ALIKE_HU, name


def test_thumbnails_are_kept_and_made_anew_where_they_are_damaged(
    synthetic: list[Scan], tmp_path: Path
) -> None:
    cache = VolumeCache(tmp_path)
    keys = [cache.write(scan, prepare_scan(scan, GEOMETRY), GEOMETRY).key for scan in synthetic[:2]]
    expected = np.stack([small(scan) for scan in synthetic[:2]])
    np.testing.assert_array_equal(cohort_thumbnails(tmp_path, keys, n_jobs=1), expected)
    first, second = (tmp_path / "thumbnails" / key[:2] / f"{key}.npy" for key in keys)
    first.write_bytes(b"half")
    np.save(second, expected[0])
    found = cohort_thumbnails(tmp_path, keys, n_jobs=1)
    np.testing.assert_array_equal(found, expected[[0, 0]])


@pytest.mark.parametrize("value", [-1024, -1000, 40])
def test_a_volume_without_a_body_has_one(value: int) -> None:
    hu = np.full((5, 1, 7), value, np.int16)
    made = thumbnail(hu, (5.0, 2.0, 2.0))
    assert made.shape == (8, 8, 8)
    assert made.min() >= -1000
    assert made.max() <= max(value, -1000)
