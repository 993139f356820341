"""Volumes made small for the browser: their voxels lie where the scan's lie."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from platform_world import Hospital, hospital
from scipy.spatial.transform import Rotation

from covidlit.platform.accounts.rights import Role
from covidlit.platform.audit.models import Entry
from covidlit.platform.viewing.planes import Planes, write_label_planes, write_planes
from covidlit.platform.viewing.reduced import reduced_labels, reduced_scan
from covidlit.scans.packed_nifti import packed_nifti
from covidlit.scans.scan import Scan

# Turned by some degrees, of unequal spacing: index (z, y, x) to LPS mm.
AFFINE = np.eye(4)
AFFINE[:3, :3] = Rotation.from_euler("xyz", [8, -5, 10], degrees=True).as_matrix()[:, ::-1]
AFFINE[:3, :3] *= [2.5, 0.8, 0.7]
AFFINE[:3, 3] = [-120.0, -90.0, 40.0]
SHAPE = (41, 70, 83)


def _ball(centre: tuple[float, float, float], radius: float) -> np.ndarray:
    """Voxels within so many mm of a point, by index (z, y, x)."""
    index = np.moveaxis(np.indices(SHAPE), 0, -1)
    away = (index - centre) @ AFFINE[:3, :3].T
    return np.linalg.norm(away, axis=-1) <= radius


def _mm(index: np.ndarray) -> np.ndarray:
    return AFFINE[:3, :3] @ index + AFFINE[:3, 3]


@pytest.fixture
def scan(tmp_path: Path) -> Planes:
    hu = np.full(SHAPE, -1000, np.int16)
    hu[_ball((20, 40, 30), 12)] = 1000
    write_planes(Scan(hu, AFFINE), tmp_path / "planes.zip")
    return Planes(tmp_path / "planes.zip")


@pytest.mark.parametrize("most", [128, 40, 20])
def test_a_ball_lies_where_it_lay_for_nibabel_and_simpleitk(
    scan: Planes, most: int, tmp_path: Path
) -> None:
    small = reduced_scan(scan, most)
    assert max(small.hu.shape) <= most
    path = tmp_path / "small.nii.gz"
    path.write_bytes(packed_nifti(small.hu, small.hu.shape, np.int16, small.affine))
    image = nib.load(path)
    assert image.header.get_data_dtype() == np.int16
    assert (image.dataobj.slope, image.dataobj.inter) == (1, 0)
    read = SimpleITK.ReadImage(str(path))
    assert np.array_equal(SimpleITK.GetArrayFromImage(read), small.hu)
    true = _mm(np.array([20, 40, 30]))
    half = 0.5 * np.linalg.norm(AFFINE[:3, :3], axis=0).min()
    # The centre of what is denser than air, weighted by how much of a cell that is.
    weight = np.asarray(image.dataobj, float) + 1000
    index = np.argwhere(weight > 0)
    centre = np.average(index, axis=0, weights=weight[tuple(index.T)])
    ras = image.affine[:3, :3] @ centre + image.affine[:3, 3]
    assert np.abs(ras * (-1, -1, 1) - true).max() < half
    lps = read.TransformContinuousIndexToPhysicalPoint(centre.tolist())
    assert np.abs(np.array(lps) - true).max() < half


def test_the_means_are_those_of_the_blocks(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    hu = rng.integers(-1000, 1000, (9, 12, 20)).astype(np.int16)
    write_planes(Scan(hu, AFFINE), tmp_path / "planes.zip")
    small = reduced_scan(Planes(tmp_path / "planes.zip"), 5)
    assert small.hu.shape == (5, 4, 5)
    for z, y, x in np.ndindex(4, 4, 5):  # the last slab has one plane of two
        block = hu[2 * z : 2 * z + 2, 3 * y : 3 * y + 3, 4 * x : 4 * x + 4]
        assert small.hu[z, y, x] == pytest.approx(block.mean(), abs=0.51)
    assert small.hu[4, 0, 0] == pytest.approx(hu[8, :3, :4].mean(), abs=0.51)


def test_lesions_keep_place_size_and_class_and_none_is_lost(scan: Planes, tmp_path: Path) -> None:
    classes, instances = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.int32)
    classes[_ball((20, 35, 40), 30)] = 1
    for number, kind, centre, radius in ((1, 2, (15, 30, 30), 8), (40_000, 5, (28, 45, 50), 11)):
        ball = _ball(centre, radius)
        classes[ball], instances[ball] = kind, number
    classes[20, 20, 60], instances[20, 20, 60] = 3, 7  # of one voxel
    classes[35, 50:53, 20], instances[35, 50:53, 20] = 4, 8  # and of three
    write_label_planes(classes, instances, tmp_path / "labels.zip")
    small = reduced_labels(Planes(tmp_path / "labels.zip"), scan, 28)
    assert max(small.instances.shape) <= 28
    cell = np.linalg.norm(small.affine[:3, :3], axis=0)
    voxel, block = (abs(np.linalg.det(a[:3, :3])) for a in (AFFINE, small.affine))
    assert set(np.unique(small.instances)) == {0, 1, 7, 8, 40_000} == {0, *small.centres}
    for number, kind in ((1, 2), (40_000, 5), (7, 3), (8, 4)):
        own = small.instances == number
        assert set(np.unique(small.classes[own])) == {kind}
        true = _mm(np.argwhere(instances == number).mean(axis=0))
        centre = small.affine[:3, :3] @ np.argwhere(own).mean(axis=0) + small.affine[:3, 3]
        assert np.linalg.norm(centre - true) < 0.6 * np.linalg.norm(cell)
        assert np.linalg.norm(np.array(small.centres[number]) - true) < 0.6 * np.linalg.norm(cell)
        if number in (1, 40_000):
            volume = (instances == number).sum() * voxel
            assert own.sum() * block == pytest.approx(volume, rel=0.1)
    lungs = (classes > 0).sum() * voxel
    assert (small.classes > 0).sum() * block == pytest.approx(lungs, rel=0.05)


def test_a_curved_lesion_is_looked_at_where_it_is(scan: Planes, tmp_path: Path) -> None:
    ring = _ball((20, 35, 40), 20) & ~_ball((20, 35, 40), 14)
    write_label_planes(
        np.where(ring, 3, 0).astype(np.uint8), ring.astype(np.int32), tmp_path / "labels.zip"
    )
    small = reduced_labels(Planes(tmp_path / "labels.zip"), scan, 40)
    inverse = np.linalg.inv(small.affine)
    place = np.rint(inverse[:3, :3] @ small.centres[1] + inverse[:3, 3]).astype(int)
    assert small.instances[tuple(place)] == 1


@pytest.fixture
def own() -> Hospital:
    return hospital("north")


@pytest.mark.django_db
def test_the_answers_fit_each_other_and_hold_no_identity(own: Hospital) -> None:
    scan, client = own.scans[0], own.client(Role.READER)
    volume = client.get(f"/scans/{scan.pk}/volume/128.nii.gz")
    labels = client.get(f"/scans/{scan.pk}/volume/1/labels/128.nii.gz")
    surfaces = client.get(f"/scans/{scan.pk}/volume/1/surfaces.json").json()
    images = [
        nib.Nifti1Image.from_bytes(gzip.decompress(each.content)) for each in (volume, labels)
    ]
    assert images[0].shape == images[1].shape == (32, 32, 6)
    assert np.allclose(images[0].affine, images[1].affine)
    numbers = np.asarray(images[1].dataobj)
    assert np.array_equal(np.argwhere(numbers == 1).min(axis=0), [10, 10, 2])
    assert np.array_equal(np.argwhere(numbers == 1).max(axis=0), [15, 15, 3])
    # LPS; the lesion is 6 x 6 x 2 voxels of 1 x 1 x 5 mm.
    assert np.abs(np.array(surfaces["centres"]["1"]) - [12.5, 12.5, 12.5]).max() <= 2.5
    assert [each["numbers"] for each in surfaces["surfaces"]] == [[0], [1]]
    assert "secret" not in str(bytes(images[0].header.binaryblock)).lower()
    assert volume["Cache-Control"].startswith("private")
    subjects = Entry.objects.filter(subject=f"scan {scan.scan_id}", action="looked at")
    assert subjects.count() == 1
    for address in ("volume/64.nii.gz", "volume/2/surfaces.json", "volume/1/labels/0.nii.gz"):
        assert client.get(f"/scans/{scan.pk}/{address}").status_code == 404
