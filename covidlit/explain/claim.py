"""The paper's claim as a test: scans without COVID-19 get lower weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from covidlit.counted import counted
from covidlit.evaluation.auc import sampled_auc
from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.estimate import Estimate


@dataclass(frozen=True)
class WeightClaim:
    """Maximal heat of negative scans against that of positive ones.

    Args:
        auc: chance that a positive scan's maximum is larger than a negative one's, the effect size.
        p_value: Mann-Whitney U, one-sided; None where a class is absent.
        median_positive, median_negative: of the maxima.
        n_positive, n_negative: scans.
    """

    auc: Estimate
    p_value: float | None
    median_positive: float | None
    median_negative: float | None
    n_positive: int
    n_negative: int

    @property
    def holds(self) -> bool:
        """Whether the interval of the effect lies above 0.5, that is "no difference"."""
        return self.auc.low is not None and self.auc.low > 0.5

    @property
    def sentence(self) -> str:
        """The result in words."""
        if self.auc.value is None:
            return f"Lower weights in scans without COVID-19: cannot be tested ({self.auc.reason})."
        low, high = self.auc.low, self.auc.high
        verdict = "seen here" if self.holds else "not seen here"
        return (
            f"Lower weights in scans without COVID-19: {verdict}. A positive scan's largest heat "
            f"exceeds a negative one's with probability {self.auc.value:.3f} ({low:.3f} to "
            f"{high:.3f}); medians {self.median_positive:.3g} ({counted(self.n_positive, 'scan')}) "
            f"and {self.median_negative:.3g} ({self.n_negative}); one-sided Mann-Whitney "
            f"p = {self.p_value:.2g}."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "holds": self.holds,
            "auc": self.auc.to_dict(),
            "p_value": self.p_value,
            "median_positive": self.median_positive,
            "median_negative": self.median_negative,
            "n_positive": self.n_positive,
            "n_negative": self.n_negative,
            "sentence": self.sentence,
        }


def lower_weights_claim(
    positive: NDArray[np.bool_], maxima: NDArray[np.floating], sampling: Sampling
) -> WeightClaim:
    """Test the paper's "the weights of the feature maps were significantly lower".

    Where patients have several scans, the interval of the AUC is a patient bootstrap; the p-value
    takes scans as independent in any case.

    Args:
        positive: shape (n,), which scans are positive.
        maxima: shape (n,), the largest heat of each, on one absolute scale.
        sampling: of the same scans.

    Source: Yao et al., Eur Radiol 2021, section "Results"; it gives no test for its claim.
    """
    up, down = maxima[positive], maxima[~positive]
    both = len(up) > 0 and len(down) > 0
    return WeightClaim(
        auc=sampled_auc(positive, maxima, sampling),
        p_value=float(stats.mannwhitneyu(up, down, alternative="greater").pvalue) if both else None,
        median_positive=float(np.median(up)) if len(up) else None,
        median_negative=float(np.median(down)) if len(down) else None,
        n_positive=len(up),
        n_negative=len(down),
    )
