"""Which numbers a run's models look at: permutation importance beside attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from covidlit.deploy.tables.model import TableModel
from covidlit.evaluation.importance import agreement_text, attention_correlation
from covidlit.explain.tables.permutation import ScoredPart, permutation_importance


@dataclass(frozen=True)
class Importance:
    """What was found.

    Args:
        table: one row per feature, the most important first: `feature`, `group`, `description`,
            `unit`, `n_models` that take it, `auc_drop` with `low` and `high`, and `attention`, the
            mean weight over test rows and models (null without attention).
        spearman: rank correlation of attention and importance; None without attention.
    """

    table: pd.DataFrame
    spearman: float | None

    @property
    def sentence(self) -> str:
        """How attention and importance agree; empty without attention."""
        return agreement_text(self.table)


def importance_of(
    models: Sequence[TableModel],
    data: Sequence[Any],
    n_repeats: int = 5,
    seed: int = 0,
    confidence: float = 0.95,
    n_bootstrap: int = 1000,
) -> Importance | None:
    """Importance of the features of models on the test parts of their data.

    Args:
        models: one, or that of each fold.
        data: `TableDataModule` of each, set up.
        n_repeats, seed, confidence, n_bootstrap: see `permutation_importance`.

    Returns:
        None where no test part has rows.
    """
    tested, weights, names = [], [], []
    for model, own in zip(models, data, strict=True):
        rows = own.rows_of("test")
        if not len(rows):
            continue
        values = own.features_of("test")[list(model.features)]
        names.append(list(model.features))
        tested.append(
            ScoredPart(
                values,
                rows["target"].to_numpy(dtype=np.int64),
                rows["patient_id"].astype(str).to_numpy(dtype=np.str_),
                model.scores,
            )
        )
        attention = model.attention(values)
        if attention is not None:
            weights.append((attention.mean(), len(attention)))
    if not tested:
        return None
    features = list(dict.fromkeys(name for each in names for name in each))
    table = permutation_importance(
        tested, features, n_repeats=n_repeats, n_bootstrap=n_bootstrap, confidence=confidence,
        seed=seed,
    )  # fmt: skip
    known = data[0].feature_table(None).set_index("name")
    for name in ("group", "description", "unit"):
        table[name] = table["feature"].map(known[name])
    table["n_models"] = table["feature"].map(lambda name: sum(name in each for each in names))
    table["attention"] = table["feature"].map(_mean(weights, features)) if weights else np.nan
    table["attention"] = table["attention"].astype("float64")
    order = ["feature", "group", "description", "unit", "n_models", "auc_drop", "low", "high",
             "attention"]  # fmt: skip
    return Importance(table[order], attention_correlation(table) if weights else None)


def _mean(weights: Sequence[tuple[pd.Series, int]], features: Sequence[str]) -> pd.Series:
    """Mean weight of each feature over the rows of all folds; 0 where a model does not take it."""
    total = sum(n for _, n in weights)
    summed = sum(own.reindex(features).fillna(0.0) * n for own, n in weights)
    assert isinstance(summed, pd.Series)
    return summed / total
