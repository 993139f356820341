"""The gain of one recipe over another, over several cohorts and network seeds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

N_BOOTSTRAP = 2000


class Gain(NamedTuple):
    """A mean difference of AUCs and its 95% percentile interval."""

    value: float
    low: float
    high: float


def gain(folders: Mapping[tuple[str, int, int], Path], seed: int = 0) -> Gain:
    """Mean over cohorts and network seeds of AUC(new) - AUC(first) in the held-out centre.

    In each replicate the patients of a cohort's held-out centre are drawn again by class (the same
    for both recipes and all seeds), and the network seeds of each recipe and cohort as well: the
    interval holds the spread of patients and of trainings. Cohorts are not drawn.

    Args:
        folders: of finished runs, by recipe ("first", "new"), cohort seed and network seed.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    cohorts = sorted({cohort for _, cohort, _ in folders})
    scores: dict[tuple[str, int], list[np.ndarray]] = {}
    targets: dict[int, np.ndarray] = {}
    for (recipe, cohort, _), folder in sorted(folders.items()):
        table = pd.read_parquet(folder / "predictions.parquet")
        test = table[table["part"] == "test"].sort_values("scan_id")
        known = targets.setdefault(cohort, test["target"].to_numpy())
        assert (known == test["target"].to_numpy()).all()
        scores.setdefault((recipe, cohort), []).append(test["score"].to_numpy())

    def difference(drawn: bool) -> float:
        found = []
        for cohort in cohorts:
            rows = np.arange(len(targets[cohort]))
            if drawn:
                classes = [rows[targets[cohort] == label] for label in (0, 1)]
                rows = np.concatenate([generator.choice(each, len(each)) for each in classes])
            means = {}
            for recipe in ("first", "new"):
                trained = scores[recipe, cohort]
                which = (
                    generator.choice(len(trained), len(trained)) if drawn else range(len(trained))
                )
                means[recipe] = np.mean(
                    [roc_auc_score(targets[cohort][rows], trained[k][rows]) for k in which]
                )
            found.append(means["new"] - means["first"])
        return float(np.mean(found))

    replicates = [difference(drawn=True) for _ in range(N_BOOTSTRAP)]
    low, high = np.quantile(replicates, (0.025, 0.975))
    return Gain(difference(drawn=False), float(low), float(high))
