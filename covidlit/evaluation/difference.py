"""A difference of two results with its test: the only form in which a comparison is given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.estimate import Estimate

BOOTSTRAP = "patient bootstrap, percentile"


@dataclass(frozen=True)
class DifferenceTest:
    """A difference, first minus second, and the test of whether it is 0.

    Attributes:
        difference: the difference with its interval, or the reason why there is none.
        statistic: value of the test's statistic, or None where the test has none.
        p_value: two-sided, not corrected for other tests; None where the test is undefined.
        method: name of the test.
        n: number of scans that the test rests on.
        reason: why there is no p-value.
        p_holm: p-value corrected by Holm's method over the test's family; see `holm`.
    """

    difference: Estimate
    statistic: float | None
    p_value: float | None
    method: str
    n: int
    reason: str | None = None
    p_holm: float | None = None

    def __post_init__(self) -> None:
        for name in ("statistic", "p_value", "p_holm"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                raise ValueError(f"{name} must be finite or None, not {number!r}")
        if self.p_value is None and self.reason is None:
            raise ValueError("a test without a p-value needs a reason")

    @classmethod
    def undefined(cls, reason: str, method: str, n: int = 0) -> DifferenceTest:
        """A test that cannot be made on these data, with the reason."""
        return cls(Estimate.undefined(reason, n), None, None, method, n, reason)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: difference, statistic, p_value, p_holm, method, n, and a reason if any."""
        record: dict[str, Any] = {
            "difference": self.difference.to_dict(),
            "statistic": self.statistic,
            "p_value": self.p_value,
            "p_holm": self.p_holm,
            "method": self.method,
            "n": self.n,
        }
        return record if self.reason is None else record | {"reason": self.reason}


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p-values of one family, corrected by Holm's step-down method.

    A test that is undefined (None) stays so, but counts as one of the family, so that leaving it
    out cannot make the others look stronger.

    Source: Holm, Scandinavian Journal of Statistics 1979;6:65.
    """
    known = np.array([1.0 if value is None else value for value in p_values])
    order = np.argsort(known, kind="stable")
    stepped = known[order] * np.arange(len(known), 0, -1)
    new = np.empty_like(known)
    new[order] = np.minimum(1.0, np.maximum.accumulate(stepped))
    return [None if value is None else float(one) for value, one in zip(p_values, new, strict=True)]


def corrected(tests: Sequence[DifferenceTest]) -> list[DifferenceTest]:
    """The tests of one family with `p_holm` filled in."""
    values = holm([test.p_value for test in tests])
    return [replace(test, p_holm=value) for test, value in zip(tests, values, strict=True)]


def bootstrap_test(value: float, replicates: ArrayLike, sampling: Sampling) -> DifferenceTest:
    """A difference with the percentile interval and the p-value of its bootstrap replicates.

    The p-value inverts the interval: it is the smallest alpha at which the interval at the level
    1 - alpha leaves 0 out. With B replicates it cannot be less than 2 / (B + 1).

    Args:
        value: the difference in the sample.
        replicates: the difference in each replicate, shape (b,); NaN where undefined.
        sampling: the sampling that the replicates came from.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 15.4; one is added
    to both counts as in Davison and Hinkley 1997, equation 4.11.
    """
    n = sampling.n_scans
    values = np.asarray(replicates, dtype=np.float64)
    interval = sampling.percentile(values, value)
    if interval is None:
        reason = "the bootstrap replicates of the difference do not vary, or most are undefined"
        estimate = Estimate(value, None, None, n, BOOTSTRAP, reason)
        return DifferenceTest(estimate, None, None, "patient bootstrap", n, reason)
    defined = values[np.isfinite(values)]
    tail = min((defined <= 0).sum(), (defined >= 0).sum())
    p_value = min(1.0, 2 * (int(tail) + 1) / (len(defined) + 1))
    estimate = Estimate(value, *interval, n, BOOTSTRAP)
    return DifferenceTest(estimate, None, p_value, "patient bootstrap", n)


def format_p(p_value: float | None) -> str:
    """Text such as "p = 0.012" or "p < 0.001"; "p undefined" for None.

    Three decimals, and four where three would hide on which side of 0.05 it lies.
    """
    if p_value is None:
        return "p undefined"
    if p_value < 0.001:
        return "p < 0.001"
    near = round(p_value, 3) == 0.05 and p_value != 0.05
    return f"p = {p_value:.{4 if near else 3}f}"
