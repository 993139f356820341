"""Media and archives: DICOMDIR wherever it lies, packed DICOM, an argument that is one of these."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from pydicom.fileset import FileSet
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cohort.manifest import read_manifest
from covidlit.cohort.scan_sources import find_scans
from covidlit.dicom import Checks, find_series, judge, read_series
from covidlit.errors import CovidlitError

Write = Callable[..., Path]


@pytest.fixture
def medium(write_ct: Write, tmp_path: Path) -> Path:
    """A medium with a DICOMDIR and two series of 14 slices."""
    files = FileSet()
    for series in "ab":
        for path in sorted(write_ct(folder=f"source/{series}", series=series).iterdir()):
            ds = pydicom.dcmread(path)
            ds.StudyDate, ds.StudyTime, ds.StudyID, ds.SeriesNumber = "20200301", "1200", "1", 1
            files.add(ds)
    files.write(tmp_path / "medium")
    shutil.rmtree(tmp_path / "source")
    return tmp_path / "medium"


def inspect(*arguments: object) -> tuple[int, str]:
    """Exit code and output, in one line, of `covidlit inspect`."""
    done = CliRunner().invoke(app, ["inspect", *map(str, arguments)])
    return done.exit_code, " ".join(done.output.replace("│", " ").split())


def in_a_folder(medium: Path) -> Path:
    (medium / "IHE_PDI").mkdir()
    return (medium / "DICOMDIR").rename(medium / "IHE_PDI" / "DIRFILE")


def in_lower_case(medium: Path) -> Path:
    for path in sorted(medium.rglob("*"), key=lambda path: -len(path.parts)):
        path.rename(path.with_name(path.name.lower()))
    return medium / "dicomdir"


def in_capitals_elsewhere(medium: Path) -> Path:
    in_lower_case(medium)
    (medium / "cd1").mkdir()
    (medium / "dicomdir").rename(medium / "cd1" / "DicomDir")
    return medium / "cd1" / "DicomDir"


def with_endings(medium: Path) -> Path:
    for path in medium.rglob("IM*"):
        path.rename(path.with_name(path.name + ".dcm"))
    return medium / "DICOMDIR"


def with_other_names(medium: Path) -> Path:
    for number, path in enumerate(sorted(medium.rglob("IM*"))):
        path.rename(medium / f"{number}.dcm")
    return medium / "DICOMDIR"


@pytest.mark.parametrize(
    "move",
    [in_a_folder, in_lower_case, in_capitals_elsewhere, with_endings, with_other_names],
)
def test_a_file_that_is_there_is_never_missing(
    medium: Path, tmp_path: Path, move: Callable[[Path], Path]
) -> None:
    directory = move(medium)
    for place in (medium, directory):
        found = find_series(place)
        assert (found.problems, found.notes) == ([], ())
        assert [len(one.files) for one in found.series] == [14, 14]
        assert all(judge(one).accepted for one in found.series)
    assert inspect(medium, "--csv", tmp_path / "series.csv", "--strict")[0] == 0


def test_what_a_medium_lacks_is_said_once_and_fills_no_table(medium: Path, tmp_path: Path) -> None:
    (lost, kept) = sorted(path for path in medium.rglob("SE*"))
    shutil.rmtree(lost)
    code, output = inspect(medium, "--csv", tmp_path / "series.csv", "--strict")
    assert code == 0, output
    assert output.count("DICOMDIR refers to 14 of 28 files that are not here") == 1
    assert output.count("and 11 more") == 1
    assert len(pd.read_csv(tmp_path / "series.csv")) == 1
    assert [source.reason for source in find_scans(medium, Checks())] == [""]
    manifest = tmp_path / "manifest.csv"
    done = CliRunner().invoke(app, ["manifest", str(medium), "--out", str(manifest), "--strict"])
    assert done.exit_code == 0, done.output
    assert "14 of 28 files that are not here" in " ".join(done.output.split())
    assert [Path(path) for path in read_manifest(manifest)["path"]] == [kept]


def test_a_dicomdir_is_an_argument_of_every_command(medium: Path, tmp_path: Path) -> None:
    directory = in_a_folder(medium)
    code, output = inspect(directory, "--csv", tmp_path / "series.csv", "--strict")
    assert (code, "2 accepted" in output) == (0, True)
    assert [source.reason for source in find_scans(directory, Checks())] == ["", ""]
    manifest = tmp_path / "manifest.csv"
    command = ["manifest", str(directory), "--series", "all", "--every-scan"]
    done = CliRunner().invoke(app, [*command, "--out", str(manifest)])
    assert done.exit_code == 0, done.output
    rows = read_manifest(manifest)
    for path, uid in zip(rows["path"], rows["series_uid"], strict=True):
        assert np.array_equal(read_series(path, series_uid=uid).hu[:, 0, 0], 100 * np.arange(14))


def pack_zip(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target / "study.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"series/{path.name}")
    return target / "study.zip"


def pack_tar(folder: Path, target: Path, kind: str = "") -> Path:
    with tarfile.open(target / "study.tar", f"w:{kind}") as archive:
        archive.add(folder, "series")
    return target / "study.tar"


def pack_each(folder: Path, target: Path, opened: Callable[..., io.BufferedIOBase]) -> Path:
    for path in folder.iterdir():
        with opened(target / f"{path.name}.z", "wb") as stream:
            stream.write(path.read_bytes())
    return target / f"{path.name}.z"


@pytest.mark.parametrize(
    ("pack", "words"),
    [
        (pack_zip, "a ZIP archive is not read: unpack it, as by `unzip study.zip`"),
        (pack_tar, "a tar archive is not read: unpack it, as by `tar -xf study.tar`"),
        (lambda *a: pack_tar(*a, "gz"), "a tar archive compressed by gzip is not read: unpack it"),
        (lambda *a: pack_tar(*a, "xz"), "a tar archive compressed by xz is not read: unpack it"),
        (lambda *a: pack_each(*a, gzip.open), "14 DICOM files compressed by gzip are not read"),
        (lambda *a: pack_each(*a, bz2.open), "14 DICOM files compressed by bzip2 are not read"),
        (lambda *a: pack_each(*a, lzma.open), "14 DICOM files compressed by xz are not read"),
    ],
)
def test_packed_dicom_is_named_with_what_unpacks_it(
    write_ct: Write, tmp_path: Path, pack: Callable[[Path, Path], Path], words: str
) -> None:
    packed = tmp_path / "packed"
    packed.mkdir()
    file = pack(write_ct(), packed)
    code, output = inspect(packed, "--csv", tmp_path / "series.csv")
    assert code == 1
    assert words.replace(" ", "") in output.replace(" ", "")
    (row,) = pd.read_csv(tmp_path / "series.csv").to_dict("records")
    assert words in row["reason"]
    assert inspect(file, "--csv", tmp_path / "series.csv")[0] == 1
    with pytest.raises(CovidlitError, match="unpack"):
        read_series(file)
    done = CliRunner().invoke(app, ["manifest", str(packed), "--out", str(tmp_path / "m.csv")])
    assert done.exit_code == 2
    assert "unpack" in done.output
    # Beside a series that is read, it is listed and fails --strict alone.
    write_ct(folder="packed/good")
    assert inspect(packed, "--csv", tmp_path / "series.csv")[0] == 0
    assert inspect(packed, "--csv", tmp_path / "series.csv", "--strict")[0] == 1


def test_archives_of_other_things_are_other_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "labels.xlsx", "w") as archive:
        archive.writestr("[Content_Types].xml", "<x/>")
    with tarfile.open(tmp_path / "code.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("empty.py"))
    (tmp_path / "scan.nii.gz").write_bytes(gzip.compress(bytes(400)))
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04" + bytes(30))
    found = find_series(tmp_path)
    assert (found.problems, found.n_other) == ([], 4)


def test_a_bomb_is_looked_into_by_a_megabyte_only(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.gz"
    with gzip.open(bomb, "wb") as stream:
        for _ in range(300):
            stream.write(bytes(1 << 20))
    import tracemalloc

    tracemalloc.start()
    find_series(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 << 20


def test_hundreds_of_files_with_one_problem_are_one_line_on_the_screen(
    write_ct: Write, tmp_path: Path
) -> None:
    folder = write_ct()
    for k in range(271):
        (folder / f"x{k}.dcm").touch()
    output = inspect(folder, "--csv", tmp_path / "series.csv")[1]
    assert output.count("the file is empty (0 bytes)") <= 4
    assert "and 270 more files there" in output
    assert "and 268 more" in output
    assert len(pd.read_csv(tmp_path / "series.csv")) == 272
