"""Training rows held back from some members of an ensemble, and the calibration learnt on them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.datamodules.sampling import derive_seed


def held_out_folds(rows: pd.DataFrame, n_folds: int) -> list[int]:
    """The fold of each row, so that patients stay together and classes are spread evenly.

    Patients are dealt out one by one in an order that hangs on their names alone, those with a
    positive row first: what one patient gets does not hang on the order of the table.

    Args:
        rows: with `patient_id` and `target`.
        n_folds: 0: no folds.

    Returns:
        A number from 0 for each row; -1 where there are no folds, or a class has fewer patients
        than two for each.
    """
    target = rows["target"].to_numpy(dtype=np.int64)
    patients = rows["patient_id"].astype(str).to_numpy()
    if n_folds == 0:
        return [-1] * len(rows)
    sick = {*patients[target > 0]}
    well = {*patients} - sick
    if min(len(sick), len(well)) < 2 * n_folds:
        return [-1] * len(rows)
    dealt: dict[str, int] = {}
    for group in (sick, well):
        for place, name in enumerate(sorted(group, key=lambda name: derive_seed("held", name))):
            dealt[name] = place % n_folds
    return [dealt[name] for name in patients]


def calibrated(
    logits: NDArray[np.floating], target: NDArray[np.integer], n_steps: int = 50
) -> tuple[float, float]:
    """Factor and offset with which sigmoid(factor * logit + offset) is a probability.

    Platt's targets keep it finite where the classes are apart; a factor below 0 (scores that are
    worth nothing) becomes 0: the score is then the share of the positive class.

    Args:
        logits: (n,) of rows that were held back.
        target: (n,) 0 or 1.
        n_steps: of Newton's method, at most.

    Returns:
        (1, 0) with one class alone.

    Source: Platt, Advances in Large Margin Classifiers 2000; Lin, Lin and Weng, Machine Learning
    2007 (Newton's method with backtracking).
    """
    x, positive = np.asarray(logits, dtype=float), np.asarray(target) > 0
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return 1.0, 0.0
    high, low = (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2)
    wanted = np.where(positive, high, low)
    found = np.array([0.0, np.log((n_positive + 1) / (n_negative + 1))])
    design = np.stack([x, np.ones_like(x)], axis=1)

    def loss(values: NDArray[np.floating]) -> float:
        z = design @ values
        return float(np.sum(np.logaddexp(0, z) - wanted * z))

    now = loss(found)
    for _ in range(n_steps):
        p = 1 / (1 + np.exp(-(design @ found)))
        slope = design.T @ (p - wanted)
        curve = design.T @ (design * (p * (1 - p))[:, None]) + 1e-12 * np.eye(2)
        step, size = np.linalg.solve(curve, slope), 1.0
        while (nxt := loss(found - size * step)) > now - 1e-4 * size * float(slope @ step):
            size /= 2
            if size < 1e-10:
                return _not_negative(found, n_positive, n_negative)
        found, last, now = found - size * step, now, nxt
        if last - now < 1e-12 * max(1.0, abs(last)):
            break
    return _not_negative(found, n_positive, n_negative)


def _not_negative(
    found: NDArray[np.floating], n_positive: int, n_negative: int
) -> tuple[float, float]:
    if found[0] <= 0:
        return 0.0, float(np.log((n_positive + 1) / (n_negative + 1)))
    return float(found[0]), float(found[1])
