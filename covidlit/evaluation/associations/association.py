"""How a feature and an outcome go together: a measure with its interval, and a test."""

from __future__ import annotations

from dataclasses import dataclass, replace

from covidlit.evaluation.difference import holm
from covidlit.evaluation.estimate import Estimate


@dataclass(frozen=True)
class Association:
    """One measure of one feature.

    Attributes:
        estimate: the measure; undefined ones say why.
        p_value: of the null hypothesis of no association, or None.
        test: its name.
        statistic: of the test, or None.
        p_holm: corrected, see `correct`.
    """

    estimate: Estimate
    p_value: float | None = None
    test: str = ""
    statistic: float | None = None
    p_holm: float | None = None

    @classmethod
    def undefined(cls, reason: str, n: int = 0) -> Association:
        """What cannot be computed of these rows, with the reason."""
        return cls(Estimate.undefined(reason, n))


def correct(family: list[Association]) -> list[Association]:
    """The associations of one family with `p_holm` filled in, by Holm's method.

    Features without a p-value (constant, missing throughout) were never tested and are no part of
    the family. (`covidlit.evaluation.difference.holm` counts an undefined comparison of two models
    as one, because it was asked for.)
    """
    known = [each.p_value for each in family if each.p_value is not None]
    values = iter(holm(known))
    return [each if each.p_value is None else replace(each, p_holm=next(values)) for each in family]
