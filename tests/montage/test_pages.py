"""`--html` of `covidlit inspect` and `covidlit prepare`: one page, nobody named, nothing lost."""

from __future__ import annotations

import base64
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cohort.manifest import read_manifest, write_manifest
from covidlit.cohort.scan_reader import load_scan
from covidlit.dicom import pseudonym_uid
from covidlit.montage.picture import montage_jpeg
from covidlit.preprocess import Geometry, prepare_scan
from covidlit.scans.images import write_nifti

PICTURE = re.compile(r'src="data:image/jpeg;base64,([^"]+)"')


@pytest.fixture(scope="module")
def rows(tiny_data: Path) -> pd.DataFrame:
    return read_manifest((tiny_data / "manifest_path").read_text()).iloc[[0, 25]]


@pytest.fixture
def folder(rows: pd.DataFrame, tmp_path: Path) -> Path:
    """A good series of a named patient in a named folder, a short one, an image, an empty file."""
    root = tmp_path / "d"  # a name that is a letter of every sentence
    shutil.copytree(rows["path"].iloc[0], root / "Doe_Jane" / "scan")
    files = sorted((root / "Doe_Jane" / "scan").rglob("*"))
    (root / "short").mkdir()
    for k, file in enumerate([file for file in files if file.is_file()]):
        ds = pydicom.dcmread(file)
        ds.PatientName, ds.PatientID = "Doe^Jane", "4711-0815"
        ds.save_as(file.with_name(f"DOEJANE{k:03d}"))
        file.unlink()
        if k < 3:
            ds.SeriesInstanceUID = "1.2.3.4"
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{k}"
            ds.save_as(root / "short" / f"{k}.dcm")
    scan = load_scan(rows["path"].iloc[1])
    write_nifti(scan.hu, scan.affine, root / "Doe_John.nii.gz")
    (root / "empty.dcm").touch()
    return root


def run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [*map(str, words)])
    return done.exit_code, " ".join(done.output.split())


def _pictures(page: str) -> list[bytes]:
    return [base64.b64decode(found) for found in PICTURE.findall(page)]


def test_a_page_shows_each_series_once_and_names_nobody(
    folder: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    code, output = run("inspect", folder, "--html", tmp_path / "page.html")
    assert code == 0, output
    page = (tmp_path / "page.html").read_text()
    series, image = _pictures(page)
    scans = [load_scan(path) for path in rows["path"]]
    assert [series, image] == [montage_jpeg(scan.hu, scan.affine) for scan in scans]
    assert "SYNTHETIC DATA" in page  # as the headers say
    text = PICTURE.sub("", page)
    assert f'id="{rows["scan_id"].iloc[0]}"' in text
    assert pseudonym_uid("1.2.3.4") in text
    assert "fewer than 12" in text
    assert "1 file: the file is empty (0 bytes)" in text
    for secret in ("Doe", "Jane", "John", "DOEJANE", "4711", '"1.2.3.4', str(tmp_path)):
        assert secret not in text
    for outside in ("http:", "https:", "<script", "url("):
        assert outside not in text  # nothing is fetched
    # On the screen, as every path there, the image is told by its place.
    (name,) = re.findall(r'id="(image-[0-9a-f]{12})"', text)
    assert f"{name}: Doe_John.nii.gz" in output


def test_nothing_is_written_unasked(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    code, output = run("inspect", folder)
    assert code == 0
    assert "--csv TABLE writes all of this" in output
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize(
    ("option", "name", "content"),
    [
        ("--csv", "labels.csv", "patient_id,class_name\n1,covid\n"),
        ("--csv", "notes.csv", ""),
        ("--html", "report.html", "<!doctype html><html><title>mine</title></html>"),
    ],
)
def test_a_file_of_another_kind_is_not_written_over(
    folder: Path, tmp_path: Path, option: str, name: str, content: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    code, output = run("inspect", folder, option, path)
    assert code == 2
    assert name in output
    assert path.read_text() == content


@pytest.mark.parametrize(("option", "name"), [("--csv", "a.csv"), ("--html", "a.html")])
def test_its_own_file_is_written_again(
    folder: Path, tmp_path: Path, option: str, name: str
) -> None:
    assert run("inspect", folder, option, tmp_path / name)[0] == 0
    before = (tmp_path / name).read_text()
    shutil.rmtree(folder / "short")
    assert run("inspect", folder, option, tmp_path / name)[0] == 0
    assert (tmp_path / name).read_text() != before


def test_a_page_must_be_html(folder: Path, tmp_path: Path) -> None:
    code, output = run("inspect", folder, "--html", tmp_path / "page.pdf")
    assert code == 2
    assert "must end in .html" in output


def test_prepared_volumes_are_shown_as_the_network_sees_them(
    rows: pd.DataFrame, tmp_path: Path
) -> None:
    geometry = Geometry((10.0, 8.0, 8.0), (32, 48, 48))
    manifest = write_manifest(rows, tmp_path / "two.csv")
    words = ["prepare", manifest, "--cache", tmp_path / "cache", "--n-jobs", 1]
    words += ["--spacing", 10, 8, 8, "--size", 32, 48, 48, "--html", tmp_path / "page.html"]
    code, output = run(*words)
    assert code == 0, output
    page = (tmp_path / "page.html").read_text()
    prepared = [prepare_scan(load_scan(path), geometry) for path in rows["path"]]
    assert _pictures(page) == [montage_jpeg(one.array, one.affine) for one in prepared]
    assert "32 slices of 48 x 48, 10 mm apart" in page
    for path in rows["path"]:
        assert str(path) not in page
    code, output = run("inspect", tmp_path / "cache", "--html", tmp_path / "again.html")
    assert code == 0, output
    assert (tmp_path / "again.html").read_text() == page
    code, output = run("inspect", tmp_path / "cache")
    assert code == 2
    assert "--html prepared.html" in output


def test_a_run_shows_its_parts_in_its_window(
    csacnet_run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    # A cache of its own: other tests prepare other scans in the shared one meanwhile.
    config = yaml.safe_load((csacnet_run / "config.yaml").read_text())
    geometry, cache = config["data"]["geometry"], tmp_path / "cache"
    config["data"]["cache_dir"] = str(cache)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    shutil.copy(csacnet_run / "split.json", tmp_path)
    words = ["prepare", (tiny_data / "manifest_path").read_text(), "--cache", cache, "--n-jobs", 1]
    code, output = run(*words, "--spacing", *geometry["spacing"], "--size", *geometry["size"])
    assert code == 0, output
    code, output = run("inspect", tmp_path, "--html", tmp_path / "page.html")
    assert code == 0, output
    page = (tmp_path / "page.html").read_text()
    headings = re.findall(r"<h2>(.*?) \((\d+)\)", page)
    assert [name for name, _ in headings][:3] == ["Part: train", "Part: validation", "Part: test"]
    assert sum(int(n) for _, n in headings) == len(_pictures(page)) == 40
    assert "black at -1000 HU and below, white at 400" in page
    assert np.asarray(Image.open(io.BytesIO(_pictures(page)[0]))).std() > 20
    # Another cohort is prepared in the same cache: the run's other scans are not forgotten.
    table = pd.read_csv(cache / "prepared.csv")
    table.iloc[:-3].to_csv(cache / "prepared.csv", index=False)
    assert run("inspect", tmp_path, "--html", tmp_path / "less.html")[0] == 0
    page = (tmp_path / "less.html").read_text()
    assert len(_pictures(page)) == 37
    assert "Left out (3)" in page
    assert page.count("prepared last in the run") == 3
