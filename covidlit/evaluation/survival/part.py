"""Statistics of one part of a survival run, as plain types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.cohort.endpoint import COMPETING, TIME
from covidlit.evaluation.bootstrap import ONE_PATIENT, Sampling
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.survival.concordance import concordance, pair_counts
from covidlit.evaluation.survival.horizons import (
    brier_score,
    brier_score_of_all_alike,
    cumulative_dynamic_auc,
    horizon_problem,
    observed_risk,
    quantile_groups,
)
from covidlit.evaluation.survival.log_rank import log_rank
from covidlit.evaluation.survival.product_limit import cumulative_incidence, kaplan_meier

Floats = NDArray[np.float64]
Weights = NDArray[np.float64]

BOOTSTRAP = "bootstrap of patients"
N_CALIBRATION = 5
_CURVE_POINTS, _CURVE_BOOTSTRAP = 15, 500
NO_PAIR = "no two patients can be compared: it needs an event while another is under observation"
ALIKE = "all risks are the same"


def part_metrics(
    rows: pd.DataFrame,
    horizons: Mapping[float, str],
    *,
    seed: int,
    n_bootstrap: int,
    confidence: float,
) -> dict[str, Any]:
    """Statistics of scored rows.

    Args:
        rows: with `patient_id`, `event`, `time_days`, `risk_score`, `risk_group`, perhaps `fold`.
        horizons: days and their columns of risks.
        seed, n_bootstrap, confidence: of the bootstrap of patients.
    """
    sampling = Sampling.of(rows, seed=seed, n_bootstrap=n_bootstrap, confidence=confidence)
    time, event = rows[TIME].to_numpy(float), rows["event"].to_numpy(np.int64)
    risk = rows["risk_score"].to_numpy(float)
    right, wrong, tied = pair_counts(time, event, risk)
    follow_up = kaplan_meier(time, 1 - event)
    tests = log_rank(time, event, rows["risk_group"].to_numpy(int))
    found: dict[str, Any] = {
        "n_rows": len(rows),
        "n_patients": int(rows["patient_id"].nunique()),
        "n_events": int(event.sum()),
        "n_censored": int((event == 0).sum()),
        "median_follow_up_days": follow_up.median,
        "concordance": _concordance(time, event, risk, sampling).to_dict(),
        "pairs": {"concordant": right, "discordant": wrong, "tied_risk": tied},
        "horizons": [
            _of_horizon(rows, time, event, risk, days, column, sampling)
            for days, column in horizons.items()
        ],
        "auc_over_time": _auc_over_time(time, event, risk, sampling),
        "risk_groups": _of_groups(rows, time, event, list(horizons), confidence),
        "log_rank": tests.to_dict(),
        "competing": _competing(rows, time, event, list(horizons)),
    }
    if sampling.cross_validated:
        alone = replace(sampling, fold=None)
        found["concordance_pooled"] = _concordance(time, event, risk, alone).to_dict()
        found["folds"] = [
            _of_fold(rows[own], number, horizons) for number, own in sampling.rows_by_fold().items()
        ]
    return found


def fold_concordance(
    time: Floats, event: NDArray[np.integer], risk: Floats, sampling: Sampling, weights: Weights
) -> Floats:
    """(b,) mean over the folds that have a pair of the concordance within each."""
    return _mean_of_folds(
        lambda own: concordance(time[own], event[own], risk[own], weights[:, own]), sampling
    )


def fold_auc(
    time: Floats,
    event: NDArray[np.integer],
    risk: Floats,
    days: float,
    sampling: Sampling,
    weights: Weights,
) -> Floats:
    """(b,) mean over the folds that have one of the AUC until a time within each.

    Risk scores of different folds are relative to different patients, and are not ranked together.
    """
    return _mean_of_folds(
        lambda own: cumulative_dynamic_auc(time[own], event[own], risk[own], days, weights[:, own]),
        sampling,
    )


def _mean_of_folds(of_rows: Callable[[NDArray[np.bool_]], Floats], sampling: Sampling) -> Floats:
    values = np.array([of_rows(own) for own in sampling.rows_by_fold().values()])
    known = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known, values, 0).sum(axis=0) / known.sum(axis=0)


def _concordance(
    time: Floats, event: NDArray[np.integer], risk: Floats, sampling: Sampling
) -> Estimate:
    def of_fold(own: NDArray[np.bool_]) -> Floats:
        return concordance(time[own], event[own], risk[own])

    if not any(np.isfinite(of_fold(own)) for own in sampling.rows_by_fold().values()):
        return Estimate.undefined(NO_PAIR, len(time))
    if np.ptp(risk) == 0:
        return Estimate.undefined(ALIKE, len(time))
    return estimated(
        lambda w: fold_concordance(time, event, risk, sampling, w), len(time), sampling,
        _method(of_fold, sampling),
    )  # fmt: skip


def _method(of_fold: Callable[[NDArray[np.bool_]], Floats], sampling: Sampling) -> str:
    """How an interval was made: of the mean of how many folds, if there are several."""
    if not sampling.cross_validated:
        return BOOTSTRAP
    folds = sampling.rows_by_fold().values()
    defined = sum(bool(np.isfinite(of_fold(own))) for own in folds)
    number = f"{len(folds)} folds" if defined == len(folds) else f"{defined} of {len(folds)} folds"
    return f"mean of {number}, {BOOTSTRAP}"


def estimated(
    statistic: Callable[[Weights], Floats], n: int, sampling: Sampling, method: str = BOOTSTRAP
) -> Estimate:
    """A statistic of weights (b, n) with its percentile interval."""
    value = float(statistic(np.ones((1, n)))[0])
    if not np.isfinite(value):
        return Estimate.undefined("it is not defined for these patients", n)
    if sampling.n_patients < 2:
        return Estimate(value, None, None, n, "none", ONE_PATIENT)
    ends = sampling.percentile(sampling.distribution(statistic), value)
    if ends is None:
        return Estimate(value, None, None, n, "none", "samples of these patients do not vary")
    return Estimate(value, *ends, n, method)


def _of_horizon(
    rows: pd.DataFrame,
    time: Floats,
    event: NDArray[np.integer],
    risk: Floats,
    days: float,
    column: str,
    sampling: Sampling,
) -> dict[str, Any]:
    predicted, n = rows[column].to_numpy(float), len(rows)
    found: dict[str, Any] = {"days": days, "expected": float(predicted.mean())}
    if problem := horizon_problem(time, event, days):
        none = Estimate.undefined(problem, n).to_dict()
        named = ("auc", "brier", "brier_all_alike", "skill", "observed", "ratio")
        return {**found, **dict.fromkeys(named, none), "groups": []}
    alike = np.ptp(risk) == 0

    def brier(w: Weights) -> Floats:
        return brier_score(time, event, predicted, days, w)

    def of_all(w: Weights) -> Floats:
        return brier_score_of_all_alike(time, event, days, w)

    def observed(w: Weights) -> Floats:
        return observed_risk(time, event, days, w)

    def expected(w: Weights) -> Floats:
        return (w * predicted).sum(axis=1) / w.sum(axis=1)

    def auc_of_fold(own: NDArray[np.bool_]) -> Floats:
        return cumulative_dynamic_auc(time[own], event[own], risk[own], days)

    auc = Estimate.undefined(ALIKE, n) if alike else estimated(
        lambda w: fold_auc(time, event, risk, days, sampling, w), n, sampling,
        _method(auc_of_fold, sampling),
    )  # fmt: skip
    nobody = Estimate.undefined("all predicted risks are 0", n)
    return {
        **found,
        "auc": auc.to_dict(),
        "brier": estimated(brier, n, sampling).to_dict(),
        "brier_all_alike": estimated(of_all, n, sampling).to_dict(),
        "skill": estimated(lambda w: 1 - brier(w) / of_all(w), n, sampling).to_dict(),
        "observed": estimated(observed, n, sampling).to_dict(),
        "ratio": (
            estimated(lambda w: observed(w) / expected(w), n, sampling)
            if predicted.any() else nobody
        ).to_dict(),
        "groups": _calibration(time, event, predicted, days, sampling.confidence),
    }  # fmt: skip


def _calibration(
    time: Floats, event: NDArray[np.integer], predicted: Floats, days: float, confidence: float
) -> list[dict[str, Any]]:
    """Mean predicted and observed risk of groups by predicted risk, lowest first."""
    group = quantile_groups(predicted, N_CALIBRATION)
    found = []
    for number in np.unique(group):
        own = group == number
        observed = _risk_at(time[own], event[own], days, confidence)
        found.append({"expected": float(predicted[own].mean()), "observed": observed.to_dict()})
    return found


def _risk_at(time: Floats, event: NDArray[np.integer], days: float, confidence: float) -> Estimate:
    """1 - Kaplan-Meier at a time, with Greenwood's interval; undefined where all left before."""
    curve = kaplan_meier(time, event, confidence)
    last = curve.survival[-1]
    if days > curve.times[-1] and last > 0:
        return Estimate.undefined(f"nobody of them is followed for {days:g} days", len(time))
    place = int(np.searchsorted(curve.times, days, side="right")) - 1
    if place < 0 or not np.isfinite(curve.low[place]):
        value = 0.0 if place < 0 else 1 - float(curve.survival[place])
        why = "nobody has the event until then" if value == 0 else "everybody has it until then"
        return Estimate(value, None, None, len(time), "none", why)
    ends = 1 - float(curve.high[place]), 1 - float(curve.low[place])
    return Estimate(1 - float(curve.survival[place]), *ends, len(time), "Greenwood, log(-log)")


def _auc_over_time(
    time: Floats, event: NDArray[np.integer], risk: Floats, sampling: Sampling
) -> list[dict[str, Any]]:
    if not event.any() or np.ptp(risk) == 0:
        return []
    fewer = replace(sampling, n_bootstrap=min(sampling.n_bootstrap, _CURVE_BOOTSTRAP))
    first, last = (float(end) for end in np.quantile(time[event == 1], [0.05, 0.95]))
    grid = np.unique(np.linspace(first, last, _CURVE_POINTS))

    def auc_at(days: float) -> Callable[[Weights], Floats]:
        return lambda w: fold_auc(time, event, risk, days, fewer, w)

    found = []
    for days in map(float, grid):
        if horizon_problem(time, event, days) is None:
            auc = estimated(auc_at(days), len(time), fewer)
            found.append({"days": days, "auc": auc.to_dict()})
    return found


def _of_groups(
    rows: pd.DataFrame,
    time: Floats,
    event: NDArray[np.integer],
    horizons: list[float],
    confidence: float,
) -> list[dict[str, Any]]:
    group = rows["risk_group"].to_numpy(int)
    found = []
    for number in np.unique(group):
        own = group == number
        found.append(
            {
                "group": int(number),
                "n": int(own.sum()),
                "n_events": int(event[own].sum()),
                "median_days": kaplan_meier(time[own], event[own]).median,
                "risks": [
                    _risk_at(time[own], event[own], days, confidence).to_dict() for days in horizons
                ],
            }
        )
    return found


def _competing(
    rows: pd.DataFrame, time: Floats, event: NDArray[np.integer], horizons: list[float]
) -> dict[str, Any] | None:
    """What share was censored by another event, and what it does to the risks; None: not named."""
    if COMPETING not in rows or rows[COMPETING].isna().all():
        return None
    other = rows[COMPETING].fillna(False).to_numpy(bool) & (event == 0)
    incidence = cumulative_incidence(time, np.where(event == 1, 1, np.where(other, 2, 0)))
    return {
        "n": int(other.sum()),
        "n_without_event": int((event == 0).sum()),
        "as_censoring": [float(observed_risk(time, event, days)) for days in horizons],
        "incidence": [float(incidence.at([days])[0]) for days in horizons],
    }


def _of_fold(rows: pd.DataFrame, number: int, horizons: Mapping[float, str]) -> dict[str, Any]:
    """Values of one fold, without intervals; None where undefined."""
    time, event = rows[TIME].to_numpy(float), rows["event"].to_numpy(np.int64)
    risk = rows["risk_score"].to_numpy(float)
    found: dict[str, Any] = {"fold": number, "n": len(rows), "n_events": int(event.sum())}
    alike = np.ptp(risk) == 0
    found["concordance"] = None if alike else _known(concordance(time, event, risk))
    for days, column in horizons.items():
        undefined = horizon_problem(time, event, days) is not None
        auc = np.nan if undefined or alike else cumulative_dynamic_auc(time, event, risk, days)
        predicted = rows[column].to_numpy(float)
        brier = np.nan if undefined else brier_score(time, event, predicted, days)
        found[f"auc_{days:g}_days"], found[f"brier_{days:g}_days"] = _known(auc), _known(brier)
    return found


def _known(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
