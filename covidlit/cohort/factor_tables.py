"""Contract 8, the quantitative factors: a row per scan, a row per lesion, units in the names."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pandera.pandas as pa

from covidlit.cohort.columns import (
    between,
    file_name,
    iso_date,
    number,
    one_of,
    text,
    to_dates,
    whole_number,
)
from covidlit.cohort.factor_limits import FACTOR_LIMITS, FACTORS
from covidlit.errors import ManifestError
from covidlit.scans.lesion_labels import FIRST_LESION, LESION_CLASSES
from covidlit.tables import read_table, row_texts, validate

_NEED_A_LESION = (
    "mean_volume_ml",
    "max_diameter_3d_mm",
    "max_diameter_2d_mm",
    "mean_density_hu",
    "edge_clarity_hu_per_mm",
    "pleural_distance_mm",
    "form",
)
_ML = between(0, 20000, "mL")
_MM = between(0, 1000, "mm")

FACTORS_SCHEMA = pa.DataFrameSchema(
    {
        "patient_id": text(required=True, nullable=False),
        "scan_id": file_name(required=True, nullable=False, fix="as in the manifest"),
        "acquisition_date": iso_date(required=True),
        "n_lesions": whole_number(0, required=True),
        **{
            name: number(between(*limits), required=True)
            for name, limits in FACTOR_LIMITS.items()
            if name != "n_lesions"
        },
    },
    unique=["scan_id"],
    unique_column_names=True,
    strict=False,
)
"""Contract 8, `factors.parquet`: all eleven, null where undefined (no lesion, first scan)."""

LESIONS_SCHEMA = pa.DataFrameSchema(
    {
        "patient_id": text(required=True, nullable=False),
        "scan_id": file_name(required=True, nullable=False, fix="as in the manifest"),
        "lesion_id": whole_number(1, required=True, nullable=False),
        "class_name": one_of(
            *(name for value, name in LESION_CLASSES.items() if value >= FIRST_LESION),
            required=True,
            nullable=False,
        ),
        "volume_ml": number(_ML, required=True, nullable=False),
        "max_diameter_3d_mm": number(_MM),
        "max_diameter_2d_mm": number(_MM),
        "mean_density_hu": number(between(-1100, 4000, "HU")),
        "edge_clarity_hu_per_mm": number(between(0, 10000, "HU/mm")),
        "pleural_distance_mm": number(_MM),
        "form": number(between(0, 1, "(sphericity, no unit)")),
        "proportion_percent": number(between(0, 100, "percent of the lung")),
        "volume_change_ml": number(between(-20000, 20000, "mL")),
    },
    unique=["scan_id", "lesion_id"],
    unique_column_names=True,
    strict=False,
)
"""Contract 8, `lesions.parquet`: `lesion_id` is the number in the volume of instances."""


def validate_factors(table: pd.DataFrame, where: object = "factors") -> pd.DataFrame:
    """Hold a table of factors against contract 8 and return it with the contract's types.

    Raises:
        ManifestError: names row, column, value and what it must be; also where a scan without a
            lesion has a factor that only a lesion can have.
    """
    table = to_dates(validate(table, FACTORS_SCHEMA, where, ManifestError), "acquisition_date")
    none = table[(table["n_lesions"] == 0).fillna(False).to_numpy(dtype=bool)]
    for name in _NEED_A_LESION:
        wrong = none[none[name].notna()]
        if len(wrong):
            raise ManifestError(
                f"row {row_texts(wrong)[0]}, column {name!r}: value {wrong[name].iloc[0]}: must "
                "be empty where n_lesions is 0.",
                where=where,
                fix="leave it out: without a lesion only total volume and proportion are 0.",
            )
    return table


def validate_lesions(table: pd.DataFrame, where: object = "lesions") -> pd.DataFrame:
    """Hold a table of lesions against contract 8; it may have no row, if there is no lesion.

    Raises:
        ManifestError: names row, column, value and what it must be.
    """
    return validate(table, LESIONS_SCHEMA, where, ManifestError, allow_empty=True)


def undefined_factors(table: pd.DataFrame) -> dict[str, str]:
    """The factors that no scan of a table has, and why where the table tells.

    Args:
        table: contract 8.

    Returns:
        Column -> reason, in the order of `FACTORS`; nothing of a table without a scan.
    """
    if table.empty:
        return {}
    no_lesion = bool(table["n_lesions"].eq(0).fillna(False).all())
    found = {}
    for name in FACTORS:
        if name not in table or table[name].notna().any():
            continue
        if name == "volume_change_ml":
            found[name] = "no patient has an earlier scan of another day"
        elif name in _NEED_A_LESION and no_lesion:
            found[name] = "no scan has a lesion"
        elif name == "edge_clarity_hu_per_mm":
            found[name] = "no lesion has a border with lung"
        elif name in ("proportion_percent", "pleural_distance_mm"):
            found[name] = "the labels show no lung"
        else:
            found[name] = "the scans do not allow it"
    return found


def read_factors(path: str | Path) -> pd.DataFrame:
    """Read and check `factors.parquet` (or `.csv`); see `validate_factors`."""
    return validate_factors(read_table(path, ManifestError), where=path)


def read_lesions(path: str | Path) -> pd.DataFrame:
    """Read and check `lesions.parquet` (or `.csv`); see `validate_lesions`."""
    return validate_lesions(read_table(path, ManifestError), where=path)
