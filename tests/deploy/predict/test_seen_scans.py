"""`covidlit predict` says who the network has seen, and how it did in its own test."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cohort import Split
from covidlit.cohort.manifest import read_manifest, write_manifest
from covidlit.cohort.scan_reader import load_scan
from covidlit.deploy.predict import predict
from covidlit.scans.images import write_nifti

PARTS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def one_of_each(csacnet_run: Path, tiny_data: Path) -> pd.DataFrame:
    """The manifest's row of a scan of each part of the run, by the part."""
    table = read_manifest((tiny_data / "manifest_path").read_text())
    parts = table["scan_id"].map(Split.load(csacnet_run / "split.json").parts)
    return table.assign(own=parts).groupby("own").head(1).set_index("own").loc[list(PARTS)]


def _notes(model: Path, path: Path) -> dict[str, str]:
    table = predict(model, path)
    assert table["status"].eq("ok").all()
    return dict(zip(table["path"], table["notes"].fillna(""), strict=True))


@pytest.mark.parametrize("model", ["", "checkpoints/{}"], ids=["run", "checkpoint"])
def test_scans_of_the_run_are_known_by_their_ids(
    csacnet_run: Path, one_of_each: pd.DataFrame, tmp_path: Path, model: str
) -> None:
    (last,) = {path.name for path in (csacnet_run / "checkpoints").glob("best.ckpt")} or {
        "last.ckpt"
    }
    manifest = write_manifest(one_of_each.reset_index(drop=True), tmp_path / "three.csv")
    trained, selected, tested = _notes(csacnet_run / model.format(last), manifest).values()
    assert "in the training part of this model's run" in trained
    assert "in the validation part of this model's run" in selected
    assert "part of this network" not in tested


def test_dicom_is_known_without_a_manifest_and_images_by_their_voxels(
    csacnet_run: Path, one_of_each: pd.DataFrame, tmp_path: Path
) -> None:
    for part, path in one_of_each["path"].items():
        shutil.copytree(path, tmp_path / "dicom" / str(part))
        scan = load_scan(path)
        write_nifti(scan.hu, scan.affine, tmp_path / "images" / f"{part}.nii.gz")
    by_id = _notes(csacnet_run, tmp_path / "dicom")
    assert "in the training part" in by_id["train"]
    assert "another id" not in by_id["train"]
    assert "part of this network" not in by_id["test"]
    by_voxels = _notes(csacnet_run, tmp_path / "images")
    assert "the same image as a scan under another id, in the training" in by_voxels["train.nii.gz"]
    assert "in the validation part" in by_voxels["validation.nii.gz"]
    assert "part of this network" not in by_voxels["test.nii.gz"]


def test_a_checkpoint_elsewhere_or_in_another_run_s_folder_knows_nothing(
    csacnet_run: Path, one_of_each: pd.DataFrame, tmp_path: Path
) -> None:
    manifest = write_manifest(one_of_each.reset_index(drop=True), tmp_path / "three.csv")
    checkpoint = next((csacnet_run / "checkpoints").glob("*.ckpt"))
    alone = shutil.copy(checkpoint, tmp_path / "alone.ckpt")
    other = tmp_path / "other"
    (other / "checkpoints").mkdir(parents=True)
    shutil.copy(csacnet_run / "config.yaml", other / "config.yaml")
    split = Split.load(csacnet_run / "split.json")
    parts = {**split.parts, one_of_each["scan_id"]["train"]: "test"}
    split.model_copy(update={"parts": parts}).save(other / "split.json")
    moved = shutil.copy(checkpoint, other / "checkpoints" / "last.ckpt")
    for model in (alone, moved):
        assert not any("part of this network" in note for note in _notes(model, manifest).values())


def test_the_run_s_own_test_stands_in_one_line(
    csacnet_run: Path, one_of_each: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    manifest = write_manifest(one_of_each.reset_index(drop=True), tmp_path / "three.csv")
    words = ["predict", str(csacnet_run), str(manifest), "--out", str(tmp_path / "scores.csv")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    metrics = json.loads((csacnet_run / "metrics.json").read_text())
    test = metrics["parts"]["test"]
    (line,) = [line for line in done.output.splitlines() if "its own test part" in line]
    assert f"an AUC of {test['auc']['value']:.3f} (95% CI" in line
    assert f"{test['n_scored']} scans)" in line
    for caution in metrics["cautions"]:
        assert caution["text"].rstrip(".") in line
    assert "1 of 3 scans was in the training part of this model's run." in done.output
    assert pd.read_csv(tmp_path / "scores.csv")["notes"].str.contains("training part").sum() == 1
