"""What single headers say of a series, once they stand in a manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
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


MOVED = {
    "said": {"LongitudinalTemporalInformationModified": "MODIFIED"},
    "removed identity": {"PatientIdentityRemoved": "YES"},
    "two dates": {"StudyDate": "20210301"},
    "age": {"PatientBirthDate": "20010101"},
    "calibration": {"DateOfLastCalibration": "20200101"},
}


@pytest.mark.parametrize("why", MOVED)
def test_a_moved_date_makes_no_negative_of_an_untested_scan(
    tmp_path: Path, write_series: Write, why: str
) -> None:
    """The scan of pat-2 has a date that its own header calls in question, that of pat-1 none."""
    write_series("a", "pat-1", "1.2.1", "1.2.1.1", AcquisitionDate="20180501")
    write_series("b", "pat-2", "1.2.2", "1.2.2.1", AcquisitionDate="20180501", **MOVED[why])
    labels = pd.DataFrame({"patient_id": ["pat-1", "pat-2"], "class_name": "np"})
    built = manifest_from_dicom(
        tmp_path / "dicom", labels, folder=tmp_path, centre="A", inclusion=None
    )
    assert built.manifest["target"].tolist() == [0]
    assert built.manifest["path"].tolist() == [str(tmp_path / "dicom" / "a")]
    (left,) = built.problems.loc[built.problems["kind"] == "left out", "reason"]
    assert "cannot be believed" in left
    assert any("labels" in note and "date" in note for note in built.notes)
    # The mend that was named: the day that somebody looked up.
    labels["acquisition_date"] = ["2018-05-01", "2018-04-27"]
    built = manifest_from_dicom(
        tmp_path / "dicom", labels, folder=tmp_path, centre="A", inclusion=None
    )
    assert built.manifest["target"].tolist() == [0, 0]
    assert "acquisition_date_moved" not in built.manifest


def test_dates_that_are_said_to_be_kept_are_believed(tmp_path: Path, write_series: Write) -> None:
    write_series(
        "a", "pat-1", "1.2.1", "1.2.1.1", AcquisitionDate="20180501",
        PatientIdentityRemoved="YES", LongitudinalTemporalInformationModified="UNMODIFIED",
    )  # fmt: skip
    labels = pd.DataFrame({"patient_id": ["pat-1"], "class_name": "np"})
    built = manifest_from_dicom(tmp_path / "dicom", labels, folder=tmp_path, centre="A")
    assert built.manifest["target"].tolist() == [0]


@pytest.mark.parametrize(
    ("tag", "value", "column"),
    [
        ("KVP", 120000, "kvp"),
        ("Exposure", -20, "exposure_mas"),
        ("PatientAge", "140Y", "age"),
        ("AcquisitionDate", "00010101", "acquisition_date"),
    ],
)
def test_a_header_fact_out_of_range_counts_as_unknown(
    tmp_path: Path, write_series: Write, tag: str, value: object, column: str
) -> None:
    write_series("a", "pat-1", "1.2.1", "1.2.1.1")
    write_series("b", "pat-2", "1.2.2", "1.2.2.1", **{tag: value})
    built = manifest_from_dicom(tmp_path / "dicom", folder=tmp_path)
    table = built.manifest.set_index([[Path(path).name for path in built.manifest["path"]]])
    assert pd.isna(table.loc["b", column])
    assert table.loc["a", ["kvp", "age"]].tolist() == [120, 50]
    assert any(tag in note and "not taken" in note for note in built.notes)
