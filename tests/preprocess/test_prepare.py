"""Preparing a cohort: what is left out, what is read again, and who does the work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk  # noqa: N813

import covidlit.cohort.scan_reader
from covidlit.errors import CacheError, ConfigError, CovidlitError, ManifestError
from covidlit.preprocess import Geometry, VolumeCache, prepare_cohort
from covidlit.preprocess.index import Signatures
from covidlit.scans.images import write_nifti
from covidlit.scans.scan import Scan

GEOMETRY = Geometry((5, 4, 4), (6, 12, 12))


def write_source(path: Path, seed: int) -> None:
    hu = np.random.default_rng(seed).integers(-1000, 1000, (6, 24, 20)).astype(np.int16)
    affine = np.array([[0, 0, 2, 0], [0, 2, 0, 5], [5, 0, 0, -70], [0, 0, 0, 1]], float)
    write_nifti(hu, affine, path)


def make_manifest(folder: Path, n: int = 4) -> pd.DataFrame:
    for i in range(n):
        write_source(folder / f"scan{i}.nii.gz", i)
    return pd.DataFrame(
        {
            "scan_id": [f"S{i}" for i in range(n)],
            "path": [str(folder / f"scan{i}.nii.gz") for i in range(n)],
        }
    )


@pytest.fixture
def manifest(tmp_path: Path) -> pd.DataFrame:
    return make_manifest(tmp_path)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the sources that were read (serial preparation)."""
    names: list[str] = []
    load = covidlit.cohort.scan_reader.load_scan

    def counting(path: str, **options: object) -> Scan:
        names.append(Path(path).name)
        return load(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(covidlit.cohort.scan_reader, "load_scan", counting)
    return names


def prepare(manifest: pd.DataFrame, cache: Path, **options: object) -> pd.DataFrame:
    arguments = {"geometry": GEOMETRY, "n_jobs": 1, "progress": False} | options
    return prepare_cohort(manifest, cache, **arguments).table  # type: ignore[arg-type]


def test_every_scan_is_prepared_and_listed(manifest: pd.DataFrame, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    table = prepare(manifest, cache)
    assert list(table["scan_id"]) == list(manifest["scan_id"])
    assert (table["status"] == "ok").all()
    for key, pixels in zip(table["key"], table["pixel_hash"], strict=True):
        array, sidecar = VolumeCache(cache).open(key)
        assert array.shape == GEOMETRY.size
        assert sidecar.pixel_hash == pixels
    assert list(pd.read_csv(cache / "prepared.csv")["key"]) == list(table["key"])


def test_a_second_run_reads_nothing(
    manifest: pd.DataFrame, tmp_path: Path, reads: list[str]
) -> None:
    first = prepare(manifest, tmp_path / "cache")
    assert len(reads) == 4
    reads.clear()
    second = prepare(manifest, tmp_path / "cache")
    assert reads == []
    assert list(second["key"]) == list(first["key"])
    assert not second["renewed"].any()


def test_only_a_changed_source_is_read_again(
    manifest: pd.DataFrame, tmp_path: Path, reads: list[str]
) -> None:
    first = prepare(manifest, tmp_path / "cache")
    reads.clear()
    write_source(tmp_path / "scan2.nii.gz", 99)
    second = prepare(manifest, tmp_path / "cache")
    assert reads == ["scan2.nii.gz"]
    assert list(first["key"] != second["key"]) == [False, False, True, False]


def test_a_source_replaced_by_one_of_the_same_size_and_date_is_read_again(
    manifest: pd.DataFrame, tmp_path: Path, reads: list[str]
) -> None:
    first = prepare(manifest, tmp_path / "cache")
    path = tmp_path / "scan2.nii.gz"
    known = path.stat()
    content = bytearray(path.read_bytes())
    content[4:8] = b"date"  # of the gzip header; of no meaning for the voxels
    path.write_bytes(content)
    os.utime(path, ns=(known.st_atime_ns, known.st_mtime_ns))
    reads.clear()
    second = prepare(manifest, tmp_path / "cache")
    assert reads == ["scan2.nii.gz"]
    assert second["key"].tolist() == first["key"].tolist()  # keyed by the voxels
    assert not second["renewed"].any()


def test_another_cohort_with_the_same_ids_and_dates_shares_a_cache(tmp_path: Path) -> None:
    tables = {}
    for seed, name in ((0, "a"), (50, "b"), (0, "a")):
        for i in range(2):
            path = tmp_path / name / f"S{i}" / "scan.nii"
            write_source(path, seed + i)
            os.utime(path, ns=(10**18, 10**18))
        paths = [str(tmp_path / name / f"S{i}") for i in range(2)]
        table = pd.DataFrame({"scan_id": ["S0", "S1"], "path": [f"{p}/scan.nii" for p in paths]})
        tables[name] = prepare(table, tmp_path / "shared")
        alone = prepare(table, tmp_path / f"alone_{name}")
        assert tables[name]["key"].tolist() == alone["key"].tolist()
    assert not set(tables["a"]["key"]) & set(tables["b"]["key"])


@pytest.mark.parametrize("ending", [".nii", ".mhd"])
def test_a_folder_of_many_images_is_listed_once_at_most(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / f"{k}{ending}" for k in range(30)]
    for path in paths:
        path.touch()
    listed: list[str] = []
    for name in ("scandir", "listdir"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda path, real=real: listed.append(path) or real(path))
    signatures = Signatures(None)
    assert len({signatures.of(path, None) for path in paths}) == 30
    assert len(listed) <= 1


@pytest.mark.parametrize("ending", [".mhd", ".nhdr"])
def test_changed_voxels_beside_an_unchanged_header_are_read_again(
    ending: str, tmp_path: Path
) -> None:
    manifest = pd.DataFrame({"scan_id": ["S0"], "path": [str(tmp_path / f"scan{ending}")]})
    image = sitk.GetImageFromArray(np.zeros((6, 24, 20), np.int16))
    sitk.WriteImage(image, str(tmp_path / f"scan{ending}"))
    first = prepare(manifest, tmp_path / "cache")
    assert first["status"].tolist() == ["ok"]
    (voxels,) = (p for p in tmp_path.glob("scan.*") if p.suffix != ending)
    voxels.write_bytes(np.full((6, 24, 20), 7, np.int16).tobytes())
    second = prepare(manifest, tmp_path / "cache")
    assert second["key"][0] != first["key"][0]


def test_links_in_a_folder_do_not_hinder(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    (folder / "a").write_bytes(b"1")
    before = Signatures(None).of(folder, None)
    (folder / "itself").symlink_to(folder, target_is_directory=True)
    (folder / "dead").symlink_to(tmp_path / "nothing")
    assert Signatures(None).of(folder, None) == before


def test_other_arguments_never_get_an_old_volume(
    manifest: pd.DataFrame, tmp_path: Path, reads: list[str]
) -> None:
    first = prepare(manifest, tmp_path / "cache")
    other = prepare(manifest, tmp_path / "cache", geometry=Geometry((5, 4, 4), (6, 10, 10)))
    assert not set(first["key"]) & set(other["key"])
    reads.clear()
    assert list(prepare(manifest, tmp_path / "cache")["key"]) == list(first["key"])
    assert reads == []  # both sets stay


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def other_format(path: Path) -> None:
    path.with_suffix(".json").write_text('{"format": 0}')


@pytest.mark.parametrize("damage", [truncate, other_format, Path.unlink])
def test_damaged_volumes_are_written_anew(
    manifest: pd.DataFrame,
    tmp_path: Path,
    damage,  # type: ignore[no-untyped-def]
) -> None:
    first = prepare(manifest, tmp_path / "cache")
    cache = VolumeCache(tmp_path / "cache")
    key = first["key"][1]
    damage(cache.array_path(key))
    second = prepare(manifest, tmp_path / "cache")
    assert list(second["renewed"]) == [False, True, False, False]
    assert cache.contains(key, verify=True)


def test_verify_finds_flipped_voxels(manifest: pd.DataFrame, tmp_path: Path) -> None:
    first = prepare(manifest, tmp_path / "cache")
    path = VolumeCache(tmp_path / "cache").array_path(first["key"][0])
    content = bytearray(path.read_bytes())
    content[-3] ^= 64
    path.write_bytes(content)
    assert prepare(manifest, tmp_path / "cache", verify=True)["renewed"].tolist()[0]
    assert VolumeCache(tmp_path / "cache").contains(first["key"][0], verify=True)


def spoil(manifest: pd.DataFrame, folder: Path) -> None:
    (folder / "scan0.nii.gz").write_bytes(b"")
    (folder / "scan2.nii.gz").write_bytes(b"this is not an image" * 100)
    (folder / "scan3.nii.gz").unlink()


def test_bad_scans_are_left_out_with_a_reason_and_the_others_go_on(
    manifest: pd.DataFrame, tmp_path: Path
) -> None:
    spoil(manifest, tmp_path)
    table = prepare(manifest, tmp_path / "cache")
    assert list(table["status"]) == ["refused", "ok", "refused", "refused"]
    refused = table[table["status"] == "refused"]
    assert refused["key"].isna().all()
    assert (refused["reason"].str.len() > 10).all()
    assert "no such file" in table["reason"][3]
    again = prepare(manifest, tmp_path / "cache")
    assert list(again["reason"].fillna("")) == list(table["reason"].fillna(""))


def test_a_fault_on_one_scan_is_listed_and_the_others_go_on(
    manifest: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = covidlit.cohort.scan_reader.load_scan

    def faulty(path: str, **options: object) -> Scan:
        if path.endswith("scan1.nii.gz"):
            raise KeyError("Doe^Jane")
        return load(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(covidlit.cohort.scan_reader, "load_scan", faulty)
    table = prepare(manifest, tmp_path / "cache")
    assert list(table["status"]) == ["ok", "refused", "ok", "ok"]
    assert "KeyError at test_prepare.py" in table["reason"][1]
    assert "Doe" not in table["reason"][1]
    monkeypatch.undo()
    assert (prepare(manifest, tmp_path / "cache")["status"] == "ok").all()


def test_a_mended_scan_is_taken_in(manifest: pd.DataFrame, tmp_path: Path) -> None:
    spoil(manifest, tmp_path)
    prepare(manifest, tmp_path / "cache")
    for i in (0, 2, 3):
        write_source(tmp_path / f"scan{i}.nii.gz", i)
    assert (prepare(manifest, tmp_path / "cache")["status"] == "ok").all()


def test_strict_ends_with_an_error_that_names_them(manifest: pd.DataFrame, tmp_path: Path) -> None:
    spoil(manifest, tmp_path)
    with pytest.raises(CacheError, match=r"3 of 4 scans were refused: S0 .*S2 .*S3"):
        prepare(manifest, tmp_path / "cache", strict=True)
    assert len(pd.read_csv(tmp_path / "cache" / "prepared.csv")) == 4


def test_nothing_that_names_the_source_is_in_the_cache(tmp_path: Path) -> None:
    folder = tmp_path / "Doe^Jane"
    folder.mkdir()
    manifest = make_manifest(folder, 2)
    (folder / "scan1.nii.gz").write_bytes(b"")
    prepare(manifest, tmp_path / "cache")
    files = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert len(files) == 6
    assert not any(b"Doe" in p.read_bytes() for p in files)


def test_a_full_disk_stops_the_run_and_leaves_nothing_half_written(
    manifest: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(path: Path, array: np.ndarray) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("covidlit.preprocess.cache._save", fill)
    with pytest.raises(CovidlitError, match="the disk is full"):
        prepare(manifest, tmp_path / "cache")
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []


HELD_RUN = """
import sys, time
import covidlit.cohort.scan_reader
load = covidlit.cohort.scan_reader.load_scan
begun = []
def held(path, **options):
    begun.append(path)
    if len(begun) > 3:
        time.sleep(10_000)
    return load(path, **options)
covidlit.cohort.scan_reader.load_scan = held
sys.path.insert(0, {tests!r})
import test_prepare
from pathlib import Path
folder = Path({folder!r})
manifest = test_prepare.pd.read_csv(folder / "manifest.csv")
test_prepare.prepare(manifest, folder / "cache")
"""


def test_a_killed_run_is_taken_up_where_it_stopped(tmp_path: Path, reads: list[str]) -> None:
    manifest = make_manifest(tmp_path, 12)
    manifest.to_csv(tmp_path / "manifest.csv", index=False)
    code = HELD_RUN.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    run = subprocess.Popen([sys.executable, "-c", code], env=os.environ)
    try:
        while len(list((tmp_path / "cache").glob("index/[!.]*.json"))) < 3:
            assert run.poll() is None
            time.sleep(0.02)
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    done = list((tmp_path / "cache").glob("index/[!.]*.json"))
    assert len(done) == 3
    table = prepare(manifest, tmp_path / "cache")
    assert (table["status"] == "ok").all()
    assert len(reads) == 12 - len(done)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["threading", "loky", "dask", "ray"])
def test_every_backend_gives_the_same(backend: str, manifest: pd.DataFrame, tmp_path: Path) -> None:
    needed = {"dask": "distributed", "ray": "ray"}.get(backend)
    if needed:
        pytest.importorskip(needed)
    (tmp_path / "scan2.nii.gz").write_bytes(b"")
    expected = prepare(manifest, tmp_path / "serial")
    table = prepare(manifest, tmp_path / "parallel", backend=backend, n_jobs=2)
    pd.testing.assert_frame_equal(table, expected)


def test_a_backend_that_does_not_exist_is_said(manifest: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no backend 'spark'"):
        prepare(manifest, tmp_path / "cache", backend="spark")


@pytest.mark.parametrize(
    ("backend", "module"), [("dask", "distributed"), ("ray", "ray.util.joblib")]
)
def test_a_backend_that_is_not_installed_is_said(
    backend: str,
    module: str,
    manifest: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"pip install 'covidlit\[{backend}\]'"):
        prepare(manifest, tmp_path / "cache", backend=backend)


def test_a_relative_path_is_not_looked_for_in_the_working_folder(
    manifest: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relative = manifest.assign(path=[Path(path).name for path in manifest["path"]])
    assert (tmp_path / relative["path"][0]).is_file()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ManifestError, match=r"S0: the relative path 'scan0.nii.gz' .*read_manife"):
        prepare(relative, tmp_path / "cache")


def test_what_a_limit_of_the_environment_refused_is_tried_again_without_it(
    manifest: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COVIDLIT_MAX_GIB", "0.0000001")
    refused = prepare(manifest, tmp_path / "cache")
    assert refused["reason"].str.contains("COVIDLIT_MAX_GIB=1").all()
    monkeypatch.setenv("COVIDLIT_MAX_GIB", "1")
    assert (prepare(manifest, tmp_path / "cache")["status"] == "ok").all()
