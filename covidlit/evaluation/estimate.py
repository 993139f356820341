"""A number with its interval: the only form in which the evaluation gives a result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scipy import special, stats


@dataclass(frozen=True)
class Estimate:
    """A value, its confidence interval, and how both came about.

    Attributes:
        value: the point estimate, or None where it is undefined.
        low: lower end of the interval, or None where there is none.
        high: upper end of the interval, or None.
        n: number of scans that the value rests on.
        method: name of the method of the interval.
        reason: why the value or the interval is None.
        count: numerator, for proportions.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    method: str
    reason: str | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        for name in ("value", "low", "high"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                raise ValueError(f"{name} must be finite or None, not {number!r}")
        if (self.value is None or self.low is None) and self.reason is None:
            raise ValueError("an undefined value or interval needs a reason")

    @classmethod
    def undefined(cls, reason: str, n: int = 0) -> Estimate:
        """An estimate that does not exist for these data, with the reason."""
        return cls(None, None, None, n, "none", reason)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Estimate:
        """The estimate that `to_dict` gave as `record`."""
        return cls(**record)

    @property
    def defined(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: value, low, high, n, method, and reason and count where there are any."""
        record: dict[str, Any] = {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "n": self.n,
            "method": self.method,
        }
        if self.count is not None:
            record["count"] = self.count
        if self.reason is not None:
            record["reason"] = self.reason
        return record


def logit_interval(value: float, variance: float, confidence: float) -> tuple[float, float]:
    """Interval of a share strictly between 0 and 1, made on the logit scale and so inside [0, 1].

    Args:
        value: the share.
        variance: of the value, positive.
        confidence: level of the interval.

    Source: Pepe 2003, The Statistical Evaluation of Medical Tests, section 5.2; Qin and Hotilovac,
    Statistical Methods in Medical Research 2008;17:207.
    """
    centre = math.log(value) - math.log1p(-value)
    half = float(stats.norm.ppf(0.5 + confidence / 2)) * math.sqrt(variance)
    half /= value * (1 - value)
    low, high = special.expit(centre - half), special.expit(centre + half)
    return min(float(low), value), max(float(high), value)


def format_level(confidence: float) -> str:
    """The level of the intervals as text, such as "95%" or "99.9%", never rounded to "100%"."""
    return f"{100 * confidence:.10g}%"


def format_estimate(estimate: Estimate, digits: int = 3, *, percent: bool = False) -> str:
    """Text such as "0.955 (0.938 to 0.971)" or "91.5% (87.0 to 94.6)"; the reason if undefined."""
    if estimate.value is None:
        return f"undefined: {estimate.reason}"
    scale, unit, places = (100, "%", 1) if percent else (1, "", digits)
    text = f"{scale * estimate.value:.{places}f}{unit}"
    if estimate.low is None or estimate.high is None:
        return f"{text} (no interval: {estimate.reason})"
    return f"{text} ({scale * estimate.low:.{places}f} to {scale * estimate.high:.{places}f})"
