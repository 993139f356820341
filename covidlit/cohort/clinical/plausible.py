"""Values that no patient can have, and columns that look like another unit than was said."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from covidlit.cohort.clinical.indicators import INDICATORS
from covidlit.cohort.clinical.mapping import ClinicalMapping
from covidlit.cohort.clinical.units import factor, other_units

TYPICAL: dict[str, tuple[float, float]] = {
    "leukocytes_1e9_per_l": (1.5, 40),
    "neutrophils_1e9_per_l": (0.7, 35),
    "lymphocytes_1e9_per_l": (0.1, 8),
    "monocytes_1e9_per_l": (0.05, 4),
    "eosinophils_1e9_per_l": (0, 2),
    "neutrophil_percent": (20, 98),
    "lymphocyte_percent": (1.5, 65),
    "monocyte_percent": (1, 25),
    "eosinophil_percent": (0, 15),
    "red_cells_1e12_per_l": (1.8, 7),
    "haemoglobin_g_per_l": (55, 190),
    "haematocrit_percent": (16, 58),
    "platelets_1e9_per_l": (20, 800),
    "alt_u_per_l": (5, 1500),
    "ast_u_per_l": (5, 1500),
    "albumin_g_per_l": (15, 58),
    "pao2_mmhg": (35, 400),
}
"""Where the median of a group of adult patients lies, also of very ill ones. Chosen wide, to tell
units apart and nothing else; the limits of single values are those of contract 9."""

_ENOUGH = 3
"""Values that tell the unit of a column."""

_USUAL, _MANY = (95.0, 190.0), 30
"""Of many patients the median haemoglobin is higher: mmol/L taken for g/dL gives 85 g/L."""


class Limits(NamedTuple):
    """Of a feature, in the unit that it is held in."""

    unit: str
    low: float
    high: float
    typical: tuple[float, float]


def limits_of(mapping: ClinicalMapping, name: str) -> Limits:
    """What a feature's values can be; no limits where contract 9 and the mapping have none."""
    if name in INDICATORS:
        own = INDICATORS[name]
        return Limits(own.unit, own.low, own.high, TYPICAL[name])
    further = mapping.further[name]
    low, high = further.range or (-np.inf, np.inf)
    return Limits(mapping.held_in(name), low, high, further.typical or (low, high))


def looks_like(
    values: NDArray[np.floating], unit: str, limits: Limits, molar_mass: float | None
) -> str:
    """The unit that a column seems to be in, where it is not the one that was said.

    Args:
        values: as they stand in the table, NaN where missing.
        unit: that was said.
        limits: of the feature.
        molar_mass: see `covidlit.cohort.clinical.units.factor`.

    Returns:
        A sentence without its point; empty where the values fit, or fit no unit that is known.
    """
    raw = values[np.isfinite(values)]
    if len(raw) < _ENOUGH:
        return ""
    known = raw * factor(unit, limits.unit, molar_mass)
    is_percent = limits.unit.startswith("percent")
    below = (known > 0) & (known <= 1)
    mixed = below.mean() >= 0.2 and (known > 1).mean() >= 0.2
    if is_percent and limits.typical[0] > 1 and mixed:
        return f"{int(below.sum())} of {len(known)} values look like fractions, others like percent"
    low, high = limits.typical
    if len(known) >= _MANY and limits.typical == TYPICAL["haemoglobin_g_per_l"]:
        low, high = _USUAL
    shares = is_percent and low >= 1 and 0 < known.max() <= 1
    inside = np.mean((known >= limits.low) & (known <= limits.high))
    if low <= np.median(known) <= high and inside > 0.5 and not shares:
        return ""
    fitting: dict[float, str] = {}
    for other in other_units(limits.unit, molar_mass, unit):
        each = factor(other, limits.unit, molar_mass)
        if _fits(raw * each, limits, (low, high)):
            fitting.setdefault(each, other)
    median = float(np.median(raw))
    said = f"all values together (median {median:.4g}) cannot be {unit}"
    if not fitting:
        return f"{said}, nor another unit that is known" if inside < 0.5 else ""
    texts = [
        f"{other} (median {median * each:.4g} {limits.unit} then)"
        for each, other in fitting.items()
    ]
    return f"{said}: they look like {' or '.join(texts)}"


def _fits(values: NDArray[np.floating], limits: Limits, typical: tuple[float, float]) -> bool:
    inside = np.mean((values >= limits.low) & (values <= limits.high))
    return bool(inside > 0.9 and typical[0] <= np.median(values) <= typical[1])


def alone_looks_like(value: float, unit: str, limits: Limits, molar_mass: float | None) -> str:
    """What a single value of the table would be in other units, in brackets; empty if none fits."""
    for other in other_units(limits.unit, molar_mass, unit):
        each = value * factor(other, limits.unit, molar_mass)
        if limits.typical[0] < each <= limits.typical[1]:
            return f" ({value:g} {other} would be {each:g} {limits.unit})"
    return ""
