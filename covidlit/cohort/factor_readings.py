"""How a detector reads the factors: which side speaks for disease, and what no lesion reads as."""

from __future__ import annotations

from typing import Literal, NamedTuple

import pandas as pd

Side = Literal["high", "low"]

_FIGURE = "the severity paper, Figure 8"


class Reading(NamedTuple):
    """How one factor is read.

    Args:
        worse: the side that speaks for pneumonia.
        nothing_found: what the factor counts as in a scan without a lesion, where it is undefined;
            None: it stays undefined.
        why: where the two come from.
    """

    worse: Side
    nothing_found: float | None
    why: str


READINGS: dict[str, Reading] = {
    "n_lesions": Reading("high", 0.0, f"{_FIGURE}: the more lesions, the more severe"),
    "total_volume_ml": Reading("high", 0.0, "the severity paper, Table 2"),
    "mean_volume_ml": Reading("high", 0.0, "no lesion has no volume"),
    "proportion_percent": Reading("high", 0.0, "the severity paper, Table 2"),
    "max_diameter_3d_mm": Reading("high", 0.0, f"{_FIGURE}: the larger, the more severe"),
    "max_diameter_2d_mm": Reading("high", 0.0, f"{_FIGURE}: the larger, the more severe"),
    "mean_density_hu": Reading(
        "high", -850.0, f"{_FIGURE}: the denser, the more serious; nothing denser than lung in "
        "inspiration was found",
    ),
    "edge_clarity_hu_per_mm": Reading(
        "low", 225.0, f"{_FIGURE}: inflammation is blurred; as clear as the step of 900 HU from "
        "lung to soft tissue, whose fitted slope within 3 mm is 900 / 4",
    ),
    "pleural_distance_mm": Reading(
        "low", 50.0, f"{_FIGURE}: COVID-19 often lies under the pleura; no place in a lung is "
        "much further from it",
    ),
    "form": Reading("low", 1.0, f"{_FIGURE}: the irregular are dangerous; as regular as a ball"),
    "volume_change_ml": Reading("high", None, "undefined in a patient's first scan, lesion or no"),
}  # fmt: skip
"""The eleven factors. Undefined values of a scan that has lesions stay undefined, whatever stands
here, and so does the volume change of a first scan: that is not known, which is not the same as
nothing found."""


def read_nothing_found(table: pd.DataFrame, values: dict[str, float]) -> pd.DataFrame:
    """The factors with what a scan without a lesion counts as.

    Args:
        table: contract 8.
        values: column -> value, see `Reading.nothing_found`.

    Returns:
        A copy in which the empty cells of these columns are filled where `n_lesions` is 0.
    """
    filled = table.copy()
    none = table["n_lesions"].eq(0).fillna(False).to_numpy(dtype=bool)
    for name, value in values.items():
        empty = none & filled[name].isna().to_numpy(dtype=bool)
        filled[name] = filled[name].astype("float64").mask(empty, value)
    return filled
