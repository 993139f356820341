"""Hold the table of lesions against the volumes that it is about."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.dicom.out.terms import VALUE_OF_CLASS
from covidlit.errors import DicomError
from covidlit.scans.lesion_labels import LESION_CLASSES

_NEEDED = ("lesion_id", "class_name", "volume_ml")


def check_lesions(
    classes: NDArray[np.integer[Any]], instances: NDArray[np.integer[Any]], lesions: pd.DataFrame
) -> None:
    """Make sure that table and volumes speak of the same lesions.

    Args:
        classes, instances: (z, y, x), contract 7.
        lesions: of contract 8, those of this scan alone.

    Raises:
        DicomError: a column is missing, a lesion is in the one and not in the other, or has
            another class there; names lesion and fix.
    """
    missing = [name for name in _NEEDED if name not in lesions]
    if missing:
        raise DicomError(
            f"the lesions have no column {', '.join(missing)}.",
            where="lesions",
            fix="give the rows of lesions.parquet that belong to the scan.",
        )
    if classes.shape != instances.shape:
        raise DicomError(
            f"classes {classes.shape} and instances {instances.shape} differ in shape.",
            where="labels",
        )
    places = np.flatnonzero(instances)
    numbers, first = np.unique(instances.ravel()[places], return_index=True)
    drawn = dict(zip(numbers.tolist(), classes.ravel()[places[first]].tolist(), strict=True))
    listed = lesions["lesion_id"].astype(int).tolist()
    if len(set(listed)) < len(listed):
        raise DicomError(
            "a lesion_id stands in several rows.",
            where="lesions",
            fix="give the rows of one scan only.",
        )
    odd = sorted(set(drawn) ^ set(listed))
    if odd:
        where = (
            "in the volume of instances, not in the table"
            if odd[0] in drawn
            else ("in the table, not in the volume of instances")
        )
        raise DicomError(
            f"lesion {odd[0]} is {where} ({len(odd)} such).",
            where="lesions",
            fix="compute the table from these labels.",
        )
    for number, name in zip(listed, lesions["class_name"], strict=True):
        if VALUE_OF_CLASS.get(name) != drawn[number]:
            raise DicomError(
                f"lesion {number}: class {name!r} in the table, "
                f"{LESION_CLASSES.get(drawn[number])!r} in the volume of classes.",
                where="lesions",
                fix="compute the table from these labels.",
            )
