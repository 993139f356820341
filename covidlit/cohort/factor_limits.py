"""The eleven imaging factors by name, and what a scan can have; without any schema."""

from __future__ import annotations

import math

FACTORS: dict[str, str] = {
    "n_lesions": "number of lesions",
    "total_volume_ml": "total lesion volume",
    "mean_volume_ml": "mean lesion volume",
    "proportion_percent": "proportion of lesions, of the lung's volume",
    "max_diameter_3d_mm": "maximum 3D long diameter",
    "max_diameter_2d_mm": "maximum 2D long diameter, in an axial slice",
    "mean_density_hu": "mean density",
    "edge_clarity_hu_per_mm": "edge clarity: mean HU gradient across the lesions' border",
    "pleural_distance_mm": "pleural distance: from the lesions to the lung's border",
    "form": "form of the three largest lesions: mean sphericity, 0 to 1",
    "volume_change_ml": "lesion volume change since the patient's previous scan",
}
"""The severity paper's eleven imaging features (its Table 2): column -> what it is."""

_ML, _MM = (0.0, 20000.0, "mL"), (0.0, 1000.0, "mm")

FACTOR_LIMITS: dict[str, tuple[float, float, str]] = {
    "n_lesions": (0.0, math.inf, "lesions"),
    "total_volume_ml": _ML,
    "mean_volume_ml": _ML,
    "proportion_percent": (0.0, 100.0, "percent"),
    "max_diameter_3d_mm": _MM,
    "max_diameter_2d_mm": _MM,
    "mean_density_hu": (-1100.0, 4000.0, "HU"),
    "edge_clarity_hu_per_mm": (0.0, 10000.0, "HU/mm"),
    "pleural_distance_mm": _MM,
    "form": (0.0, 1.0, "(sphericity, no unit)"),
    "volume_change_ml": (-20000.0, 20000.0, "mL"),
}
"""Lowest, highest and unit of each."""
