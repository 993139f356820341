"""One odd file or name in a folder ends no command: it is listed, and the rest goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cohort.manifest import read_manifest
from covidlit.cohort.scan_reader import load_scan
from covidlit.cohort.scan_sources import find_scans
from covidlit.dicom import Checks, find_series, judge, read_series
from covidlit.errors import DicomError
from covidlit.preprocess import Geometry, prepare_cohort

Write = Callable[..., Path]
ODD = os.fsdecode(b"M\xfcller")


def test_a_folder_and_files_with_names_of_an_old_archive(write_ct: Write, tmp_path: Path) -> None:
    root = tmp_path / "all"
    shutil.move(write_ct(folder="ct"), root / ODD)
    (first, second, *_) = sorted((root / ODD).iterdir())
    first.rename(root / ODD / os.fsdecode(b"\xe4.dcm"))
    second.rename(root / ODD / os.fsdecode(b"\xf6.dcm"))
    (root / os.fsdecode(b"kaputt\xff.dcm")).touch()
    table, manifest = tmp_path / "series.csv", tmp_path / "manifest.csv"
    done = CliRunner().invoke(app, ["inspect", str(root), "--csv", str(table)])
    assert done.exit_code == 0, done.output
    assert r"M\xfcller" in done.output
    assert sorted(pd.read_csv(table)["folder"]) == [r"M\xfcller", r"kaputt\xff.dcm"]
    sources = find_scans(root, Checks())
    assert [source.path for source in sources] == [r"M\xfcller", r"kaputt\xff.dcm"]
    done = CliRunner().invoke(app, ["manifest", str(root), "--out", str(manifest)])
    assert done.exit_code == 0, done.output
    rows = read_manifest(manifest)
    (row,) = rows.to_dict("records")
    assert row["path"].endswith(r"M\xfcller")
    scan = load_scan(row["path"], row["series_uid"])
    assert np.array_equal(scan.hu[:, 0, 0], 100 * np.arange(14))
    prepared = prepare_cohort(
        rows, tmp_path / "cache", Geometry((2.5, 1, 1), (14, 16, 16)), n_jobs=1, progress=False
    )
    assert prepared.table["status"].tolist() == ["ok"]
    (series,) = find_series(str(root / r"M\xfcller")).series
    assert judge(series).folder.endswith(r"M\xfcller")


def test_the_command_prints_such_names_in_any_terminal(write_ct: Write, tmp_path: Path) -> None:
    root = tmp_path / "all"
    shutil.move(write_ct(folder="ct"), root / ODD)
    done = subprocess.run(
        [sys.executable, "-c", "from covidlit.cli.app import app; app()", "inspect", root, "--csv",
         tmp_path / "series.csv"],
        env=os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
        capture_output=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert rb"M\xfcller" in done.stdout


def test_a_refusal_names_such_a_file(write_ct: Write) -> None:
    folder = write_ct()
    (folder / "a001").rename(folder / os.fsdecode(b"\xe4"))
    (folder / os.fsdecode(b"\xe4")).write_bytes((folder / os.fsdecode(b"\xe4")).read_bytes()[:-9])
    reason = judge(find_series(folder).series[0]).reason
    assert r"\xe4: truncated" in reason
    reason.encode()


def test_a_pipe_is_listed_and_the_rest_goes_on(write_ct: Write, tmp_path: Path) -> None:
    folder = write_ct()
    os.mkfifo(folder / "b.dcm")
    os.mkfifo(folder / "labels.csv")
    os.mkfifo(folder / "scan.nii.gz")
    table = tmp_path / "series.csv"
    done = CliRunner().invoke(app, ["inspect", str(folder), "--csv", str(table)])
    assert done.exit_code == 0, done.output
    reasons = pd.read_csv(table).set_index("folder")["reason"]
    assert "a named pipe and no regular file: not opened" in reasons["b.dcm"]
    assert np.array_equal(read_series(folder).hu[:, 0, 0], 100 * np.arange(14))
    refused = [source.path for source in find_scans(folder, Checks()) if source.reason]
    assert sorted(refused) == ["b.dcm", "labels.csv", "scan.nii.gz"]
    with pytest.raises(DicomError, match="it is a named pipe"):
        find_series(folder / "b.dcm")


def test_a_study_behind_links_is_found_once(write_ct: Write, tmp_path: Path) -> None:
    folder = write_ct(folder="archive/ct")
    links = tmp_path / "links"
    links.mkdir()
    (links / "study").symlink_to(folder)
    (links / "same").symlink_to(folder)
    (links / "round").symlink_to(links)
    for path in folder.iterdir():
        (links / path.name).symlink_to(path)
    found = find_series(links)
    assert [len(one.files) for one in found.series] == [14]
    assert judge(found.series[0]).notes == ()
    assert np.array_equal(read_series(links).hu[:, 0, 0], 100 * np.arange(14))
