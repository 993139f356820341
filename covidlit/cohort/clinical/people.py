"""What is known of the patients of a source, while it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from covidlit.cohort.clinical.find_header import Sheet
from covidlit.cohort.clinical.meanings import Unknown
from covidlit.cohort.clinical.problems import Problems


@dataclass
class People:
    """What is known of each row of the first table, and of each patient.

    Args:
        patients: of each row.
        of_patient: column -> patient -> value.
        of_row: column -> value of each row, for what changes.
        dates: index and outcome -> patient -> moment.
        notes: sentences.
    """

    patients: list[str]
    of_patient: dict[str, dict[str, Any]] = field(default_factory=dict)
    of_row: dict[str, list[Any]] = field(default_factory=dict)
    dates: dict[str, dict[str, pd.Timestamp]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def cells_of(
    sheet: Sheet, place: int, read: Callable[[Any], Any], problems: Problems, name: str
) -> list[Any]:
    """The meanings of a column's cells; one without a meaning is a problem."""
    values: list[Any] = []
    for row, cell in enumerate(sheet.values(place)):
        try:
            values.append(read(cell))
        except Unknown as problem:
            values.append(None)
            problems.of_cell(
                sheet, row, place, f"{problem}",
                f"correct the cell, or add what it means to {name}.map in the mapping (null: "
                "missing)",
            )  # fmt: skip
    return values
