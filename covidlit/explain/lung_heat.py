"""How much of the heat lies inside the lungs: where it does not, the network looks elsewhere."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from covidlit.explain.heatmap import Heatmap
from covidlit.preprocess.features.lung_region import lung_region
from covidlit.preprocess.geometry import Prepared
from covidlit.scans.thinned import thinned

LITTLE = 0.5
"""A mean share of heat inside the lungs below this is warned of (our limit)."""

_GRID_MM = 3.0


def heat_in_lung(heatmap: Heatmap, prepared: Prepared) -> float | None:
    """Share of all heat that lies inside the lungs, as thresholds on HU find them.

    A coarse look: air in the bowel counts as lung, a large consolidation at the chest wall does not
    (see `covidlit.preprocess.features.lung_region`).

    Args:
        heatmap: of the scan.
        prepared: of the scan, what the network saw.

    Returns:
        From 0 to 1; None where no lung is found, or no heat.
    """
    spacing = [float(mm) for mm in np.linalg.norm(prepared.affine[:3, :3], axis=0)]
    hu, coarse = thinned(prepared.array, spacing, _GRID_MM)
    heat, _ = thinned(heatmap.on_input(), spacing, _GRID_MM)
    lung = lung_region(np.ascontiguousarray(hu), coarse)
    total = float(heat.sum(dtype=np.float64))
    if not lung.any() or total <= 0:
        return None
    return float(heat[lung].sum(dtype=np.float64)) / total


def lung_heat_sentence(shares: Iterable[float | None]) -> str:
    """The mean share of heat inside the lungs in words, with a warning where it is small.

    Args:
        shares: one per scan, as `heat_in_lung` gives them.
    """
    known = np.array([one for one in shares if one is not None and one == one], float)
    if not len(known):
        return "Share of heat inside the lungs: not known, since no lungs, or no heat, were found."
    scans = "of one scan" if len(known) == 1 else f"on average over {len(known)} scans"
    text = f"Share of heat inside the lungs: {100 * known.mean():.0f}% {scans}"
    if len(known) > 1:
        text += f", from {100 * known.min():.0f}% to {100 * known.max():.0f}%"
    if known.mean() >= LITTLE:
        return f"{text}."
    return (
        f"{text}. Warning: most of the heat lies outside the lungs, so that the network may look "
        "at something else than the lungs, such as the table, the chest wall or the edge of the "
        "image."
    )
