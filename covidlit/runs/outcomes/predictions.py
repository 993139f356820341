"""The predictions table (contract 6) of a run."""

from __future__ import annotations

import pandas as pd

LEFT_OUT = (
    "path", "study_uid", "series_uid", "acquisition_date", "acquisition_date_moved", "key",
    "pixel_hash", "label_rule", "checks_changed",
)  # fmt: skip
"""Columns of the data's table that say nothing about a prediction."""


def assemble_predictions(
    table: pd.DataFrame,
    scores: dict[str, pd.DataFrame],
    *,
    run_id: str,
    model: str,
    seed: int,
    fold: int | None,
    repeat: int | None = None,
    unit: str = "scan",
) -> pd.DataFrame:
    """The predictions table (contract 6) of one run.

    Args:
        table: the data's rows, with `part`, `status`, `reason`, `target`.
        scores: for each part, what the runner's `predict` returned.
        run_id, model, seed, fold, repeat: which run it is.
        unit: what a row of the data is; a table without scans is scored by patient, whose name is
            the `scan_id` then.

    Returns:
        One row per scan of these parts; refused scans keep theirs, with a null score.
    """
    rows = table[table["part"].isin(list(scores))]
    rows = rows.drop(columns=[name for name in LEFT_OUT if name in rows])
    key = f"{unit}_id"
    rows = rows.assign(scan_id=rows[key].astype("string"))
    if "class_name" not in rows:
        rows["class_name"] = rows["target"].astype("string")
    named = [each.rename(columns={key: "scan_id"}) for each in scores.values()]
    scored = pd.concat(named, ignore_index=True)
    joined = rows.merge(scored, on="scan_id", how="left", validate="1:1")
    facts: dict[str, str | int | None] = {
        "run_id": run_id, "model": model, "seed": seed, "fold": fold,
        **({} if repeat is None else {"repeat": repeat}),
    }  # fmt: skip
    return joined.assign(**facts)[[*facts, *joined.columns]]
