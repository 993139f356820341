"""What is drawn depends on (seed, epoch, scan) alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import TensorDataset

from covidlit.datamodules import VolumeDataModule
from covidlit.datamodules.balance import draw_weights
from covidlit.datamodules.sampling import EpochSampler, draw_order

Make = Callable[..., VolumeDataModule]
AUGMENTATION = {"scales": [0.9, 1.1], "degrees": 15}


def epochs_of(data: VolumeDataModule, *epochs: int) -> list[list[dict[str, Any]]]:
    loader = data.train_dataloader()
    seen = []
    for epoch in epochs:
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        seen.append([dict(batch) for batch in loader])
    return seen


def assert_same(left: list[list[dict[str, Any]]], right: list[list[dict[str, Any]]]) -> None:
    for some, others in zip(left, right, strict=True):
        for a, b in zip(some, others, strict=True):
            assert a["scan_id"] == b["scan_id"]
            assert torch.equal(a["image"], b["image"])
            assert torch.equal(a["affine"], b["affine"])


def test_batches_do_not_depend_on_the_number_of_workers(make: Make) -> None:
    expected = epochs_of(make(augmentation=AUGMENTATION), 0, 1)
    for workers in (1, 2):
        assert_same(epochs_of(make(augmentation=AUGMENTATION, num_workers=workers), 0, 1), expected)


def test_batches_do_not_depend_on_what_was_drawn_before(make: Make) -> None:
    data = make(augmentation=AUGMENTATION)
    expected = epochs_of(data, 0, 1, 2)[2:]
    torch.manual_seed(99)
    assert_same(epochs_of(make(augmentation=AUGMENTATION), 2), expected)


def images_by_scan(batches: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    return {s: i for b in batches for s, i in zip(b["scan_id"], b["image"], strict=True)}


def test_epochs_and_seeds_differ_in_order_and_augmentation(make: Make) -> None:
    zero, one = epochs_of(make(augmentation=AUGMENTATION), 0, 1)
    other = epochs_of(make(augmentation=AUGMENTATION, seed=1), 0)[0]
    orders = [[s for b in batches for s in b["scan_id"]] for batches in (zero, one, other)]
    assert orders[0] != orders[1]
    assert orders[0] != orders[2]
    assert sorted(orders[0]) == sorted(orders[1])
    images = [images_by_scan(batches) for batches in (zero, one, other)]
    for scan_id, image in images[0].items():
        assert not torch.equal(image, images[1][scan_id])
        assert not torch.equal(image, images[2][scan_id])


def test_loading_leaves_the_global_generator_alone(make: Make) -> None:
    data = make(augmentation=AUGMENTATION)
    data.setup()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    epochs_of(data, 0)
    list(data.dataloader_of("test"))
    assert torch.equal(torch.rand(2), expected)


def test_balanced_draws_give_each_class_its_share(make: Make) -> None:
    classes = np.array([0] * 90 + [1] * 10)
    weights = draw_weights("class", classes, np.full(100, "a", dtype=object))
    draws = [
        d
        for epoch in range(40)
        for d in draw_order(100, seed=0, epoch=epoch, weights=weights, classes=classes)
    ]
    share = np.mean([classes[d.row] for d in draws])
    assert share == pytest.approx(0.5)
    first = draws[:100]
    assert max(d.repeat for d in first) > 2
    assert len(set(first)) == 100  # a scan drawn again gets another augmentation
    scans = [s for b in epochs_of(make(balanced="class"), 0)[0] for s in b["scan_id"]]
    assert len(scans) == 9
    assert len(set(scans)) < 9


@pytest.mark.parametrize("size", [12, 13, 2])
def test_processes_share_the_draws_of_one(size: int) -> None:
    dataset = TensorDataset(torch.zeros(size))
    whole = EpochSampler(dataset, seed=5)
    whole.set_epoch(3)
    shares = []
    for rank in range(3):
        sampler = EpochSampler(dataset, seed=5, rank=rank, world_size=3)
        sampler.set_epoch(3)
        shares.append(list(sampler))
        assert len(shares[-1]) == len(sampler) == -(-size // 3)
    drawn = [draw for together in zip(*shares, strict=True) for draw in together]
    assert [draw for draw in drawn if draw.counts] == list(whole), "each once, batch by batch"
    assert len(drawn) == -(-size // 3) * 3


def test_processes_leave_out_the_same_draws_as_one() -> None:
    dataset = TensorDataset(torch.zeros(23))
    shares = [
        list(EpochSampler(dataset, seed=5, drop_last=True, rank=rank, world_size=2))
        for rank in range(2)
    ]
    assert [len(share) // 2 for share in shares] == [23 // 4, 23 // 4]
    assert all(draw.counts for share in shares for draw in share)


class Recorder(pl.LightningModule):
    """Trains one weight and remembers what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.seen: list[tuple[int, str, float]] = []

    def training_step(self, batch: dict[str, Any], index: int) -> torch.Tensor:
        mean = batch["image"].mean(dim=(1, 2, 3, 4))
        for scan_id, value in zip(batch["scan_id"], mean.tolist(), strict=True):
            self.seen.append((self.current_epoch, scan_id, value))
        return self.layer(mean[:, None]).mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.01)


def train(data: VolumeDataModule, folder: Path, epochs: int, resume: str | None = None) -> Recorder:
    model = Recorder()
    trainer = pl.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, default_root_dir=folder,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(model, datamodule=data, ckpt_path=resume)
    trainer.save_checkpoint(folder / "last.ckpt")
    return model


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_sees_what_the_whole_one_saw(
    make: Make, tmp_path: Path, workers: int
) -> None:
    options = {"augmentation": AUGMENTATION, "num_workers": workers}
    whole = train(make(**options), tmp_path, 3)
    assert [epoch for epoch, _, _ in whole.seen] == [0] * 9 + [1] * 9 + [2] * 9
    train(make(**options), tmp_path, 1)
    resumed = train(make(**options), tmp_path, 3, str(tmp_path / "last.ckpt"))
    assert resumed.seen == whole.seen[9:]


def test_a_split_without_validation_trains(make: Make, table: Any, tmp_path: Path) -> None:
    table.loc[table["split"] == "validation", "split"] = "train"
    data = make(table)
    assert data.val_dataloader() == []
    assert len(train(data, tmp_path, 1).seen) == 11
