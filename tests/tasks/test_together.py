"""Folds trained as one learn what each would learn alone."""

from __future__ import annotations

from typing import Any

import factor_cohort
import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from covidlit.cohort.splits import patient_k_fold
from covidlit.datamodules.tables import FactorDataModule
from covidlit.tasks import SeverityPrediction
from covidlit.tasks.together import can_be_together, fit_together

EPOCHS = 3


@pytest.fixture(scope="module")
def folds(tmp_path_factory: pytest.TempPathFactory) -> list[FactorDataModule]:
    manifest, quantified = factor_cohort.write_cohort(tmp_path_factory.mktemp("cohort"))

    def split(fold: int) -> Any:
        return lambda rows: patient_k_fold(rows, n_folds=3, fold=fold, seed=0)

    first = FactorDataModule(manifest, quantified, split(0), batch_size=16)
    return [first, *(first.with_split(split(fold)) for fold in (1, 2))]


def task_of(data: FactorDataModule, **given: Any) -> SeverityPrediction:
    data.setup()
    arguments: dict[str, Any] = {
        "net": {"_target_": "covidlit.models.FusionANN", "members": 3, "hidden": [6]},
        "calibration_folds": 2,
        "scheduler": {"_target_": "torch.optim.lr_scheduler.OneCycleLR"},
        **given,
    }
    return SeverityPrediction(**SeverityPrediction.fitted_to(arguments, data))


def alone(data: FactorDataModule, **given: Any) -> SeverityPrediction:
    task = task_of(data, **given)
    trainer = pl.Trainer(
        max_epochs=EPOCHS, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
        num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(task, datamodule=data)
    return task


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"net": {"_target_": "covidlit.models.FusionANN", "members": 2, "attention": True},
         "class_weights": "balanced"},
        {"scheduler": None, "calibration_folds": 0, "k_best": 4,
         "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.05, "momentum": 0.9}},
    ],
    ids=["default", "attention", "few features"],
)  # fmt: skip
def test_what_is_learnt_together_is_what_is_learnt_alone(
    folds: list[FactorDataModule], given: dict[str, Any]
) -> None:
    together = [task_of(data, **given) for data in folds]
    before = [task.net.direct.bias.detach().clone() for task in together]
    fit_together(together, folds, EPOCHS)
    for data, task, start in zip(folds, together, before, strict=True):
        own = alone(data, **given).state_dict()
        assert not torch.equal(task.net.direct.bias, start)
        for name, value in task.state_dict().items():
            np.testing.assert_allclose(value, own[name], atol=2e-5, err_msg=name)


def test_settings_that_a_stack_cannot_follow_are_known(folds: list[FactorDataModule]) -> None:
    trainer = {"accelerator": "cpu", "devices": 1, "max_epochs": 2, "precision": "32-true"}
    task = task_of(folds[0])
    assert can_be_together(task, trainer)
    for changed in (
        {"precision": "bf16-mixed"}, {"gradient_clip_val": 1.0}, {"devices": 2},
        {"accumulate_grad_batches": 2}, {"fast_dev_run": True}, {"max_epochs": -1},
    ):  # fmt: skip
        assert not can_be_together(task, {**trainer, **changed})
    dropout = {"_target_": "covidlit.models.FusionANN", "dropout": 0.1}
    assert not can_be_together(task_of(folds[0], net=dropout), trainer)
    plateau = {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau"}
    assert not can_be_together(task_of(folds[0], scheduler=plateau), trainer)
