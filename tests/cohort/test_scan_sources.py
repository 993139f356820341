"""What lies at a path that is to be predicted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from covidlit.cohort import scan_id_of
from covidlit.cohort.scan_sources import find_scans, refusal_reason
from covidlit.dicom import Checks
from covidlit.errors import CovidlitError
from covidlit.scans.images import write_nifti


def test_an_image_gets_no_id_that_its_name_could_be_found_from(tmp_path: Path) -> None:
    names = ["4711001.nii.gz", "ward/4711002.nii.gz"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_nifti(np.zeros((2, 3, 4), np.int16), np.eye(4)[[2, 1, 0, 3]], tmp_path / name)
    found = find_scans(tmp_path, Checks())
    assert [scan.path for scan in found] == names
    guesses = {scan_id_of(guess) for name in names for guess in (name, Path(name).name)}
    assert guesses.isdisjoint(scan.scan_id for scan in found)
    (one,) = find_scans(tmp_path / names[0], Checks())
    assert one.scan_id not in guesses


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (CovidlitError("the image is flat.", where="/ward/Doe.nii", fix="-"), "the image is flat."),
        (PermissionError(13, "Permission denied", "/ward/Doe.nii"), "Permission denied"),
        (OSError("/ward/Doe.nii is short"), "cannot be read: OSError."),
        (MemoryError(), "cannot be read: MemoryError."),
        (ValueError("/ward/Doe.nii is odd"), "ValueError at test_scan_sources.py:"),
    ],
)
def test_a_reason_names_no_file(error: Exception, reason: str) -> None:
    try:
        raise error
    except Exception as raised:
        said = refusal_reason(raised)
    assert reason in said
    assert "Doe" not in said
