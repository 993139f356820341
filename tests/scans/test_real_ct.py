"""Real chest CT all the way: read, judged, prepared into the cache and scored by a network."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from typer.testing import CliRunner
from volume_records import volume_record

from covidlit.cli.app import app
from covidlit.cohort.manifest import read_manifest, write_manifest
from covidlit.datamodules.volume_dataset import apply_window
from covidlit.preprocess import Geometry, VolumeCache, prepare_cohort
from covidlit.tasks import VolumeClassification

GEOMETRY = Geometry((8.0, 6.0, 6.0), (24, 48, 64))
WINDOW = (-1000.0, 400.0)
SERIES, IMAGE = "partial_chest_real", "lidc_0314_nonCOVID_2mm.nii.gz"


@pytest.fixture(scope="module")
def folder(
    archive: Callable[[str], Path], shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A DICOM series and a NIfTI image, each of a real chest."""
    root = tmp_path_factory.mktemp("real")
    shutil.copytree(archive("ct/partial_chest_real.tar.xz") / SERIES, root / SERIES)
    shutil.copy(shared_data / "ct" / IMAGE, root / IMAGE)
    return root


@pytest.fixture(scope="module")
def manifest(folder: Path) -> Path:
    table = pd.DataFrame(
        {
            "patient_id": ["p1", "p2"],
            "scan_id": ["dicom", "nifti"],
            "path": [str(folder / SERIES), str(folder / IMAGE)],
            "class_name": ["np", "np"],
            "centre": ["c1", "c2"],
        }
    )
    return write_manifest(table, folder.parent / f"{folder.name}.csv")


@pytest.fixture(scope="module")
def prepared(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """The network's input in HU by scan_id, from the cache."""
    cache_dir = tmp_path_factory.mktemp("cache")
    cohort = prepare_cohort(read_manifest(manifest), cache_dir, GEOMETRY, n_jobs=1, progress=False)
    cohort.require_all()
    cache = VolumeCache(cache_dir)
    return {row.scan_id: np.array(cache.open(row.key)[0]) for row in cohort.table.itertuples()}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    net = {"_target_": "covidlit.models.CSACNet3D", "width": 4, "zero_init": False}
    task = VolumeClassification(net=net)
    task.train()
    for _ in range(3):  # statistics of the batch norm, as after training
        task(torch.rand(2, 1, *GEOMETRY.size))
    geometry = {"spacing": list(GEOMETRY.spacing), "size": list(GEOMETRY.size)}
    data = {"geometry": geometry, "window": list(WINDOW)}
    task.record = volume_record({"data": data, "model": {"name": "csacnet"}}, split_hash="abc")
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_model_summary=False)
    trainer.strategy.connect(task)
    path = tmp_path_factory.mktemp("run") / "best.ckpt"
    trainer.save_checkpoint(path)
    return path


@pytest.mark.parametrize("scan_id", ["dicom", "nifti"])
def test_a_prepared_chest_holds_lungs_in_a_body(
    scan_id: str, prepared: dict[str, np.ndarray]
) -> None:
    hu = prepared[scan_id]
    assert hu.shape == GEOMETRY.size
    middle = hu[8:16, 12:36, 16:48]
    lung = ((middle > -950) & (middle < -600)).mean()
    tissue = ((middle > -50) & (middle < 150)).mean()
    assert 0.25 < lung < 0.70
    assert 0.15 < tissue < 0.45
    assert (hu > 300).any()  # bone


def test_real_scans_get_the_scores_of_what_was_prepared_from_them(
    checkpoint: Path, folder: Path, manifest: Path, prepared: dict[str, np.ndarray], tmp_path: Path
) -> None:
    task = VolumeClassification.load_from_checkpoint(checkpoint)
    expected = {}
    for scan_id, hu in prepared.items():
        image = apply_window(torch.from_numpy(hu)[None], WINDOW)
        with torch.inference_mode():
            expected[scan_id] = float(task.scores(task(image[None])))
    assert abs(expected["dicom"] - expected["nifti"]) > 1e-4  # the network tells them apart
    for source in (manifest, folder):
        out = tmp_path / f"{source.stem}.csv"
        done = CliRunner().invoke(
            app, ["predict", str(checkpoint), str(source), "--out", str(out), "--strict"]
        )
        assert done.exit_code == 0, done.output
        table = pd.read_csv(out)
        scored = table["score"].set_axis([Path(path).name for path in table["path"]])
        assert len(scored) == 2
        assert scored[SERIES] == pytest.approx(expected["dicom"], abs=1e-6)
        assert scored[IMAGE] == pytest.approx(expected["nifti"], abs=1e-6)
