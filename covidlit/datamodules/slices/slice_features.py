"""A few numbers of a slice, for classical models: how its intensities are spread."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

_EDGES = np.linspace(0.0, 1.0, 9)
GROUP = "intensity"

_ROWS = [
    ("intensity_mean", "mean of the first channel"),
    ("intensity_sd", "standard deviation of the first channel"),
    *(
        (f"intensity_share_{k + 1}", f"share of pixels from {_EDGES[k]:g} to {_EDGES[k + 1]:g}")
        for k in range(len(_EDGES) - 1)
    ),
]


def slice_feature_table() -> pd.DataFrame:
    """One row per feature: name, group, description, unit, source."""
    rows = [(name, GROUP, text, "", "first-order statistics of the input") for name, text in _ROWS]
    return pd.DataFrame(rows, columns=["name", "group", "description", "unit", "source"])


def slice_features(image: torch.Tensor) -> NDArray[np.float64]:
    """The features of an input (3, rows, columns) within [0, 1], in the table's order."""
    values = image[0].numpy().astype(np.float64).ravel()
    shares = np.histogram(values, _EDGES)[0] / max(values.size, 1)
    return np.array([values.mean(), values.std(), *shares])
