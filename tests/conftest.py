"""A tiny synthetic cohort, written once per test session, and real data where they are there."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from covidlit.threads import let_waiting_threads_sleep

let_waiting_threads_sleep()  # before anything loads torch
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("WANDB_MODE", "offline")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Real data for development, which are not shipped."""

TINY = [
    "data.geometry.spacing=[20.0,24.0,24.0]",
    "data.geometry.size=[16,16,16]",
    "data.batch_size=4",
    "data.num_workers=0",
    "data.n_jobs=1",
    "trainer.max_epochs=1",
    "evaluation.n_bootstrap=100",
    "heatmaps=false",
]
"""Overrides that make a run take seconds."""


CHEST_SPACING, CHEST_SIZE = (12.0, 12.0, 12.0), (10, 24, 32)


def _chest(lung_hu: float, seed: int = 0) -> NDArray[np.int16]:
    """An elliptic body of water with two ellipsoids of lung in it, and noise of 10 HU."""
    z, y, x = np.meshgrid(
        *((np.arange(n) - (n - 1) / 2) * s for n, s in zip(CHEST_SIZE, CHEST_SPACING, strict=True)),
        indexing="ij",
    )
    hu = np.where((y / 110) ** 2 + (x / 160) ** 2 < 1, 0.0, -1000.0)
    for side in (-1, 1):
        hu[(z / 55) ** 2 + (y / 70) ** 2 + ((x - side * 70) / 50) ** 2 < 1] = lung_hu
    return (hu + np.random.default_rng(seed).normal(0, 10, CHEST_SIZE)).astype(np.int16)


@pytest.fixture(scope="session")
def chest() -> Callable[..., NDArray[np.int16]]:
    """Draws a chest with lungs of a density, of voxels of 12 mm."""
    return _chest


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a manifest of 40 synthetic scans in four centres, matrix 48."""
    from covidlit.synthetic.source import synthetic_manifest

    folder = tmp_path_factory.mktemp("data")
    manifest = synthetic_manifest(
        str(folder / "synthetic"), preset="mild", n_scans=40, seed=0, matrix=48, thickness_mm=5.0,
        n_jobs=1,
    )  # fmt: skip
    (folder / "manifest_path").write_text(str(manifest))
    return folder


@pytest.fixture(scope="session")
def tiny_overrides(tiny_data: Path) -> list[str]:
    """Overrides that train on the tiny cohort."""
    manifest = (tiny_data / "manifest_path").read_text()
    return ["data=manifest", f"data.source.path={manifest}", f"data_dir={tiny_data}", *TINY]


@pytest.fixture(scope="session")
def train(
    tiny_overrides: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Runs one configuration in this process and returns its run folder."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from covidlit.cli.train import whole_run
    from covidlit.settings.tree import config_dir

    def run(*overrides: str) -> Path:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            config = compose("train", [*tiny_overrides, "name=test", *overrides])
        run_dir = tmp_path_factory.mktemp("run")
        whole_run(OmegaConf.to_container(config, resolve=True), run_dir)
        return run_dir

    return run


@pytest.fixture(scope="session")
def csacnet_run(train: Callable[..., Path]) -> Path:
    """The folder of a run of a narrow CSAC-Net, with its CLAIM sheet and its model card."""
    return train("model=csacnet", "model.task.net.width=4", "cards=true")


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Unpack an archive of shared/data once in a session; skip where it is not there."""
    unpacked: dict[str, Path] = {}

    def unpack(name: str) -> Path:
        source = SHARED / name
        if not source.exists():
            pytest.skip(f"{source} is not there (real data are not shipped)")
        if name not in unpacked:
            target = tmp_path_factory.mktemp("archive")
            with tarfile.open(source) as tar:
                tar.extractall(target, filter="data")
            unpacked[name] = target
        return unpacked[name]

    return unpack


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; skip where it is not there."""
    if not SHARED.exists():
        pytest.skip(f"{SHARED} is not there (real data are not shipped)")
    return SHARED
