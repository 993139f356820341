"""Which scans to show beside their heatmaps: typical ones (Figure 3), misdiagnosed ones (Figure 4).

No scan is picked by eye, see `covidlit.evaluation.case_choice`.
"""

from __future__ import annotations

import pandas as pd

from covidlit.evaluation.case_choice import typical_or_worst
from covidlit.evaluation.predictions import accepted
from covidlit.papers.csacnet.subsets import Subsets, initial_result

COLUMNS = (
    "figure",
    "kind",
    "scan_id",
    "class_name",
    "centre",
    "rtpcr_initial",
    "rtpcr_round",
    "target",
    "score",
    "threshold",
    "caption",
)


def typical_and_misdiagnosed(
    table: pd.DataFrame, k: int = 2, subsets: Subsets | None = None
) -> pd.DataFrame:
    """Choose the scans of Figures 3 and 4.

    Args:
        table: predictions with `target` 0 or 1 and `threshold`; only scored test rows are chosen.
        k: how many scans of each kind at most.
        subsets: the classes of the paper's subsets.

    Returns:
        One row per scan, with the columns of `COLUMNS`. `figure` is "typical" or "misdiagnosed".
        Kinds of typical scans: recognised cases with a negative first RT-PCR, the other recognised
        cases, rightly negative scans of S2 and of S3. Kinds of misdiagnosed ones: missed cases
        and false alarms.
    """
    subsets = subsets or Subsets()
    test = accepted(table[table["part"] == "test"])
    test = test.assign(rtpcr_initial=initial_result(test))
    masks = subsets.masks(test)
    called = (test["score"] >= test["threshold"]).to_numpy(bool)
    late = (test["rtpcr_initial"] == "negative").fillna(False).to_numpy(bool)
    recognised = masks["S1"] & called
    typical = {
        "recognised case, first RT-PCR negative": recognised & late,
        "recognised case": recognised & ~late,
        f"rightly negative, {subsets.s2}": masks["S2"] & ~called,
        f"rightly negative, {subsets.s3}": masks["S3"] & ~called,
    }
    wrong = {"missed case": masks["S1"] & ~called, "false alarm": masks["negative"] & called}
    chosen = []
    for figure, kinds in (("typical", typical), ("misdiagnosed", wrong)):
        for kind, mask in kinds.items():
            rows = typical_or_worst(test[mask], k, right=figure == "typical")
            chosen.append(rows.assign(figure=figure, kind=kind))
    found = pd.concat(chosen, ignore_index=True)
    found["caption"] = [_caption(row) for row in found.to_dict("records")]
    return found.reindex(columns=list(COLUMNS))


def _caption(row: dict) -> str:
    facts = [row["kind"]]
    if row["kind"] in ("missed case", "false alarm") and not pd.isna(row["class_name"]):
        facts.append(str(row["class_name"]))
    turn = row.get("rtpcr_round", pd.NA)
    if row["target"] == 1 and not pd.isna(turn) and turn > 1:
        facts.append(f"RT-PCR positive at test {turn:.0f}")
    return f"{', '.join(facts)}; score {row['score']:.2f}, threshold {row['threshold']:.2f}"
