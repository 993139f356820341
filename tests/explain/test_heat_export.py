"""Exported heatmaps: score and heat in one pass, equal to those of PyTorch's autograd."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from typer.testing import CliRunner
from volume_records import volume_record

from covidlit import Predictor
from covidlit.checkpoints.record import RunRecord
from covidlit.cli.app import app
from covidlit.cohort.manifest import read_manifest, write_manifest
from covidlit.datamodules.volume_dataset import apply_window
from covidlit.deploy.export import export
from covidlit.deploy.exported import HEAT_FILES, SIDECAR, default_folder
from covidlit.deploy.exported_engine import compile_openvino
from covidlit.errors import ExportError
from covidlit.explain.explain import default_layer, explain_image
from covidlit.explain.explain_error import ExplainError
from covidlit.explain.heat_engine import HeatEngine, load_heat_engine
from covidlit.explain.heat_export import export_heat
from covidlit.explain.heat_graph import write_heat_graph
from covidlit.explain.heatmap import Heatmap
from covidlit.explain.layers import frozen
from covidlit.explain.scale import store_scale
from covidlit.models.explainable import ExplainableLayer
from covidlit.models.voxel_grid import VoxelGrid
from covidlit.tasks import VolumeClassification

SIZE, WINDOW = (16, 24, 32), (-1000.0, 400.0)
NETS: dict[str, dict[str, Any]] = {
    "csacnet": {"_target_": "covidlit.models.CSACNet3D", "width": 4, "zero_init": False},
    "resnet3d": {
        "_target_": "covidlit.models.ResNet3D", "width": 4, "depth": 10, "zero_init": False
    },
    "densenet3d": {"_target_": "covidlit.models.DenseNet3D", "width": 4, "growth": 2},
}  # fmt: skip
NETS |= {f"{name} with bins": {**net, "input_bins": 5} for name, net in NETS.items()}


def _task(net: dict[str, Any], volumes: torch.Tensor) -> tuple[VolumeClassification, RunRecord]:
    torch.manual_seed(0)
    task = VolumeClassification(net=net, n_classes=2)
    with torch.no_grad():
        task.train()
        for _ in range(3):
            task(apply_window(volumes[:, None], WINDOW))  # statistics of batch norms
    geometry = {"spacing": [10.0, 6.0, 6.0], "size": list(SIZE)}
    task.record = volume_record(
        {"data": {"geometry": geometry, "window": list(WINDOW), "override_checks": []},
         "model": {"name": "tiny"}, "trainer": {}, "label_rule": {"classes": None}},
        split_hash="abc",
    )  # fmt: skip
    return task.eval(), RunRecord.model_validate(task.record)


@pytest.mark.parametrize("name", NETS)
def test_the_graph_gives_the_heat_and_the_score_of_autograd(name: str, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    volumes = torch.randint(-900, 300, (2, *SIZE), dtype=torch.int16, generator=generator)
    volumes[:, :, :6] = -1000  # air, in which all is equal
    task, record = _task(NETS[name], volumes)
    before = {key: value.clone() for key, value in task.state_dict().items()}
    done = export_heat(task, record, volumes.numpy(), tmp_path)
    assert done is not None
    assert done.difference < 1e-3
    graph = compile_openvino(tmp_path / HEAT_FILES[0], 1)
    assert (done.layer, done.n_scans) == (default_layer(task.net), 2)
    for key, value in task.state_dict().items():
        assert torch.equal(value, before[key])
    assert type(task.net) is type(_task(NETS[name], volumes)[0].net)
    for hu in volumes:
        image = apply_window(hu[None, None], WINDOW)
        score = torch.sigmoid(task.net(image))[0, 0].item()
        assert explain_image(task, image).score == pytest.approx(score, abs=1e-6)
        assert graph([hu[None].numpy()])[0].item() == pytest.approx(score, abs=1e-5)


def test_equal_voxels_of_air_do_not_hang_on_rounding() -> None:
    """A norm folded into a convolution changes roundings alone, and hardly the heat."""
    generator = torch.Generator().manual_seed(0)
    volumes = torch.randint(-900, 300, (2, *SIZE), dtype=torch.int16, generator=generator)
    volumes[:, :, :12] = -1000
    task, _ = _task(NETS["csacnet"], volumes)
    image = apply_window(volumes[:1, None], WINDOW)
    single = explain_image(task, image).values
    double = explain_image(task.double(), image.double()).values
    assert np.abs(single - double).max() < 1e-3 * double.max()


def test_a_graph_of_other_scores_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volumes = torch.zeros((2, *SIZE), dtype=torch.int16)
    task, record = _task(NETS["csacnet"], volumes)

    def other_scores(*words: Any) -> Heatmap:
        found = explain_image(*words)
        assert found.score is not None
        return replace(found, score=found.score + 0.01)

    monkeypatch.setattr("covidlit.explain.heat_export.explain_image", other_scores)
    assert export_heat(task, record, volumes.numpy(), tmp_path) is None
    assert list(tmp_path.iterdir()) == []


class _NoLayers(nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.mean((2, 3, 4))


def test_a_network_without_layers_for_heatmaps_is_exported_without(tmp_path: Path) -> None:
    volumes = torch.zeros((2, *SIZE), dtype=torch.int16)
    task, record = _task(NETS["csacnet"], volumes)
    task.net = _NoLayers()
    assert export_heat(task, record, volumes.numpy(), tmp_path) is None
    assert list(tmp_path.iterdir()) == []


class _Averages(nn.Module):
    """OpenVINO has no rule for the gradient of its pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.pool = nn.Conv3d(1, 2, 1), nn.ReLU(), nn.AvgPool3d(2)

    def explainable_layers(self) -> dict[str, ExplainableLayer]:
        return {"relu": ExplainableLayer(self.relu, VoxelGrid())}

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.pool(self.relu(self.conv(image))).mean((2, 3, 4))[:, :1]


def test_a_network_whose_gradient_cannot_be_converted_is_exported_without(tmp_path: Path) -> None:
    volumes = torch.zeros((2, *SIZE), dtype=torch.int16)
    task, record = _task(NETS["csacnet"], volumes)
    task.net = _Averages().eval()
    assert export_heat(task, record, volumes.numpy(), tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ExplainError, match=r"written as a graph: .*aten.avg_pool3d_backward"):
        write_heat_graph(task, "relu", WINDOW, SIZE, tmp_path / "heat.xml")


@pytest.fixture(scope="module")
def scans(tiny_data: Path) -> Path:
    table = read_manifest(Path((tiny_data / "manifest_path").read_text()))
    some = table.iloc[np.linspace(0, len(table) - 1, 3).astype(int)]
    return write_manifest(some, tiny_data / "three.csv")


@pytest.fixture(scope="module")
def exported(once: Callable[..., Path], csacnet_run: Path, scans: Path) -> Path:
    """A checkpoint with its export beside it."""

    def make(folder: Path) -> None:
        checkpoint = folder / "last.ckpt"
        shutil.copy(csacnet_run / "checkpoints" / "last.ckpt", checkpoint)
        store_scale(checkpoint, "module3", "guided", 0.01)
        export(checkpoint, scans, formats=["openvino"], tolerance=1e-5, heat=export_heat)

    return once("heat_export", make) / "last.ckpt"


def _predicted(out: Path, *words: object) -> tuple[pd.DataFrame, pd.DataFrame]:
    command = ["predict", *map(str, words), "--out", f"{out}.csv", "--heatmaps", str(out)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    return pd.read_csv(f"{out}.csv"), pd.read_csv(out / "heatmaps.csv")


def test_the_command_writes_the_same_heatmaps_by_both_engines(
    exported: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_torch = _predicted(tmp_path / "torch", exported, scans, "--engine", "torch")
    passes: list[int] = []
    run = HeatEngine._run
    monkeypatch.setattr(HeatEngine, "_run", lambda self, hu: passes.append(1) or run(self, hu))
    folder = default_folder(exported)
    for name, words in {
        "openvino": (exported, scans, "--engine", "openvino"),
        "batch": (exported, scans, "--engine", "openvino", "--batch-size", 2),
        "folder": (folder, scans),
    }.items():
        passes.clear()
        scores, heat = _predicted(tmp_path / name, *words)
        assert len(passes) == len(scores)  # one for score and heat
        np.testing.assert_allclose(scores["score"], by_torch[0]["score"], atol=1e-5)
        pd.testing.assert_frame_equal(heat, by_torch[1], rtol=5e-3, check_exact=False)
        for file in heat["nifti"]:
            maps = [nib.load(tmp_path / side / file).get_fdata() for side in (name, "torch")]
            assert np.abs(maps[0] - maps[1]).max() < 0.02 * maps[1].max()
    table = Predictor(folder)(scans, heatmaps=tmp_path / "python")
    assert [Path(path).is_file() for path in table["heatmap"]] == [True] * 3


def test_a_scale_that_was_found_after_the_export_is_taken_from_the_run(
    exported: Path, scans: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(exported.parent, run / "checkpoints")
    store_scale(run / "checkpoints" / "last.ckpt", "module3", "guided", 0.02)
    sidecar = default_folder(run / "checkpoints" / "last.ckpt") / SIDECAR
    known = json.loads(sidecar.read_text())
    known["record"]["heat_scales"] = {}
    sidecar.write_text(json.dumps(known))
    _, heat = _predicted(tmp_path / "heat", run, scans, "--engine", "openvino")
    assert heat["scale"].tolist() == [0.02] * 3


def test_what_takes_pytorch_gets_it(exported: Path, tmp_path: Path) -> None:
    folder = default_folder(exported)
    assert load_heat_engine(exported, "auto") is None  # of a checkpoint PyTorch
    assert load_heat_engine(exported, "torch") is None
    assert load_heat_engine(exported, "openvino", device="cuda") is None
    assert load_heat_engine(exported, "openvino") is not None
    older = tmp_path / "older"
    shutil.copytree(folder, older)
    for name in HEAT_FILES:
        (older / name).unlink()
    with pytest.raises(ExportError, match=r"heat\.xml"):
        load_heat_engine(older)
    told = json.loads((older / SIDECAR).read_text())
    (older / SIDECAR).write_text(json.dumps({**told, "heat": None}))
    assert load_heat_engine(older) is None


def test_a_damaged_graph_of_heat_is_refused(exported: Path, scans: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(default_folder(exported), damaged)
    with (damaged / HEAT_FILES[1]).open("ab") as file:
        file.write(b"more")
    with pytest.raises(ExportError, match=r"heat.bin: .*not the one that was exported"):
        load_heat_engine(damaged)
    out = str(tmp_path / "scores.csv")
    words = ["predict", str(damaged), str(scans), "--out", out, "--heatmaps", str(tmp_path / "h")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "heat.bin" in done.output


def test_frozen_gives_the_gradient_back_to_the_network(exported: Path) -> None:
    pool = nn.MaxPool3d(2)
    with frozen(pool):
        assert "forward" in vars(pool)
    assert "forward" not in vars(pool)
