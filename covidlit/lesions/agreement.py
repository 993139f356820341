"""How far two measurements of the same may lie apart, and when a change is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Limits:
    """Limits of agreement of two measurements of an unchanged patient.

    Args:
        absolute: in the factor's unit; differences up to here are noise whatever the size.
        relative: of the mean of both, 0 to 1; 0 where noise does not grow with the size.
    """

    absolute: float
    relative: float = 0.0

    def of(self, before: float, after: float) -> float:
        """The largest difference that is still noise, in the factor's unit."""
        return max(self.absolute, self.relative * (before + after) / 2)


MEASURED_BY = "python experiments/limits_of_agreement/run.py"
"""What measured `LIMITS`: results beside it, in results.json."""

LIMITS: Mapping[str, Limits] = {
    "total_volume_ml": Limits(2.0, 0.55),
    "lung_volume_ml": Limits(0.0, 0.18),
    "mean_density_hu": Limits(100.0),
    "proportion_percent": Limits(0.1, 0.55),
}
"""Beyond these, two scans of one patient differ by more than another kernel, another slice
thickness or another breath makes them differ: the widest of the three, rounded up (synthetic pairs
whose lesions were found by a threshold; see `MEASURED_BY`). The absolute ones are our choice: twice
the smallest focus that was looked for there."""


SINGLE_LESIONS = (
    "Changes of single lesions are uncorrected: limits of agreement were measured of whole scans, "
    "and none of one lesion. Lesions are held against those of the total volume instead: beyond "
    "them one is called grown or shrunk, and one that is new or gone within them may as well have "
    "been missed, or drawn otherwise, in one of the scans."
)
"""What is to be said wherever the changes of single lesions stand."""


def verdict(factor: str, before: float | None, after: float | None) -> str:
    """ "more", "less" or "within limits"; "undefined" where a value is missing.

    Args:
        factor: a key of `LIMITS`.
        before: value of the earlier scan.
        after: value of the later one.
    """
    if before is None or after is None or np.isnan(before) or np.isnan(after):
        return "undefined"
    if abs(after - before) <= LIMITS[factor].of(before, after):
        return "within limits"
    return "more" if after > before else "less"


@dataclass(frozen=True)
class BlandAltman:
    """Agreement of two methods.

    Args:
        n: pairs.
        bias: mean of the differences, second minus first.
        sd: their standard deviation.
        lower, upper: bias - 1.96 sd and bias + 1.96 sd, between which 95% of differences lie.
    """

    n: int
    bias: float
    sd: float
    lower: float
    upper: float


def bland_altman(first: Sequence[float], second: Sequence[float]) -> BlandAltman:
    """Limits of agreement (Bland and Altman, Lancet 1986).

    Args:
        first, second: the pairs, at least two of them.

    Raises:
        ValueError: fewer than two pairs, or as many of one as not of the other.
    """
    one, other = _pairs(first, second)
    apart = other - one
    bias, sd = float(apart.mean()), float(apart.std(ddof=1))
    return BlandAltman(len(apart), bias, sd, bias - 1.96 * sd, bias + 1.96 * sd)


def concordance(first: Sequence[float], second: Sequence[float]) -> float:
    """Lin's concordance correlation coefficient (Biometrics 1989), -1 to 1.

    Args:
        first, second: the pairs, at least two of them. NaN where both are constant and equal.
    """
    one, other = _pairs(first, second)
    cross = float(((one - one.mean()) * (other - other.mean())).mean())
    below = float(one.var() + other.var() + (one.mean() - other.mean()) ** 2)
    return 2 * cross / below if below > 0 else float("nan")


def _pairs(
    first: Sequence[float], second: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.shape != other.shape or one.ndim != 1 or len(one) < 2:
        raise ValueError(f"needs two or more pairs, got {one.shape} and {other.shape}")
    return one, other
