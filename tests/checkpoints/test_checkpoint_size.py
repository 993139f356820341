"""Checkpoints that claim more than they hold: refused in no time, with the override."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from volume_records import volume_record

from covidlit.checkpoints.file import load_checkpoint
from covidlit.errors import CheckpointError
from covidlit.tasks import VolumeClassification
from covidlit.tasks.load import load_for_prediction, load_task

NET = {"_target_": "covidlit.models.CSACNet3D", "width": 4, "hidden": [8, 8]}
CONFIG: dict[str, Any] = {
    "data": {
        "geometry": {"spacing": [5.0, 1.5, 1.5], "size": [16, 32, 32]},
        "window": [-1000, 400],
        "override_checks": [],
    },
    "model": {"name": "csacnet"},
    "trainer": {},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    task = VolumeClassification(net=NET)
    task.record = volume_record(CONFIG, split_hash="abc")
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_model_summary=False)
    trainer.strategy.connect(task)
    trainer.save_checkpoint(tmp_path / "best.ckpt")
    return tmp_path / "best.ckpt"


def _rewrite(path: Path, **changes: Any) -> None:
    torch.save(torch.load(path, weights_only=True) | changes, path)


def test_a_checkpoint_that_was_compressed_is_not_unpacked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _rewrite(path, spare=torch.zeros(8 << 20))
    packed = path.with_name("packed.ckpt")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    load_checkpoint(path)
    with pytest.raises(CheckpointError, match=r"would become .* GiB.*COVIDLIT_MAX_GIB=1"):
        load_checkpoint(packed)
    monkeypatch.setenv("COVIDLIT_MAX_GIB", "1")
    load_checkpoint(packed)


@pytest.mark.parametrize(
    "changes",
    [{"width": 10**9}, {"width": 4096}, {"blocks": 10**6}, {"hidden": [10**6, 10**6]}],
)
@pytest.mark.parametrize("load", [load_task, load_for_prediction])
def test_a_network_larger_than_its_weights_is_not_built(
    changes: dict[str, Any], load: Any, path: Path
) -> None:
    hparams = torch.load(path, weights_only=True)["hyper_parameters"]
    _rewrite(path, hyper_parameters={**hparams, "net": {**hparams["net"], **changes}})
    start = time.monotonic()
    with pytest.raises(CheckpointError, match=r"damaged|do not describe a network"):
        load(path)
    assert time.monotonic() - start < 20


def test_lists_within_lists_are_not_gone_through(path: Path) -> None:
    nested: list[Any] = [0]
    for _ in range(60):
        nested = [nested, nested]
    hparams = torch.load(path, weights_only=True)["hyper_parameters"]
    _rewrite(path, hyper_parameters={**hparams, "loss": nested})
    with pytest.raises(CheckpointError, match="more than 2000000 values"):
        load_checkpoint(path)


def test_an_input_above_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from covidlit.errors import ConfigError
    from covidlit.preprocess.geometry import Geometry

    with pytest.raises(ConfigError, match=r"claims 256 GiB.*COVIDLIT_MAX_GIB=256"):
        Geometry(size=(4096, 4096, 4096))
