"""Differences of survival models on the same patients, with paired bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.cohort.endpoint import COMPETING, TIME
from covidlit.counted import counted
from covidlit.evaluation.bootstrap import ONE_PATIENT, Sampling
from covidlit.evaluation.comparison_notes import conclusion
from covidlit.evaluation.difference import DifferenceTest, bootstrap_test, corrected
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.runs import skipped_note
from covidlit.evaluation.settings import check_settings
from covidlit.evaluation.survival.evaluate import FEW_EVENTS
from covidlit.evaluation.survival.horizons import (
    brier_score,
    horizon_problem,
)
from covidlit.evaluation.survival.part import (
    ALIKE,
    BOOTSTRAP,
    NO_PAIR,
    fold_auc,
    fold_concordance,
)
from covidlit.evaluation.survival.runs import ComparedModel, ComparedRuns, compared_runs

FORMAT = 1

Floats = NDArray[np.float64]
Weights = NDArray[np.float64]

_TEST = "patient bootstrap"


@dataclass(frozen=True)
class _Measure:
    """A number of a model: in each replicate of the patients (b, n) to (b,), or why it has none."""

    code: str
    name: str
    family: str
    of: Callable[[ComparedModel, Weights], Floats]
    undefined: Callable[[ComparedModel], str | None]


def compare_survival(
    tables: Sequence[pd.DataFrame],
    *,
    n_bootstrap: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
    skipped: Sequence[str] = (),
) -> dict[str, Any]:
    """Compare models of times to an event on the patients that all of them gave a risk.

    All pairs of models: Harrell's concordance (of cross-validations the mean of the folds', each
    with its own folds), the time-dependent AUC and the Brier score until each horizon that all
    models have. Patients are drawn with all that the models say of them, so that the differences
    are paired; p-values invert the intervals. Holm's method corrects those of the concordance as
    one family, those of the AUCs of all horizons as another, and those of the Brier scores as a
    third. Runs of one model with several seeds are averaged.

    Args:
        tables: of `covidlit.evaluation.survival.runs.read_labelled_survival`.
        n_bootstrap, seed, confidence: of the bootstrap of patients; 1 - confidence is the level of
            the tests.
        skipped: folders that were given but hold no finished run, for the notes.

    Returns:
        The content of `comparison.json`.

    Raises:
        PredictionsError: see `covidlit.evaluation.survival.runs.compared_runs`; a setting cannot be
            applied.
    """
    check_settings(operating_point="auto", n_bootstrap=n_bootstrap, confidence=confidence)
    runs = compared_runs(tables)
    settings: dict[str, Any] = {"n_bootstrap": n_bootstrap, "seed": seed, "confidence": confidence}
    sampling = Sampling.of(runs.rows[["patient_id"]], **settings)
    measures = list(_measures(runs, sampling))
    values, replicates = _computed(runs, measures, sampling)
    tests = _tests(runs, measures, values, replicates, sampling)
    event = runs.rows["event"].to_numpy(np.int64)
    results: dict[str, Any] = {
        "format": FORMAT,
        "kind": "survival",
        "synthetic": runs.synthetic,
        "unit": runs.unit,
        "settings": settings,
        "horizons": list(runs.horizons),
        "test": {
            "n_rows": runs.n_rows,
            "n_compared": len(event),
            "n_patients": sampling.n_patients,
            "n_events": int(event.sum()),
            "n_censored": int((event == 0).sum()),
        },
        "models": [
            {
                "model": model.name,
                "seeds": list(model.seeds),
                "run_ids": list(model.run_ids),
                "n_refused": model.n_refused,
                "cross_validated": _folds(model, sampling).cross_validated,
                "measures": {
                    each.code: _estimate(
                        values[model.name, each.code], replicates[model.name, each.code],
                        each.undefined(model), sampling,
                    ).to_dict()
                    for each in measures
                },
            }
            for model in runs.models
        ],
        "measures": {each.code: each.name for each in measures},
        "families": {
            family: sum(1 for test in tests if test["family"] == family)
            for family in dict.fromkeys(each.family for each in measures)
        },
        "tests": tests,
    }  # fmt: skip
    results["conclusions"] = [
        conclusion(test, results["families"][test["family"]], confidence) for test in tests
    ]
    results["notes"] = [{"code": code, "text": text} for code, text in _notes(runs, results)]
    if note := skipped_note(skipped):
        results["notes"].append(note)
    return results


def _measures(runs: ComparedRuns, sampling: Sampling) -> Iterator[_Measure]:
    time, event = runs.rows[TIME].to_numpy(float), runs.rows["event"].to_numpy(np.int64)

    def concordance(model: ComparedModel, w: Weights) -> Floats:
        return fold_concordance(time, event, model.risk, _folds(model, sampling), w)

    def without_pair(model: ComparedModel) -> str | None:
        if np.ptp(model.risk) == 0:
            return ALIKE
        defined = np.isfinite(concordance(model, np.ones((1, len(time))))).all()
        return None if defined else NO_PAIR

    yield _Measure("concordance", "concordance", "concordance", concordance, without_pair)
    for days in runs.horizons:
        problem = horizon_problem(time, event, days)

        def auc(model: ComparedModel, w: Weights, days: float = days) -> Floats:
            return fold_auc(time, event, model.risk, days, _folds(model, sampling), w)

        def without_auc(model: ComparedModel, problem: str | None = problem) -> str | None:
            return ALIKE if np.ptp(model.risk) == 0 else problem

        yield _Measure(f"auc_{days:g}_days", f"AUC until {days:g} days", "AUC", auc, without_auc)
    for days in runs.horizons:
        problem = horizon_problem(time, event, days)

        def brier(model: ComparedModel, w: Weights, days: float = days) -> Floats:
            return brier_score(time, event, model.risks[days], days, w)

        def without_brier(_: ComparedModel, problem: str | None = problem) -> str | None:
            return problem

        yield _Measure(
            f"brier_{days:g}_days", f"Brier score until {days:g} days", "Brier score", brier,
            without_brier,
        )  # fmt: skip


def _folds(model: ComparedModel, sampling: Sampling) -> Sampling:
    return replace(sampling, fold=model.fold)


Computed = dict[tuple[str, str], Any]


def _computed(
    runs: ComparedRuns, measures: Sequence[_Measure], sampling: Sampling
) -> tuple[Computed, Computed]:
    """Values, and replicates (b,) by the same draws of patients, of each model and measure."""
    values: Computed = {}
    replicates: Computed = {}
    whole = np.ones((1, len(runs.rows)))
    for model in runs.models:
        for each in measures:
            place = model.name, each.code
            if each.undefined(model):
                values[place] = replicates[place] = None
                continue
            values[place] = float(each.of(model, whole)[0])

            def of(w: Weights, each: _Measure = each, model: ComparedModel = model) -> Floats:
                return each.of(model, w)

            replicates[place] = sampling.distribution(of)
    return values, replicates


def _estimate(
    value: float | None, replicates: Floats | None, undefined: str | None, sampling: Sampling
) -> Estimate:
    n = len(np.asarray(sampling.patient))
    if value is None or replicates is None:
        return Estimate.undefined(undefined or "it is not defined for these patients", n)
    if sampling.n_patients < 2:
        return Estimate(value, None, None, n, "none", ONE_PATIENT)
    ends = sampling.percentile(replicates, value)
    if ends is None:
        return Estimate(value, None, None, n, "none", "samples of these patients do not vary")
    return Estimate(value, *ends, n, BOOTSTRAP)


def _tests(
    runs: ComparedRuns,
    measures: Sequence[_Measure],
    values: Computed,
    replicates: Computed,
    sampling: Sampling,
) -> list[dict[str, Any]]:
    """All pairs of models by measure, corrected by family."""
    found: list[tuple[_Measure, str, str, DifferenceTest]] = []
    for each in measures:
        for first, second in combinations(runs.models, 2):
            why = each.undefined(first) or each.undefined(second)
            places = (first.name, each.code), (second.name, each.code)
            if why:
                test = DifferenceTest.undefined(why, _TEST, len(runs.rows))
            else:
                one, other = (replicates[place] for place in places)
                value = values[places[0]] - values[places[1]]
                test = bootstrap_test(value, one - other, sampling)
            found.append((each, first.name, second.name, test))
    records: dict[int, dict[str, Any]] = {}
    for family in dict.fromkeys(each.family for each in measures):
        own = [k for k, row in enumerate(found) if row[0].family == family]
        for k, test in zip(own, corrected([found[k][3] for k in own]), strict=True):
            each, one, other, _ = found[k]
            records[k] = {
                "measure": each.code, "name": each.name, "first": one, "second": other,
                "family": family, **test.to_dict(),
            }  # fmt: skip
    return [records[k] for k in sorted(records)]


def _notes(runs: ComparedRuns, results: dict[str, Any]) -> Iterator[tuple[str, str]]:
    test = results["test"]
    if runs.synthetic:
        yield (
            "synthetic",
            "The patients are synthetic: no number here says anything about patients.",
        )
    if left := test["n_rows"] - test["n_compared"]:
        counts = "; ".join(f"{model.name} {model.n_refused}" for model in runs.models)
        yield (
            "refused",
            f"{left} of {test['n_rows']} test {runs.unit}s have no risk in at least one run and "
            f"are left out for all models (without a risk: {counts}).",
        )
    if test["n_events"] == 0:
        yield "no_event", "Nobody of the compared patients has the event: nothing can be said."
    elif test["n_events"] < FEW_EVENTS:
        events = counted(test["n_events"], "event")
        text = f"With {events} only large differences can be shown."
        yield "few_events", text
    if not runs.horizons:
        yield (
            "horizons",
            "The runs have no horizon in common: only the concordance is compared "
            "(model.horizons=[7,14,28] gives all the same).",
        )
    if COMPETING in runs.rows and (n := int(runs.rows[COMPETING].fillna(False).sum())):
        yield (
            "competing_risk",
            f"{counted(n, runs.unit)} censored by a competing event: all measures take them as if "
            "the event could still come.",
        )
    several = [model.name for model in runs.models if len(model.seeds) > 1]
    if several:
        yield (
            "seed_average",
            f"Of {', '.join(several)} the mean of the seeds' risks is compared; how much one "
            "training differs from the next is not in the intervals.",
        )
    if runs.split_note:
        yield "splits", runs.split_note
