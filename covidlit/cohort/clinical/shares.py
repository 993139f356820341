"""Eosinophils as fractions beside percentages: too few to be told by their column alone.

A median of 0.02 may be 2% as a fraction, or 0.02% of a very ill patient. The other cells tell:
neutrophils, lymphocytes, monocytes, eosinophils and at most some basophils are all leukocytes.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

_EOSINOPHILS = "eosinophil_percent"
_OTHERS = ("neutrophil_percent", "lymphocyte_percent", "monocyte_percent")
_COUNTS = ("eosinophils_1e9_per_l", "leukocytes_1e9_per_l")
_BASOPHILS = (-0.5, 2.5)
"""Percent of leukocytes that are none of the four, with rounding."""
_ENOUGH, _MOST = 5, 0.9


def are_fractions(measured: pd.DataFrame) -> str:
    """By what the eosinophils of a source are fractions where percent is said; empty if not.

    Args:
        measured: one row per patient and moment, in the units of contract 9 as they are said.

    Returns:
        What they are held against: the other cells, or the counts.
    """
    if _EOSINOPHILS not in measured:
        return ""
    own = measured[_EOSINOPHILS].to_numpy(dtype=float)
    if not np.nanmax(own, initial=0) <= 1:
        return ""
    if set(_COUNTS) <= set(measured):
        eosinophils, leukocytes = (measured[name].to_numpy(dtype=float) for name in _COUNTS)
        with np.errstate(divide="ignore", invalid="ignore"):
            times = 100 * eosinophils / leukocytes / own
        known = np.isfinite(times) & (own > 0) & (times > 0)
        if known.sum() >= _ENOUGH:
            near = (times[known] > 30) & (times[known] < 300)
            return "their counts" if near.mean() >= _MOST else ""
    if set(_OTHERS) <= set(measured):
        rest = 100 - measured[list(_OTHERS)].sum(axis=1, skipna=False).to_numpy(dtype=float)
        known = np.isfinite(rest) & (own > 0)
        left = (rest - 100 * own)[known]
        inside = (left >= _BASOPHILS[0]) & (left <= _BASOPHILS[1])
        closer = np.abs(left - 0.5) < np.abs((rest - own)[known] - 0.5)
        if known.sum() >= _ENOUGH and inside.mean() >= _MOST and closer.mean() > 0.5:
            return "the neutrophils, lymphocytes and monocytes"
    return ""
