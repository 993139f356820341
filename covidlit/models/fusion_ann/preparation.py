"""Raw numbers to features: chosen, scaled, filled; all of it fitted before, as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.models.fusion_ann.settings import check_preparation

Floats = NDArray[np.float64]

_normal_quantile = np.frompyfunc(NormalDist().inv_cdf, 1, 1)
"""Of the standard library: importing SciPy's takes longer than scoring a patient."""


class Preparation:
    """The preparation that `covidlit.models.fusion_ann.fit.fit_preparation` has fitted.

    * quantile: each number becomes the normal quantile of its place among the training values (the
      mean of the first and the last place where values are equal, at the ends as well);
    * standard: each number has the training values' mean taken away and is divided by their
      standard deviation.

    A missing number becomes `fill`; features that are missing often enough have an indicator of
    that, 0 or 1, less its training mean, behind all features.

    Args:
        settings: `transform`; `columns`, places of the chosen numbers among the raw ones; their
            `names`; `reference`, for each one row of sorted training quantiles, or mean and
            standard deviation; `bound`, how near to 0 and 1 a place may come; `fill`, prepared
            values of what is missing; `indicators`, pairs of the place of a feature among the
            chosen ones and its share of missing values.

    Attributes:
        names: of the chosen features.
        indicated: places of the features that have an indicator, in its order.

    Raises:
        ConfigError: the settings do not fit together, or no training has fitted such numbers.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        check_preparation(settings)
        self.names = [str(name) for name in settings["names"]]
        self.indicated = [int(place) for place, _ in settings["indicators"]]
        self._quantile = settings["transform"] == "quantile"
        self._bound = float(settings["bound"])
        self._columns = [int(column) for column in settings["columns"]]
        self._reference = _as_trained(np.array(settings["reference"]))
        self._fill = np.array(settings["fill"], dtype=np.float64)
        self._shares = np.array([share for _, share in settings["indicators"]], dtype=np.float64)

    @property
    def n_features(self) -> int:
        """Prepared features, indicators among them."""
        return len(self.names) + len(self.indicated)

    @property
    def feature_names(self) -> list[str]:
        """Of the prepared features."""
        return [*self.names, *(f"{self.names[place]} missing" for place in self.indicated)]

    def __call__(self, numbers: NDArray[np.floating]) -> Floats:
        """Features (n, n_features) of raw numbers (n, columns), NaN where one is missing."""
        chosen = _as_trained(numbers[:, self._columns])
        missing = ~np.isfinite(chosen)
        known = np.where(missing, self._reference[:, 0], chosen)
        if self._quantile:
            places = np.stack(
                [_place(x, row) for x, row in zip(known.T, self._reference, strict=True)], axis=1
            )
            bounded = places.clip(self._bound, 1 - self._bound)
            found = _normal_quantile(bounded).astype(np.float64)
        else:
            found = (known - self._reference[:, 0]) / self._reference[:, 1]
        prepared = np.where(missing, self._fill, found)
        return np.concatenate([prepared, missing[:, self.indicated] - self._shares], axis=1)


def _as_trained(numbers: NDArray[Any]) -> Floats:
    """Numbers as float32 holds them, which batches are of: so equal ones stay equal."""
    return numbers.astype(np.float32).astype(np.float64)


def _place(x: Floats, reference: Floats) -> Floats:
    """The place 0 to 1 of each x in sorted values; of equal ones the middle."""
    upward, downward = _last_place(x, reference), 1 - _last_place(-x, -reference[::-1])
    return (upward + downward) / 2


def _last_place(x: Floats, reference: Floats) -> Floats:
    n = len(reference)
    if n == 1:
        return np.full_like(x, 0.5)
    above = np.searchsorted(reference, x, side="right").clip(1, n - 1)
    low, high = reference[above - 1], reference[above]
    share = ((x - low) / np.where(high > low, high - low, 1.0)).clip(0, 1)
    found: Floats = (above - 1 + np.where(x >= high, 1.0, share)) / (n - 1)
    return found
