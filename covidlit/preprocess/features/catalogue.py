"""The features of a prepared volume that the classical baselines learn from, each one named.

All but the coarse intensities are measured in `lung_region`, which
thresholds find: no network segments the lungs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.errors import ConfigError, did_you_mean
from covidlit.preprocess.body import BODY_HU
from covidlit.preprocess.features.coarse import GRID, coarse_intensities
from covidlit.preprocess.features.intensity import (
    FIRST_ORDER,
    HISTOGRAM_EDGES,
    entropy_and_uniformity,
    first_order,
    histogram,
)
from covidlit.preprocess.features.lung_region import lung_region
from covidlit.preprocess.features.texture import (
    COOCCURRENCE,
    N_LEVELS,
    cooccurrence_features,
    cooccurrence_matrix,
    grey_levels,
)

FEATURE_FORMAT = 1
"""Number of the features' format: raised when a feature's value changes, is added or goes."""

GROUPS = ("histogram", "first_order", "texture", "coarse")


@dataclass(frozen=True)
class Feature:
    """What one number of a volume is.

    Args:
        name: its column.
        group: one of `GROUPS`.
        description: in words.
        unit: HU, ml, ...; empty for a share or another plain number.
        source: where the definition stands.
    """

    name: str
    group: str
    description: str
    unit: str
    source: str


def volume_features(hu: NDArray[np.int16], spacing_mm: Sequence[float]) -> dict[str, float]:
    """Every feature of a prepared volume.

    Args:
        hu: int16 HU (z, y, x), axes as in `covidlit.scans.scan.Scan`.
        spacing_mm: voxel spacing in mm, (z, y, x).

    Returns:
        By the names of `FEATURES`, in their order; NaN where one is undefined, such as all that
        is measured in the lungs where there is no air in the body.
    """
    hu = np.asarray(hu)
    region = lung_region(hu, spacing_mm)
    inside = hu[region]
    shares = histogram(inside)
    entropy, uniformity = entropy_and_uniformity(shares)
    matrix = cooccurrence_matrix(_cut_out(grey_levels(hu, region), region), N_LEVELS)
    values = [
        *shares,
        entropy,
        uniformity,
        *first_order(inside).values(),
        len(inside) * float(np.prod(spacing_mm)) / 1000,
        float((inside > BODY_HU).mean()) if len(inside) else float("nan"),
        *cooccurrence_features(matrix).values(),
        *coarse_intensities(hu).ravel(),
    ]
    names = (feature.name for feature in FEATURES)
    return {name: float(value) for name, value in zip(names, values, strict=True)}


def features_of(groups: Iterable[str]) -> tuple[Feature, ...]:
    """The features of some groups, in the order of `FEATURES`.

    Raises:
        ConfigError: there is no such group, or none is named.
    """
    asked = [groups] if isinstance(groups, str) else list(groups)
    for name in asked or [""]:
        if name not in GROUPS:
            meant = did_you_mean(str(name), GROUPS) or ""
            raise ConfigError(
                f"there is no group of features {name!r}." if name else "no feature is chosen.",
                where="model.features",
                fix=f"{meant} The groups are {', '.join(GROUPS)}.".strip(),
            )
    return tuple(feature for feature in FEATURES if feature.group in asked)


def feature_table(groups: Iterable[str] = GROUPS) -> pd.DataFrame:
    """One row per feature: name, group, description, unit, source."""
    return pd.DataFrame([vars(feature) for feature in features_of(groups)])


def _cut_out(levels: NDArray[np.uint8], region: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The box about the region, which is all that counts for its texture."""
    if not region.any():
        return levels[:0]
    box = []
    for axis in range(3):
        other = tuple(k for k in range(3) if k != axis)
        there = np.flatnonzero(region.any(axis=other))
        box.append(slice(there[0], there[-1] + 1))
    return levels[tuple(box)]


_IBSI = "IBSI reference manual, arXiv:1612.07003"


def _histogram_features() -> list[Feature]:
    first, last = HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1]
    bins = [
        (f"histogram_below_{first}_hu", f"below {first} HU"),
        *(
            (f"histogram_{low}_to_{high}_hu", f"of at least {low} and below {high} HU")
            for low, high in pairwise(HISTOGRAM_EDGES)
        ),
        (f"histogram_from_{last}_hu", f"of at least {last} HU"),
    ]
    shares = [
        Feature(name, "histogram", f"share of the lung region's voxels {words}", "", "")
        for name, words in bins
    ]
    return [
        *shares,
        Feature("histogram_entropy", "histogram", "entropy of these shares", "bit", _IBSI),
        Feature("histogram_uniformity", "histogram", "sum of their squares", "", _IBSI),
    ]


def _first_order_features() -> list[Feature]:
    plain = {"skewness": "", "excess_kurtosis": "", "variance": "HU^2"}
    statistics = [
        Feature(
            f"lung_{name}",
            "first_order",
            f"{name.replace('_', ' ')} of the intensities in the lung region",
            plain.get(name, "HU"),
            _IBSI,
        )
        for name in FIRST_ORDER
    ]
    return [
        *statistics,
        Feature("lung_volume", "first_order", "volume of the lung region", "ml", ""),
        Feature(
            "lung_dense_share",
            "first_order",
            f"share of the lung region above {BODY_HU} HU: vessels, airway walls, lesions",
            "",
            "",
        ),
    ]


def _texture_features() -> list[Feature]:
    bits = ("joint_entropy", "difference_entropy", "sum_entropy")
    return [
        Feature(
            f"texture_{name}",
            "texture",
            f"{name.replace('_', ' ')} of the grey-level co-occurrence in the lung region",
            "bit" if name in bits else "",
            _IBSI,
        )
        for name in COOCCURRENCE
    ]


def _coarse_features() -> list[Feature]:
    return [
        Feature(
            f"coarse_z{z}_y{y}_x{x}",
            "coarse",
            f"mean intensity of a cell of the volume: {z + 1} of {GRID[0]} from the feet, "
            f"{y + 1} of {GRID[1]} from the front, {x + 1} of {GRID[2]} from the patient's right",
            "HU",
            "",
        )
        for z, y, x in product(*map(range, GRID))
    ]


FEATURES = (
    *_histogram_features(),
    *_first_order_features(),
    *_texture_features(),
    *_coarse_features(),
)
FEATURE_NAMES = tuple(feature.name for feature in FEATURES)
