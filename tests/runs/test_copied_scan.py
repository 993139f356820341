"""A copy of a training scan in the test part, from the manifest to log, records and report."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from covidlit.cohort.manifest import read_manifest, write_manifest
from covidlit.cohort.scan_reader import load_scan
from covidlit.datamodules import VolumeDataModule
from covidlit.scans.images import write_nifti

Run = Callable[..., Path]


@pytest.fixture(scope="module")
def copied(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A manifest with a copy of a scan, and the scan_ids of both: flipped, 1 HU added."""
    folder = tmp_path_factory.mktemp("copied")
    manifest = read_manifest((tiny_data / "manifest_path").read_text())
    tested = manifest["centre"] == "centre_4"
    original = manifest[~tested].iloc[0]
    scan = load_scan(original["path"])
    write_nifti(np.flip(scan.hu, 2) + np.int16(1), scan.affine, folder / "copy.nii.gz")
    copy = manifest[tested].iloc[:1].assign(
        scan_id="copy", patient_id="another", path=str(folder / "copy.nii.gz"),
        study_uid="1.2.3", series_uid=None,
    )  # fmt: skip
    table = pd.concat([manifest, copy], ignore_index=True)
    return write_manifest(table, folder / "manifest.csv"), original["scan_id"], "copy"


def test_it_is_said_wherever_a_person_looks(
    copied: tuple[Path, str, str], train: Run, caplog: pytest.LogCaptureFixture
) -> None:
    manifest, original, copy = copied
    with caplog.at_level(logging.INFO):
        run_dir = train(f"data.source.path={manifest}", "model=random_forest", "cards=true")
    (warning,) = [r for r in caplog.records if "Possible leakage" in r.getMessage()]
    assert warning.levelno == logging.WARNING
    assert original in warning.getMessage()
    assert f"{copy} (row 41, line 42 of the file, test)" in warning.getMessage()
    record = json.loads((run_dir / "cohort.json").read_text())
    assert record["suspicions"] == {"near copies": 1}
    page = (run_dir / "report.html").read_text()
    assert page.count("look like one scan") == 1
    sheet = (run_dir / "claim.csv").read_text()
    assert "near copies: 1" in sheet


def test_an_older_cache_gets_its_thumbnails(
    copied: tuple[Path, str, str], tiny_data: Path, tmp_path: Path
) -> None:
    """A cache that was prepared before there were thumbnails is compared all the same."""
    from covidlit.cohort.splits import centre_held_out

    def data() -> VolumeDataModule:
        return VolumeDataModule(
            copied[0], tmp_path, lambda table: centre_held_out(table, "centre_4"),
            geometry={"spacing": [20.0, 24.0, 24.0], "size": [16, 16, 16]}, n_jobs=1,
        )  # fmt: skip

    first = data()
    first.setup()
    for path in (tmp_path / "thumbnails").rglob("*.npy"):
        path.unlink()
    again = data()
    again.setup()
    assert [s.kind for s in first.suspicions] == ["near copies"]
    assert again.suspicions == first.suspicions
