"""Untrained severity models of tables, which are enough to see what their input becomes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from covidlit.checkpoints.record import run_record
from covidlit.datamodules.tables.training_values import spread_of
from covidlit.models.fusion_ann.fit import fit_preparation
from covidlit.tasks.fusion import Fusion

IMAGING = ["n_lesions", "total_volume_ml", "proportion_percent", "mean_density_hu", "form"]
LABS = ["haemoglobin_g_per_l", "leukocytes_1e9_per_l", "lymphocyte_percent", "age"]
_RANGES = {
    "n_lesions": (0, 40), "total_volume_ml": (0, 2000), "proportion_percent": (0, 60),
    "mean_density_hu": (-800, 100), "form": (0, 1), "haemoglobin_g_per_l": (100, 160),
    "leukocytes_1e9_per_l": (3, 15), "lymphocyte_percent": (3, 45), "age": (20, 90),
}  # fmt: skip


def training_rows(names: list[str], n: int = 120) -> pd.DataFrame:
    """Values of patients that no model was trained on."""
    rng = np.random.default_rng(0)
    return pd.DataFrame({name: rng.uniform(*_RANGES[name], n) for name in names})


def severity_model(
    folder: Path,
    kind: str,
    names: list[str],
    *,
    seed: int = 1,
    synthetic: bool = True,
    attention: bool = False,
    split_hash: str = "0" * 64,
    values: pd.DataFrame | None = None,
    **record: Any,
) -> Path:
    """A checkpoint `last.ckpt` in a folder, of a network as it was initialised.

    Args:
        folder: is made.
        kind: "factors" or "clinical".
        names: of the features, in order.
        seed: another one, other scores.
        synthetic, split_hash: of the record.
        attention: with weights of the features.
        values: of the training rows; None: `training_rows`.
        record: further settings of the input.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = training_rows(names) if values is None else values
    target = (values[names[0]] > values[names[0]].median()).to_numpy(dtype=int)
    preparation = fit_preparation(values.to_numpy(), target, list(range(len(names))), names)
    net = {"_target_": "covidlit.models.FusionANN", "members": 3, "hidden": [4], "seed": seed,
           "attention": attention}  # fmt: skip
    hparams: dict[str, Any] = {
        "net": net, "preparation": preparation, "columns": names, "calibration_folds": 0,
        "calibration_members": 1,
    }  # fmt: skip
    task = Fusion(hparams)
    settings: Mapping[str, Any] = {
        "kind": kind, "columns": names, "training": spread_of(values), **record,
    }  # fmt: skip
    rule = {"column": "severity", "positive": ["severe", "critical"]}
    kept = run_record(
        {"model": {"name": "fusion_ann"}, "trainer": {}, "label_rule": rule},
        split_hash, settings, synthetic=synthetic,
    )  # fmt: skip
    content = {
        "state_dict": task.state_dict(),
        "hyper_parameters": hparams,
        "covidlit": {
            "format": 1, "task": "covidlit.tasks.severity.SeverityPrediction",
            "record": {**kept, "operating_point": 0.5}, "versions": {}, "rng": {},
        },
    }  # fmt: skip
    torch.save(content, folder / "last.ckpt")
    return folder / "last.ckpt"
