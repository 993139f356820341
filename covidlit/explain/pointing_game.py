"""How well heatmaps of many scans point at lesions: rates against chance, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.evaluation.bootstrap import Sampling, Weights
from covidlit.evaluation.estimate import Estimate, format_estimate
from covidlit.evaluation.proportions import proportion
from covidlit.explain.localisation import MARGIN_MM, Localisation

NO_SCAN = "there is no such scan with lesion labels"
NO_CALL = "no scan with lesion labels was called positive"


@dataclass(frozen=True)
class HitRate:
    """Localisation over a group of scans that have lesions.

    Args:
        hit_rate: share of scans whose maximum is a hit; Wilson, or patient bootstrap.
        chance: mean over the scans of the share of lung that would be a hit.
        times_chance: their ratio.
        others_heat: hit rate of the maxima of the other scans of the group, laid into this scan's
            body. Lesions have favourite places; what a map scores above this it owes to the scan.
        heat_in_lesions: mean share of all heat that lies inside lesions.
        lesions_of_lung: mean share of the lung that lesions take.
        times_even: heat inside lesions as a share of that inside the lung, over the lesions' share
            of the lung: 1 if the heat were spread evenly over the lung.
    """

    hit_rate: Estimate
    chance: Estimate
    times_chance: Estimate
    others_heat: Estimate
    heat_in_lesions: Estimate
    lesions_of_lung: Estimate
    times_even: Estimate

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {name: value.to_dict() for name, value in vars(self).items()}

    @property
    def sentence(self) -> str:
        """The result in words."""
        if not self.hit_rate.defined:
            return f"Localisation: {self.hit_rate.reason}."
        return (
            f"The hottest point lies within {MARGIN_MM:g} mm of a lesion in {self.hit_rate.count} "
            f"of {self.hit_rate.n} "
            f"scans: hit rate {format_estimate(self.hit_rate, percent=True)}; by chance "
            f"{format_estimate(self.chance, percent=True)}, so "
            f"{format_estimate(self.times_chance, 1)} times chance. Other scans' hottest points in "
            f"the same bodies: {format_estimate(self.others_heat, percent=True)}."
        )


def hit_rate(
    found: Sequence[Localisation],
    sampling: Sampling,
    others: NDArray[np.floating] | None = None,
    nothing: str = NO_SCAN,
) -> HitRate:
    """Summarise the localisation of scans, one entry per scan.

    Args:
        found: of scans with lesions.
        sampling: of the same scans.
        others: of each scan, the share of the other scans' maxima that hit its lesions.
        nothing: why there is none, where there is none.
    """
    if not found:
        return HitRate(*[Estimate.undefined(nothing)] * 7)
    hits = np.array([one.hit for one in found])
    chance = np.array([one.chance for one in found])
    lesions = np.array([one.lesions_of_lung for one in found])
    # Without any heat nothing lies anywhere: such a scan counts as none inside.
    inside = np.array([one.heat_in_lesions or 0.0 for one in found])
    in_lung = np.array([one.heat_in_lung or 0.0 for one in found])
    everything = np.ones(len(found))
    return HitRate(
        hit_rate=proportion(hits, everything.astype(bool), sampling),
        chance=_ratio(chance, everything, sampling),
        times_chance=_ratio(hits.astype(float), chance, sampling),
        others_heat=Estimate.undefined("needs two scans and their lesion labels", len(found))
        if others is None
        else _ratio(others, everything, sampling),
        heat_in_lesions=_ratio(inside, everything, sampling),
        lesions_of_lung=_ratio(lesions, everything, sampling),
        times_even=_times_even(inside, in_lung, lesions, sampling),
    )


def _times_even(
    inside: NDArray[np.floating],
    in_lung: NDArray[np.floating],
    lesions: NDArray[np.floating],
    sampling: Sampling,
) -> Estimate:
    def statistic(weights: Weights) -> NDArray[np.float64]:
        return (
            (weights @ inside) * weights.sum(axis=1) / ((weights @ in_lung) * (weights @ lesions))
        )

    if not in_lung.any():
        return Estimate.undefined("no heat lies inside the lung", len(inside))
    return _bootstrapped(statistic, len(inside), sampling)


def _ratio(top: NDArray[np.floating], bottom: NDArray[np.floating], sampling: Sampling) -> Estimate:
    """Sum of `top` over sum of `bottom`, with a patient bootstrap."""

    def statistic(weights: Weights) -> NDArray[np.float64]:
        return (weights @ top) / (weights @ bottom)

    return _bootstrapped(statistic, len(top), sampling)


def _bootstrapped(
    statistic: Callable[[Weights], NDArray[np.float64]], n: int, sampling: Sampling
) -> Estimate:
    value = float(statistic(np.ones((1, n)))[0])
    interval = sampling.percentile(sampling.distribution(statistic))
    if interval is None:
        return Estimate(value, None, None, n, "none", "the bootstrap gives it no width")
    return Estimate(value, *interval, n, "patient bootstrap, percentile")
