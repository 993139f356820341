"""How much of the centre (hence the scanner) is in the scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from covidlit.counted import counted
from covidlit.evaluation.auc import sampled_auc
from covidlit.evaluation.bootstrap import ONE_PATIENT, Sampling
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.predictions import accepted, of_one_repeat

MIN_SCANS = 5
"""Centres with fewer scans in a stratum are left out of it."""

EXPLANATION = (
    "If the score tells centres apart among scans of the same class, the network has partly learnt "
    "the scanner or the case mix instead of the disease; 0.5 means that it does not. Classes are "
    "looked at one by one, because centres differ in their classes: over all scans together even a "
    "perfect score for the disease predicts the centre."
)


def centre_check(table: pd.DataFrame, sampling: Sampling) -> dict[str, Any]:
    """Predict the centre from the score, within classes and, marked as confounded, overall.

    Args:
        table: scored rows with `centre`, `class_name`, `target` (0 or 1), `score`.
        sampling: how these scans were sampled.

    Returns:
        `explanation` and `strata`: one per class name, then all negatives, all positives and all
        scans. Each has per-centre AUCs (this centre against the others; 0.5 = no trace of the
        centre), a permutation p-value of the greatest departure from 0.5 over the centres, and how
        often a cross-validated classifier guesses the centre from the score (mean over centres),
        beside chance. A stratum with fewer than two centres, with one score, or with one patient
        is undefined, with the reason. `left_out` names the centres that a stratum does not use, and
        why.
    """
    target = table["target"].to_numpy(bool)
    names = table["class_name"].astype("string").fillna("").to_numpy(str)
    strata: list[tuple[str, NDArray[np.bool_], bool]] = []
    for name in sorted(set(names) - {""}):
        strata.append((f"class {name}", names == name, False))
    several = {value: len(set(names[target == value])) > 1 for value in (False, True)}
    if several[False] or not strata:
        strata.append(("all negatives", ~target, several[False]))
    if several[True]:
        strata.append(("all positives", target, True))
    strata.append(("all scans", np.ones_like(target), True))
    records = []
    everyone = sorted(table["centre"].dropna().astype(str).unique())
    for label, rows, confounded in strata:
        record = {"stratum": label, "confounded": confounded}
        records.append(record | _stratum(table[rows], sampling.subset(rows), everyone))
    return {"explanation": EXPLANATION, "strata": records}


def centres_left_out(
    table: pd.DataFrame, checked: pd.DataFrame, strata: Sequence[dict[str, Any]]
) -> list[dict[str, str]]:
    """The centres of a predictions table that no stratum of its centre check uses, and why.

    Args:
        table: all rows, refused ones included.
        checked: the rows that `centre_check` was given.
        strata: what it returned.

    Returns:
        One record (`centre`, `reason`) per centre.
    """
    used = {centre["centre"] for stratum in strata for centre in stratum["centres"]}
    records = []
    for name, rows in table[~table["centre"].isin(list(used))].groupby("centre"):
        rows = of_one_repeat(rows)
        scored, n = accepted(rows), int((of_one_repeat(checked)["centre"] == name).sum())
        if len(scored) == 0:
            reason = f"no scan with a score, {len(rows)} refused"
        elif n == 0:
            reason = f"no {checked['part'].iloc[0]} scan with a score; the check is made on these"
        else:
            reason = _too_few(n) if n < MIN_SCANS else strata[-1]["reason"]
        records.append({"centre": str(name), "reason": reason})
    return records


def _too_few(n: int) -> str:
    return "no scan" if n == 0 else f"{counted(n, 'scan')}, at least {MIN_SCANS} are needed"


def _stratum(table: pd.DataFrame, sampling: Sampling, everyone: Sequence[str]) -> dict[str, Any]:
    centre = table["centre"].astype("string").fillna("").to_numpy(str)
    counts = {name: sampling.per_repeat(int((centre == name).sum())) for name in everyone}
    names = [name for name in everyone if counts[name] >= MIN_SCANS]
    keep = np.isin(centre, names)
    record: dict[str, Any] = {"n": sampling.per_repeat(int(keep.sum())), "n_centres": len(names)}
    record["left_out"] = [
        {"centre": name, "reason": _too_few(counts[name])} for name in everyone if name not in names
    ]
    if unknown := sampling.per_repeat(int((centre == "").sum())):
        reason = f"{counted(unknown, 'scan')} without a centre"
        record["left_out"].append({"centre": None, "reason": reason})
    score, centre, sampling = (
        table["score"].to_numpy(float)[keep],
        centre[keep],
        sampling.subset(keep),
    )
    if problem := _problem(names, centre, score, sampling):
        return record | {"reason": problem, "centres": []}
    record["centres"] = [
        {
            "centre": str(name),
            "n": sampling.per_repeat(int((centre == name).sum())),
            "auc": sampled_auc(centre == name, score, sampling).to_dict(),
        }
        for name in names
    ]
    method = "permutation of centres over patients, greatest standardised |AUC - 0.5|, 2000 draws"
    if sampling.cross_validated:  # scores of different models are not compared
        score = _rank_in_fold(score, sampling)
        method += ", of ranks within each fold"
    record["p_value"] = centre_permutation_p(centre, score, sampling.patient, sampling.seed)
    record["p_method"] = method
    record["balanced_accuracy"] = _guessed(centre, score, sampling).to_dict()
    record["chance"] = 1 / len(names)
    return record


def _rank_in_fold(score: NDArray[np.floating], sampling: Sampling) -> NDArray[np.float64]:
    """Place of each score among those of its fold, from 0 to 1."""
    rank = np.empty(len(score))
    for rows in sampling.rows_by_fold().values():
        rank[rows] = (stats.rankdata(score[rows]) - 0.5) / rows.sum()
    return rank


def _problem(
    names: Sequence[str],
    centre: NDArray[np.str_],
    score: NDArray[np.floating],
    sampling: Sampling,
) -> str | None:
    """Why a stratum cannot be checked, or None."""
    if len(names) < 2:
        which = f"only one centre ({names[0]}) has" if names else "no centre has"
        return f"{which} at least {MIN_SCANS} scans: there is nothing to tell apart"
    if np.ptp(score) == 0:
        return f"all scans have the score {score[0]:.3g}: it cannot tell anything apart"
    if sampling.cross_validated and all(
        len(np.unique(centre[rows])) < 2 for rows in sampling.rows_by_fold().values()
    ):
        return "the scans of each fold are of one centre: no model has scored two of them"
    return ONE_PATIENT if sampling.single_patient else None


def centre_permutation_p(
    centre: NDArray[np.str_],
    score: NDArray[np.floating],
    patient: NDArray[np.generic],
    seed: int = 0,
    n_permutations: int = 2000,
) -> float:
    """p-value of the hypothesis that the score knows nothing of the centre.

    The statistic is the greatest standardised rank sum (|AUC - 0.5| in units of its standard
    deviation) over the centres, each against the others. Patients with all their scans are handed
    to centres at random.

    Args:
        centre: shape (n,), two or more distinct values.
        score: shape (n,).
        patient: shape (n,).
        seed: seed of the permutations.
        n_permutations: number of permutations; the smallest p-value is 1 / (1 + this).
    """
    rng = np.random.default_rng(seed)
    names, code = np.unique(centre, return_inverse=True)
    _, first, index = np.unique(patient, return_index=True, return_inverse=True)
    code_of_patient, index = code[first], index.reshape(-1)
    rank = stats.rankdata(score)

    def greatest(codes: NDArray[np.intp]) -> NDArray[np.float64]:
        best = np.zeros(len(codes))
        for number in range(len(names)):
            member = codes == number
            m = member.sum(axis=1)
            with np.errstate(divide="ignore", invalid="ignore"):
                excess = (member @ rank) - m * (len(rank) + 1) / 2
                z = excess / np.sqrt(m * (len(rank) - m) * (len(rank) + 1) / 12)
            best = np.fmax(best, np.abs(z))
        return best

    observed = greatest(code[None, :])[0]
    chunk = max(1, 4_000_000 // len(rank))
    exceeding = 0
    for start in range(0, n_permutations, chunk):
        size = min(chunk, n_permutations - start)
        shuffled = rng.permuted(np.tile(code_of_patient, (size, 1)), axis=1)
        exceeding += int((greatest(shuffled[:, index]) >= observed - 1e-12).sum())
    return (1 + exceeding) / (1 + n_permutations)


def _guessed(centre: NDArray[np.str_], score: NDArray[np.floating], sampling: Sampling) -> Estimate:
    """Cross-validated balanced accuracy of naming the centre from the score's position.

    Each held-out scan is given to the centre whose scores are, relative to the centre's size,
    commonest around it (a histogram over score deciles, equal prior for each centre).
    """
    names, code = np.unique(centre, return_inverse=True)
    patients, index = np.unique(sampling.patient, return_inverse=True)
    rng = np.random.default_rng(sampling.seed)
    fold = (rng.permutation(len(patients)) % 5)[index.reshape(-1)]
    edges = np.unique(np.quantile(score, np.linspace(0, 1, 11)[1:-1]))
    cell = np.searchsorted(edges, score, side="right")
    guess = np.zeros_like(code)
    for number in range(5):
        train = fold != number
        counts = np.full((len(names), len(edges) + 1), 0.5)
        np.add.at(counts, (code[train], cell[train]), 1.0)
        likelihood = counts / counts.sum(axis=1, keepdims=True)
        guess[~train] = likelihood[:, cell[~train]].argmax(axis=0)
    sizes = (code[:, None] == np.arange(len(names))).astype(float)
    hits = sizes * (guess == code)[:, None]
    value = float((hits.sum(axis=0) / sizes.sum(axis=0)).mean())
    replicates = sampling.distribution(
        lambda weights: ((weights @ hits) / (weights @ sizes)).mean(axis=1)
    )
    interval = sampling.percentile(replicates, value)
    method = "5-fold cross-validation; patient bootstrap of its guesses, percentile"
    if interval is None:
        return Estimate(value, None, None, sampling.n_scans, method, "the replicates do not vary")
    return Estimate(value, *interval, sampling.n_scans, method)
