"""Small hospitals' tables with everything that a mapping names, and their mapping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import yaml

from covidlit.cohort.clinical import ClinicalSource, read_clinical_source, write_clinical
from covidlit.cohort.clinical.own_table import mapping_of_own

MAPPING: dict[str, Any] = {
    "patient": ["MRN", "病案号"],
    "date": "Sampled",
    "index_date": "Admitted",
    "outcome_date": "Left",
    "age": "Age",
    "sex": {"column": "Sex", "map": {"1": "M", "2": "F"}},
    "outcome": {"column": "Status", "map": {"home": "survived", "dead": "died"}},
    "labs": {
        "haemoglobin_g_per_l": {"names": ["Hb", "血红蛋白"], "unit": "g/dL"},
        "leukocytes_1e9_per_l": {"names": "WBC", "unit": "/uL"},
        "lymphocyte_percent": {"names": "LYM%", "unit": "fraction"},
        "alt_u_per_l": {"names": "ALT", "unit": "ukat/L"},
    },
    "further": {
        "crp_mg_per_l": {
            "names": "CRP", "unit": "mg/dL", "held_in": "mg/L", "range": [0, 1000],
            "worse": "high",
        },
    },
}  # fmt: skip

COLUMNS = [
    "MRN", "Sampled", "Admitted", "Left", "Age", "Sex", "Status", "Hb", "WBC", "LYM%", "ALT", "CRP",
]  # fmt: skip

ROWS: list[list[Any]] = [
    ["A", "2020-02-01", "2020-02-01", "2020-02-20", 61, 1, "home", 13.5, 5000, 0.25, 0.5, 1.0],
    ["A", "2020-02-03", "2020-02-01", "2020-02-20", 61, 1, "home", 12.0, 8000, 0.1, 1.0, 12.5],
    ["B", "2020-02-02", "2020-02-02", "2020-02-10", 45, 2, "dead", 11.0, 12000, 0.05, 0.75, None],
    ["C", "2020-02-05", "2020-02-04", "2020-02-28", 70, 2, "home", 14.2, 6500, 0.3, None, 0.3],
]
"""The values of A on the first day: haemoglobin 135 g/L, leukocytes 5, lymphocytes 25%, ALT 30, CRP
10 mg/L."""


def frame(rows: list[list[Any]] | None = None) -> pd.DataFrame:
    """The table as a frame."""
    return pd.DataFrame([list(row) for row in rows or ROWS], columns=COLUMNS, dtype=object)


def changed(**updates: Any) -> dict[str, Any]:
    """The mapping with other values at the top; None removes a key."""
    return {k: v for k, v in {**MAPPING, **updates}.items() if v is not None}


def with_unit(name: str, unit: str) -> dict[str, Any]:
    """The mapping with another unit of an indicator."""
    lab = {**MAPPING["labs"][name], "unit": unit}
    return changed(labs={**MAPPING["labs"], name: lab})


def read(folder: Path, table: pd.DataFrame, mapping: dict[str, Any] | None = None,
         name: str = "labs.csv", **options: Any) -> ClinicalSource:  # fmt: skip
    """Write the table as CSV and read it."""
    table.to_csv(folder / name, index=False, **options)
    return read_clinical_source(folder / name, mapping or MAPPING)


def workbook(path: Path, rows: list[list[Any]], merged: list[str] | None = None) -> Path:
    """Write rows as they are into a sheet, with ranges of merged cells."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    for cells in merged or []:
        sheet.merge_cells(cells)
    book.save(path)
    return path


UNITS = {
    "haemoglobin_g_per_l": "mmol/L", "leukocytes_1e9_per_l": "/uL", "lymphocyte_percent": "L/L",
    "alt_u_per_l": "µkat/L",
}  # fmt: skip
"""Of the third hospital."""


def others(folder: Path, table: pd.DataFrame, third: pd.DataFrame | None = None) -> dict[str, Any]:
    """Two further hospitals: one lacks columns, one has other units and names, by YAML alone.

    Args:
        folder: where they are written.
        table: of contract 9: the second's, and what the third's is made of.
        third: another one of the third; None: the same.
    """
    names = [name for name in table if name.endswith(("_l", "_percent", "_mmhg"))]
    second = table.assign(patient_id="s" + table["patient_id"])
    lacking = ["albumin_g_per_l", "smoker", "centre"]
    second.drop(columns=lacking).to_csv(folder / "s.csv", index=False)
    own = (table if third is None else third).drop(columns="centre")
    own = own.assign(patient_id="t" + own["patient_id"])
    write_clinical(own, folder / "third.csv")
    content = mapping_of_own(folder / "third.csv").model_dump(
        exclude_none=True, exclude_defaults=True
    )
    for name, times in (("haemoglobin_g_per_l", 1 / 16.114), ("leukocytes_1e9_per_l", 1000),
                        ("lymphocyte_percent", 1 / 100), ("alt_u_per_l", 1 / 60)):  # fmt: skip
        own[name] *= times
    own["date"] = pd.to_datetime(own["date"]).dt.strftime("%d.%m.%Y")
    renamed = {name: f"{name.split('_')[0]} {k}" for k, name in enumerate(names)}
    own.rename(columns=renamed).to_csv(folder / "t.csv", index=False)
    content.pop("further", None)
    content["date"] = "date"
    for name in names:
        lab = content["labs"][name]
        content["labs"][name] = {
            "names": [renamed[name]], "unit": UNITS.get(name, lab["unit"]),
        }  # fmt: skip
    (folder / "t.yaml").write_text(yaml.safe_dump(content, allow_unicode=True))
    return {
        "second": {"path": str(folder / "s.csv")},
        "third": {"path": str(folder / "t.csv"), "mapping": str(folder / "t.yaml")},
    }
