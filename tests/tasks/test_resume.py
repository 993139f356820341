"""A run that is killed and resumed ends with the same weights, bit for bit."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from covidlit.tasks import VolumeClassification
from covidlit.tasks.rng import rng_state, set_rng_state

EPOCHS = 4
CYCLE: dict[str, Any] = {"_target_": "torch.optim.lr_scheduler.OneCycleLR"}
STEPS: dict[str, Any] = {
    "_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 1, "gamma": 0.5,
}  # fmt: skip


class KilledError(Exception):
    """Stands for the end of the process."""


class KillAfter(pl.Callback):
    """Raises when an epoch starts, after the checkpoint of the one before was written."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_start(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        if trainer.current_epoch == self.epochs:
            raise KilledError


def make_task(scheduler: dict[str, Any] = CYCLE) -> VolumeClassification:
    torch.manual_seed(3)
    return VolumeClassification(
        net={"_target_": "covidlit.models.CSACNet3D", "width": 4, "dropout": 0.5},
        scheduler=scheduler,
    )


def make_trainer(
    folder: Path, *callbacks: pl.Callback, at_validation: bool = False, epochs: int = EPOCHS
) -> pl.Trainer:
    last = ModelCheckpoint(
        folder, "last", enable_version_counter=False, save_on_train_epoch_end=not at_validation
    )
    return pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        callbacks=[last, *callbacks],
    )


@pytest.mark.parametrize(("at_validation", "plain"), [(False, False), (True, False), (False, True)])
def test_killed_and_resumed_equals_uninterrupted_bit_for_bit(
    tmp_path: Path, datamodule_class: type[Any], at_validation: bool, plain: bool
) -> None:
    straight = make_task()
    torch.manual_seed(7)
    make_trainer(tmp_path / "straight", at_validation=at_validation).fit(
        straight, datamodule=datamodule_class(plain=plain)
    )

    killed = make_task()
    torch.manual_seed(7)
    with pytest.raises(KilledError):
        make_trainer(tmp_path / "killed", KillAfter(2), at_validation=at_validation).fit(
            killed, datamodule=datamodule_class(plain=plain)
        )
    resumed = make_task()
    # A new process has generators in other states, and has drawn from them.
    torch.manual_seed(12345)
    random.seed(12345)
    np.random.seed(12345)
    make_trainer(tmp_path / "resumed", at_validation=at_validation).fit(
        resumed,
        datamodule=datamodule_class(plain=plain),
        ckpt_path=tmp_path / "killed" / "last.ckpt",
        weights_only=True,
    )

    expected, found = straight.state_dict(), resumed.state_dict()
    assert expected.keys() == found.keys()
    different = [name for name in expected if not torch.equal(expected[name], found[name])]
    assert different == []
    # The comparison means something: dropout was at work, and the last epochs changed the weights.
    half = killed.state_dict()
    assert not all(torch.equal(half[name], expected[name]) for name in expected)


def test_a_finished_run_that_is_trained_longer_equals_one_of_that_length(
    tmp_path: Path, datamodule_class: type[Any]
) -> None:
    ends = []
    for folder, epochs, ckpt_path in (
        ("whole", EPOCHS, None),
        ("finished", 2, None),
        ("longer", EPOCHS, tmp_path / "finished" / "last.ckpt"),
    ):
        task = make_task(STEPS)
        torch.manual_seed(7)
        make_trainer(tmp_path / folder, epochs=epochs).fit(
            task, datamodule=datamodule_class(), ckpt_path=ckpt_path, weights_only=True
        )
        ends.append(task.state_dict())
    whole, finished, longer = ends
    assert all(torch.equal(whole[name], longer[name]) for name in whole)
    assert not all(torch.equal(whole[name], finished[name]) for name in whole)


def test_dropout_depends_on_the_generator(tmp_path: Path, datamodule_class: type[Any]) -> None:
    ends = []
    for seed in (7, 8):
        task = make_task()
        torch.manual_seed(seed)
        make_trainer(tmp_path / str(seed), at_validation=False).fit(
            task, datamodule=datamodule_class()
        )
        ends.append(task.state_dict())
    assert not all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_generator_states_survive_a_safe_file(tmp_path: Path) -> None:
    state = rng_state()
    drawn = (random.random(), np.random.normal(), torch.rand(3))
    torch.save(state, tmp_path / "state.pt")
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    set_rng_state(torch.load(tmp_path / "state.pt", weights_only=True))
    again = (random.random(), np.random.normal(), torch.rand(3))
    assert drawn[:2] == again[:2]
    assert torch.equal(drawn[2], again[2])
