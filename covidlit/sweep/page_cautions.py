"""What a reader must know before believing the best trial of a sweep."""

from __future__ import annotations

from statistics import NormalDist

from covidlit.counted import counted
from covidlit.sweep.summary import Summary, value_of
from covidlit.sweep.validation_noise import ValidationNoise

FEW = 10
"""Fewer finished trials than this hardly search a space (our limit)."""


def sweep_cautions(
    summary: Summary,
    noise: ValidationNoise | None,
    folds: int | None,
    *,
    objective_is_auc: bool = True,
) -> list[str]:
    """Sentences on what the sweep does not show.

    Args:
        summary: of the study.
        noise: of the best trial's validation scans; None: not known.
        folds: of the cross-validation inside each trial; None: one validation part.
        objective_is_auc: whether a value is an AUC on validation scans.
    """
    n = len(summary.finished)
    found = []
    if n > 1:
        found.append(
            f"The best value is the best of {n}, chosen on the scans that it was measured on: it "
            "is optimistic. Judge the best configuration by the test part of its own run."
        )
    found += _noise(summary, noise) if n else []
    found.append(
        "No trial has seen the held-out test part: nothing here says how well any "
        "configuration does there."
    )
    if folds is None and objective_is_auc:
        found.append(
            "Each trial was judged by one validation part and one seed: another split could rank "
            "the trials differently (hydra.sweeper.folds=5 averages over folds)."
        )
    if n and n < FEW:
        found.append(f"Only {counted(n, 'trial')} finished: the space is hardly searched.")
    found += _left_out(summary)
    return found


def expected_best(n: int) -> float:
    """Expected largest of n standard normal draws (Blom 1958, approximately)."""
    return NormalDist().inv_cdf((n - 0.375) / (n + 0.25))


def _noise(summary: Summary, noise: ValidationNoise | None) -> list[str]:
    if noise is None:
        return [
            "How many validation scans the values rest on is not known here: the best trial's "
            "folder holds no predictions.parquet."
        ]
    scans = f"{counted(noise.n_scans, 'validation scan')} ({noise.n_positive} positive)"
    if noise.standard_error is None:
        return [f"The values rest on {scans}; their standard error could not be computed."]
    error, best = noise.standard_error, summary.best
    assert best is not None
    near = sum(abs(value_of(t) - value_of(best)) <= error for t in summary.finished) - 1
    text = f"The values rest on {scans}: the standard error of the best one is {error:.3f}"
    if near:
        text += f"; {counted(near, 'other finished trial')} within it cannot be told from it"
    text += "."
    if (n := len(summary.finished)) > 1:
        text += (
            f" The best of {n} equally good configurations would look up to "
            f"{error * expected_best(n):.3f} better than it is (less, as all share the scans)."
        )
    return [text]


def _left_out(summary: Summary) -> list[str]:
    counts, found = summary.counts, []
    done = counts["finished"] + counts["pruned"]
    if counts["pruned"]:
        found.append(
            f"{counts['pruned']} of {done} trials ({counts['pruned'] / done:.0%}) were pruned: "
            "they were judged in the middle of their schedule, where a slow but good one may lag."
        )
    if counts["failed"]:
        found.append(
            f"{counted(counts['failed'], 'trial')} failed: what they tried is not judged, and "
            "if one kind of configuration fails, it is missing from the picture."
        )
    if counts["running"]:
        found.append(f"The sweep is not over, or was stopped: {counts['running']} still running.")
    return found
