"""The cache: what is written is read back, and anything else is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from covidlit.errors import CacheError, CovidlitError
from covidlit.files import atomic_path
from covidlit.preprocess import FORMAT, Geometry, Sidecar, VolumeCache, prepare_scan, source_hash
from covidlit.preprocess.cache import _save
from covidlit.scans.scan import Scan

pytestmark = pytest.mark.slow

GEOMETRY = Geometry((5, 2, 2), (6, 12, 12))


def scan_of(seed: int = 0, shift_mm: float = 0.0) -> Scan:
    hu = np.random.default_rng(seed).integers(-1000, 1000, (8, 20, 18)).astype(np.int16)
    affine = np.array([[0, 0, 2, shift_mm], [0, 2, 0, 5], [5, 0, 0, -70], [0, 0, 0, 1]], float)
    return Scan(hu, affine, "series", ("a slice was a duplicate",))


def write(root: Path, scan: Scan | None = None, geometry: Geometry = GEOMETRY) -> Sidecar:
    scan = scan or scan_of()
    return VolumeCache(root).write(scan, prepare_scan(scan, geometry), geometry)


def test_a_volume_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    scan = scan_of()
    prepared = prepare_scan(scan, GEOMETRY)
    key = write(tmp_path, scan).key
    array, sidecar = VolumeCache(tmp_path).open(key)
    assert isinstance(array, np.memmap)
    assert array.dtype == np.int16
    assert not array.flags.writeable
    np.testing.assert_array_equal(array, prepared.array)
    np.testing.assert_array_equal(sidecar.target_affine, prepared.affine)
    np.testing.assert_array_equal(sidecar.source_affine, scan.affine)
    assert sidecar.source_shape == scan.hu.shape
    assert sidecar.crop.start == prepared.crop.start
    assert sidecar.arguments.size == GEOMETRY.size
    assert sidecar.format == FORMAT
    assert sidecar.notes == scan.notes
    index = np.array([1.0, 2.0, 3.0])
    there = scan.affine @ [*sidecar.to_source(index), 1]
    np.testing.assert_allclose(there, prepared.affine @ [*index, 1], atol=1e-9)


def test_the_key_covers_pixels_place_arguments_and_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = VolumeCache(tmp_path)
    changed = scan_of()
    changed.hu[0, 0, 0] += 1
    sources = [scan_of(), scan_of(shift_mm=0.5), changed]
    keys = [cache.key_of(source_hash(scan), GEOMETRY) for scan in sources]
    for geometry in (Geometry((5, 2, 2.5), GEOMETRY.size), Geometry(GEOMETRY.spacing, (6, 12, 13))):
        keys.append(cache.key_of(source_hash(scan_of()), geometry))
    monkeypatch.setattr("covidlit.preprocess.cache.FORMAT", FORMAT + 1)
    keys.append(cache.key_of(source_hash(scan_of()), GEOMETRY))
    assert len(set(keys)) == len(keys)


def test_the_pixel_hash_knows_an_image_anywhere(tmp_path: Path) -> None:
    here, there = write(tmp_path), write(tmp_path, scan_of(shift_mm=3.0))
    assert here.pixel_hash == there.pixel_hash
    assert here.source_hash != there.source_hash


def damage_truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def damage_empty(path: Path) -> None:
    path.write_bytes(b"")


def damage_garbage(path: Path) -> None:
    path.write_bytes(b"not an array at all" * 20)


def damage_pickle(path: Path) -> None:
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def damage_other_shape(path: Path) -> None:
    np.save(path, np.zeros((2, 2, 2), np.int16))


def damage_missing(path: Path) -> None:
    path.unlink()


DAMAGES = [
    damage_truncate,
    damage_empty,
    damage_garbage,
    damage_pickle,
    damage_other_shape,
    damage_missing,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_volume_is_said_with_its_place_and_the_fix(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    cache = VolumeCache(tmp_path)
    key = write(tmp_path).key
    damage(cache.array_path(key))
    assert not cache.contains(key)
    with pytest.raises(CacheError, match=f"{key}.npy.*covidlit prepare"):
        cache.open(key)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', "\x00\x01"])
def test_a_damaged_sidecar_is_said(tmp_path: Path, text: str) -> None:
    cache = VolumeCache(tmp_path)
    key = write(tmp_path).key
    cache.array_path(key).with_suffix(".json").write_text(text)
    assert not cache.contains(key)
    with pytest.raises(CacheError, match=r"sidecar is damaged.*covidlit prepare"):
        cache.open(key)


@pytest.mark.parametrize("extra", [{}, {"new_field": 3}])
def test_another_format_is_said(tmp_path: Path, extra: dict[str, int]) -> None:
    cache = VolumeCache(tmp_path)
    key = write(tmp_path).key
    path = cache.array_path(key).with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": FORMAT + 1} | extra))
    with pytest.raises(CacheError, match=f"format {FORMAT + 1}, this covidlit needs {FORMAT}"):
        cache.open(key)


def test_a_flipped_voxel_is_found_by_verify(tmp_path: Path) -> None:
    cache = VolumeCache(tmp_path)
    key = write(tmp_path).key
    path = cache.array_path(key)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert cache.contains(key)
    assert not cache.contains(key, verify=True)


def _write_often(root: str, times: int) -> str:
    for _ in range(times):
        key = write(Path(root)).key
    return key


def test_many_processes_write_one_volume(tmp_path: Path) -> None:
    cache = VolumeCache(tmp_path)
    key = write(tmp_path).key
    with get_context("spawn").Pool(2) as pool:
        jobs = [pool.apply_async(_write_often, (str(tmp_path), 15)) for _ in range(2)]
        while not all(job.ready() for job in jobs):
            assert cache.contains(key, verify=True)  # whole at any moment
        assert {job.get() for job in jobs} == {key}
    names = sorted(p.name for p in cache.array_path(key).parent.iterdir())
    assert names == [f"{key}.json", f"{key}.npy"]


WRITE_WITH_LITTLE_ROOM = """
import resource, signal, sys
sys.path.insert(0, {folder!r})
import test_cache
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
try:
    test_cache.write(test_cache.Path({root!r}))
except test_cache.CovidlitError as error:
    print(error)
"""


def test_what_cannot_be_written_whole_is_not_there(tmp_path: Path) -> None:
    code = WRITE_WITH_LITTLE_ROOM.format(folder=str(Path(__file__).parent), root=str(tmp_path))
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert "cannot write: File too large" in run.stdout
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    target = tmp_path / "volume.npy"
    with pytest.raises(CovidlitError, match="the disk is full; nothing was written"):
        _write_to_device(target, full)
    assert list(tmp_path.iterdir()) == []


def _write_to_device(target: Path, device: Path) -> None:
    """Write a volume as the cache does, onto a device without room."""
    with atomic_path(target) as temporary:
        temporary.unlink()
        temporary.symlink_to(device)
        _save(temporary, np.zeros((50, 50, 50), np.int16))
