"""Every engine gives the scores of the checkpoint, and says why where it cannot."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from covidlit.checkpoints.file import load_checkpoint, update_record
from covidlit.cli.app import app
from covidlit.deploy import load_engine
from covidlit.deploy.exported import default_folder, read_record
from covidlit.deploy.exported_engine import open_onnxruntime, open_openvino
from covidlit.deploy.predict import predict
from covidlit.errors import CheckpointError, ConfigError, ExportError
from covidlit.explain.scale import store_scale

FAST = ("onnxruntime", "openvino")


@pytest.fixture(scope="module")
def scores(checkpoint: Path, scans: Path) -> pd.Series:
    found = predict(checkpoint, scans)["score"]
    assert np.ptp(found) > 0.1
    return found


@pytest.fixture
def run(checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint and its export."""
    shutil.copytree(checkpoint.parent, tmp_path / "checkpoints")
    return tmp_path / "checkpoints" / checkpoint.name


@pytest.mark.parametrize("engine", FAST)
def test_an_engine_gives_the_same_scores(
    engine: str, checkpoint: Path, scans: Path, scores: pd.Series
) -> None:
    one_by_one = predict(checkpoint, scans, engine=engine, threads=1)["score"]
    np.testing.assert_allclose(one_by_one, scores, atol=1e-5)
    folder = default_folder(checkpoint)
    together = predict(folder, scans, engine=engine, batch_size=3)["score"]
    np.testing.assert_allclose(together, scores, atol=1e-5)


def test_the_network_of_a_folder_is_run_by_what_it_was_exported_for(run: Path) -> None:
    assert load_engine(run).name.startswith("torch")
    folder = default_folder(run)
    assert load_engine(folder).name.startswith("openvino")
    (folder / "model.xml").unlink()
    with pytest.raises(ExportError, match=r"model\.xml: the file is missing"):
        load_engine(folder)
    record = json.loads((folder / "model.json").read_text())
    for kept in (record["differences"], record["parity"]):
        del kept["openvino"]
    (folder / "model.json").write_text(json.dumps(record))
    assert load_engine(folder).name.startswith("onnxruntime")


def test_the_command_says_which_export_it_replaces(
    run: Path, scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = read_record(default_folder(run))
    monkeypatch.setattr("covidlit.deploy.export.export", lambda *_, **__: done)
    for folder, said in ((default_folder(run), "replaces the float32 export there"), (run, "")):
        command = ["export", str(run), "--scans", str(scans), "--out", str(folder)]
        printed = CliRunner().invoke(app, command)
        assert printed.exit_code == 0, printed.output
        assert said in printed.output
        assert ("replaces" in printed.output) == bool(said)


def test_an_export_without_its_record_is_named(run: Path) -> None:
    folder = default_folder(run)
    (folder / "model.json").unlink()
    with pytest.raises(CheckpointError, match=r"export.*whose model\.json is missing.*Fix: copy"):
        load_engine(folder)


def test_threads_are_those_asked_for_and_torchs_own_come_back(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("torch", *FAST):
        assert load_engine(checkpoint, name, threads=1).name == f"{name}, 1 thread"
    engine = load_engine(checkpoint, "torch", threads=1)
    used = []
    step = engine.task.predict_step  # type: ignore[attr-defined]
    monkeypatch.setattr(
        engine.task,  # type: ignore[attr-defined]
        "predict_step",
        lambda *arguments: used.append(torch.get_num_threads()) or step(*arguments),  # type: ignore[func-returns-value]
    )
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    engine.scores(np.zeros((1, 16, 16, 16), np.int16))
    assert (used, torch.get_num_threads()) == ([1], 2)
    torch.set_num_threads(before)


def test_a_checkpoint_that_changed_makes_its_export_stale(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_engine(run, "openvino")
    # The scale of heatmaps is no part of a score.
    before = run.read_bytes()
    store_scale(run, "last_pool", "activation", 2.0)
    assert run.read_bytes() != before
    for path in (run, default_folder(run)):
        load_engine(path, "openvino")
    update_record(run, operating_point=0.4)
    for path in (run, default_folder(run)):
        with pytest.raises(ExportError, match=r"it changed since.*covidlit export .*best.ckpt"):
            load_engine(path, "openvino")
    # Far from its checkpoint there is nothing to compare it with.
    moved = shutil.move(default_folder(run), run.parents[1] / "moved")
    assert load_engine(moved).record.operating_point is None
    for start, name in ((moved.parent, "moved"), (moved, ".")):
        monkeypatch.chdir(start)
        assert load_engine(name).name.startswith("openvino")


def test_one_other_weight_makes_an_export_stale(run: Path) -> None:
    content = load_checkpoint(run)
    next(iter(content["state_dict"].values())).view(-1)[0] += 1e-3
    torch.save(content, run)
    with pytest.raises(ExportError, match="it changed since"):
        load_engine(run, "openvino")


@pytest.mark.parametrize("name", ["model.xml", "model.bin", "model.onnx"])
def test_a_damaged_file_is_refused(name: str, run: Path) -> None:
    path, engine = default_folder(run) / name, "onnxruntime" if "onnx" in name else "openvino"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ExportError, match=rf"{name}: .*not the one that was exported"):
        load_engine(run, engine)
    path.unlink()
    with pytest.raises(ExportError, match=rf"{name}: .*missing"):
        load_engine(run, engine)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("{", "", "Invalid JSON"),
        ('"format": 1', '"format": 2', "format: Input should be 1"),
        ('"model.xml"', '"../../secret"', "files"),
        ('"n_scans"', '"surprise"', "surprise"),
    ],
)
def test_a_record_that_is_none_is_refused(old: str, new: str, reason: str, run: Path) -> None:
    path = default_folder(run) / "model.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ExportError, match=rf"model.json: .*no record of an export.*{reason}"):
        load_engine(default_folder(run))


@pytest.mark.parametrize("open_file", [open_onnxruntime, open_openvino])
def test_a_file_that_the_runtime_does_not_take_is_named(open_file: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.xml"
    path.write_bytes(b"no model")
    with pytest.raises(ExportError, match=r"model.xml: .* does not take the file"):
        open_file(path, 1)


@pytest.mark.parametrize("engine", FAST)
def test_an_engine_that_is_not_installed_is_named(
    engine: str, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, engine, None)
    with pytest.raises(ConfigError, match=rf"{engine} cannot be imported.*covidlit\[deploy\]"):
        load_engine(checkpoint, engine)


def test_what_cannot_be_loaded_is_said(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no engine 'openvin'.*did you mean openvino"):
        load_engine(checkpoint, "openvin")
    with pytest.raises(ConfigError, match="threads: must be a whole number of at least 1"):
        load_engine(checkpoint, threads=0)
    with pytest.raises(ConfigError, match="openvino runs on the CPU only"):
        load_engine(checkpoint, "openvino", device="cuda")
    with pytest.raises(ConfigError, match="cannot be run by torch"):
        load_engine(default_folder(checkpoint), "torch")
    with pytest.raises(CheckpointError, match="no such file"):
        load_engine(tmp_path / "none.ckpt", "openvino")
    alone = Path(shutil.copy(checkpoint, tmp_path / "alone.ckpt"))
    with pytest.raises(ConfigError, match=r"not been exported.*covidlit export .*alone.ckpt"):
        load_engine(alone, "openvino")


@pytest.mark.parametrize("engine", ["torch", *FAST])
def test_volumes_of_another_kind_are_refused(engine: str, checkpoint: Path) -> None:
    loaded = load_engine(checkpoint, engine)
    assert len(loaded.scores(np.zeros((2, 16, 16, 16), np.int16))) == 2
    for wrong in (
        np.zeros((2, 16, 16, 15), np.int16),
        np.zeros((16, 16, 16), np.int16),
        np.zeros((2, 16, 16, 16), np.float32),
    ):
        with pytest.raises(ConfigError, match=r"must be int16 HU \(B, 16, 16, 16\)"):
            loaded.scores(wrong)  # type: ignore[arg-type]
