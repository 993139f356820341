"""What is no chest CT in HU, through every command: refused by name, or noted where overridden."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from chests import LAS, hu_on, save
from numpy.typing import NDArray
from typer.testing import CliRunner
from volume_records import volume_record

from covidlit.cli.app import app
from covidlit.cohort.manifest import read_manifest
from covidlit.cohort.split import Split
from covidlit.datamodules import VolumeDataModule
from covidlit.dicom import Checks
from covidlit.tasks import VolumeClassification

GEOMETRY = {"spacing": [20.0, 24.0, 24.0], "size": [16, 16, 16]}
HU = hu_on(LAS)


def _head() -> NDArray[np.int16]:
    i, j, k = np.meshgrid(*((np.arange(n) - n / 2) * 5.0 for n in HU.shape), indexing="ij")
    inside = (i / 80) ** 2 + (j / 95) ** 2 + (k / 120) ** 2 < 1
    return np.where(inside, 40, -1000).astype(np.int16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two chests, a mask, HU + 1024, a head, and a chest that is cut above."""
    root = tmp_path_factory.mktemp("scans")
    chest = HU.astype(np.int16)
    save(root / "chest1.nii.gz", chest)
    save(root / "chest2.nii.gz", (HU + np.where(HU == 40, 10, 0)).astype(np.int16))
    save(root / "mask.nii.gz", (HU < -500).astype(np.uint8))
    save(root / "raw.nii.gz", chest + np.int16(1024))
    save(root / "head.nii.gz", _head())
    save(root / "cut.nii.gz", chest[:, :, :36])
    return root


REFUSED = {"mask": "label_map", "raw": "not_hu", "head": "no_lungs"}
NAMES = ("chest1", "chest2", "mask", "raw", "head", "cut")


@pytest.fixture(scope="module")
def manifest(folder: Path) -> Path:
    """The manifest of the folder, made by the command."""
    labels = pd.DataFrame(
        {
            "path": [f"{name}.nii.gz" for name in NAMES],
            "patient_id": NAMES,
            "class_name": ["covid", "np"] * 3,
            "centre": "c1",
        }
    )
    labels.to_csv(folder / "labels.csv", index=False)
    run(
        "manifest", folder, "--images", "--labels", folder / "labels.csv", "--no-inclusion",
        "--label-rule", "by-class", "--out", folder / "m.csv", "--keep-identifiers",
    )  # fmt: skip
    return folder / "m.csv"


def run(*arguments: object, exit_code: int = 0) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == exit_code, done.output
    return " ".join(done.output.split())


def named(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_axis([Path(path).name.split(".")[0] for path in table["path"]])


def check(table: pd.DataFrame, status: str = "status") -> None:
    """Each scan has the verdict that is right for it."""
    ok = table[status].isin(["ok", True])
    assert set(table.index[ok]) == {"chest1", "chest2", "cut"}
    for name, word in REFUSED.items():
        assert table.loc[name, "reason"].startswith(f"{word}: ")
    percent = table["lungs_in_view_percent"]
    assert percent[["chest1", "chest2", "head"]].tolist() == [100, 100, 0]
    assert percent["cut"] == pytest.approx(65, abs=12)
    assert "cut above" in table.loc["cut", "notes"]
    notes = table.loc["chest1", "notes"]
    assert pd.isna(notes) or notes.startswith("called neither positive nor negative: ")


def test_inspect_with_pixels_looks_into_images(folder: Path, tmp_path: Path) -> None:
    said = run("inspect", folder, "--pixels", "--csv", tmp_path / "t.csv")
    assert "6 image files: 3 accepted, 3 refused." in said
    table = pd.read_csv(tmp_path / "t.csv").rename(columns={"folder": "path"})
    check(named(table), "accepted")
    assert named(table).loc["raw", "checks"] == "not_hu"


def test_the_manifest_says_it(manifest: Path) -> None:
    check(named(read_manifest(manifest)))


def test_prepare_refuses_and_notes(manifest: Path, folder: Path, tmp_path: Path) -> None:
    whole = pd.read_csv(manifest).drop(columns=["status", "reason", "notes"])
    whole.to_csv(folder / "unjudged.csv", index=False)
    options = ("--spacing", 20, 24, 24, "--size", 16, 16, 16, "--n-jobs", 1)
    for _ in range(2):  # the second time from the index
        said = run("prepare", folder / "unjudged.csv", "--cache", tmp_path, *options)
        table = pd.read_csv(tmp_path / "prepared.csv")
        check(named(table.assign(path=whole["path"])))
        assert "cut above" in said


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    task = VolumeClassification(net={"_target_": "covidlit.models.CSACNet3D", "width": 4})
    data = {"geometry": GEOMETRY, "window": [-1000, 400]}
    task.record = volume_record({"data": data, "model": {"name": "csacnet"}}, split_hash="abc")
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_model_summary=False)
    trainer.strategy.connect(task)
    trainer.save_checkpoint(tmp_path / "best.ckpt")
    return tmp_path / "best.ckpt"


def test_predict_scores_no_mask_and_no_head(folder: Path, checkpoint: Path, tmp_path: Path) -> None:
    run("predict", checkpoint, folder, "--out", tmp_path / "s.csv")
    table = named(pd.read_csv(tmp_path / "s.csv"))
    check(table)
    assert table["score"].notna().sum() == 3
    out = tmp_path / "o.csv"
    run("predict", checkpoint, folder / "head.nii.gz", "--override", "no_lungs", "--out", out)
    (row,) = pd.read_csv(out).to_dict("records")
    assert row["status"] == "ok"
    assert row["notes"].startswith("no_lungs overridden by --override: no lung in view")


def test_predict_takes_a_stated_orientation(checkpoint: Path, tmp_path: Path) -> None:
    path = save(tmp_path / "ct.nii", HU.astype(np.int16), sform=0, qform=0)
    out = tmp_path / "s.csv"
    run("predict", checkpoint, path, "--out", out, exit_code=1)
    assert pd.read_csv(out)["reason"][0].startswith("no_orientation: ")
    run("predict", checkpoint, path, "--out", out, "--image-orientation", "LPS")
    assert pd.read_csv(out)["notes"][0].startswith("its orientation was stated as LPS, not read")


def test_the_datamodule_logs_what_it_drops_and_what_was_noted(
    manifest: Path, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = pd.read_csv(manifest).drop(columns=["status", "reason", "notes"])
    whole.to_csv(folder / "all.csv", index=False)
    parts = dict.fromkeys(whole["scan_id"], "train")
    split = Split(kind="own", parts=parts, manifest_hash="")
    data = VolumeDataModule(folder / "all.csv", tmp_path, lambda _: split, GEOMETRY, n_jobs=1)
    with caplog.at_level(logging.WARNING):
        data.setup()
    assert "3 of 6 scans were refused" in caplog.text
    assert "Noted of 1 of 3 scans: about" in caplog.text
    check(named(data.table))
    record = data.input_record()
    assert record["image_orientation"] is None
    other = VolumeDataModule(
        folder / "all.csv", tmp_path, lambda _: split, GEOMETRY, n_jobs=1,
        checks=Checks(override=frozenset({"no_lungs"})),
    )  # fmt: skip
    assert named(other.table).loc["head", "notes"].startswith("no_lungs overridden: ")
