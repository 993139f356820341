"""LesionSegmentation learns, resumes bit for bit, and comes back from its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from drawn_slices import CLASSES, collate, drawn_slice
from torch.utils.data import DataLoader

from covidlit.datamodules.sampling import Draw, EpochLoader, EpochSampler
from covidlit.errors import ConfigError, TrainingError
from covidlit.scans.run_length import decode_masks
from covidlit.settings.targets import is_allowed
from covidlit.tasks import LesionSegmentation
from covidlit.tasks.load import load_task
from covidlit.tasks.segmentation_metrics import DetectionMetric, FrocMetric
from covidlit.tasks.segmentation_rows import rows_of_slice

NET: dict[str, Any] = {
    "_target_": "covidlit.models.MaskRCNN", "backbone": "efficientnet_lite0", "fpn_channels": 16,
    "box_head": "mlp", "head_width": 32, "semantic_width": 32, "sampled_regions": 32,
    "train_proposals": 100, "proposals": 50, "max_detections": 20,
}  # fmt: skip


class Slices(pl.LightningDataModule):
    """Drawn slices, with noise that depends on the epoch."""

    def __init__(self, numbers: list[int], batch_size: int = 2, repeats: int = 1) -> None:
        super().__init__()
        self.numbers, self.batch_size, self.repeats = numbers, batch_size, repeats

    def __len__(self) -> int:
        return len(self.numbers) * self.repeats

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        found = drawn_slice(self.numbers[draw.row % len(self.numbers)])
        generator = torch.Generator().manual_seed(1000 * draw.epoch + draw.row)
        noise = 0.01 * torch.rand(found["image"].shape, generator=generator)
        return {**found, "image": found["image"] + noise}

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader(True)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(
            [drawn_slice(n) for n in self.numbers],  # type: ignore[arg-type]
            batch_size=self.batch_size,
            collate_fn=collate,
        )

    def _loader(self, shuffle: bool) -> DataLoader[Any]:
        own: Any = self
        sampler = EpochSampler(own, shuffle=shuffle)
        return EpochLoader(own, batch_size=self.batch_size, sampler=sampler, collate_fn=collate)

    test_dataloader = predict_dataloader = val_dataloader


def make_task(**arguments: Any) -> LesionSegmentation:
    torch.manual_seed(0)
    return LesionSegmentation(**{"net": NET, "classes": CLASSES, **arguments})


def make_trainer(folder: Path, **arguments: Any) -> pl.Trainer:
    defaults: dict[str, Any] = {
        "accelerator": "cpu", "max_epochs": 2, "logger": False, "enable_progress_bar": False,
        "enable_model_summary": False, "use_distributed_sampler": False,
        "enable_checkpointing": False, "num_sanity_val_steps": 0, "default_root_dir": folder,
    }  # fmt: skip
    return pl.Trainer(**{**defaults, **arguments})


def test_two_slices_are_learnt_in_a_short_training(tmp_path: Path) -> None:
    data = Slices([0, 1], repeats=40)
    node = {"_target_": "torch.optim.AdamW", "lr": 4e-3}
    schedule = {"_target_": "torch.optim.lr_scheduler.OneCycleLR"}
    task = make_task(optimizer=node, scheduler=schedule)
    trainer = make_trainer(tmp_path, max_epochs=2)
    trainer.fit(task, datamodule=data)
    measured = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert measured["val_dice"] > 0.8
    assert measured["val_dice_lung"] > 0.9
    assert measured["val_map_box"] > 0.5
    assert measured["val_map_mask"] > 0.5
    assert measured["val_sensitivity"] == 1.0
    batches = trainer.predict(task, data)
    table = task.table_of(batches)  # type: ignore[arg-type]
    slices = table[table["kind"] == "slice"].set_index("slice_id")
    assert list(slices.index) == ["scan0.0000", "scan0.0001"]
    truth = drawn_slice(0)["target"]
    row = slices.loc["scan0.0000"]
    (lung,) = decode_masks([row["truth_lung"]], (64, 64))
    assert np.array_equal(lung, truth["semantic"].numpy() == 1)
    assert row["voxel_ml"] == pytest.approx(5 * 0.7 * 0.7 / 1000)
    objects = table[(table["kind"] == "object") & (table["slice_id"] == "scan0.0000")]
    assert np.array_equal(
        decode_masks(objects["mask"].tolist(), (64, 64)), truth["masks"].numpy().astype(bool)
    )
    assert objects["class_name"].tolist() == [CLASSES[k - 1] for k in truth["labels"].tolist()]
    assert table.loc[table["kind"] == "detection", "score"].between(0, 1).all()


def test_a_resumed_training_is_the_same_to_the_bit(tmp_path: Path) -> None:
    whole = make_task()
    trainer = make_trainer(tmp_path, max_epochs=2)
    trainer.fit(whole, datamodule=Slices([0, 1, 2]))

    first = make_task()
    trainer = make_trainer(tmp_path, max_epochs=1)
    trainer.fit(first, datamodule=Slices([0, 1, 2]))
    path = tmp_path / "last.ckpt"
    trainer.save_checkpoint(path)
    torch.manual_seed(5)
    other = make_task()
    torch.rand(7)
    make_trainer(tmp_path, max_epochs=2).fit(
        other, datamodule=Slices([0, 1, 2]), ckpt_path=path, weights_only=True
    )
    expected, found = whole.state_dict(), other.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_it_comes_back_from_its_checkpoint_without_the_weights_it_started_from(
    tmp_path: Path,
) -> None:
    torch.save(make_task().state_dict(), tmp_path / "start.pt")
    task = make_task(net={**NET, "pretrained": str(tmp_path / "start.pt")})
    trainer = make_trainer(tmp_path)
    trainer.strategy.connect(task)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    (tmp_path / "start.pt").unlink()
    content = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert content["hyper_parameters"]["net"]["pretrained"] is None
    again = load_task(tmp_path / "last.ckpt")
    assert isinstance(again, LesionSegmentation)
    assert again.classes == CLASSES
    image = [drawn_slice(0)["image"]]
    with torch.no_grad():
        assert torch.equal(again(image)[0]["scores"], task.eval()(image)[0]["scores"])
    assert is_allowed("covidlit.tasks.segmentation.LesionSegmentation", "tasks")


def test_a_slice_that_is_not_finite_stops_the_training_before_it_spoils_the_weights(
    tmp_path: Path,
) -> None:
    batch = collate([drawn_slice(0), drawn_slice(1)])
    batch["image"][1][:, 3, 3] = torch.nan
    task = make_task()
    before = {name: value.clone() for name, value in task.state_dict().items()}
    task.log = lambda *args, **kwargs: None  # type: ignore[method-assign]
    task.train()
    with pytest.raises(TrainingError, match=r"scan0\.0000, scan0\.0001"):
        task.shared_step(batch, "train")
    assert all(torch.equal(before[name], value) for name, value in task.state_dict().items())


class _Data:
    """What a run asks its data for before the training."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record

    def input_record(self) -> dict[str, Any]:
        return self.record

    def dataloader_of(self, part: str) -> list[Any]:
        assert part == "train"
        return [collate([drawn_slice(number) for number in range(4)])]


def test_classes_and_anchors_are_those_of_the_training_part() -> None:
    data: Any = _Data({"kind": "slices", "classes": CLASSES, "channels": 3})
    fitted = LesionSegmentation.fitted_to({"net": NET, "classes": None}, data)
    assert fitted["classes"] == CLASSES
    sizes = np.ravel(fitted["net"]["anchor_sizes"])
    boxes = np.concatenate([drawn_slice(n)["target"]["boxes"].numpy() for n in range(4)])
    true = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    assert sizes.min() == pytest.approx(true.min(), rel=0.15)
    assert sizes.max() == pytest.approx(true.max(), rel=0.1)
    LesionSegmentation(**fitted)
    own = LesionSegmentation.fitted_to({"net": NET, "anchors": "default"}, data)
    assert "anchor_sizes" not in own["net"]

    data.annotated = CLASSES[:-1]
    with pytest.raises(ConfigError, match=f"nobody looked for {CLASSES[-1]} in these slices"):
        LesionSegmentation.fitted_to({"net": NET}, data)
    known = LesionSegmentation.fitted_to({"net": {**NET, "pretrained": "a.ckpt"}}, data)
    assert known["classes"] == CLASSES, "a checkpoint may know it"
    del data.annotated

    with pytest.raises(ConfigError, match="give data=slices"):
        LesionSegmentation.fitted_to({"net": NET}, _Data({"kind": "volume"}))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="the data have the classes lung"):
        LesionSegmentation.fitted_to({"net": NET, "classes": ["lung"]}, data)
    with pytest.raises(ConfigError, match="normalises nothing"):
        LesionSegmentation.fitted_to({"net": {**NET, "norm": "frozen"}}, data)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"anchors": "own"}, "anchors must be one of"),
        ({"loss_weights": {"masks": 1.0}}, "no term 'masks'"),
        ({"loss_weights": {"mask": -1.0}}, "below 0"),
        ({"classes": ["lung", "lung"]}, "different names"),
        ({"net": {**NET, "fpn_chanels": 8}}, "did you mean fpn_channels"),
    ],
)
def test_settings_that_cannot_be_are_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_task(**arguments)


def test_a_process_without_an_object_takes_part_in_the_common_precision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the others wait for it for ever, when they gather what all have found."""
    metric = DetectionMetric()
    nothing = {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.int64),
        "masks": torch.zeros(0, 8, 8, dtype=torch.bool),
    }
    metric.update({**nothing, "scores": torch.zeros(0)}, nothing)
    calls = []
    own = metric.precision.compute
    monkeypatch.setattr(metric.precision, "compute", lambda: calls.append(1) or own())
    assert all(value.isnan() for value in metric.compute().values())
    assert calls


def test_detections_on_crowds_count_neither_as_right_nor_as_wrong() -> None:
    batch = collate([drawn_slice(1)])
    target = batch["target"][0]
    lesion = int((target["labels"] > 1).nonzero()[0])
    names = ("boxes", "labels", "masks")
    first = {name: target[name][: lesion + 1] for name in names}
    crowd = {f"ignored_{name}": target[name][lesion + 1 :] for name in names}
    assert len(crowd["ignored_labels"])
    scores = torch.linspace(0.5, 0.9, len(target["labels"]))
    found = {**{name: target[name] for name in names}, "scores": scores}
    measured = {}
    for kind, known in (("with", {**first, **crowd}), ("without", first)):
        precision, froc = DetectionMetric(), FrocMetric()
        precision.update(found, known)
        froc.update(found, known, lung=1)
        measured[kind] = (float(precision.compute()["map_mask"]), len(froc.false[0]))
    assert measured["with"] == (1.0, 0)
    assert measured["without"][1] == len(crowd["ignored_labels"])
    batch["target"][0] = {**target, **first, **crowd}
    found["semantic"] = target["semantic"]
    rows = rows_of_slice(batch, 0, found, CLASSES).objects
    n = len(crowd["ignored_labels"])
    assert [row["ignored"] for row in rows] == [False] * (lesion + 1) + [True] * n
    batch["target"][0] = target  # of data that say nothing of what to ignore
    rows = rows_of_slice(batch, 0, found, CLASSES).objects
    assert [row["ignored"] for row in rows] == [False] * len(target["labels"])
