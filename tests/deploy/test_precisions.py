"""An export in int8 or bfloat16 is as near to PyTorch as it says, or there is none."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.deploy import load_engine
from covidlit.deploy.export import export
from covidlit.deploy.exported import ExportRecord, default_folder
from covidlit.deploy.openvino_core import openvino_core
from covidlit.deploy.predict import predict
from covidlit.errors import ConfigError, ExportError
from covidlit.explain.scale import store_scale

CSACNET = {"_target_": "covidlit.models.CSACNet3D", "width": 8, "zero_init": False}
BINNED = {**CSACNET, "input_bins": 5}
RESNET = {"_target_": "covidlit.models.ResNet3D", "depth": 10, "width": 8}
NETS = {"csacnet": CSACNET, "soft bins": BINNED, "resnet": RESNET}
LOOSE: dict[str, Any] = {"tolerance": 0.19, "auc_tolerance": 0.2, "changed_calls": 0.3}
"""Networks this narrow, trained for so short a time, tell scans apart by little."""
STEPS = 12

SaveRun = Callable[..., Path]
has_bf16 = "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
needs_bf16 = pytest.mark.skipif(not has_bf16, reason="this processor has no bfloat16")


@pytest.fixture
def nncf() -> Any:
    return pytest.importorskip("nncf", reason="the extra quantize is not installed")


@pytest.fixture
def no_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    class OldProcessor:
        def get_property(self, device: str, name: str) -> Any:
            return {"OPTIMIZATION_CAPABILITIES": ["FP32", "INT8"], "FULL_DEVICE_NAME": "Old 1"}[
                name
            ]

    monkeypatch.setattr("covidlit.deploy.precisions.openvino_core", OldProcessor)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
def test_int8_scores_as_its_record_says_without_what_made_it(
    net: dict[str, Any],
    save_run: SaveRun,
    many_scans: Path,
    nncf: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checkpoint = save_run(net, steps=STEPS)
    plain = export(checkpoint, many_scans, formats=["openvino"])
    size = (default_folder(checkpoint) / "model.bin").stat().st_size
    done = export(checkpoint, many_scans, precision="int8", n_calibration=10, **LOOSE)
    assert isinstance(plain, ExportRecord)
    assert isinstance(done, ExportRecord)
    folder = default_folder(checkpoint)
    assert names_in(folder) == {"model.bin", "model.json", "model.xml"}
    assert (folder / "model.bin").stat().st_size < 0.6 * size

    assert (plain.computes_in, plain.n_calibration, plain.method) == ("f32", 0, "")
    assert (done.computes_in, done.n_calibration, done.n_scans) == ("int8", 10, 30)
    assert done.versions["nncf"] == nncf.__version__
    assert done.processor
    parity = done.parity["openvino"]
    assert 1e-4 < parity.largest <= LOOSE["tolerance"]  # it is another arithmetic
    assert 0 < parity.median <= parity.largest
    assert parity.n_scans == parity.n_labelled == 30
    assert parity.auc is not None
    assert parity.auc_low is not None
    assert parity.auc_low <= parity.auc_difference <= parity.auc_high  # type: ignore[operator]
    assert json.loads((folder / "model.json").read_text()) == done.model_dump(mode="json")

    monkeypatch.setitem(sys.modules, "nncf", None)  # as where it is not installed
    table = predict(checkpoint, many_scans, engine="openvino", threads=1)
    difference = np.abs(table["score"] - predict(checkpoint, many_scans)["score"]).to_numpy()
    calibrated = np.linspace(0, 39, 10).round().astype(int)
    compared = np.delete(difference, calibrated)
    assert compared.max() == pytest.approx(parity.largest, rel=0.01, abs=1e-3)
    assert np.median(compared) == pytest.approx(parity.median, rel=0.01, abs=1e-3)
    assert load_engine(folder, threads=1).name == "openvino in int8, 1 thread"


@needs_bf16
@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
def test_bfloat16_scores_as_its_record_says(
    net: dict[str, Any], save_run: SaveRun, many_scans: Path
) -> None:
    checkpoint = save_run(net, steps=STEPS)
    done = export(checkpoint, many_scans, precision="bf16", **LOOSE)
    assert isinstance(done, ExportRecord)
    assert (done.computes_in, done.n_calibration, done.n_scans) == ("bf16", 0, 40)
    parity = done.parity["openvino"]
    assert 1e-5 < parity.largest <= LOOSE["tolerance"]
    scores = predict(checkpoint, many_scans, engine="openvino")["score"]
    difference = np.abs(scores - predict(checkpoint, many_scans)["score"]).to_numpy()
    assert difference.max() == pytest.approx(parity.largest, rel=0.01, abs=1e-3)
    assert np.median(difference) == pytest.approx(parity.median, rel=0.01, abs=1e-3)
    assert load_engine(checkpoint, "openvino", threads=2).name == "openvino in bfloat16, 2 threads"


@pytest.mark.parametrize("precision", ["int8", pytest.param("bf16", marks=needs_bf16)])
def test_a_precision_over_a_tolerance_is_refused_and_what_was_there_stays(
    precision: str, save_run: SaveRun, many_scans: Path, request: pytest.FixtureRequest
) -> None:
    if precision == "int8":
        request.getfixturevalue("nncf")
    checkpoint = save_run(RESNET)
    export(checkpoint, many_scans, formats=["openvino"])
    folder = default_folder(checkpoint)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    command = ["export", str(checkpoint), "--scans", str(many_scans), "--precision", precision]
    done = CliRunner().invoke(app, [*command, "--tolerance", "1e-6"])
    assert done.exit_code == 2
    said = " ".join(done.output.split())
    assert "openvino: a score by " in said
    assert "(allowed 1e-06)" in said
    assert "Nothing was written." in said
    assert "or allow more with a larger --tolerance" in said
    assert "Largest difference" in said  # the table of what was measured
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert names_in(folder.parent) == {"best"}


def test_the_command_says_what_was_measured(save_run: SaveRun, many_scans: Path, nncf: Any) -> None:
    checkpoint = save_run(CSACNET, steps=STEPS)
    options = [f"--{name.replace('_', '-')}={value}" for name, value in LOOSE.items()]
    done = CliRunner().invoke(
        app,
        ["export", str(checkpoint), "--scans", str(many_scans), "--precision", "int8", *options],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert "the export computes in int8" in said
    assert "95% interval" in said
    assert "of 20" in said  # half of forty
    assert "Statistics collection" not in said  # NNCF's bars
    assert "Bias correction" not in said
    assert "Calibrated on 20 other scans: more may do better." in said
    assert "20 scans show little of how often a call changes; 300 are better." in said


@needs_bf16
def test_heatmaps_beside_fewer_bits_are_the_checkpoints(
    save_run: SaveRun, many_scans: Path, scans: Path, tmp_path: Path
) -> None:
    checkpoint = save_run(CSACNET, steps=STEPS)
    options = [f"--{name.replace('_', '-')}={value}" for name, value in LOOSE.items()]
    done = CliRunner().invoke(
        app,
        ["export", str(checkpoint), "--scans", str(many_scans), "--precision", "bf16", *options],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert "Heatmaps beside scores in bfloat16 are made of the checkpoint, by PyTorch." in said
    folder = default_folder(checkpoint)
    assert names_in(folder) == {"model.bin", "model.json", "model.xml"}

    store_scale(checkpoint, "module3", "guided", 2.0)
    heat = tmp_path / "heat"
    command = ["--engine", "openvino", "--heatmaps", str(heat), "--out", str(tmp_path / "s.csv")]
    done = CliRunner().invoke(app, ["predict", str(checkpoint), str(scans), *command])
    assert done.exit_code == 0, done.output
    assert len(list(heat.glob("*.heat.nii.gz"))) == 5
    said = " ".join(done.output.split())
    assert "They are of the checkpoint itself; the scores are of openvino in bfloat16, " in said

    done = CliRunner().invoke(app, ["predict", str(folder), str(scans), *command])
    assert done.exit_code == 2
    said = " ".join(done.output.split())
    assert "this is an export. Fix: give the checkpoint; or export it in float32" in said


def test_too_few_scans_to_calibrate_on_are_named(
    checkpoint: Path, scans: Path, nncf: Any, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=r"of 5 scans 2 are left.*at least 16 usable scans"):
        export(checkpoint, scans, tmp_path / "out", precision="int8")
    assert list(tmp_path.iterdir()) == []


def test_scans_without_classes_leave_the_auc_out(
    save_run: SaveRun, many_scans: Path, tmp_path: Path
) -> None:
    folder = many_scans.parent / "dicom"
    done = export(save_run("Plain"), folder, tmp_path / "out", formats=["openvino"], n_scans=4)
    assert isinstance(done, ExportRecord)
    parity = done.parity["openvino"]
    assert (parity.auc, parity.n_labelled) == (None, 0)
    assert "give a manifest" in parity.auc_reason


def test_without_its_package_int8_says_what_to_install_and_where(
    checkpoint: Path, scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    said = r"nncf cannot be imported.*environment of its own.*covidlit\[quantize\]"
    with pytest.raises(ConfigError, match=said):
        export(checkpoint, scans, precision="int8")


def test_a_processor_without_bfloat16_is_named(
    checkpoint: Path, scans: Path, no_bf16: None
) -> None:
    with pytest.raises(ConfigError, match=r"this processor \(Old 1\) has no bfloat16.*int8 or f32"):
        export(checkpoint, scans, precision="bf16")


@needs_bf16
def test_an_export_in_bfloat16_is_not_run_in_another_precision(
    save_run: SaveRun, scans: Path, request: pytest.FixtureRequest
) -> None:
    checkpoint = save_run("Plain")
    export(checkpoint, scans, precision="bf16", **LOOSE | {"tolerance": 0.15})
    request.getfixturevalue("no_bf16")
    with pytest.raises(ConfigError, match=r"model.xml: this processor \(Old 1\) has no bfloat16"):
        load_engine(checkpoint, "openvino")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"precision": "int4"}, r"no precision 'int4'.*did you mean int8"),
        ({"precision": "int8", "formats": ["onnx"]}, r"computed by OpenVINO alone.*openvino"),
        ({"precision": "bf16", "formats": ["onnx", "openvino"]}, "computed by OpenVINO alone"),
        ({"auc_tolerance": -0.1}, r"auc_tolerance: must lie in \[0, 1\]"),
        ({"changed_calls": 2.0}, r"changed_calls: must lie in \[0, 1\]"),
        ({"n_calibration": 3}, "n_calibration: must be at least 8"),
    ],
)
def test_arguments_that_do_not_fit_are_named(
    arguments: dict[str, Any], reason: str, checkpoint: Path, scans: Path
) -> None:
    with pytest.raises(ConfigError, match=reason):
        export(checkpoint, scans, **arguments)
