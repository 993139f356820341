"""Contract 9, the clinical table: one row per patient and date."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pandas as pd
import pandera.pandas as pa

from covidlit.cohort.clinical.indicators import INDICATORS, OUTCOMES, SEVERITIES
from covidlit.cohort.columns import (
    between,
    flag,
    iso_date,
    no_shares,
    number,
    one_of,
    parse_dates,
    text,
    to_dates,
    whole_number,
)
from covidlit.errors import ManifestError
from covidlit.tables import read_table, rows_text, validate, write_table

_MOST_OF_LEUKOCYTES = ("neutrophil_percent", "lymphocyte_percent")


def _whole(name: str) -> list[pa.Check]:
    """What a column of percentages is checked for, where most patients have more than 1%."""
    return [no_shares()] if name in _MOST_OF_LEUKOCYTES else []


CLINICAL_SCHEMA = pa.DataFrameSchema(
    {
        "patient_id": text(required=True, nullable=False),
        "date": iso_date(required=True, nullable=False),
        "age": number(between(0, 120, "years")),
        "sex": one_of("F", "M"),
        "smoker": flag(),
        "comorbidity_count": whole_number(0),
        # How the patient may have caught it, such as "contact", "travel" or "none known".
        "epidemiology": text(),
        "severity": one_of(*SEVERITIES),
        "severity_at_admission": one_of(*SEVERITIES),
        # Whether a patient who was mild or moderate at admission became severe or critical.
        "progressed": flag(),
        "progressed_date": iso_date(),
        "outcome": one_of(*OUTCOMES),
        # From the patient's first date to the event, or to the last news. Where outcome_date or
        # progressed_date are known, times are counted from them.
        "event_time_days": number(between(0, 36525, "days")),
        **{
            name: number(between(i.low, i.high, i.unit), *_whole(name))
            for name, i in INDICATORS.items()
        },
        # Symptoms and diseases: one true-or-false column each, such as symptom_fever.
        r"^(?:symptom_|comorbidity_(?!count$)).+$": pa.Column(
            "boolean", coerce=True, nullable=True, required=False, regex=True
        ),
    },
    unique=["patient_id", "date"],
    unique_column_names=True,
    strict=False,
)
"""Contract 9. Required: patient_id (as in the manifest) and date; any further column is allowed."""


def read_clinical(
    path: str | Path, *, implausible: Literal["error", "null"] = "error"
) -> pd.DataFrame:
    """Read a clinical table (`.csv` or `.parquet`) and hold it against the schema.

    Args:
        path: the file.
        implausible: what to do with laboratory values that no patient can have: stop, or empty
            them; how many were emptied stands in `attrs["implausible"]` by column.

    Returns:
        One row per patient and date, `date` as datetime64.

    Raises:
        ManifestError: names row, column, value and what the value must be.
    """
    return validate_clinical(read_table(path, ManifestError), where=path, implausible=implausible)


def validate_clinical(
    table: pd.DataFrame,
    where: object = "clinical table",
    *,
    implausible: Literal["error", "null"] = "error",
) -> pd.DataFrame:
    """Hold a table against contract 9; see `read_clinical`."""
    emptied: dict[str, int] = {}
    if implausible == "null":
        table = table.copy()
        for name, indicator in INDICATORS.items():
            if name in table:
                values = pd.to_numeric(table[name], errors="coerce")
                wrong = values.notna() & ~values.between(indicator.low, indicator.high)
                table[name] = table[name].mask(wrong)
                emptied |= {name: int(wrong.sum())} if wrong.any() else {}
    if {"patient_id", "date"} <= set(table.columns):
        # 2020-02-01 and 20200201 are the same day.
        day = parse_dates(table["date"])
        _check_one_row_per_day(table[day.notna()].assign(date=day.dropna()), where)
    table = to_dates(validate(table, CLINICAL_SCHEMA, where, ManifestError), "date")
    table.attrs["implausible"] = emptied
    return table


def write_clinical(table: pd.DataFrame, path: str | Path) -> Path:
    """Check a clinical table and write it as `.csv` or `.parquet`, whole or not at all."""
    table = validate_clinical(table, where=path)
    if Path(path).suffix == ".csv":
        table["date"] = table["date"].dt.strftime("%Y-%m-%d")
    return write_table(table, path)


def _check_one_row_per_day(table: pd.DataFrame, where: object) -> None:
    twice = table[table.duplicated(["patient_id", "date"], keep=False)]
    if twice.empty:
        return
    first = twice.iloc[0]
    same = twice[(twice["patient_id"] == first["patient_id"]) & (twice["date"] == first["date"])]
    raise ManifestError(
        f"rows {rows_text(same)}, columns 'patient_id' and 'date': "
        f"patient {first['patient_id']} has {len(same)} rows of {first['date']:%Y-%m-%d}.",
        where=where,
        fix="merge the rows of one day into one: the table holds one row per patient and date.",
    )
