"""How far chance moves the objective of a sweep, from the scans that its best trial had."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from covidlit.errors import CovidlitError
from covidlit.evaluation.delong import delong_covariance
from covidlit.evaluation.evaluate import as_binary
from covidlit.evaluation.predictions import accepted, is_synthetic, read_predictions
from covidlit.sweep.summary import value_of

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_SAME = 5e-3
"""A trial's value further from the AUC of its predictions than this is another measure."""


@dataclass(frozen=True)
class ValidationNoise:
    """What the validation scans of a trial say about its value.

    Attributes:
        n_scans: validation scans with a score.
        n_positive: positive ones among them.
        standard_error: of the AUC, or of the mean AUC over the folds; None where it is undefined,
            or where the value is not this AUC.
        synthetic: whether the scans are synthetic; None where nothing says so.
    """

    n_scans: int
    n_positive: int
    standard_error: float | None
    synthetic: bool | None


def validation_noise(trial: FrozenTrial, sweep_dir: Path) -> ValidationNoise | None:
    """Read the validation predictions that a trial left in its folder; None where it left none.

    Args:
        trial: a finished one.
        sweep_dir: the sweep's folder.

    Source: DeLong's variance; of a mean over folds, as if the folds were independent.
    """
    path = sweep_dir / str(trial.user_attrs.get("folder", "")) / "predictions.parquet"
    if not path.is_file():
        return None
    try:
        table, _ = as_binary(read_predictions(path))
    except CovidlitError:  # the page says that the number of scans is not known
        return None
    rows = accepted(table[table["part"] == "validation"])
    target = rows["target"].to_numpy(dtype=float)
    aucs, variances = [], []
    for _, fold in rows.groupby(rows["fold"].fillna(-1)):
        if set(fold["target"]) != {0, 1}:
            continue
        auc, covariance = delong_covariance(
            fold["target"].to_numpy(dtype=float), fold["score"].to_numpy(dtype=float)
        )
        aucs.append(float(auc[0]))
        variances.append(float(covariance[0, 0]))
    error = math.sqrt(sum(variances)) / len(aucs) if aucs else math.nan
    same = bool(aucs) and abs(sum(aucs) / len(aucs) - value_of(trial)) < _SAME
    return ValidationNoise(
        n_scans=len(rows),
        n_positive=int((target == 1).sum()),
        standard_error=error if same and math.isfinite(error) and error > 0 else None,
        synthetic=is_synthetic(table),
    )
