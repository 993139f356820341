"""Where in the lungs the lesions lie: by side, by height and by class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from covidlit.dicom.out.terms import CLASS_TERMS
from covidlit.scans.lesion_labels import FIRST_LESION, LESION_CLASSES

REGION_HEADS = ("Part", "Lung (mL)", "Lesions (mL)", "Proportion (%)")

_PARTS = {
    "": "Both lungs",
    "right_": "Right lung",
    "left_": "Left lung",
    "upper_": "Upper third",
    "middle_": "Middle third",
    "lower_": "Lower third",
}
_COLUMNS = ("lung_volume_ml", "volume_ml", "proportion_percent")


def region_rows(factors: Mapping[str, Any]) -> list[list[str]]:
    """Rows of `REGION_HEADS` for what a row of contract 8 says beside the eleven factors.

    Args:
        factors: with `right_proportion_percent` and so on where they were measured; parts and
            classes of which nothing is known are left out, single unknown values are empty.
    """
    rows = []
    for prefix, name in _PARTS.items():
        values = [factors.get(_column(prefix, column)) for column in _COLUMNS]
        if not all(_is_null(value) for value in values):
            rows.append([name, *map(_text, values)])
    known = len(rows) > 1
    for value, terms in CLASS_TERMS.items():
        volume = factors.get(f"{LESION_CLASSES[value]}_volume_ml")
        if value >= FIRST_LESION and not _is_null(volume):
            rows.append([terms.label, "", _text(volume), ""])
            known = True
    return rows if known else []


def _column(prefix: str, column: str) -> str:
    return "total_volume_ml" if (prefix, column) == ("", "volume_ml") else prefix + column


def _is_null(value: Any) -> bool:
    return value is None or bool(pd.isna(value))


def _text(value: Any) -> str:
    return "" if _is_null(value) else f"{float(value):.1f}"
