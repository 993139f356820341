"""What lies at a path that is to be predicted."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from covidlit.cohort import scan_id_of
from covidlit.dicom import Checks
from covidlit.scan_files import write_nifti
from covidlit.scan_sources import find_scans


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
