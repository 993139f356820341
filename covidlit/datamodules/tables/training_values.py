"""How each number of a table is spread among the training rows, and where another one lies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

N_QUANTILES = 101


def spread_of(values: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """What a checkpoint keeps of the training rows' numbers, as plain values.

    Args:
        values: of these rows, a column per number, NaN where one is missing.

    Returns:
        name -> `n`, how many there are; `missing`, how many are not; `quantiles`, of the places
        0, 0.01, ... 1, the smallest and the largest value among them; empty where n is 0.
    """
    found = {}
    for name in values:
        own = values[name].to_numpy(dtype=np.float64)
        known = own[np.isfinite(own)]
        places = np.linspace(0, 1, N_QUANTILES)
        found[str(name)] = {
            "n": len(known),
            "missing": len(own) - len(known),
            "quantiles": np.quantile(known, places).tolist() if len(known) else [],
        }
    return found


def place_of(value: float, spread: Mapping[str, Any]) -> float:
    """The share of the training rows with a smaller number, equal ones counted half.

    NaN where the number, or what the training rows had, is missing.
    """
    quantiles = np.asarray(spread["quantiles"], dtype=np.float64)
    if not len(quantiles) or not np.isfinite(value):
        return float("nan")
    places = np.linspace(0, 1, len(quantiles))
    below, above = (np.searchsorted(quantiles, value, side=side) for side in ("left", "right"))
    if below != above:  # among equal quantiles: the middle of their places
        return float((places[below] + places[above - 1]) / 2)
    return float(np.interp(value, quantiles, places))


def outside_text(name: str, value: float, spread: Mapping[str, Any]) -> str:
    """A sentence part where a number lies outside the training rows' range; empty where not."""
    quantiles = spread["quantiles"]
    if not np.isfinite(value) or not quantiles:
        return ""
    low, high = quantiles[0], quantiles[-1]
    slack = 1e-6 * max(abs(low), abs(high))  # of rounding, on the way through a file
    if low - slack <= value <= high + slack:
        return ""
    side = "below" if value < low else "above"
    return f"{name} {value:.6g} is {side} the training range {low:.4g} to {high:.4g}"
