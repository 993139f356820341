from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from covidlit.cohort.factor_tables import undefined_factors
from covidlit.errors import ManifestError
from covidlit.lesions import (
    FACTORS,
    read_factors,
    read_lesions,
    validate_factors,
    validate_lesions,
)
from covidlit.tables import write_table


def factors() -> pd.DataFrame:
    """A scan with lesions, its follow-up without any."""
    return pd.DataFrame(
        {
            "patient_id": ["P1", "P1"],
            "scan_id": ["S1", "S2"],
            "acquisition_date": ["2020-02-01", "2020-02-20"],
            "n_lesions": [4, 0],
            "total_volume_ml": [80.0, 0.0],
            "mean_volume_ml": [20.0, None],
            "proportion_percent": [2.1, 0.0],
            "max_diameter_3d_mm": [44.0, None],
            "max_diameter_2d_mm": [40.0, None],
            "mean_density_hu": [-480.0, None],
            "edge_clarity_hu_per_mm": [35.0, None],
            "pleural_distance_mm": [2.0, None],
            "form": [0.6, None],
            "volume_change_ml": [None, -80.0],
        }
    )


def lesions() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "patient_id": ["P1", "P1"],
            "scan_id": ["S1", "S1"],
            "lesion_id": [1, 2],
            "class_name": ["ground_glass", "pleural_effusion"],
            "volume_ml": [10.0, 70.0],
            "mean_density_hu": [-600.0, 10.0],
        }
    )


def test_the_papers_eleven_features_are_there() -> None:
    assert len(FACTORS) == 11
    assert set(FACTORS) < set(factors().columns)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_they_come_back_as_they_were_written(tmp_path: Path, ending: str) -> None:
    table = read_factors(write_table(factors(), tmp_path / f"factors.{ending}"))
    assert table["n_lesions"].tolist() == [4, 0]
    assert table["mean_density_hu"].isna().tolist() == [False, True]
    assert table["acquisition_date"].tolist()[0] == pd.Timestamp(2020, 2, 1)
    table = read_lesions(write_table(lesions(), tmp_path / f"lesions.{ending}"))
    assert table["volume_ml"].sum() == 80


def test_a_scan_that_stands_twice_is_named_whatever_the_index(tmp_path: Path) -> None:
    table = pd.concat([factors(), factors().iloc[:1]])  # its index repeats
    table.to_parquet(tmp_path / "factors.parquet")
    with pytest.raises(ManifestError, match=r"column 'scan_id'.*one row only"):
        read_factors(tmp_path / "factors.parquet")


@pytest.mark.parametrize(
    ("column", "row", "value", "rule"),
    [
        ("n_lesions", 1, -1, "whole number of at least 0"),
        ("n_lesions", 1, 1.5, "must be a whole number"),
        ("total_volume_ml", 1, -3.0, "must be 0 to 20000 mL"),
        ("proportion_percent", 1, 210.0, "must be 0 to 100 percent"),
        ("form", 1, 1.2, "must be 0 to 1"),
        ("mean_density_hu", 1, -2000.0, "must be -1100 to 4000 HU"),
        ("pleural_distance_mm", 1, "near", "must be a number"),
        ("mean_density_hu", 2, -400.0, "empty where n_lesions is 0"),
        ("acquisition_date", 1, "soon", "must be a date"),
        ("scan_id", 2, "S1", "must stand in one row only"),
    ],
)
def test_a_wrong_factor_is_named(column: str, row: int, value: Any, rule: str) -> None:
    table = factors().astype("object")
    table.loc[row - 1, column] = value
    with pytest.raises(ManifestError) as caught:
        validate_factors(table)
    assert f"row {row}, column {column!r}: value" in str(caught.value)
    assert rule in str(caught.value)


@pytest.mark.parametrize("column", ["patient_id", "scan_id", "acquisition_date", *FACTORS])
def test_a_missing_factor_is_named(column: str) -> None:
    with pytest.raises(ManifestError, match=f"column '{column}' is missing"):
        validate_factors(factors().drop(columns=column))


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("class_name", "lung", "must be consolidation or ground_glass"),
        ("lesion_id", 0, "whole number of at least 1"),
        ("lesion_id", 2, "must stand in one row only"),
        ("volume_ml", None, "must not be empty"),
    ],
)
def test_a_wrong_lesion_is_named(column: str, value: Any, rule: str) -> None:
    table = lesions().astype("object")
    table.loc[0, column] = value
    with pytest.raises(ManifestError) as caught:
        validate_lesions(table)
    assert f"row 1, column {column!r}" in str(caught.value)
    assert rule in str(caught.value)


def test_a_cohort_may_have_no_lesion_but_not_no_scan() -> None:
    assert validate_lesions(lesions().iloc[:0]).empty
    with pytest.raises(ManifestError, match=r"no row"):
        validate_factors(factors().iloc[:0])


def test_what_no_scan_has_is_named_with_the_reason() -> None:
    table = validate_factors(factors())
    assert undefined_factors(table) == {}
    first = table.iloc[:1]
    assert list(undefined_factors(first)) == ["volume_change_ml"]
    healthy = undefined_factors(table.iloc[1:])
    assert healthy["form"] == healthy["mean_density_hu"] == "no scan has a lesion"
    assert "total_volume_ml" not in healthy
    assert "volume_change_ml" not in healthy
    no_lung = table.assign(proportion_percent=None, pleural_distance_mm=None)
    assert set(undefined_factors(no_lung).values()) == {"the labels show no lung"}
    assert undefined_factors(table[:0]) == {}
