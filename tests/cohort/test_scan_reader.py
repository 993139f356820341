"""A folder that many scans share: searched once, and prepared as if each had its own folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pandas as pd
import pydicom
import pytest

import covidlit.dicom.find
from covidlit.cohort.build import manifest_from_dicom
from covidlit.cohort.manifest import write_manifest
from covidlit.cohort.scan_sources import find_scans
from covidlit.dicom import Checks, pseudonym_uid
from covidlit.preprocess import Geometry, prepare_cohort
from covidlit.synthetic import make_cohort

pytestmark = pytest.mark.slow

GEOMETRY = Geometry((20, 24, 24), (16, 16, 16))
N_SCANS = 5


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of series, each in its own."""
    root = tmp_path_factory.mktemp("nested")
    return make_cohort(
        root, n_scans=N_SCANS, matrix=32, thickness_mm=10.0, truth=False, progress=False
    ).dicom


@pytest.fixture
def flat(nested: Path, tmp_path: Path) -> Path:
    """The same files, all in one folder, called by patient as archives do."""
    folder = tmp_path / "flat"
    folder.mkdir()
    for file in files_of(nested):
        number = int(pydicom.dcmread(file, specific_tags=["InstanceNumber"]).InstanceNumber)
        shutil.copy2(file, folder / f"Doe_{file.parent.name}_{number:03d}")
    assert len(files_of(folder)) == len(files_of(nested))
    return folder


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files whose headers this process read."""
    files: list[Path] = []
    read = covidlit.dicom.find.read_header

    def counting(path: Path) -> object:
        files.append(path)
        return read(path)

    monkeypatch.setattr(covidlit.dicom.find, "read_header", counting)
    return files


def files_of(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def manifest_of(dicom: Path) -> pd.DataFrame:
    table = manifest_from_dicom(
        dicom, folder=dicom.parent, inclusion=None, label_rule=None, series_choice="all",
        key="a secret of the tests",
    ).manifest  # fmt: skip
    return table.sort_values("scan_id", ignore_index=True)


def prepare(manifest: pd.DataFrame, cache: Path, **options: object) -> pd.DataFrame:
    arguments = {"n_jobs": 1, "progress": False} | options
    return prepare_cohort(manifest, cache, GEOMETRY, **arguments).table  # type: ignore[arg-type]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_shared_folder_is_searched_once_and_gives_the_same_cache(
    n_jobs: int, nested: Path, flat: Path, tmp_path: Path, parsed: list[Path]
) -> None:
    one, many = manifest_of(flat), manifest_of(nested)
    assert one["path"].nunique() == 1
    assert many["path"].nunique() == len(many) == N_SCANS
    expected = prepare(many, tmp_path / "expected")
    parsed.clear()
    table = prepare(one, tmp_path / "cache", n_jobs=n_jobs)
    assert sorted(parsed) == files_of(flat)
    pd.testing.assert_frame_equal(table, expected)
    volumes, same = (files_of(tmp_path / name / "volumes") for name in ("cache", "expected"))
    assert [p.name for p in volumes] == [p.name for p in same]
    assert len(volumes) == 2 * N_SCANS
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(volumes, same, strict=True))


def test_folders_of_one_scan_are_left_to_the_workers(
    nested: Path, tmp_path: Path, parsed: list[Path]
) -> None:
    manifest = manifest_of(nested)
    parsed.clear()
    assert (prepare(manifest, tmp_path / "cache", n_jobs=2)["status"] == "ok").all()
    assert parsed == []


def test_a_shared_folder_is_searched_again_only_after_a_change(
    flat: Path, tmp_path: Path, parsed: list[Path]
) -> None:
    manifest = manifest_of(flat)
    first = prepare(manifest, tmp_path / "cache")
    parsed.clear()
    assert not prepare(manifest, tmp_path / "cache")["renewed"].any()
    assert parsed == []
    os.utime(files_of(flat)[0], (1, 1))
    assert list(prepare(manifest, tmp_path / "cache")["key"]) == list(first["key"])
    assert sorted(parsed) == files_of(flat)


def test_scans_of_a_shared_folder_are_refused_as_they_are_one_by_one(
    flat: Path, tmp_path: Path, parsed: list[Path]
) -> None:
    manifest = manifest_of(flat)
    for path in files_of(flat):
        if path.name.endswith("_010"):
            path.write_bytes(path.read_bytes()[:-400])
    manifest.loc[2, "series_uid"] = pseudonym_uid("1.2.3")
    manifest.loc[[3, 4], "series_uid"] = None
    parsed.clear()
    table = prepare(manifest, tmp_path / "cache")
    assert sorted(parsed) == files_of(flat)
    alone = [prepare(manifest.iloc[[k]], tmp_path / f"cache{k}") for k in range(len(manifest))]
    pd.testing.assert_frame_equal(table, pd.concat(alone, ignore_index=True))
    assert "no series with the UID" in table["reason"][2]
    assert "which one is meant?" in table["reason"][3]
    assert table["reason"][:2].str.contains("unreadable_file").all()


@pytest.mark.parametrize("override", [frozenset(), frozenset({"missing_slice", "stray_file"})])
def test_file_names_of_a_shared_folder_do_not_get_into_the_cache(
    override: frozenset[str], flat: Path, tmp_path: Path
) -> None:
    manifest = manifest_of(flat)
    for path in files_of(flat):
        if path.name.endswith("_010"):
            uid = pydicom.dcmread(path, specific_tags=["SeriesInstanceUID"]).SeriesInstanceUID
            path.write_bytes(b"damaged" * 100 + uid.encode())
    table = prepare(manifest, tmp_path / "cache", checks=Checks(override=override))
    assert set(table["status"]) == {"ok" if override else "refused"}
    texts = [p.read_text() for p in files_of(tmp_path / "cache") if p.suffix in (".json", ".csv")]
    assert any("between a file at" in text and "(a file: not DICOM" in text for text in texts)
    assert not any("Doe" in text for text in texts)


def test_a_fault_in_the_search_is_listed_for_each_scan(
    flat: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = manifest_of(flat)

    def faulty(*_: object) -> None:
        raise KeyError("Doe^Jane")

    monkeypatch.setattr("covidlit.dicom.find.suspects_of", faulty)
    table = prepare(manifest, tmp_path / "cache")
    assert table["reason"].str.contains("KeyError at test_scan_reader.py").all()
    monkeypatch.undo()
    assert (prepare(manifest, tmp_path / "cache")["status"] == "ok").all()


def test_the_scans_of_a_manifest_to_predict_search_a_shared_folder_once(
    flat: Path, tmp_path: Path, parsed: list[Path]
) -> None:
    manifest = manifest_of(flat)
    manifest.loc[1, ["status", "reason"]] = ["refused", "too few"]
    write_manifest(manifest, tmp_path / "manifest.csv")
    parsed.clear()
    sources = find_scans(tmp_path / "manifest.csv", Checks())
    scans = {source.scan_id: source.read() for source in sources if source.read is not None}
    assert sorted(parsed) == files_of(flat)
    assert [source.scan_id for source in sources] == list(manifest["scan_id"])
    assert [source.reason for source in sources] == ["", "too few", "", "", ""]
    for row in manifest[manifest["status"] != "refused"].itertuples():
        assert pseudonym_uid(scans[row.scan_id].series_uid) == row.series_uid
