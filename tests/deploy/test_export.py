"""An export holds the network that was trained, or there is none."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cohort.scan_sources import find_scans
from covidlit.deploy.export import export
from covidlit.deploy.exported import default_folder, read_export
from covidlit.deploy.folders import folder_beside
from covidlit.deploy.parity import largest_difference, spread_of
from covidlit.deploy.predict import predict
from covidlit.dicom import Checks
from covidlit.errors import ConfigError, CovidlitError, ExportError
from covidlit.preprocess import Geometry, prepare_scan
from covidlit.tasks.load import load_task

SaveRun = Callable[..., Path]


def test_the_graph_takes_hu_and_gives_the_tasks_probabilities(
    checkpoint: Path, scans: Path
) -> None:
    """Run by ONNX Runtime itself, against the task on images windowed by hand."""
    geometry = Geometry((20.0, 24.0, 24.0), (16, 16, 16))
    sources = find_scans(scans, Checks())
    hu = np.stack([prepare_scan(source.read(), geometry).array for source in sources])
    session = onnxruntime.InferenceSession(default_folder(checkpoint) / "model.onnx")
    (scores,) = session.run(None, {"hu": hu})
    images = torch.from_numpy(np.clip((hu.astype(np.float32) + 1000) / 1400, 0, 1))
    with torch.inference_mode():
        logits = load_task(checkpoint).net(images[:, None])
    expected = torch.sigmoid(logits[:, 0]).numpy()
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_what_was_compared_is_kept_with_the_files(checkpoint: Path) -> None:
    folder = default_folder(checkpoint)
    assert {path.name for path in folder.iterdir()} == {
        "model.bin", "model.json", "model.onnx", "model.xml",
    }  # fmt: skip
    kept = json.loads((folder / "model.json").read_text())
    assert kept["n_scans"] == 5
    assert kept["spread"] > 10 * kept["tolerance"]
    assert set(kept["differences"]) == {"onnx", "openvino"}
    assert all(0 <= value <= kept["tolerance"] for value in kept["differences"].values())
    assert kept["record"]["preprocess"]["geometry"]["size"] == [16, 16, 16]
    # Weights in float32: half of it would be half as large.
    n_weights = sum(weight.numel() for weight in load_task(checkpoint).net.parameters())
    assert (folder / "model.bin").stat().st_size > 0.95 * 4 * n_weights


def test_more_classes_have_a_score_each(save_run: SaveRun, scans: Path) -> None:
    classes = ["np", "cap", "covid"]
    checkpoint = save_run("Plain", classes)
    export(checkpoint, scans)
    expected = predict(checkpoint, scans)
    for engine in ("onnxruntime", "openvino"):
        table = predict(checkpoint, scans, engine=engine)
        for name in ("score", *(f"score_{name}" for name in classes)):
            np.testing.assert_allclose(table[name], expected[name], atol=1e-5)
        assert table["predicted_class"].tolist() == expected["predicted_class"].tolist()


def test_a_resnet_is_exported(save_run: SaveRun, scans: Path) -> None:
    net = {"_target_": "covidlit.models.ResNet3D", "depth": 10, "width": 4, "norm": "group"}
    done = export(save_run(net), scans, formats=["openvino"], n_scans=3)
    assert done.differences.keys() == {"openvino"}
    assert done.n_scans == 3


def test_a_network_that_computes_otherwise_when_exported_is_refused(
    save_run: SaveRun, scans: Path
) -> None:
    checkpoint = save_run("Changeling")
    command = ["export", str(checkpoint), "--scans", str(scans)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2
    said = " ".join(done.output.split())
    assert "differ from PyTorch's by more than is allowed: onnx: a score by " in said
    assert "(allowed 1e-04); openvino: " in said
    assert not (checkpoint.parent / "exported").exists()


def test_the_command_prints_the_largest_difference(
    save_run: SaveRun, scans: Path, tmp_path: Path
) -> None:
    checkpoint, out = save_run("Plain", precision="bf16-mixed"), tmp_path / "out"
    command = ["export", str(checkpoint), "--scans", str(scans), "--out", str(out)]
    done = CliRunner().invoke(app, [*command, "--format", "onnx"])
    assert done.exit_code == 0, done.output
    kept = read_export(out, "onnx", checkpoint)
    said = " ".join(done.output.split())
    assert f"{kept.differences['onnx']:.1e}" in said
    assert not (out / "model.bin").exists()
    # bfloat16 keeps 8 bits: its scores are another matter than the float32 ones.
    assert kept.precision_difference is not None
    assert kept.precision_difference > 10 * kept.differences["onnx"]
    assert "bf16-mixed, the export computes in float32; from the run's own scores" in said
    with pytest.raises(ExportError, match="exported as onnx, not as openvino"):
        predict(out, scans, engine="openvino")


def test_weights_that_have_run_away_are_named(save_run: SaveRun, scans: Path) -> None:
    checkpoint = save_run("Plain", reach=float("nan"))
    with pytest.raises(ExportError, match="scores of these scans are not finite"):
        export(checkpoint, scans)
    assert not default_folder(checkpoint).exists()


def test_scores_that_are_all_alike_show_nothing(save_run: SaveRun, scans: Path) -> None:
    checkpoint = save_run("Plain", reach=1e-6)
    with pytest.raises(ExportError, match="too much alike to show a difference"):
        export(checkpoint, scans)
    assert not default_folder(checkpoint).exists()


def test_one_scan_is_too_few(checkpoint: Path, scans: Path, tmp_path: Path) -> None:
    (tmp_path / "text.nii.gz").write_text("not an image")
    with pytest.raises(ExportError, match=r"0 of 1 scans could be read.*cannot be read"):
        export(checkpoint, tmp_path, tmp_path / "out")


def test_nothing_else_is_written_over(checkpoint: Path, scans: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ExportError, match="something else than an export"):
        export(checkpoint, scans, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_export_is_replaced(save_run: SaveRun, scans: Path) -> None:
    checkpoint = save_run("Plain")
    export(checkpoint, scans)
    shutil.copy(save_run("Plain", reach=1.0), checkpoint)
    with pytest.raises(ExportError, match="it changed since"):
        predict(checkpoint, scans, engine="openvino")
    export(checkpoint, scans, formats=["openvino"])
    scores = predict(checkpoint, scans, engine="openvino")["score"]
    np.testing.assert_allclose(scores, predict(checkpoint, scans)["score"], atol=1e-5)
    assert not (default_folder(checkpoint) / "model.onnx").exists()
    assert [path.name for path in default_folder(checkpoint).parent.iterdir()] == ["best"]


def test_another_network_into_the_same_folder_scores_for_itself(
    save_run: SaveRun, scans: Path, tmp_path: Path
) -> None:
    one, other = save_run("Plain"), save_run("Plain", reach=1.0)
    export(one, scans, tmp_path / "out", formats=["openvino"])
    (tmp_path / "out").chmod(0o700)
    (tmp_path / "out" / "model.xml").chmod(0o600)
    export(other, scans, tmp_path / "out", formats=["openvino"])
    scores = predict(tmp_path / "out", scans)["score"]
    np.testing.assert_allclose(scores, predict(other, scans)["score"], atol=1e-5)
    assert not np.allclose(scores, predict(one, scans)["score"], atol=1e-2)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "out" / "model.xml").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"formats": ["tflite"]}, "formats must be one of onnx, openvino"),
        ({"formats": []}, "at least one format"),
        ({"tolerance": 0.0}, "tolerance: must lie between"),
        ({"n_scans": 1}, "at least 2"),
    ],
)
def test_arguments_out_of_range_are_named(
    arguments: dict[str, object], reason: str, checkpoint: Path, scans: Path
) -> None:
    with pytest.raises(ConfigError, match=reason):
        export(checkpoint, scans, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"tolerance": -1.0}, "tolerance"),
        ({"precision": "f16"}, "precision"),
        ({"scans": "nowhere"}, "nowhere: there is no such file"),
    ],
)
def test_arguments_are_checked_before_the_checkpoint_is_read(
    arguments: dict[str, Any], reason: str
) -> None:
    with pytest.raises(CovidlitError, match=reason):
        export("not_there.ckpt", **{"scans": ".", **arguments})


def test_differences_are_the_largest_of_all_classes() -> None:
    assert largest_difference([0.1, 0.5], [0.1, 0.75]) == 0.25
    assert largest_difference([[0.25, 0.75]], [[0.5, 0.5]]) == 0.25
    assert largest_difference([0.1, float("nan")], [0.1, 0.2]) == float("inf")
    with pytest.raises(ValueError, match="not scores of the same scans"):
        largest_difference([0.1], [0.1, 0.2])
    assert spread_of([0.25, 0.5, 0.375]) == 0.25
    assert spread_of([[0.5, 0.5], [0.25, 0.75]]) == 0.25


def test_a_refused_export_leaves_no_folder_that_was_made_for_it(tmp_path: Path) -> None:
    with pytest.raises(ExportError), folder_beside(tmp_path / "new" / "out"):
        raise ExportError("refused")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    def write() -> None:
        with folder_beside(tmp_path / "exported") as folder:
            (folder / "model.onnx").write_text("half")
            raise RuntimeError("write failed: No space left on device")

    with pytest.raises(CovidlitError, match=r"exported: the disk is full\. Fix: free some space"):
        write()
    assert list(tmp_path.iterdir()) == []
