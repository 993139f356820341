"""Which scans to show: typical ones of those called right, the worst of those called wrong."""

from __future__ import annotations

import pandas as pd


def typical_or_worst(
    rows: pd.DataFrame, k: int, *, right: bool, threshold: str = "threshold"
) -> pd.DataFrame:
    """The scans of one kind to show, so that nobody picks the prettiest by eye.

    Args:
        rows: `scan_id`, `score` and the column of thresholds, of scans of one kind.
        k: how many at most.
        right: they were called right: those whose score is nearest to the median of the kind. Else
            those whose score is furthest from the threshold, on its wrong side.
        threshold: name of the column.

    Returns:
        Rows of the table, the first choice first; of equal ones that with the lower scan_id.
    """
    centre = rows["score"].median() if right else rows[threshold]
    distance = (rows["score"] - centre).abs() * (1 if right else -1)
    order = pd.DataFrame({"distance": distance, "scan_id": rows["scan_id"]})
    return rows.loc[order.sort_values(["distance", "scan_id"]).index[:k]]
