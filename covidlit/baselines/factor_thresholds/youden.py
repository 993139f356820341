"""The threshold of one factor: where sensitivity + specificity - 1 is largest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Cut:
    """A threshold and its side.

    Args:
        threshold: in the factor's unit, half-way between two values of the training scans.
        above: a scan is beyond it at or above the threshold; False: at or below.
        true, false: scans with and without the disease that are beyond it.
        positive, negative: how many there are, those whose factor is undefined among them.
    """

    threshold: float
    above: bool
    true: int
    false: int
    positive: int
    negative: int

    @property
    def sensitivity(self) -> float:
        """Of the scans that it was learnt on, hence optimistic."""
        return self.true / self.positive

    @property
    def specificity(self) -> float:
        """Of the scans that it was learnt on, hence optimistic."""
        return 1 - self.false / self.negative

    @property
    def gain(self) -> int:
        """Youden's J times positive and negative scans, exact, so that ties are ties."""
        return self.true * self.negative - self.false * self.positive

    @property
    def youden(self) -> float:
        """J = sensitivity + specificity - 1."""
        return self.gain / (self.positive * self.negative)

    def beyond(self, values: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Which values are beyond the threshold; one that is undefined (NaN) is not."""
        known = np.where(np.isfinite(values), values, -np.inf if self.above else np.inf)
        return known >= self.threshold if self.above else known <= self.threshold


def youden_cut(
    values: NDArray[np.floating], target: NDArray[np.bool_], above: bool | None = True
) -> Cut | None:
    """The threshold of a factor that tells the two classes apart best, by Youden's J.

    Of thresholds with the same J the strictest is taken, beyond which fewest scans are. An
    undefined value is never beyond a threshold, and counts as such.

    Args:
        values: (n,) of the factor, NaN where it is undefined.
        target: (n,) true for positive scans; both classes are there.
        above: the side of the disease; None: the better one, above where both are as good.

    Returns:
        None where all defined values are equal, or no threshold has a J above 0.

    Source: Youden, Cancer 1950;3:32.
    """
    if above is None:
        both = [cut for side in (True, False) if (cut := youden_cut(values, target, side))]
        return max(both, key=lambda cut: cut.gain, default=None)
    positive, negative = int(target.sum()), int((~target).sum())
    known = np.isfinite(values)
    signed = values[known] if above else -values[known]
    distinct, place = np.unique(-signed, return_inverse=True)  # from the furthest beyond on
    if len(distinct) < 2:
        return None
    true = np.cumsum(np.bincount(place, weights=target[known], minlength=len(distinct)))
    false = np.cumsum(np.bincount(place, weights=~target[known], minlength=len(distinct)))
    # Beyond all known values, or beyond none, is no threshold that these scans have shown.
    gain = (true * negative - false * positive)[:-1]
    best = int(np.argmax(gain))
    if gain[best] <= 0:
        return None
    inside, outside = -float(distinct[best]), -float(distinct[best + 1])
    middle = outside + (inside - outside) / 2
    threshold = middle if middle > outside else inside  # they may be neighbours among floats
    return Cut(
        threshold if above else -threshold,
        above, int(true[best]), int(false[best]), positive, negative,
    )  # fmt: skip
