"""What a clinical source holds, once it is read."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

FEATURE_COLUMNS = ("name", "group", "description", "unit", "source", "worse")


@dataclass(frozen=True)
class ClinicalSource:
    """What a source holds.

    Args:
        table: contract 9, one row per patient and date; of several values of one day the first.
        measurements: the numbers and what changes, one row per `patient_id` and `moment` (with the
            time of day, midnight where none is known).
        patients: one row per patient: `patient_id`, `index_date`, `outcome_date`, and whatever has
            one value for each.
        features: one row per number: name, group, description, unit, source, worse ("high" or
            "low": the side of the disease).
        counts: `column`, `rule` and `n`: how many cells each rule changed.
        absent: features of the mapping that the source has no column or test of.
        notes: sentences on what was found and done.
        place: the file.
    """

    table: pd.DataFrame
    measurements: pd.DataFrame
    patients: pd.DataFrame
    features: pd.DataFrame
    counts: pd.DataFrame
    absent: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    place: str = ""

    @property
    def dates(self) -> pd.DataFrame:
        """`patient_id`, `index_date` and `outcome_date`, NaT where they are not known."""
        return self.patients[["patient_id", "index_date", "outcome_date"]]

    @property
    def names(self) -> list[str]:
        """The numbers, in order."""
        return self.features["name"].to_list()


def with_centre(source: ClinicalSource, centre: str) -> ClinicalSource:
    """The source as the patients of one centre."""
    return replace(
        source,
        table=source.table.assign(centre=centre),
        patients=source.patients.assign(centre=centre),
    )


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """Objects as the nullable types that they hold."""
    changed = {}
    for name in table:
        column = table[name]
        if column.dtype != object:
            continue
        known = column.dropna()
        if len(known) and known.map(lambda v: isinstance(v, bool)).all():
            changed[name] = column.where(column.notna(), pd.NA).astype("boolean")
        elif len(known) and known.map(lambda v: isinstance(v, int | float)).all():
            changed[name] = column.astype("float64")
        else:
            changed[name] = column.astype(pd.StringDtype(na_value=np.nan))
    return table.assign(**changed)
