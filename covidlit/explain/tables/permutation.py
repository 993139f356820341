"""How much worse the AUC of a model gets when one number is shuffled among the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class ScoredPart:
    """Rows that a model was tested on.

    Args:
        values: (n, features) numbers, NaN where missing.
        target: (n,) 0 or 1.
        patients: (n,) of each row.
        scores: of such rows, (n,).
    """

    values: pd.DataFrame
    target: NDArray[np.integer]
    patients: NDArray[np.generic]
    scores: Callable[[pd.DataFrame], NDArray[np.float64]]


def permutation_importance(
    folds: Sequence[ScoredPart],
    features: Sequence[str],
    n_repeats: int = 5,
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Importance of each feature: the AUC less that with the feature's numbers shuffled.

    Rows of the classes are compared within a fold, whose model scored both, and the comparisons of
    all folds are pooled. Intervals are percentiles over bootstrapped patients. A feature that is
    told by another as well has little importance by itself.

    Args:
        folds: one test part, or that of each fold.
        features: of which the importance is wanted; of a fold that lacks one it is 0 there.
        n_repeats: shuffles, whose mean counts.
        n_bootstrap: of the patients.
        confidence: of the intervals.
        seed: of both.

    Returns:
        `feature`, `auc_drop`, `low`, `high`, the largest drop first; null where no fold has both
        classes.

    Source: Breiman, Machine Learning 2001; Fisher, Rudin and Dominici, JMLR 2019.
    """
    rng = np.random.default_rng(seed)
    usable = [fold for fold in folds if 0 < int(np.sum(fold.target)) < len(fold.target)]
    if not usable:
        nothing = np.full(len(features), np.nan)
        return pd.DataFrame(
            {"feature": list(features), "auc_drop": nothing, "low": nothing, "high": nothing}
        )
    everyone = np.unique(np.concatenate([fold.patients for fold in usable]))
    draws = rng.multinomial(len(everyone), np.full(len(everyone), 1 / len(everyone)), n_bootstrap)
    weights = np.vstack([np.ones(len(everyone)), draws]).astype(np.float64)
    drops = np.zeros((len(features), len(weights)))
    pairs = np.zeros(len(weights))
    for fold in usable:
        place = np.searchsorted(everyone, fold.patients)
        positive = np.asarray(fold.target) == 1
        of_positive, of_negative = weights[:, place[positive]], weights[:, place[~positive]]
        pairs += of_positive.sum(axis=1) * of_negative.sum(axis=1)
        own = _won(fold.scores(fold.values), positive)
        shuffles = [rng.permutation(len(positive)) for _ in range(n_repeats)]
        for number, feature in enumerate(features):
            if feature not in fold.values or _constant(fold.values[feature]):
                continue
            column = fold.values[feature].to_numpy()
            shuffled = [fold.values.assign(**{feature: column[order]}) for order in shuffles]
            scores = fold.scores(pd.concat(shuffled, ignore_index=True)).reshape(n_repeats, -1)
            lost = own - np.mean([_won(each, positive) for each in scores], axis=0)
            drops[number] += ((of_positive @ lost) * of_negative).sum(axis=1)
    found = np.divide(drops, pairs, out=np.full_like(drops, np.nan), where=pairs > 0)
    tail = 50 * (1 - confidence)
    low, high = np.nanpercentile(found[:, 1:], [tail, 100 - tail], axis=1)
    table = pd.DataFrame(
        {"feature": list(features), "auc_drop": found[:, 0], "low": low, "high": high}
    )
    return table.sort_values("auc_drop", ascending=False, kind="stable").reset_index(drop=True)


def _won(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(positive, negative) 1 where the positive row has the higher score, 0.5 where equal."""
    one, other = scores[positive][:, None], scores[~positive][None]
    found: NDArray[np.float64] = (one > other) + 0.5 * (one == other)
    return found


def _constant(column: pd.Series) -> bool:
    return bool(column.nunique(dropna=False) <= 1)
