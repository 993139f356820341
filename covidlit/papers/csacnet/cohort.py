"""Tables 1 and 2 of the scans in a predictions table."""

from __future__ import annotations

from typing import Any

import pandas as pd

from covidlit.cohort.describe import show_table1, table1, table2
from covidlit.cohort.split import Split


def cohort_tables(table: pd.DataFrame) -> dict[str, Any]:
    """Tables 1 and 2 of the scans that were predicted, JSON-able: columns and rows of text.

    The scans of the training part are in no predictions table, so they are not counted here.

    Args:
        table: validated predictions with `target` 0 or 1; of a scan in several folds one row is
            taken, that of the test part before any other.
    """
    scans = table.sort_values("part", kind="stable").drop_duplicates("scan_id")
    if "age" in scans.columns:
        scans = scans.assign(age=pd.to_numeric(scans["age"], errors="coerce"))
    first = show_table1(table1(scans))
    second = table2(scans, Split.of(scans, kind="predictions", parts=_parts(scans)))
    second = second.rename(columns=lambda name: str(name).replace("_", " "))
    return {
        "table1": {
            "columns": [str(name) for name in first.columns],
            "rows": [
                {"name": str(name), "values": [str(value) for value in row]}
                for name, row in zip(first.index, first.to_numpy(), strict=True)
            ],
        },
        "table2": {
            "columns": [str(name) for name in second.columns],
            "rows": [
                {"name": f"{part}, {class_name}", "values": [str(value) for value in row]}
                for (part, class_name), row in zip(second.index, second.to_numpy(), strict=True)
            ],
        },
    }


def _parts(scans: pd.DataFrame) -> dict[str, str]:
    return {
        str(scan): str(part) for scan, part in zip(scans["scan_id"], scans["part"], strict=True)
    }
