"""`covidlit quantify` with an exported network: which engine labelled, and both say the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydicom
import pytest
import torch
from segmentation_runs import save_segmentation
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.deploy.export import export
from covidlit.deploy.exported import default_folder
from covidlit.lesions import read_factors, read_labels
from covidlit.models.maskrcnn import SlicePrediction
from covidlit.quantify.network import NetworkLabeller
from covidlit.scans.scan import Scan
from covidlit.synthetic import CohortPaths

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(repeated: CohortPaths, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose network finds a little, with its export."""
    folder = tmp_path_factory.mktemp("segmentation_run")
    path = save_segmentation(folder / "checkpoints" / "best.ckpt", repeated.dicom)
    export(path, repeated.dicom)
    return folder


def quantify(run: Path, scans: Path, out: Path, *options: str) -> str:
    """What the command says."""
    command = ["quantify", str(run / "checkpoints" / "best.ckpt"), str(scans), "--out", str(out)]
    done = CliRunner().invoke(app, [*command, *options], env={"COLUMNS": "300"})
    assert done.exit_code == 0, done.output
    return done.output


def test_both_engines_measure_the_same_and_are_never_mixed(
    run: Path, repeated: CohortPaths, tmp_path: Path
) -> None:
    plain = ("--no-dicom", "--no-report")
    said = quantify(run, repeated.dicom, tmp_path / "torch", *plain, "--engine", "torch")
    assert "Labelled by torch, " in said
    out = tmp_path / "out"
    shutil.copytree(tmp_path / "torch", out)
    said = quantify(run, repeated.dicom, out, *plain)
    assert "Labelled by openvino, " in said
    assert "of them by an earlier call" not in said
    one, two = (read_factors(each / "factors.parquet") for each in (tmp_path / "torch", out))
    assert one["scan_id"].tolist() == two["scan_id"].tolist()
    assert (one["total_volume_ml"] > 0).all()
    np.testing.assert_allclose(one["total_volume_ml"], two["total_volume_ml"], rtol=2e-3)
    np.testing.assert_allclose(one["proportion_percent"], two["proportion_percent"], rtol=2e-3)
    for name in one["scan_id"]:
        first, second = (read_labels(each / "labels", name) for each in (tmp_path / "torch", out))
        assert (first.classes != second.classes).mean() < 1e-4
    scans = pd.read_csv(out / "scans.csv")
    assert set(scans["labelled_by"]) == {"openvino"}
    records = [json.loads(path.read_text()) for path in (out / "records").glob("*.json")]
    assert [record["labelled_by"] for record in records] == ["openvino"] * len(one)
    again = quantify(run, repeated.dicom, out, *plain, "--engine", "openvino")
    assert f"{len(one)} scans measured ({len(one)} of them by an earlier call)" in again


def test_an_export_that_does_not_fit_is_named_and_not_used(
    run: Path, repeated: CohortPaths, tmp_path: Path
) -> None:
    shutil.copytree(run / "checkpoints", tmp_path / "checkpoints")
    content = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)
    content["state_dict"]["net.semantic.classify.bias"][0] -= 0.01
    torch.save(content, tmp_path / "checkpoints" / "best.ckpt")
    scan = next(path for path in repeated.dicom.rglob("*") if path.is_file()).parent
    said = quantify(tmp_path, scan, tmp_path / "out", "--no-report")
    assert "Labelled by torch, " in said
    assert "was not taken" in said
    assert "it changed since" in said
    (row,) = pd.read_csv(tmp_path / "out" / "scans.csv").to_dict("records")
    assert row["labelled_by"] == "torch"
    # The objects name the engine too.
    written = pydicom.dcmread(next((tmp_path / "out" / "dicom").rglob("classes.dcm")))
    (item,) = written.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence
    assert item.AlgorithmVersion.endswith(" torch")
    refused = CliRunner().invoke(
        app,
        ["quantify", str(tmp_path / "checkpoints" / "best.ckpt"), str(scan), "--engine",
         "openvino", "--out", str(tmp_path / "other")],
    )  # fmt: skip
    assert refused.exit_code == 2
    assert "it changed since" in " ".join(refused.output.split())
    assert not (tmp_path / "other").exists()


def test_what_is_found_at_the_networks_size_lies_where_it_does_in_the_scan(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network of slices of 16 x 32, and a scan of 64 x 64."""
    small = np.zeros((16, 32), np.uint8)
    small[4:10, 8:20] = 3

    def predicted(net: Any, images: Any, *arguments: Any, **options: Any) -> Any:
        for _ in images:
            masks = (small == 3)[None]
            yield SlicePrediction(
                masks, np.array([3]), np.ones(1, np.float32), np.zeros((1, 4), np.float32), small
            )

    monkeypatch.setattr("covidlit.quantify.network.predict_slices", predicted)
    lungs = np.zeros((12, 64, 64), np.uint8)
    lungs[2:10, 8:56, 8:56] = 1
    monkeypatch.setattr("covidlit.quantify.network.segment_lungs", lambda hu, spacing: lungs)
    labeller = NetworkLabeller(default_folder(run / "checkpoints" / "best.ckpt"))
    affine = np.diag([5.0, 4.0, 4.0, 1.0])[[2, 1, 0, 3]]
    labels = labeller.label(None, "one", Scan(np.full(lungs.shape, -850, np.int16), affine, "1.2"))
    expected = np.zeros((64, 64), bool)
    expected[16:40, 16:40] = True
    assert ((labels.classes[5] == 3) == expected).all()
    assert labels.instances.max() == 1
    assert (labels.instances > 0).any(axis=(1, 2)).all(), "it is followed beyond the lungs"
