"""A tiny synthetic cohort, made once for all processes of a test session, and real data."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray

from covidlit.process import let_waiting_threads_sleep

let_waiting_threads_sleep()  # before anything loads torch
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the suite runs on a process per core
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("COVIDLIT_CACHE", "")  # keep no graphs of tests in the home of a user

# The same examples in every run, however busy the machine.
settings.register_profile(
    "covidlit",
    deadline=None,
    derandomize=True,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("covidlit")

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


def pytest_sessionstart() -> None:
    """Refuse two test files of one name, which pytest collects together only by chance."""
    names = Counter(path.name for path in Path(__file__).parent.rglob("test_*.py"))
    twice = sorted(name for name, count in names.items() if count > 1)
    if twice:
        raise pytest.UsageError(f"test files of one name, rename one of each: {', '.join(twice)}")


Once = Callable[[str, Callable[[Path], object]], Path]


@pytest.hookimpl(tryfirst=True)  # before `-m` leaves tests out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what works on something made once, and begin with the files of slow tests.

    Several processes take one file after the other: long ones at the end would leave all but one
    of them idle.
    """
    for item in items:
        if "once" in getattr(item, "fixturenames", ()):  # also by way of another fixture
            item.add_marker(pytest.mark.slow)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Makes a folder once for all processes of a session, whichever asks first.

    `once(name, make)` calls `make(folder)` unless another test did, and returns the folder. Tests
    only read what is in it.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # that of the whole session
    folder = folder / "once"
    folder.mkdir(exist_ok=True)

    def made(name: str, make: Callable[[Path], object]) -> Path:
        finished = folder / f"{name}.finished"
        with FileLock(folder / f"{name}.lock"):
            if not finished.exists():
                shutil.rmtree(folder / name, ignore_errors=True)
                (folder / name).mkdir()
                make(folder / name)
                finished.touch()
        return folder / name

    return made


def _write_tiny_cohort(folder: Path) -> None:
    from covidlit.cohort.manifest import read_manifest
    from covidlit.dicom import Checks
    from covidlit.preprocess import Geometry, prepare_cohort
    from covidlit.synthetic.source import synthetic_manifest

    manifest = synthetic_manifest(
        str(folder / "synthetic"), preset="mild", n_scans=40, seed=0, matrix=48, thickness_mm=5.0,
        n_jobs=1,
    )  # fmt: skip
    (folder / "manifest_path").write_text(str(manifest))
    geometry = Geometry((20.0, 24.0, 24.0), (16, 16, 16))
    prepare_cohort(read_manifest(manifest), folder / "cache", geometry, checks=Checks(), n_jobs=1)


@pytest.fixture(scope="session")
def tiny_data(once: Once) -> Path:
    """A data folder with a manifest of 40 synthetic scans in four centres, and its cache."""
    return once("tiny_data", _write_tiny_cohort)


@pytest.fixture(scope="session")
def tiny_overrides(tiny_data: Path) -> list[str]:
    """Overrides that train on the tiny cohort."""
    manifest = (tiny_data / "manifest_path").read_text()
    return ["data=manifest", f"data.source.path={manifest}", f"data_dir={tiny_data}", *TINY]


TINY_SLICES = [
    "model.task.net.backbone=efficientnet_lite0",
    "model.task.net.fpn_channels=16",
    "model.task.net.head_width=32",
    "model.task.net.semantic_width=16",
    "model.task.net.proposals=20",
    "model.task.net.train_proposals=50",
    "model.task.net.sampled_regions=16",
    "model.task.net.max_detections=10",
    "split.validation_fraction=0.25",
    "data.n_jobs=1",
    "trainer.max_epochs=1",
    "evaluation.n_bootstrap=100",
]
"""Overrides that make a run of slices take seconds."""


@pytest.fixture(scope="session")
def slice_overrides(once: Once) -> list[str]:
    """Overrides that train a tiny Mask R-CNN on drawn slices."""
    from drawn_slices import write_pictures

    folder = once("drawn_slices", lambda place: write_pictures(place / "pictures"))
    return [
        "data=slices_masks", f"data.source.root={folder / 'pictures'}",
        f"data_dir={folder / 'data'}", *TINY_SLICES,
    ]  # fmt: skip


def _train(run_dir: Path, *overrides: str) -> None:
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from covidlit.cli.train import whole_run
    from covidlit.settings.tree import config_dir

    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", ["name=test", *overrides])
    whole_run(OmegaConf.to_container(config, resolve=True), run_dir)


@pytest.fixture(scope="session")
def train(
    tiny_overrides: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Runs one configuration in this process and returns its run folder."""

    def run(*overrides: str) -> Path:
        run_dir = tmp_path_factory.mktemp("run")
        _train(run_dir, *tiny_overrides, *overrides)
        return run_dir

    return run


@pytest.fixture(scope="session")
def train_on_slices(
    slice_overrides: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """As `train`, on drawn slices."""

    def run(*overrides: str) -> Path:
        run_dir = tmp_path_factory.mktemp("run")
        _train(run_dir, *slice_overrides, *overrides)
        return run_dir

    return run


@pytest.fixture(scope="session")
def csacnet_run(once: Once, tiny_overrides: list[str]) -> Path:
    """The folder of a run of a narrow CSAC-Net, with its CLAIM sheet and its model card."""
    settings = ("model=csacnet", "model.task.net.width=4", "cards=true")
    return once("csacnet_run", lambda folder: _train(folder, *tiny_overrides, *settings))


@pytest.fixture(scope="session")
def archive(once: Once) -> Callable[[str], Path]:
    """Unpack an archive of shared/data; skip where it is not there."""

    def unpack(name: str) -> Path:
        source = SHARED / name
        if not source.exists():
            pytest.skip(f"{source} is not there (real data are not shipped)")

        def extract(target: Path) -> None:
            with tarfile.open(source) as tar:
                tar.extractall(target, filter="data")

        return once(name.replace("/", "-"), extract)

    return unpack


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; skip where it is not there."""
    if not SHARED.exists():
        pytest.skip(f"{SHARED} is not there (real data are not shipped)")
    return SHARED
