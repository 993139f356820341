"""What is known of a patient from all tables: contract 9, of each value the newest table's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.cohort.clinical import write_clinical
from covidlit.cohort.clinical.own_table import features_path
from covidlit.cohort.clinical.read_people import DATES, STATIC
from covidlit.cohort.clinical.source import FEATURE_COLUMNS, typed
from covidlit.platform.clinical.models import ClinicalRow, ClinicalTable
from covidlit.platform.registry.models import Patient
from covidlit.tables import write_table

LEFT_OUT = ("centre", "event_time_days")
"""Of a table: the platform knows centres by itself, and times follow from dates."""

OF_PATIENTS = tuple(name for name in (*DATES, *STATIC) if name not in LEFT_OUT)
"""Columns with one value for a patient: the newest table's stands in all rows."""


def known_rows(patient: Patient) -> pd.DataFrame:
    """A row for each day of which something is known, `date` first; empty where nothing is."""
    days: dict[Any, dict[str, Any]] = {}
    own: dict[str, Any] = {}
    for row in _rows(patient):
        days.setdefault(row.date, {}).update(row.values)
        own |= {name: row.values[name] for name in OF_PATIENTS if name in row.values}
    rows = [{**values, **own} for _, values in sorted(days.items())]
    table = typed(pd.DataFrame(rows, index=range(len(rows))))
    table.insert(0, "date", sorted(days))
    return table


def known_features(patient: Patient) -> pd.DataFrame:
    """What the numbers are, `FEATURE_COLUMNS`; of one name the newest table's."""
    tables = ClinicalTable.objects.filter(pk__in=_rows(patient).values("table"))
    found = {each["name"]: each for table in tables.order_by("pk") for each in table.features}
    return pd.DataFrame(list(found.values()), columns=list(FEATURE_COLUMNS))


def write_known(patient: Patient, path: Path) -> Path | None:
    """Write a patient's clinical table for the library; None, and nothing there, without any.

    Args:
        path: of the table, `.parquet`; a file that says what the numbers are lies beside it.
    """
    rows = known_rows(patient)
    if rows.empty:
        for old in (path, features_path(path)):
            old.unlink(missing_ok=True)
        return None
    table = rows.assign(patient_id=patient.pseudonym, date=pd.to_datetime(rows["date"]))
    write_table(known_features(patient), features_path(path))
    return write_clinical(table, path)


def _rows(patient: Patient) -> Any:
    """Rows of the tables that count, of older tables first."""
    return ClinicalRow.objects.filter(patient=patient, table__withdrawn_at=None).order_by(
        "table_id"
    )
