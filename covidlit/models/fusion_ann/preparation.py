"""Raw numbers to features: chosen, scaled, filled; all of it fitted before, as plain numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from covidlit.errors import ConfigError

TRANSFORMS = ("quantile", "standard")
_ROUNDING = 1e-9
FIELDS = ("transform", "columns", "names", "reference", "bound", "fill", "indicators")


class Preparation(nn.Module):
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

    Raises:
        ConfigError: the settings do not fit together, or no training has fitted such numbers.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        try:
            problem = _problem_of(settings)
        except (TypeError, ValueError) as error:
            problem = f"the preparation holds something else than numbers ({error})."
        if problem:
            raise ConfigError(
                problem, where="preparation", fix="let a training fit it: set it to null."
            )
        self.transform = str(settings["transform"])
        self.names = [str(name) for name in settings["names"]]
        self.bound = float(settings["bound"])
        indicated = [(int(place), float(share)) for place, share in settings["indicators"]]
        self._buffer("columns", torch.tensor([int(c) for c in settings["columns"]]))
        rows = [list(map(float, row)) for row in settings["reference"]]
        self._buffer("reference", torch.tensor(rows).double())
        self._buffer("fill", torch.tensor([float(value) for value in settings["fill"]]))
        self._buffer("indicated", torch.tensor([place for place, _ in indicated], dtype=torch.long))
        self._buffer("shares", torch.tensor([share for _, share in indicated]))

    columns: Tensor
    reference: Tensor
    fill: Tensor
    indicated: Tensor
    shares: Tensor

    @property
    def n_features(self) -> int:
        """Prepared features, indicators among them."""
        return len(self.columns) + len(self.indicated)

    @property
    def feature_names(self) -> list[str]:
        """Of the prepared features."""
        return [*self.names, *(f"{self.names[int(i)]} missing" for i in self.indicated)]

    def forward(self, numbers: Tensor) -> Tensor:
        """Features float32 (B, n_features) of raw ones (B, columns), NaN where one is missing."""
        chosen = numbers[:, self.columns].double()
        missing = ~torch.isfinite(chosen)
        known = torch.where(missing, self.reference[:, 0], chosen)
        if self.transform == "quantile":
            found = _normal_places(known, self.reference, self.bound)
        else:
            found = (known - self.reference[:, 0]) / self.reference[:, 1]
        prepared = torch.where(missing, self.fill, found.float())
        flags = missing[:, self.indicated].float() - self.shares
        return torch.cat([prepared, flags], dim=1)

    def _buffer(self, name: str, value: Tensor) -> None:
        # The checkpoint keeps them among the hyper-parameters.
        self.register_buffer(name, value, persistent=False)


def _problem_of(settings: Mapping[str, Any]) -> str:
    """Why numbers of a preparation fit no training, or were changed after it; empty if they fit."""
    if lacking := [name for name in FIELDS if name not in settings]:
        return f"the preparation lacks {', '.join(lacking)}."
    columns: Sequence[int] = settings["columns"] or ()
    rows: Sequence[Sequence[float]] = settings["reference"] or ()
    n = len(columns)
    if not n or not n == len(rows) == len(settings["fill"]) == len(settings["names"]):
        return (
            f"the preparation has {n} columns, {len(rows)} rows of reference, "
            f"{len(settings['fill'])} fills and {len(settings['names'])} names."
        )
    if settings["transform"] not in TRANSFORMS:
        return f"the preparation has a transform {settings['transform']!r}."
    if not all(_is_place(column) for column in columns) or len(set(columns)) != n:
        return f"the preparation's columns are {list(columns)}: one is no place, or there twice."
    if not 0 < settings["bound"] < 0.5:
        return f"the preparation's bound is {settings['bound']!r}, and must be between 0 and 0.5."
    quantile = settings["transform"] == "quantile"
    for name, row in zip(settings["names"], rows, strict=True):
        size = len(rows[0]) if quantile else 2
        if len(row) != size or not size or not all(map(math.isfinite, row)):
            return f"the preparation's reference of {name} is not {size} finite numbers."
        if quantile and any(a - b > _ROUNDING * abs(a) for a, b in pairwise(row)):
            return f"the preparation's reference of {name} is not sorted."
        if not quantile and not row[1] > 0:
            return f"the preparation's deviation of {name} is {row[1]!r}, and must be above 0."
    if not all(map(math.isfinite, settings["fill"])):
        return "the preparation's fill is not finite."
    for place, share in settings["indicators"]:
        if not _is_place(place) or place >= n or not 0 <= share <= 1:
            return f"the preparation's indicator [{place!r}, {share!r}] is of no feature or share."
    return ""


def _is_place(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _normal_places(values: Tensor, reference: Tensor, bound: float) -> Tensor:
    """Normal quantiles of the places of values (B, features) in sorted references (features, Q)."""
    x = values.T.contiguous()
    upward = _interpolate(x, reference)
    downward = 1 - _interpolate(-x, -reference.flip(1))
    return torch.special.ndtri(((upward + downward) / 2).clamp(bound, 1 - bound)).T


def _interpolate(x: Tensor, reference: Tensor) -> Tensor:
    """The place 0 to 1 of each x (features, B) in rows of sorted values; of equal ones the last."""
    n = reference.shape[1]
    if n == 1:
        return torch.full_like(x, 0.5)
    above = torch.searchsorted(reference, x, right=True).clamp(1, n - 1)
    low, high = reference.gather(1, above - 1), reference.gather(1, above)
    width = torch.where(high > low, high - low, torch.ones_like(low))
    share = ((x - low) / width).clamp(0, 1)
    share = torch.where((x >= high), torch.ones_like(share), share)
    return (above - 1 + share) / (n - 1)
