"""Sets of features by the names that the severity paper gives them."""

from __future__ import annotations

from collections.abc import Iterable

from covidlit.cohort.clinical.indicators import INDICATORS
from covidlit.cohort.factor_limits import FACTORS

PAPER15 = (
    "total_volume_ml", "mean_volume_ml", "volume_change_ml", "proportion_percent",
    "mean_density_hu", "edge_clarity_hu_per_mm", "pleural_distance_mm", "form",
    "neutrophil_percent", "lymphocyte_percent", "red_cells_1e12_per_l", "haematocrit_percent",
    "platelets_1e9_per_l", "alt_u_per_l", "pao2_mmhg",
)  # fmt: skip
"""What the paper's SelectKBest chose of its 28 (its Table 2)."""

PRESETS: dict[str, tuple[str, ...]] = {
    "all28": (*FACTORS, *INDICATORS),
    "paper15": PAPER15,
    "imaging": tuple(FACTORS),
    "clinical": tuple(INDICATORS),
}
"""Name of the set -> names of its features: 11 of contract 8, 17 of contract 9."""


def absent_of_presets(asked: Iterable[str], known: Iterable[str]) -> dict[str, list[str]]:
    """For each preset among the names that are asked for, the features that a table lacks.

    Args:
        asked: names of presets, groups or features.
        known: names of the table's groups and features; a group of a preset's name is the group.
    """
    there = {*known}
    lacking = {
        name: [feature for feature in PRESETS[name] if feature not in there]
        for name in asked
        if name in PRESETS and name not in there
    }
    return {name: features for name, features in lacking.items() if features}
