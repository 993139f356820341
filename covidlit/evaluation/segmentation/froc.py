"""Lesion-wise sensitivity against false positives per slice (FROC)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.evaluation.bootstrap import Sampling
from covidlit.evaluation.estimate import Estimate
from covidlit.evaluation.segmentation.intervals import interval_of
from covidlit.evaluation.segmentation.tables import is_ignored
from covidlit.scans.run_length import overlaps
from covidlit.tasks.matching import HIT, match, on_ignored, sensitivity_at

RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
"""False positives per slice at which the sensitivity is given; those up to 4 of LUNA16."""


@dataclass(frozen=True)
class Matches:
    """Detections of all slices against their lesions.

    Args:
        lesion_slice: (lesions,) place of its slice.
        found: (lesions,) score of the detection that found it; minus infinity: none.
        false_slice: (false positives,) place of its slice.
        false_score: (false positives,).
        n_slices: slices that were looked at.
    """

    lesion_slice: NDArray[np.intp]
    found: NDArray[np.float64]
    false_slice: NDArray[np.intp]
    false_score: NDArray[np.float64]
    n_slices: int


def match_slices(
    slices: pd.DataFrame, detections: pd.DataFrame, objects: pd.DataFrame, least: float = HIT
) -> Matches:
    """Match the detections of every slice with its lesions, whatever the classes.

    Args:
        slices: those that were looked at.
        detections, objects: lesions alone, with `place`, the row of their slice. Objects that are
            `ignored` are none, and detections on them neither right nor wrong.
        least: intersection over union of a hit.
    """
    found_of = {int(k): v for k, v in detections.groupby("place")}
    regions = is_ignored(objects)
    true_of = {int(k): v for k, v in objects[~regions].groupby("place")}
    ignored_of = {int(k): v for k, v in objects[regions].groupby("place")}
    parts: dict[str, list[Any]] = {"lesion": [], "found": [], "false": [], "score": []}
    for place, (rows, columns) in enumerate(zip(slices["rows"], slices["columns"], strict=True)):
        own, true = found_of.get(place), true_of.get(place)
        masks = [] if own is None else own["mask"].tolist()
        truth = [] if true is None else true["mask"].tolist()
        scores = np.array([] if own is None else own["score"], dtype=np.float64)
        shape = (int(rows), int(columns))
        ignored = ignored_of[place]["mask"].tolist() if place in ignored_of else []
        matched = match(
            overlaps(masks, truth, shape),
            scores,
            least,
            on_ignored(masks, ignored, shape, least),
        )
        parts["lesion"].append(np.full(len(truth), place))
        parts["found"].append(matched.found)
        parts["false"].append(np.full(int(matched.false.sum()), place))
        parts["score"].append(scores[matched.false])
    joined = {name: np.concatenate([[], *own]) for name, own in parts.items()}
    return Matches(
        joined["lesion"].astype(np.intp),
        joined["found"],
        joined["false"].astype(np.intp),
        joined["score"],
        len(slices),
    )


def froc_curve(matches: Matches) -> dict[str, list[float]]:
    """`false_positives` per slice and `sensitivity`, at every score from the highest on."""
    scores = np.unique(np.concatenate([matches.found, matches.false_score]))[::-1]
    scores = scores[np.isfinite(scores)]
    if len(matches.found) == 0 or matches.n_slices == 0:
        return {"score": [], "false_positives": [], "sensitivity": []}
    false = np.sort(matches.false_score)
    found = np.sort(matches.found)
    fp = (len(false) - np.searchsorted(false, scores, "left")) / matches.n_slices
    hit = (len(found) - np.searchsorted(found, scores, "left")) / len(found)
    return {
        "score": scores.tolist(),
        "false_positives": fp.tolist(),
        "sensitivity": hit.tolist(),
    }


def sensitivity_estimates(matches: Matches, sampling: Sampling) -> dict[str, Estimate]:
    """The sensitivity at each of `RATES`, and `mean`, the mean of these (the FROC score)."""
    n = len(matches.found)
    if n == 0:
        reason = "there is no lesion in these slices"
        return {name: Estimate.undefined(reason) for name in (*map(_name, RATES), "mean")}
    values = np.array(
        [
            sensitivity_at(matches.found, matches.false_score, matches.n_slices, rate)
            for rate in RATES
        ]
    )

    def statistic(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([_weighted(matches, own) for own in weights])

    drawn = sampling.distribution(statistic) if sampling.n_patients > 1 else np.zeros((0, 6))
    found = {
        _name(rate): interval_of(float(values[k]), drawn[:, k], sampling, n)
        for k, rate in enumerate(RATES)
    }
    mean = drawn.mean(axis=1) if len(drawn) else drawn
    return {**found, "mean": interval_of(float(values.mean()), mean, sampling, n)}


def _name(rate: float) -> str:
    return f"{rate:g}"


def _weighted(matches: Matches, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(rates,) the sensitivities where each slice counts as often as its weight says."""
    lesions = weights[matches.lesion_slice]
    if lesions.sum() == 0:
        return np.full(len(RATES), np.nan)
    order = np.argsort(-matches.false_score, kind="stable")
    scores = matches.false_score[order]
    so_far = np.cumsum(weights[matches.false_slice[order]])
    found = np.zeros(len(RATES))
    for k, rate in enumerate(RATES):
        beyond = int(np.searchsorted(so_far, np.floor(rate * weights.sum() + 1e-9), "right"))
        threshold = scores[beyond] if beyond < len(scores) else -np.inf
        found[k] = lesions[matches.found > threshold].sum() / lesions.sum()
    return found
