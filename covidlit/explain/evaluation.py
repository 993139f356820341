"""Evaluation of the heatmaps of many scans: localisation, the paper's claim, the sanity check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from covidlit.evaluation.bootstrap import Sampling
from covidlit.explain.claim import lower_weights_claim
from covidlit.explain.localisation import MARGIN_MM, LesionTruth, Localisation
from covidlit.explain.lung_heat import lung_heat_sentence
from covidlit.explain.many import LOCALISATION_COLUMNS
from covidlit.explain.pointing_game import NO_CALL, NO_SCAN, HitRate, hit_rate

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.explain.sanity import Sanity
    from covidlit.explain.truth import Truth

MOST_OTHERS = 500
"""Of the other scans whose maxima are laid into a scan's body; all of them, if they are fewer."""


def evaluate_heatmaps(
    table: pd.DataFrame,
    *,
    targets: Mapping[str, int],
    patients: Mapping[str, str],
    operating_point: float,
    truth: Truth | None = None,
    sanity: Sanity | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """The checks of a table of heatmaps, as `localisation.json` holds them.

    Args:
        table: of `explain_scans`.
        targets: scan_id to 1 or 0, as far as they are known.
        patients: scan_id to patient_id; scans that are missing count as patients of their own.
        operating_point: the score from which a scan counts as called positive.
        truth: lesion labels that the table was made with.
        sanity: outcome of the model-randomisation check.
        seed: of the bootstrap.

    Returns:
        `true_positives` and `positives` (each a `HitRate`), where lesion labels are known, and
        `claim`, where both classes are; `sentences` in words.
    """
    rows = table[table["status"] == "ok"]
    target = rows["scan_id"].map(targets)
    patient = np.array([patients.get(scan_id, scan_id) for scan_id in rows["scan_id"]], str)
    result: dict[str, Any] = {"margin_mm": MARGIN_MM, "operating_point": operating_point}
    sentences = []
    if len(rows) and "heat_in_lung" in rows:
        sentences.append(lung_heat_sentence(rows["heat_in_lung"].astype(float)))
    if "has_lesions" in rows:
        # Of a scan that nothing else is known of, its lesions say that it is positive.
        with_lesions = rows["has_lesions"].eq(True) & (target.eq(1) | target.isna())
        called = with_lesions & (rows["score"].astype(float) >= operating_point)
        for name, group in (("true_positives", called), ("positives", with_lesions)):
            chosen = group.to_numpy(bool)
            uncalled = name == "true_positives" and with_lesions.any()
            nothing = NO_CALL if uncalled else NO_SCAN
            rate = _hit_rate(rows[chosen], patient[chosen], truth, seed, nothing)
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
        sentences += [sanity.sentence, sanity.meaning]
    return {**result, "sentences": sentences}


def _hit_rate(
    rows: pd.DataFrame, patient: NDArray[np.str_], truth: Truth | None, seed: int, nothing: str
) -> HitRate:
    names = [name for name in LOCALISATION_COLUMNS if name != "has_lesions"]
    found = []
    for values in rows[names].astype(object).itertuples(index=False):
        numbers: dict[str, Any] = {
            name: None if value is None or value != value else float(value)
            for name, value in zip(names, values, strict=True)
        }
        found.append(Localisation(**{**numbers, "hit": bool(numbers["hit"])}))
    others = _others_heat(rows, truth, seed) if truth is not None and len(rows) > 1 else None
    return hit_rate(found, Sampling(patient, seed=seed), others, nothing)


def _others_heat(rows: pd.DataFrame, truth: Truth, seed: int) -> NDArray[np.float64]:
    """Of each scan, the share of other scans' maxima that would hit its lesions.

    A maximum is moved from body to body by its place in the network's input, which is centred on
    the body.
    """
    first = rows[[f"input_{axis}_mm" for axis in "xyz"]].to_numpy(float)
    inside = rows[[f"peak_{axis}_mm" for axis in "xyz"]].to_numpy(float) - first
    shares = np.empty(len(rows))
    # A sample of fixed size keeps the work proportional to the number of scans.
    drawn = np.random.default_rng(seed).permutation(len(rows))[: MOST_OTHERS + 1]
    for k, (scan_id, place) in enumerate(zip(rows["scan_id"], rows["path"], strict=True)):
        labels = truth.labels_of(scan_id, place)
        assert labels is not None  # they were there when the row was made
        lesions = LesionTruth(labels)
        others = drawn[drawn != k][:MOST_OTHERS]
        shares[k] = lesions.hits(inside[others] + first[k]).mean()
    return shares
