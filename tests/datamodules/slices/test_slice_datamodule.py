"""Labelled slices as the data of a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from labelled_chests import AFFINE, SHAPE, SPACING, chest_with_lesions

from covidlit.checkpoints.record import RunRecord
from covidlit.cohort.slice_criteria import SliceChoice, SliceCriteria
from covidlit.datamodules.cohort_data import CohortData
from covidlit.datamodules.slices import SliceDataModule
from covidlit.datamodules.slices.channels import slice_images
from covidlit.errors import CacheError, ConfigError, LeakageError, SplitError
from covidlit.scans.images import read_image, write_nifti

Make = Callable[..., SliceDataModule]
AUGMENTATION = {"scales": [0.9, 1.1], "degrees": 15, "flip_axes": ["LR"]}


def test_the_contract_of_a_run_s_data(make: Make) -> None:
    data = make()
    assert isinstance(data, CohortData)
    data.prepare_data()
    data.setup()
    assert data.unit == "slice"
    assert {"slice_id", "patient_id", "scan_id", "slice_index", "target", "part", "status",
            "reason", "pixel_hash"} <= set(data.table)  # fmt: skip
    assert data.table["slice_id"].tolist()[:2] == ["S0.0000", "S0.0001"]
    assert len(data.table) == 5 * SHAPE[0]
    assert not data.table.groupby("patient_id")["part"].nunique().gt(1).any()
    for part, scans in (("train", 2), ("validation", 1), ("test", 2)):
        names = data.rows_of(part)["slice_id"].tolist()
        assert len(names) == scans * SHAPE[0]
        assert set(names) == set(data.split.scans(part))
        assert [n for b in data.dataloader_of(part) for n in b["slice_id"]] == names
        features = data.features_of(part)
        assert len(features) == len(names)
        assert list(features) == data.feature_table()["name"].tolist()
    record = RunRecord(config={}, split_hash="", preprocess=data.input_record())  # type: ignore[arg-type]
    assert RunRecord.model_validate_json(record.model_dump_json()) == record
    assert json.loads(json.dumps(data.facts()))["source"]
    swapped = dict.fromkeys(data.split.parts, "train") | dict.fromkeys(names, "test")
    other = data.with_split(data.split.model_copy(update={"parts": swapped}))
    assert other.rows_of("test")["slice_id"].tolist() == names
    assert other.rows_of("validation").empty
    assert len(data.rows_of("validation"))


def test_a_batch_is_what_was_drawn(make: Make) -> None:
    data = make()
    (batch,) = [b for b in data.dataloader_of("train") if "S0.0002" in b["slice_id"]]
    at = batch["slice_id"].index("S0.0002")
    hu, classes = chest_with_lesions(0)
    image, target = batch["image"][at], batch["target"][at]
    assert image.dtype == torch.float32
    for channel, (low, high) in zip(image.numpy(), data.windows, strict=True):
        assert np.allclose(channel, np.clip((hu[2] - low) / (high - low), 0, 1), atol=1e-6)
    assert data.classes == ("lung", "ground_glass"), "those that were annotated"
    assert target["annotated"].tolist() == [True, True, True]
    assert np.array_equal(target["semantic"].numpy(), np.where(classes[2] == 3, 2, classes[2]))
    assert target["labels"].tolist() == [1, 1, 2]
    assert target["boxes"][2].tolist() == [10, 14, 15, 20]
    assert batch["spacing"][at].tolist() == [SPACING[1], SPACING[2]]
    place = batch["affine"][at].numpy() @ [0, 14, 10, 1]
    assert place == pytest.approx(AFFINE @ [2, 14, 10, 1])
    empty = batch["target"][batch["slice_id"].index("S0.0000")]
    assert empty["labels"].tolist() == [1, 1]
    assert data.table.set_index("slice_id")["target"]["S0.0000"] == 0


def test_channels_may_be_the_slice_and_its_neighbours(make: Make) -> None:
    data = make(channels="neighbours", windows=[[-1000, 0]])
    batch = next(iter(data.dataloader_of("train")))
    hu, _ = chest_with_lesions(0)
    expected = np.clip((hu.astype(float) + 1000) / 1000, 0, 1)
    assert np.allclose(batch["image"][2].numpy(), expected[1:4], atol=1e-6)
    assert np.allclose(batch["image"][0].numpy(), expected[[0, 0, 1]], atol=1e-6)


@pytest.mark.parametrize("settings", [{}, {"channels": "neighbours"}, {"size": [32, 24]}])
def test_a_new_scan_is_prepared_as_the_slices_were(make: Make, slices: Path, settings: Any) -> None:
    data = make(**settings)
    images = [image for b in data.dataloader_of("train") for image in b["image"]]
    scan = read_image(slices.parents[2] / "S0.nii.gz")
    record = json.loads(json.dumps(data.input_record()))
    for one, other in zip(slice_images(scan, record), images, strict=False):
        assert torch.equal(one, other)
    with pytest.raises(ConfigError, match="pictures do not tell their HU"):
        next(slice_images(scan, record | {"intensity": "grey"}))


def test_slices_of_another_size_keep_their_place(make: Make) -> None:
    plain, scaled = make(), make(size=[80, 96])
    one = next(iter(plain.dataloader_of("train")))
    other = next(iter(scaled.dataloader_of("train")))
    assert other["image"][2].shape == (3, 80, 96)
    boxes = one["target"][2]["boxes"]
    assert torch.equal(other["target"][2]["boxes"], 2 * boxes)
    edge = one["affine"][2].numpy() @ [0, 13.5, 9.5, 1]  # the box's upper left corner
    assert other["affine"][2].numpy() @ [0, 27.5, 19.5, 1] == pytest.approx(edge)
    assert other["spacing"][2].tolist() == [SPACING[1] / 2, SPACING[2] / 2]


def test_image_masks_boxes_and_place_are_moved_alike(make: Make) -> None:
    data = make(augmentation=AUGMENTATION, windows=[[-1000, 0]] * 3)
    _hu, classes = chest_with_lesions(0)
    dataset = data.dataset_of("train", augment=True)
    moved = [dataset[2], dataset[2]]
    assert torch.equal(moved[0]["image"], moved[1]["image"])
    example = moved[0]
    target = example["target"]
    assert not np.array_equal(target["semantic"].numpy(), classes[2])
    for box, mask in zip(target["boxes"], target["masks"].numpy(), strict=True):
        rows, columns = np.nonzero(mask)
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    # The lesion is where its density is, and where the affine says that it was.
    lesion = target["masks"][target["labels"] == 2][0].numpy().astype(bool)
    inner = lesion & np.roll(lesion, 1, 0) & np.roll(lesion, -1, 0)
    inner &= np.roll(inner, 1, 1) & np.roll(inner, -1, 1)
    assert example["image"][0].numpy()[inner].mean() == pytest.approx(0.4, abs=0.03)
    rows, columns = np.nonzero(lesion)
    centre = example["affine"].numpy() @ [0, rows.mean(), columns.mean(), 1]
    assert centre == pytest.approx(AFFINE @ [2, 16.5, 12, 1], abs=3.5)


def test_objects_that_leave_the_image_are_dropped(make: Make) -> None:
    far = {"scales": [3.0, 3.0], "degrees": 0, "flip_axes": []}
    data = make(augmentation=far)
    dataset = data.dataset_of("train", augment=True)
    targets = [dataset[k]["target"] for k in range(len(dataset))]
    assert all(len(t["boxes"]) == len(t["labels"]) == len(t["masks"]) for t in targets)
    widths = torch.cat([t["boxes"] for t in targets])
    assert (widths[:, 2] > widths[:, 0]).all()
    assert (widths[:, 3] > widths[:, 1]).all()


def test_workers_and_order_do_not_change_what_is_seen(make: Make) -> None:
    def seen(workers: int) -> dict[str, torch.Tensor]:
        data = make(augmentation=AUGMENTATION, num_workers=workers, batch_size=3)
        return {
            name: image
            for b in data.train_dataloader()
            for name, image in zip(b["slice_id"], b["image"], strict=True)
        }

    one, other = seen(0), seen(2)
    assert list(one) == list(other)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_grades_filter_and_are_counted(make: Make) -> None:
    data = make(inclusion=SliceCriteria(quality_grades=["good"], graders_agree=True))
    assert set(data.manifest["scan_id"]) == {"S1", "S2"}
    steps = data.flow.to_frame()
    assert steps["n_left"].tolist() == [30, 24, 12]
    assert steps["n_not_assessed"].tolist() == [0, 6, 0]
    assert data.flow.excluded[0][0] == "S0.0000"
    assert "quality_grade good" in data.facts()["inclusion"]
    with pytest.raises(ConfigError, match="no slice is left"):
        _ = make(inclusion=SliceCriteria(label_status=["draft"])).manifest


@pytest.mark.parametrize(
    ("choice", "indices"),
    [
        ({"every": 2}, [0, 2, 4]),
        ({"empty_share": 0.0}, [2, 3]),
        ({"empty_share": 0.5}, [1, 2, 3, 5]),
        ({"only_annotated": True}, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_slices_of_a_scan_are_chosen(make: Make, choice: Any, indices: list[int]) -> None:
    data = make(choice=SliceChoice(**choice))
    own = data.manifest[data.manifest["scan_id"] == "S1"]
    assert own["slice_index"].tolist() == indices
    assert len(data.rows_of("train")) == 2 * len(indices)


def test_small_pieces_are_counted(make: Make) -> None:
    data = make(min_area_mm2=6 * 5 * 6.0 * 7.0 + 1)
    assert data.manifest["n_too_small"].sum() == 10
    assert data.manifest["target"].sum() == 0


def test_the_same_slice_in_two_parts_stops_the_run(
    make: Make, slices: Path, tmp_path: Path
) -> None:
    table = pd.read_parquet(slices)
    # The scan of the training part under another patient's name in the test part.
    table.loc[table["scan_id"] == "S4", "path"] = table.loc[table["scan_id"] == "S0", "path"].iloc[
        0
    ]
    table["path"] = [str((slices.parent / path).resolve()) for path in table["path"]]
    table.to_parquet(tmp_path / "slices.parquet")
    (tmp_path / "annotations.json").write_bytes((slices.parent / "annotations.json").read_bytes())
    with pytest.raises(LeakageError, match="the same pixels"):
        make(slices=tmp_path / "slices.parquet").setup()


def test_a_patient_in_two_parts_stops_the_run(make: Make) -> None:
    split = make().split
    name = "S4.0000"
    wrong = split.model_copy(update={"parts": {**split.parts, name: "train"}})
    with pytest.raises(LeakageError, match="the same patient d"):
        make(split=wrong).setup()


def test_a_scan_that_cannot_be_read_is_refused_by_itself(
    make: Make, slices: Path, tmp_path: Path
) -> None:
    table = pd.read_parquet(slices)
    table["path"] = [str((slices.parent / path).resolve()) for path in table["path"]]
    table.loc[table["scan_id"] == "S1", "path"] = "/nowhere/scan.nii.gz"
    moved = json.dumps((AFFINE + np.eye(4)[[2]].T @ np.eye(4)[[3]] * 4).tolist())
    table.loc[table["scan_id"] == "S2", "labels_affine"] = moved
    table.to_parquet(tmp_path / "slices.parquet")
    (tmp_path / "annotations.json").write_bytes((slices.parent / "annotations.json").read_bytes())
    data = make(slices=tmp_path / "slices.parquet", cache_dir=tmp_path / "cache")
    refused = data.table[data.table["status"] == "refused"].set_index("scan_id")["reason"]
    assert set(refused.index) == {"S1", "S2"}
    assert "no such file" in refused["S1"].iloc[0]
    assert "/nowhere" not in refused["S1"].iloc[0]
    assert "4.00 mm from where the scan does" in refused["S2"].iloc[0]
    assert len(data.rows_of("train")) == SHAPE[0]
    with pytest.raises(CacheError, match="12 of 30 slices were refused"):
        make(slices=tmp_path / "slices.parquet", cache_dir=tmp_path / "c", strict=True).setup()


def test_a_training_part_without_objects_teaches_nothing(make: Make) -> None:
    data = make(min_area_mm2=1e9)
    with pytest.raises(SplitError, match="none of the 12 training slices has an object"):
        data.train_dataloader()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"channels": "window"}, "channels.*did you mean windows"),
        ({"windows": [[-1000, 400]]}, "needs 3 window"),
        ({"windows": [[400, -1000]] * 3}, "window"),
        ({"size": [512]}, "size"),
        ({"size": [0, 512]}, "size"),
        ({"min_area_mm2": -1}, "min_area_mm2"),
        ({"batch_size": 0}, "batch_size"),
        ({"classes": ["lung", "ground_glas"]}, "'ground_glass' that is not among these"),
    ],
)
def test_a_wrong_argument_is_named(make: Make, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        _ = make(**changes).manifest


def test_a_scan_that_is_nearly_a_copy_is_told(make: Make, slices: Path, tmp_path: Path) -> None:
    hu, _ = chest_with_lesions(0)
    write_nifti(hu + np.int16(1), AFFINE, tmp_path / "copy.nii.gz")
    table = pd.read_parquet(slices)
    table["path"] = [str((slices.parent / path).resolve()) for path in table["path"]]
    table.loc[table["scan_id"] == "S4", "path"] = str(tmp_path / "copy.nii.gz")
    table.to_parquet(tmp_path / "slices.parquet")
    (tmp_path / "annotations.json").write_bytes((slices.parent / "annotations.json").read_bytes())
    data = make(slices=tmp_path / "slices.parquet")
    data.setup()
    other = make()
    other.setup()
    for one, n in ((data, 1), (other, 0)):
        told = [s.text for s in one.suspicions if "S0" in s.text and "S4" in s.text]
        assert len(told) == n


@pytest.mark.parametrize("size", [None, [32, 24]])
def test_boxes_of_a_part_are_those_of_its_batches(make: Make, size: list[int] | None) -> None:
    data = make(size=size)
    batches = [t["boxes"] for batch in data.dataloader_of("train") for t in batch["target"]]
    expected = torch.cat(batches).numpy()
    assert len(expected)
    np.testing.assert_array_equal(data.boxes_of("train"), expected)
