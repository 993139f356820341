"""Facts of a header that cannot be are told and not taken."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from covidlit.dicom import find_series, judge

Write = Callable[..., Path]
TOMORROW = date.today() + timedelta(days=1)
NEXT_YEAR = date.today() + timedelta(days=365)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


def verdict_of(write_ct: Write, **values: object) -> tuple[dict[str, object], tuple[str, ...]]:
    """Facts and notes of a series with these elements; None deletes one."""

    def edit(ds: Dataset, k: int) -> None:
        for name, value in values.items():
            if value is None:
                delattr(ds, name)
            else:
                setattr(ds, name, value)

    verdict = judge(find_series(write_ct(edit=edit)).series[0])
    assert verdict.accepted
    return verdict.facts, verdict.notes


@pytest.mark.parametrize(
    ("values", "fact", "expected", "words"),
    [
        ({"PatientAge": "000D"}, "age", None, "PatientAge 000D"),
        ({"PatientAge": "000Y"}, "age", None, "PatientAge 000Y"),
        ({"PatientAge": "999Y"}, "age", None, "PatientAge 999Y"),
        ({"PatientAge": "69"}, "age", None, "PatientAge 69 is no age"),
        ({"PatientAge": "69Y"}, "age", 69.0, None),
        ({"PatientAge": "069Y"}, "age", 69.0, None),
        ({"PatientAge": "070Y"}, "age", 70.0, None),  # de-identified to the year of birth
        ({"PatientAge": "018M", "PatientBirthDate": None}, "age", 1.0, None),
        ({"PatientAge": "035Y"}, "age", None, "PatientAge is 035Y"),
        ({"PatientBirthDate": "18000101"}, "age", None, "PatientBirthDate"),
        ({"PatientBirthDate": "20210101"}, "age", None, "PatientBirthDate"),
        ({"PatientBirthDate": "18000101", "PatientAge": "050Y"}, "age", 50.0, "PatientBirthDate"),
        ({"Exposure": 0}, "exposure_mas", None, "Exposure is 0 mAs: not taken"),
        (
            {"Exposure": 0, "XRayTubeCurrent": 400, "ExposureTime": 500},
            "exposure_mas",
            None,
            "XRayTubeCurrent 400 mA for ExposureTime 500 ms make 200 mAs",
        ),
        (
            {"Exposure": 200_000, "XRayTubeCurrent": 400, "ExposureTime": 500},
            "exposure_mas",
            None,
            "uAs",
        ),
        (
            {"Exposure": 120, "XRayTubeCurrent": 400, "ExposureTime": 500},
            "exposure_mas",
            120.0,
            None,
        ),
        ({"KVP": 0}, "kvp", None, "KVP 0"),
        ({"KVP": 120_000}, "kvp", None, "KVP 120000"),
        ({"SliceThickness": 0}, "slice_thickness_mm", None, "SliceThickness 0 mm"),
        ({"AcquisitionDate": "19600101"}, "acquisition_date", None, "before there was CT"),
        ({"AcquisitionDate": "19710930"}, "acquisition_date", None, "before there was CT"),
        (
            {"AcquisitionDate": f"{NEXT_YEAR:%Y%m%d}", "PatientBirthDate": None},
            "acquisition_date",
            None,
            "after today",
        ),
        (
            {"AcquisitionDate": f"{TOMORROW:%Y%m%d}", "PatientBirthDate": None},
            "acquisition_date",
            TOMORROW.isoformat(),
            None,
        ),
    ],
)
def test_what_cannot_be_is_told_and_not_taken(
    write_ct: Write, values: dict[str, object], fact: str, expected: object, words: str | None
) -> None:
    facts, notes = verdict_of(write_ct, **values)
    assert facts[fact] == expected
    assert len(notes) == (words is not None)
    if words is not None:
        assert words in notes[0]
        assert "1950" not in notes[0]  # a birth date is repeated nowhere


def test_another_date_stands_in_for_one_that_cannot_be(write_ct: Write) -> None:
    facts, notes = verdict_of(write_ct, AcquisitionDate="19000101", StudyDate="20200301")
    assert facts["acquisition_date"] == "2020-03-01"
    assert facts["acquisition_date_moved"] is True
    assert "AcquisitionDate 1900-01-01 is before there was CT" in notes[0]
    assert "may have been moved" in notes[1]


@pytest.mark.parametrize("said", ["MODIFIED", "REMOVED"])
def test_dates_that_were_moved_give_no_age(write_ct: Write, said: str) -> None:
    facts, notes = verdict_of(write_ct, LongitudinalTemporalInformationModified=said)
    assert facts["acquisition_date_moved"] is True
    assert facts["age"] is None
    assert f"LongitudinalTemporalInformationModified is {said}" in notes[0]
    assert "age not known" in notes[1]
