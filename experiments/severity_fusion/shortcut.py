"""Features selected on all patients, those that are tested among them: what must not be done."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from covidlit.cohort import ByColumn
from covidlit.cohort.splits import patient_k_fold
from covidlit.datamodules.tables import ClinicalDataModule
from covidlit.models.fusion_ann.fit import fit_preparation

SEVERE = ByColumn("severity", ["severe", "critical"], ["mild", "moderate"])


def selected_on_all(table: Path, factors: Path, k_best: int) -> list[str]:
    """The features with the largest F values over all patients, by the preset all28."""
    split = partial(patient_k_fold, n_folds=10, fold=0, validation_fraction=0.0, seed=0)
    data = ClinicalDataModule(table, split, factors=factors, label_rule=SEVERE)
    data.setup()
    parts = ("train", "test")
    values = pd.concat([data.features_of(part, ["all28"]) for part in parts])
    target = pd.concat([data.rows_of(part)["target"] for part in parts])
    names = list(values)
    settings = fit_preparation(
        values.to_numpy(dtype=np.float64), target.to_numpy(dtype=np.int64), range(len(names)),
        names, k_best=k_best,
    )  # fmt: skip
    return list(settings["names"])
