"""What the heatmaps of many scans are worth: localisation, the paper's claim, the sanity check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from covidlit.evaluation.bootstrap import Sampling
from covidlit.explain.claim import lower_weights_claim
from covidlit.explain.hit_rate import HitRate, hit_rate
from covidlit.explain.localisation import MARGIN_MM, Localisation
from covidlit.explain.many import FOUND

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.explain.sanity import Sanity


def worth_of(
    table: pd.DataFrame,
    *,
    targets: Mapping[str, int],
    patients: Mapping[str, str],
    point: float,
    sanity: Sanity | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """The checks of a table of heatmaps, as `localisation.json` holds them.

    Args:
        table: of `explain_scans`.
        targets: scan_id to 1 or 0, as far as they are known.
        patients: scan_id to patient_id; scans that are missing count as patients of their own.
        point: the operating point, from which a scan counts as called positive.
        sanity: outcome of the model-randomisation check.
        seed: of the bootstrap.

    Returns:
        `true_positives` and `positives` (each a `HitRate`), where lesion labels are known, and
        `claim`, where both classes are; `sentences` in words.
    """
    rows = table[table["status"] == "ok"]
    target = rows["scan_id"].map(targets)
    patient = rows["scan_id"].map(patients).fillna(rows["scan_id"]).to_numpy(str)
    result: dict[str, Any] = {"margin_mm": MARGIN_MM, "operating_point": point}
    sentences = []
    if "has_lesions" in rows:
        with_lesions = rows["has_lesions"].eq(True) & target.eq(1)
        called = with_lesions & (rows["score"].astype(float) >= point)
        for name, group in (("true_positives", called), ("positives", with_lesions)):
            chosen = group.to_numpy(bool)
            rate = _hit_rate(rows[chosen], patient[chosen], seed)
            result[name] = rate.to_dict()
            sentences.append(f"{name.replace('_', ' ').capitalize()}: {rate.sentence}")
    known = target.notna().to_numpy(bool)
    if known.any() and target[known].nunique() == 2:
        claim = lower_weights_claim(
            target[known].to_numpy(int) == 1,
            rows.loc[known, "max"].to_numpy(float),
            Sampling(patient[known], seed=seed),
        )
        result["claim"] = claim.to_dict()
        sentences.append(claim.sentence)
    if sanity is not None:
        result["sanity"] = sanity.to_dict()
        sentences.append(sanity.sentence)
    return {**result, "sentences": sentences}


def _hit_rate(rows: pd.DataFrame, patient: np.ndarray, seed: int) -> HitRate:
    names = [name for name in FOUND if name != "has_lesions"]
    found = []
    for values in rows[names].astype(object).itertuples(index=False):
        numbers: dict[str, Any] = {
            name: None if value is None or value != value else float(value)
            for name, value in zip(names, values, strict=True)
        }
        found.append(Localisation(**{**numbers, "hit": bool(numbers["hit"])}))
    return hit_rate(found, Sampling(patient, seed=seed))
