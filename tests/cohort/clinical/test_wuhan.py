"""The public table of Yan et al. (Nature Machine Intelligence 2020) against published facts."""

from __future__ import annotations

from pathlib import Path

import pytest

from covidlit.cohort.clinical import ClinicalSource, read_clinical_source, reduce_measurements


@pytest.fixture(scope="module")
def wuhan(shared_data: Path) -> ClinicalSource:
    table = shared_data / "clinical" / "hairlab_375.xlsx"
    if not table.is_file():
        pytest.skip("the public table is not there")
    return read_clinical_source(table, "wuhan_2020")


def test_published_facts(wuhan: ClinicalSource) -> None:
    patients = wuhan.patients
    assert len(patients) == 375
    assert patients["outcome"].value_counts().to_dict() == {"survived": 201, "died": 174}
    assert patients["sex"].value_counts().to_dict() == {"M": 224, "F": 151}
    assert patients["age"].mean() == pytest.approx(58.83, abs=0.01)
    assert any("16 of 375 patients have no value" in note for note in wuhan.notes)
    assert (wuhan.features["group"] == "clinical").sum() == 16


def test_cells_of_urine_are_no_blood_count(wuhan: ClinicalSource) -> None:
    values = wuhan.measurements
    assert values["red_cells_1e12_per_l"].max() < 8
    assert values["leukocytes_1e9_per_l"].notna().sum() == 957
    assert values["platelets_1e9_per_l"].min() >= 0


def test_first_values_of_the_first_patient(wuhan: ClinicalSource) -> None:
    found = reduce_measurements(wuhan.measurements, wuhan.dates, "first", (None, 1))
    first = found.table.iloc[0]
    assert first[["haemoglobin_g_per_l", "platelets_1e9_per_l", "albumin_g_per_l"]].tolist() == [
        136, 105, 33.3,
    ]  # fmt: skip
    assert found.after_outcome == 71
