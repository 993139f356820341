"""From the predictions tables of several runs to a comparison of their models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.errors import PredictionsError, did_you_mean
from covidlit.evaluation.auc import sampled_auc
from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.comparability import check_comparable, check_splits, listed
from covidlit.evaluation.comparison_notes import comparison_notes, conclusion
from covidlit.evaluation.difference import DifferenceTest, corrected
from covidlit.evaluation.fold_differences import differences_by_fold, differences_over_trainings
from covidlit.evaluation.paired import McNemar, auc_difference, proportion_difference
from covidlit.evaluation.part import score_spread
from covidlit.evaluation.predictions import count_scoreless, of_one_repeat
from covidlit.evaluation.proportions import proportion
from covidlit.evaluation.runs import skipped_note
from covidlit.evaluation.seed_average import Scores, run_scores, seed_average
from covidlit.evaluation.seed_runs import SeedRun, seed_runs
from covidlit.evaluation.settings import check_settings

FORMAT = 2
"""Number of the layout of `comparison.json`; raised when a key changes its meaning.

1: `auc` pooled the scores of all folds; 2: it is the mean of the folds' AUCs, see `auc_pooled`.
"""

FAMILIES = {"auc": "discrimination", "sensitivity": "decisions", "specificity": "decisions"}
"""The family, for Holm's correction, of the tests of each measure."""


@dataclass(frozen=True)
class Comparison:
    """All results of a comparison.

    Attributes:
        results: JSON-able; every number with its interval, n and method, or a reason for none.
        target: shape (n,), true for the positive ones of the compared test scans.
        scores: by model, the score of each of these scans, averaged over the model's seeds.
    """

    results: dict[str, Any]
    target: NDArray[np.bool_]
    scores: dict[str, NDArray[np.float64]]

    def to_dict(self) -> dict[str, Any]:
        """The content of `comparison.json`: no NaN, null with a reason instead."""
        return self.results


def compare(
    tables: Mapping[str, pd.DataFrame] | Sequence[pd.DataFrame],
    *,
    operating_point: str | float = "auto",
    mcnemar: str = "exact",
    n_bootstrap: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
    skipped: Sequence[str] = (),
) -> Comparison:
    """Compare models on the same test scans.

    The main comparison is between the models' scores averaged over their seeds, for all pairs: the
    AUCs by DeLong's paired test, sensitivity and specificity by McNemar's test at each model's own
    operating point. Holm's method corrects the AUC tests as one family, and those of sensitivity
    and specificity together as another. It says which of two ensembles is better on patients like
    these; how much one training differs from the next stands beside it, by seed and uncorrected.

    Of cross-validations the means of the folds' AUCs are compared, paired by patient and so, on the
    same folds, by fold; see `covidlit.evaluation.cross_validation`. Repeats are further folds of
    the same patients. Beside these tests, which hold for these trainings, stands the corrected
    resampled t-test over the folds, uncorrected for the number of pairs; see
    `covidlit.evaluation.corrected_t`.

    Scans that any run refused are left out for all, and said so. Where patients have several scans,
    a bootstrap of patients takes the place of DeLong's and McNemar's tests.

    Args:
        tables: predictions tables of the runs, models told apart by the column `model`; or a
            mapping whose keys name the models. Folds of one cross-validation are pooled.
        operating_point: see `evaluate`; chosen on validation scans, never on test scans.
        mcnemar: "exact", "mid-p" or "chi2".
        n_bootstrap: replicates of the patient bootstrap.
        seed: seed of the bootstrap.
        confidence: level of every interval; 1 - confidence is the level of the tests.
        skipped: folders that were given but hold no finished run, for the notes.

    Raises:
        PredictionsError: a table breaks its contract, there is only one run, a setting cannot be
            applied, or test scans, patients, targets or splits differ (which ones is said).
    """
    check_settings(operating_point=operating_point, n_bootstrap=n_bootstrap, confidence=confidence)
    variant = _variant(mcnemar)
    runs = seed_runs(tables)
    if len(runs) < 2:
        raise PredictionsError(
            f"there is only one run ({runs[0].name if runs else 'none'}).",
            where="runs",
            fix="give at least two; runs of one model are told apart by seed or by LABEL=RUN.",
        )
    check_comparable(runs)
    split_note = check_splits(runs)
    scored = _scored_by_all(runs)
    scans = list(scored.index)
    target = scored["target"].to_numpy(bool)
    settings = {"confidence": confidence, "n_bootstrap": n_bootstrap, "seed": seed}
    sampling = Sampling.of(scored[["patient_id", "repeat"]], **settings)
    n_positive = sampling.per_repeat(int(target.sum()))
    models: dict[str, list[SeedRun]] = {}
    for run in runs:
        models.setdefault(run.model, []).append(run)
    scores = {name: seed_average(own, scans, operating_point) for name, own in models.items()}
    tests = _tests(target, scores, sampling, variant)
    results: dict[str, Any] = {
        "format": FORMAT,
        "synthetic": _synthetic(runs),
        "settings": {
            "operating_point": operating_point,
            "mcnemar": mcnemar,
            "n_bootstrap": n_bootstrap,
            "seed": seed,
            "confidence": confidence,
        },
        "positive_class": next((run.positive_class for run in runs if run.positive_class), None),
        "test": {
            "n_scans": len(of_one_repeat(runs[0].test)),
            "n_compared": sampling.n_scans,
            "n_patients": sampling.n_patients,
            "n_repeats": sampling.n_repeats,
            "several_scans_per_patient": sampling.several_scans,
            "n_positive": n_positive,
            "n_negative": sampling.n_scans - n_positive,
            "centres": sorted(map(str, scored["centre"].dropna().unique())),
        },
        "models": [
            _model(name, own, scores[name], target, sampling, scans, operating_point)
            for name, own in models.items()
        ],
        "families": {
            name: sum(1 for test in tests if test["family"] == name)
            for name in dict.fromkeys(FAMILIES.values())
        },
        "tests": tests,
        "by_fold": differences_by_fold(scores, target, sampling),
        "over_trainings": differences_over_trainings(
            scores, target, sampling, {name: own[0].table for name, own in models.items()}
        ),
        "by_seed": _by_seed(models, target, sampling, scans, operating_point),
    }
    results["conclusions"] = [
        conclusion(test, results["families"][test["family"]], confidence) for test in tests
    ]
    results["notes"] = comparison_notes(results, split_note)
    if note := skipped_note(skipped):
        results["notes"].append(note)
    return Comparison(results, target, {name: one.score for name, one in scores.items()})


def _variant(mcnemar: str) -> McNemar:
    names: tuple[McNemar, ...] = get_args(McNemar)
    for name in names:
        if mcnemar == name:
            return name
    raise PredictionsError(
        f"unknown variant {mcnemar!r}.",
        where="mcnemar",
        fix=did_you_mean(mcnemar, names) or f"use {', '.join(names)}.",
    )


def _scored_by_all(runs: Sequence[SeedRun]) -> pd.DataFrame:
    """The test rows of the first run for the scans that every run scored, in every repeat."""
    test = runs[0].test
    scored = np.ones(len(test), bool)
    for run in runs:
        scored &= (run.test["status"] == "ok").to_numpy(bool)
    if "scan_id" in test:  # one row for each repeat: a scan is left out of all of them
        by_scan = pd.Series(scored, index=test.index).groupby(test["scan_id"])
        scored = by_scan.transform("all").to_numpy(bool)
    if not scored.any():
        names = listed([run.name for run in runs])
        raise PredictionsError(
            f"no test scan has a score in every run ({names}).",
            where="runs",
            fix="leave out the run that refused them; its report lists the reasons.",
        )
    return test[scored]


def _tests(
    target: NDArray[np.bool_], scores: Mapping[str, Scores], sampling: Sampling, mcnemar: McNemar
) -> list[dict[str, Any]]:
    """All pairs of models: AUC first, then sensitivity and specificity; corrected by family."""
    found: list[tuple[str, str, str, DifferenceTest]] = []
    pairs = list(combinations(scores, 2))
    for a, b in pairs:
        found.append(("auc", a, b, _auc_test(target, scores[a], scores[b], sampling)))
    for a, b in pairs:
        first, second = scores[a].called, scores[b].called
        test = proportion_difference(first, second, target, sampling, mcnemar, "no positive scan")
        found.append(("sensitivity", a, b, test))
        test = proportion_difference(
            ~first, ~second, ~target, sampling, mcnemar, "no negative scan"
        )
        found.append(("specificity", a, b, test))
    records = []
    for family in dict.fromkeys(FAMILIES.values()):
        own = [row for row in found if FAMILIES[row[0]] == family]
        tests = corrected([row[3] for row in own])
        records += [
            {"measure": measure, "first": a, "second": b, "family": family, **test.to_dict()}
            for (measure, a, b, _), test in zip(own, tests, strict=True)
        ]
    return records


def _auc_test(
    target: NDArray[np.bool_], first: Scores, second: Scores, sampling: Sampling
) -> DifferenceTest:
    folds = [replace(sampling, fold=one.fold) for one in (first, second)]
    return auc_difference(target, first.score, second.score, *folds)


def _model(
    name: str,
    runs: Sequence[SeedRun],
    scores: Scores,
    target: NDArray[np.bool_],
    sampling: Sampling,
    scans: Sequence[str],
    rule: str | float,
) -> dict[str, Any]:
    """One model: the results of its mean score, of each seed, and their spread."""
    single = [run_scores(run, scans, rule) for run in runs]
    seeds: list[dict[str, Any]] = [
        {
            "seed": run.seed,
            "run_ids": list(run.run_ids),
            "n_refused": int((of_one_repeat(run.test)["status"] != "ok").sum()),
            "without_score": count_scoreless(run.table),
            **_measures(one, target, sampling),
        }
        for run, one in zip(runs, single, strict=True)
    ]
    return {
        "model": name,
        "n_seeds": len(runs),
        "folds": sorted({int(fold) for run in runs for fold in run.table["fold"].dropna()}),
        "cross_validated": replace(sampling, fold=scores.fold).cross_validated,
        "n_validation": min(int((run.table["part"] == "validation").sum()) for run in runs),
        **_measures(scores, target, sampling),
        "score_spread": score_spread(scores.score),
        "operating_points": [
            point.to_dict() | {"sentence": point.sentence()} for point in scores.points
        ],
        "seeds": seeds,
        "auc_over_seeds": spread([row["auc"]["value"] for row in seeds]),
    }


def _measures(
    scores: Scores, target: NDArray[np.bool_], sampling: Sampling
) -> dict[str, dict[str, Any]]:
    called, folds = scores.called, replace(sampling, fold=scores.fold)
    pooled = {}
    if folds.cross_validated:
        pooled["auc_pooled"] = sampled_auc(target, scores.score, sampling).to_dict()
    return {
        "auc": sampled_auc(target, scores.score, folds).to_dict(),
        **pooled,
        "sensitivity": proportion(called, target, sampling, "no positive scan").to_dict(),
        "specificity": proportion(~called, ~target, sampling, "no negative scan").to_dict(),
    }


def spread(values: Sequence[float | None]) -> dict[str, Any]:
    """Mean, standard deviation (n - 1), minimum and maximum over seeds; None with a reason."""
    known = [value for value in values if value is not None]
    if not known:
        reason = "undefined for every seed"
        return {"n": 0, "mean": None, "sd": None, "min": None, "max": None, "reason": reason}
    record: dict[str, Any] = {
        "n": len(known),
        "mean": float(np.mean(known)),
        "sd": float(np.std(known, ddof=1)) if len(known) > 1 else None,
        "min": min(known),
        "max": max(known),
    }
    return record if len(known) > 1 else record | {"reason": "one seed has no spread"}


def _by_seed(
    models: Mapping[str, Sequence[SeedRun]],
    target: NDArray[np.bool_],
    sampling: Sampling,
    scans: Sequence[str],
    rule: str | float,
) -> list[dict[str, Any]]:
    """AUC differences seed by seed, for the seeds that both models of a pair have; uncorrected."""
    records = []
    for a, b in combinations(models, 2):
        if len(models[a]) == len(models[b]) == 1:
            continue
        others = {run.seed: run for run in models[b]}
        for run in models[a]:
            if run.seed in others:
                first, second = (run_scores(one, scans, rule) for one in (run, others[run.seed]))
                test = _auc_test(target, first, second, sampling)
                record = {"measure": "auc", "first": a, "second": b, "seed": run.seed}
                records.append(record | test.to_dict())
    return records


def _synthetic(runs: Sequence[SeedRun]) -> bool | None:
    known = [run.synthetic for run in runs if run.synthetic is not None]
    return any(known) if known else None
