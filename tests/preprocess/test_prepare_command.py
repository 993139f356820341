"""`covidlit prepare`: what a user sees."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.preprocess import VolumeCache
from covidlit.scans.images import write_nifti


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    affine = np.array([[0, 0, 2, 0], [0, 2, 0, 0], [5, 0, 0, 0], [0, 0, 0, 1]], float)
    for i in range(2):
        hu = np.full((4, 16, 16), i, dtype=np.int16)
        write_nifti(hu, affine, tmp_path / f"{i}.nii.gz")
    (tmp_path / "2.nii.gz").write_bytes(b"nothing")
    table = pd.DataFrame(
        {
            "patient_id": ["P0", "P1", "P2"],
            "scan_id": ["S0", "S1", "S2"],
            "path": ["0.nii.gz", "1.nii.gz", "2.nii.gz"],
            "class_name": ["np", "np", "covid"],
            "centre": "centre_1",
        }
    )
    table.to_csv(tmp_path / "manifest.csv", index=False)
    return tmp_path / "manifest.csv"


def run(manifest: Path, *options: str) -> tuple[int, str]:
    arguments = ["prepare", str(manifest), "--cache", str(manifest.parent / "cache")]
    geometry = ["--spacing", "5", "4", "4", "--size", "4", "8", "8", "--n-jobs", "1"]
    result = CliRunner().invoke(app, [*arguments, *geometry, *options])
    return result.exit_code, " ".join(result.output.split())


def test_it_prepares_and_lists_what_was_left_out(manifest: Path) -> None:
    code, output = run(manifest)
    assert code == 0, output
    assert "2 scans are prepared (2 of them now), 1 left out" in output
    assert "S2" in output
    table = pd.read_csv(manifest.parent / "cache" / "prepared.csv")
    assert list(table["status"]) == ["ok", "ok", "refused"]
    array, _ = VolumeCache(manifest.parent / "cache").open(table["key"][1])
    assert array.shape == (4, 8, 8)
    assert "2 scans are prepared (0 of them now)" in run(manifest)[1]


def test_strict_ends_with_an_error(manifest: Path) -> None:
    code, output = run(manifest, "--strict")
    assert code != 0
    assert "S2" in output


def test_no_workers_are_refused_by_name(manifest: Path) -> None:
    code, output = run(manifest, "--n-jobs", "0")
    assert code == 2
    assert "error: --n-jobs: must be a whole number other than 0, not 0." in output


@pytest.mark.parametrize(
    "words",
    [
        ["--spacing", "5,4,4", "--size", "4,8,8"],
        ["--spacing=5,4,4", "--size=[4,8,8]"],
        ["--spacing", "5", "4", "4", "--size", "4, 8, 8"],
    ],
)
def test_commas_and_blanks_are_the_same_and_the_next_command_is_told(
    words: list[str], manifest: Path
) -> None:
    cache = manifest.parent / "cache"
    arguments = ["prepare", str(manifest), "--cache", str(cache), "--n-jobs", "1", *words]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    key = pd.read_csv(cache / "prepared.csv")["key"][1]
    assert VolumeCache(cache).open(key)[0].shape == (4, 8, 8)
    (line,) = (one for one in result.output.splitlines() if one.startswith("To train on them: "))
    given = shlex.split(line.removeprefix("To train on them: "))
    assert given == [
        "covidlit", "train", "data=manifest", f"data.source.path={manifest}",
        f"data.cache_dir={cache}", "data.geometry.spacing=[5,4,4]", "data.geometry.size=[4,8,8]",
    ]  # fmt: skip


def test_two_numbers_are_not_three(manifest: Path) -> None:
    arguments = ["prepare", str(manifest), "--cache", "c", "--spacing", "5,4"]
    assert CliRunner().invoke(app, arguments).exit_code == 2
