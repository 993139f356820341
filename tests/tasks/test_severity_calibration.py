"""A calibrated score is a probability among the rows as they are, however they were drawn."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch

from covidlit.cohort import ByColumn
from covidlit.cohort.splits import patient_k_fold
from covidlit.datamodules.tables import ClinicalDataModule
from covidlit.tasks import SeverityPrediction
from covidlit.tasks.together import fit_together

EPOCHS = 6
NET = {"_target_": "covidlit.models.FusionANN", "members": 2, "hidden": [4]}
SCHEDULER = {"_target_": "torch.optim.lr_scheduler.OneCycleLR", "max_lr": 0.02}


@pytest.fixture(scope="module")
def rare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Laboratory values of 600 patients, of whom about one in ten died."""
    rng = np.random.default_rng(0)
    level = rng.normal(size=600)
    died = rng.random(600) < 1 / (1 + np.exp(3.0 - 1.2 * level))
    path = tmp_path_factory.mktemp("rare") / "clinical.csv"
    pd.DataFrame(
        {
            "patient_id": [f"P{number:04d}" for number in range(600)],
            "date": "2021-01-01",
            "leukocytes_1e9_per_l": 8 * np.exp(0.3 * level),
            "alt_u_per_l": 30 * np.exp(0.3 * rng.normal(size=600)),
            "outcome": np.where(died, "died", "survived"),
        }
    ).to_csv(path, index=False)
    return path


def learnt(table: Path, together: bool, balanced: bool | str = False, **given: Any) -> Any:
    data = ClinicalDataModule(
        table, partial(patient_k_fold, n_folds=5, fold=0, seed=0),
        label_rule=ByColumn("outcome", ["died"]), balanced=balanced, batch_size=32,
    )  # fmt: skip
    data.setup()
    pl.seed_everything(0, verbose=False)
    arguments = SeverityPrediction.fitted_to({"net": NET, "scheduler": SCHEDULER, **given}, data)
    task = SeverityPrediction(**arguments)
    if together:
        fit_together([task], [data], EPOCHS)
    else:
        pl.Trainer(
            max_epochs=EPOCHS, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
            use_distributed_sampler=False, limit_val_batches=0,
        ).fit(task, datamodule=data)  # fmt: skip
    with torch.no_grad():
        numbers = data.features_of("train", None)[task.hparams["columns"]]
        logits = task.net(torch.from_numpy(numbers.to_numpy(np.float32)))
        score = task.scores(logits).numpy()
    prevalence = float(data.rows_of("train")["target"].mean())
    return task, float(score.mean()), prevalence, torch.sigmoid(logits[:2].mean(0)).mean()


@pytest.mark.parametrize("together", [True, False], ids=["together", "alone"])
@pytest.mark.parametrize(
    "how", [{}, {"balanced": "class"}, {"class_weights": "balanced"}], ids=str
)  # fmt: skip
def test_the_mean_score_is_the_prevalence_however_rows_are_drawn(
    rare: Path, together: bool, how: dict[str, Any]
) -> None:
    _, mean, prevalence, raw = learnt(rare, together, **how)
    assert prevalence < 0.12
    if how:
        assert raw > 2 * prevalence  # what it learnt of rows that were drawn evenly
    assert mean == pytest.approx(prevalence, abs=0.02)


def test_balanced_draws_are_calibrated_together_as_alone(rare: Path) -> None:
    one, other = (learnt(rare, together, "class")[0] for together in (True, False))
    assert not torch.equal(one.calibration, torch.tensor([1.0, 0.0]))
    np.testing.assert_allclose(one.calibration, other.calibration, atol=2e-4)
