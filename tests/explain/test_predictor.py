"""`covidlit.Predictor`: the command's table, heatmaps, and checkpoints of one's own Trainer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader
from typer.testing import CliRunner

import covidlit
from covidlit.cli.app import app
from covidlit.cohort.manifest import read_manifest, write_manifest
from covidlit.cohort.scan_reader import load_scan
from covidlit.cohort.splits import centre_held_out
from covidlit.datamodules import VolumeDataModule
from covidlit.errors import CheckpointError, ConfigError
from covidlit.preprocess import Geometry, prepare_scan
from covidlit.scans.scan import to_ras_xyz
from covidlit.tasks import VolumeClassification

GEOMETRY = Geometry((20.0, 24.0, 24.0), (16, 16, 16))
NET = {"_target_": "covidlit.models.CSACNet3D", "width": 4, "zero_init": False}
PREPARED: dict[str, Any] = {"geometry": GEOMETRY.arguments(), "window": (-900, 300)}


@pytest.fixture(scope="module")
def manifest(tiny_data: Path) -> Path:
    return Path((tiny_data / "manifest_path").read_text())


@pytest.fixture(scope="module")
def scans(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of three scans."""
    table = read_manifest(manifest).iloc[[0, 20, 39]]
    return write_manifest(table, tmp_path_factory.mktemp("scans") / "three.csv")


def _fit(folder: Path, *data: Any, **named: Any) -> Path:
    """Train for one step with a Trainer that knows nothing of covidlit."""
    pl.seed_everything(0, verbose=False)
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=1, limit_train_batches=1, limit_val_batches=0, logger=False,
        enable_model_summary=False, enable_progress_bar=False, default_root_dir=folder,
    )  # fmt: skip
    trainer.fit(VolumeClassification(net=NET), *data, **named)
    path = folder / "mine.ckpt"
    trainer.save_checkpoint(path)
    return path


@pytest.fixture(scope="module")
def with_datamodule(
    manifest: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    data = VolumeDataModule(
        manifest, tiny_data / "cache", geometry=GEOMETRY, window=(-900, 300), n_jobs=1,
        batch_size=4, split=lambda table: centre_held_out(table, test_centres=["centre_4"]),
    )  # fmt: skip
    return _fit(tmp_path_factory.mktemp("datamodule"), datamodule=data)


@pytest.fixture(scope="module")
def with_loader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    batch = {"image": torch.rand(1, 16, 16, 16), "target": torch.tensor(1), "scan_id": "a"}
    other = {**batch, "target": torch.tensor(0)}
    return _fit(tmp_path_factory.mktemp("loader"), DataLoader([batch, other], batch_size=2))


def test_it_gives_the_table_of_the_command(csacnet_run: Path, scans: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.parquet"
    done = CliRunner().invoke(app, ["predict", str(csacnet_run), str(scans), "--out", str(out)])
    assert done.exit_code == 0, done.output
    predictor = covidlit.Predictor(csacnet_run)
    table = predictor(scans)
    shared = [name for name in table if name != "notes"]  # what the run's folder knows beside it
    pd.testing.assert_frame_equal(table[shared], pd.read_parquet(out)[shared], check_dtype=False)
    assert table["score"].notna().all()
    pd.testing.assert_frame_equal(predictor(scans), table)  # loaded once, used again


def test_heatmaps_come_as_files_and_as_arrays_in_the_scan_s_place(
    csacnet_run: Path, scans: Path, tmp_path: Path
) -> None:
    predictor = covidlit.Predictor(csacnet_run)
    table = predictor(scans, heatmaps=tmp_path, heat_scale=1.0)
    assert table["picture"].map(lambda path: Path(path).is_file()).all()
    found = list(predictor.heatmaps(scans))
    assert [one.scan_id for one in found] == table["scan_id"].tolist()
    paths = read_manifest(scans)["path"]
    for one, row, path in zip(found, table.itertuples(), paths, strict=True):
        scan = load_scan(path)
        assert one.heat is not None
        np.testing.assert_array_equal(one.hu, scan.hu)
        np.testing.assert_array_equal(one.affine, scan.affine)
        assert one.score == pytest.approx(row.score, abs=1e-6)
        image = nib.load(row.heatmap)
        np.testing.assert_allclose(image.affine, to_ras_xyz(scan.affine), atol=1e-3)
        kept = np.asarray(image.dataobj).T
        np.testing.assert_allclose(kept, one.heat, atol=float(one.heat.max()) / 250)


def test_a_trainer_of_one_s_own_leaves_the_preparation_in_its_checkpoint(
    with_datamodule: Path, scans: Path, tmp_path: Path
) -> None:
    predictor = covidlit.Predictor(with_datamodule)
    record = predictor.record
    assert record.volume_input.window == (-900, 300)
    assert record.volume_input.geometry.spacing == GEOMETRY.spacing
    assert record.synthetic
    table = predictor(scans)
    task = VolumeClassification.load_from_checkpoint(with_datamodule)
    for score, path in zip(table["score"], read_manifest(scans)["path"], strict=True):
        volume = prepare_scan(load_scan(path), GEOMETRY).array.astype(np.float32)
        image = torch.from_numpy(np.clip((volume + 900) / 1200, 0, 1))[None, None]
        with torch.no_grad():
            assert score == pytest.approx(float(task.scores(task(image))), abs=1e-5)
    assert table["operating_point"].isna().all()
    called = covidlit.Predictor(with_datamodule, operating_point=0.0)(scans)
    assert called["predicted_class"].eq("positive").all()
    out = tmp_path / "scores.csv"
    words = ["predict", str(with_datamodule), str(scans), "--out", str(out)]
    assert CliRunner().invoke(app, words).exit_code == 0
    np.testing.assert_allclose(pd.read_csv(out)["score"], table["score"].astype(float))


def test_what_a_checkpoint_lacks_is_named_and_can_be_given(
    with_loader: Path, with_datamodule: Path, scans: Path
) -> None:
    with pytest.raises(CheckpointError, match=r"geometry=\{.* and window=\(") as missing:
        covidlit.Predictor(with_loader)
    assert "Predictor" not in str(missing.value.fix)
    with pytest.raises(CheckpointError, match="give window=") as missing:
        covidlit.Predictor(with_loader, geometry=GEOMETRY)
    assert "geometry" not in str(missing.value)
    table = covidlit.Predictor(with_loader, **PREPARED, classes=["np", "covid"])(scans)
    assert table["score"].notna().all()
    # Given twice alike is no contradiction, and otherwise it is.
    assert covidlit.Predictor(with_datamodule, **PREPARED).record.volume_input.window == (-900, 300)
    with pytest.raises(ConfigError, match="window was"):
        covidlit.Predictor(with_datamodule, window=(-1000, 400))
    with pytest.raises(ConfigError, match=r"\[0, 1\]"):
        covidlit.Predictor(with_datamodule, operating_point=1.5)
    with pytest.raises(ConfigError, match="spacing and size"):
        covidlit.Predictor(with_loader, geometry={"spacing": [1, 1, 1]})


def test_the_command_says_how_to_give_what_is_missing(with_loader: Path, scans: Path) -> None:
    done = CliRunner().invoke(app, ["predict", str(with_loader), str(scans)])
    assert done.exit_code == 2
    assert "covidlit.Predictor" in done.output


def test_importing_covidlit_loads_nothing_heavy() -> None:
    code = (
        "import sys, covidlit; covidlit.__version__; dir(covidlit);"
        "print({'torch', 'pandas', 'numpy', 'pydicom'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    with pytest.raises(AttributeError, match="no attribute 'Predicter'"):
        covidlit.Predicter  # noqa: B018


INSTALLED = str(Path(sys.executable).with_name("covidlit"))


@pytest.mark.parametrize("command", [[INSTALLED], [sys.executable, "-m", "covidlit"]])
def test_the_version_is_told(command: list[str]) -> None:
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"covidlit {covidlit.__version__}"


def test_what_is_no_path_is_said(csacnet_run: Path, scans: Path) -> None:
    predictor = covidlit.Predictor(csacnet_run)
    with pytest.raises(ConfigError, match="path: it must be one path, not list"):
        predictor([scans])  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="not list"):
        list(predictor.heatmaps([scans]))  # type: ignore[arg-type]


def test_a_score_without_an_operating_point_says_so(with_datamodule: Path, scans: Path) -> None:
    table = covidlit.Predictor(with_datamodule)(scans)
    assert table["predicted_class"].isna().all()
    assert table["notes"].str.contains("called neither positive nor negative").all()
    told = covidlit.Predictor(with_datamodule, operating_point=0.5)(scans)
    assert told["predicted_class"].notna().all()
    assert not told["notes"].fillna("").str.contains("called neither").any()
