"""What single headers say of a series, once they stand in a manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread

from covidlit.cohort import manifest_from_dicom

pytestmark = pytest.mark.slow

Write = Callable[..., Path]


def test_a_thickness_below_zero_counts_as_unknown(tmp_path: Path, write_series: Write) -> None:
    for path in write_series("a", "pat-1", "1.2.1", "1.2.1.1").iterdir():
        data = dcmread(path)
        data.SliceThickness = -5
        data.save_as(path)
    built = manifest_from_dicom(tmp_path / "dicom", folder=tmp_path)
    assert built.manifest["slice_thickness_mm"].isna().all()


def test_patient_ids_that_are_alike_are_counted(tmp_path: Path, write_series: Write) -> None:
    """Their pseudonyms do not show it, so no later check can."""
    for i, patient in enumerate(("A-1", "a-1", "007", "7", "8")):
        write_series(str(i), patient, f"1.3.{i}", f"1.3.{i}.1")
    built = manifest_from_dicom(tmp_path / "dicom", folder=tmp_path, centre="A")
    (note,) = [note for note in built.notes if "leading zeros" in note]
    assert note.startswith("4 PatientIDs differ only in case, blanks or leading zeros")
    assert "a-1" not in note
