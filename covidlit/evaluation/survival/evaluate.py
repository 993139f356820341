"""All statistics of a survival run, from its table alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from covidlit.cohort.endpoint import TIME
from covidlit.counted import counted
from covidlit.errors import PredictionsError
from covidlit.evaluation.predictions import is_synthetic
from covidlit.evaluation.survival.part import part_metrics
from covidlit.evaluation.survival.tables import horizons_in

FORMAT = 1

FEW_EVENTS = 10

DEFINITIONS = {
    "concordance": "Harrell's C: of all pairs in which one patient has the event while the other "
    "is still under observation, the share in which the one with the event has the higher risk "
    "score. Equal risk scores count one half; two events at one time are no pair; an event and a "
    "censoring at one time are. Of several folds, pairs are within a fold, and the mean of the "
    "folds stands.",
    "auc": "between patients with the event until the horizon and those without it who are still "
    "under observation then (cumulative/dynamic). Who was censored before is in neither group; "
    "those with the event are weighted by the inverse probability of not being censored. Of "
    "several folds, patients are ranked within a fold, and the mean of the folds stands.",
    "brier": "mean squared difference of the predicted risk and what was seen at the horizon, "
    "weighted likewise (Graf). For all alike: where everybody is given the Kaplan-Meier risk of "
    "all. Skill: 1 - Brier / Brier of all alike; 0 is worthless, 1 perfect.",
    "calibration": "predicted: mean risk until the horizon; observed: 1 - Kaplan-Meier.",
    "risk_groups": "by quantiles of the risk scores of the training patients, so that the cuts "
    "come from other patients than those shown.",
    "log_rank": "whether the risk groups differ in their times.",
    "incidence": "share with the event where a competing event rules it out (Aalen-Johansen).",
}
"""What the numbers are, for `metrics.json` and the report."""

Caution = dict[str, str]


@dataclass(frozen=True)
class SurvivalEvaluation:
    """Statistics as plain types (`metrics.json`), and the scored rows of the test part."""

    metrics: dict[str, Any]
    test: pd.DataFrame


def evaluate_survival(
    table: pd.DataFrame, *, seed: int = 0, n_bootstrap: int = 2000, confidence: float = 0.95
) -> SurvivalEvaluation:
    """Statistics of the validation and the test part, with intervals by patient.

    Args:
        table: of `covidlit.evaluation.survival.tables.survival_table`.
        seed, n_bootstrap, confidence: of the bootstrap of patients.

    Raises:
        PredictionsError: no row of the test part has a risk.
    """
    horizons = horizons_in(table)
    settings: dict[str, Any] = {"seed": seed, "n_bootstrap": n_bootstrap, "confidence": confidence}
    parts, test = {}, pd.DataFrame()
    for name in ("test", "validation"):
        own = table[table["part"] == name]
        scored = scored_rows(own)
        if len(scored) == 0:
            continue
        parts[name] = part_metrics(scored, horizons, **settings)
        parts[name]["n_refused"] = len(own) - len(scored)
        test = scored if name == "test" else test
    if "test" not in parts:
        raise PredictionsError(
            "no patient of the test part has a risk.",
            where="survival",
            fix="choose a split with a test part.",
        )
    first = table.iloc[0]
    metrics = {
        "format": FORMAT,
        "kind": "survival",
        "run": {
            "run_id": str(first["run_id"]), "model": str(first["model"]),
            "seed": int(first["seed"]),
            "folds": sorted({int(fold) for fold in table["fold"].dropna().unique()}),
        },
        "horizons": list(horizons),
        "settings": settings,
        "definitions": DEFINITIONS,
        "parts": parts,
        "synthetic": is_synthetic(table),
        "cautions": _cautions(parts["test"], list(horizons)),
    }  # fmt: skip
    return SurvivalEvaluation(metrics, test)


def scored_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with a risk and a time."""
    known = table["risk_score"].notna() & table["event"].notna() & table[TIME].notna()
    return table[known].reset_index(drop=True)


def _cautions(test: dict[str, Any], horizons: list[float]) -> list[Caution]:
    found: list[Caution] = []
    if test["n_events"] == 0:
        text = "Nobody of the test part has the event: nothing can be said of the model."
        found.append({"code": "no_event", "text": text})
    elif test["n_events"] < FEW_EVENTS:
        events = counted(test["n_events"], "event")
        text = f"The test part has {events}: its numbers are very uncertain."
        found.append({"code": "few_events", "text": text})
    if test["n_censored"] == 0:
        text = "Everybody of the test part has the event: there is no censoring."
        found.append({"code": "all_events", "text": text})
    found += competing_text(test["competing"], horizons)
    lacking = [str(f["fold"]) for f in test.get("folds", []) if f["concordance"] is None]
    if lacking:
        text = (
            f"{counted(len(lacking), 'fold')} without a concordance ({', '.join(lacking)}), left "
            "out of its mean: no pair to compare, or all risks are the same."
        )
        found.append({"code": "folds_left_out", "text": text})
    return found


def competing_text(record: dict[str, Any] | None, horizons: list[float]) -> list[Caution]:
    """What is to be said of another event that ends the follow-up."""
    if record is None or not record["n"]:
        return []
    n, whole = record["n"], record["n_without_event"]
    text = (
        f"Competing risk: {n} of {whole} patients without the event ({100 * n / whole:.0f}%) were "
        "censored by another event, after which it could no longer come or be seen. Hazard ratios "
        "are of patients still at risk (cause-specific); concordance, AUC and predicted risks take "
        "these patients as if the event could still come."
    )
    if horizons:
        pairs = zip(horizons, record["as_censoring"], record["incidence"], strict=True)
        said = "; ".join(
            f"within {days:g} days {100 * km:.1f}% and {100 * aj:.1f}%" for days, km, aj in pairs
        )
        text += (
            " The share that really has the event is smaller (1 - Kaplan-Meier and "
            f"Aalen-Johansen): {said}."
        )
    return [{"code": "competing_risk", "text": text}]
