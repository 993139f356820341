"""The log-rank test: whether groups differ in their times to an event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from statsmodels.duration.survfunc import survdiff

from covidlit.evaluation.survival.product_limit import counts


@dataclass(frozen=True)
class LogRank:
    """Attributes: `statistic` is chi-squared with `df` degrees of freedom; `reason`, why not."""

    statistic: float | None
    df: int
    p_value: float | None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return dict(vars(self))


def log_rank(time: ArrayLike, event: ArrayLike, group: ArrayLike) -> LogRank:
    """The log-rank test of two or more groups, by statsmodels.

    A group of which nobody is under observation at the time of any event tells nothing and has no
    part in it.

    Args:
        time, event: (n,).
        group: (n,) of any kind.

    Source: Mantel, Cancer Chemotherapy Reports 1966;50:163.
    """
    time, event = np.asarray(time, dtype=float), np.asarray(event).astype(int)
    group = np.unique(np.asarray(group), return_inverse=True)[1].reshape(-1)
    if not event.any():
        return LogRank(None, 0, None, "there is no event")
    first = time[event == 1].min()
    watched = [g for g in np.unique(group) if time[group == g].max() >= first]
    if len(watched) < 2:
        return LogRank(None, 0, None, "fewer than two groups are under observation at an event")
    used = np.isin(group, watched)
    _, events, _, at_risk = counts(time[used], event[used])
    if not ((events > 0) & (at_risk > events)).any():
        return LogRank(None, 0, None, "nobody outlives an event, so that nothing is compared")
    try:
        statistic, p_value = survdiff(time[used], event[used], group[used])
    except np.linalg.LinAlgError:
        return LogRank(None, 0, None, "the groups are never under observation at the same time")
    if not np.isfinite([statistic, p_value]).all():
        return LogRank(None, 0, None, "the groups are never under observation at the same time")
    return LogRank(float(statistic), len(watched) - 1, float(p_value))
