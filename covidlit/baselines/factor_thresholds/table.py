"""The thresholds of a fitted classifier as a table."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pandas as pd

from covidlit.baselines.factor_thresholds.intervals import Interval
from covidlit.baselines.factor_thresholds.rule import ranked
from covidlit.baselines.factor_thresholds.youden import Cut

_COLUMNS = (
    "rank", "factor", "description", "unit", "decides", "beyond", "threshold", "low", "high",
    "confidence", "samples", "youden", "sensitivity", "specificity",
)  # fmt: skip


def table_of(
    features: pd.DataFrame,
    cuts: Sequence[Cut | None],
    intervals: Sequence[Interval | None],
    deciding: Collection[int],
    confidence: float,
) -> pd.DataFrame:
    """One row per factor, by rank; those without a threshold last.

    Args:
        features: name, description and unit of each column.
        cuts, intervals: of each column, None where it has none.
        deciding: columns that the rule uses.
        confidence: level of the intervals.

    Returns:
        See `covidlit.baselines.factor_thresholds.FactorThresholds.threshold_table`.
    """
    order = ranked(cuts)
    rows = []
    for column in [*order, *(column for column, cut in enumerate(cuts) if cut is None)]:
        cut, interval = cuts[column], intervals[column]
        named = {name: features[name].iloc[column] for name in ("description", "unit")}
        row = {"factor": features["name"].iloc[column], **named, "decides": column in deciding}
        if cut is not None:
            row |= {
                "rank": order.index(column) + 1,
                "beyond": "at or above" if cut.above else "at or below",
                "threshold": cut.threshold,
                "youden": cut.youden,
                "sensitivity": cut.sensitivity,
                "specificity": cut.specificity,
            }
        if interval is not None:
            own = {"low": interval.low, "high": interval.high, "samples": interval.share}
            row |= {**own, "confidence": confidence}
        rows.append(row)
    table = pd.DataFrame(rows, columns=list(_COLUMNS))
    numbers = dict.fromkeys(_COLUMNS[6:], "float64")
    return table.astype({"rank": "Int64", **numbers})
