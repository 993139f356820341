"""Checkpoints of tiny networks whose scores spread, and a few synthetic scans to score."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from volume_records import volume_record

from covidlit.cohort.manifest import read_manifest, write_manifest
from covidlit.cohort.scan_sources import find_scans
from covidlit.datamodules.volume_dataset import apply_window
from covidlit.deploy.export import export
from covidlit.dicom import Checks
from covidlit.preprocess import Geometry, prepare_scan
from covidlit.settings.targets import allow_target
from covidlit.tasks import VolumeClassification

GEOMETRY: dict[str, Any] = {"spacing": [20.0, 24.0, 24.0], "size": [16, 16, 16]}
CSACNET = {"_target_": "covidlit.models.CSACNet3D", "width": 4, "zero_init": False}
SaveRun = Callable[..., Path]


def label_rule(classes: list[str] | None) -> dict[str, Any]:
    """COVID-19 or not, or the classes named."""
    module = "covidlit.cohort.label_rule"
    if classes is None:
        return {"_target_": f"{module}.ByClass", "positive": ["covid"]}
    return {"_target_": f"{module}.MultiClass", "classes": classes}


@pytest.fixture(scope="session")
def many_scans(tiny_data: Path) -> Path:
    """A manifest of forty synthetic scans."""
    return Path((tiny_data / "manifest_path").read_text())


@pytest.fixture(scope="session")
def scans(tiny_data: Path, many_scans: Path) -> Path:
    """A manifest of five synthetic scans."""
    table = read_manifest(many_scans)
    some = table.iloc[np.linspace(0, len(table) - 1, 5).astype(int)]
    return write_manifest(some, tiny_data / "five.csv")


@pytest.fixture(scope="session")
def save_run(scans: Path, many_scans: Path, tmp_path_factory: pytest.TempPathFactory) -> SaveRun:
    """Write the checkpoint of a network; logits of the scans lie between -reach and reach.

    With `steps` it is trained first, so that its features differ between scans by more than bits.
    """
    geometry = Geometry(tuple(GEOMETRY["spacing"]), tuple(GEOMETRY["size"]))

    def images_of(manifest: Path) -> torch.Tensor:
        found = [source.read for source in find_scans(manifest, Checks())]
        volumes = [prepare_scan(read(), geometry).array for read in found if read is not None]
        return apply_window(torch.from_numpy(np.stack(volumes)[:, None]), (-1000, 400))

    images = images_of(scans)
    for name in ("Plain", "Changeling"):
        allow_target(f"deploy_networks.{name}")

    def fit(task: VolumeClassification, steps: int) -> None:
        if not steps:
            return
        all_images = images_of(many_scans)
        covid = torch.tensor((read_manifest(many_scans)["class_name"] == "covid").to_numpy())
        optimizer = torch.optim.Adam(task.parameters(), lr=3e-3)
        for _ in range(steps):
            optimizer.zero_grad()
            logits = task(all_images)[:, 0]
            binary_cross_entropy_with_logits(logits, covid.float()).backward()
            optimizer.step()
        with torch.no_grad():
            for _ in range(20):
                task(all_images)  # statistics of batch norms, of the weights as they are now

    def save(
        net: dict[str, Any] | str,
        classes: list[str] | None = None,
        precision: str = "32-true",
        reach: float = 2.0,
        folder: Path | None = None,
        steps: int = 0,
    ) -> Path:
        torch.manual_seed(0)
        node = net if isinstance(net, dict) else {"_target_": f"deploy_networks.{net}"}
        task = VolumeClassification(net=node, n_classes=len(classes or "ab"))
        task.train()
        fit(task, steps)
        for _ in range(3 if not steps else 0):
            task(images)  # statistics of batch norms
        task.eval()
        last = [module for module in task.net.modules() if isinstance(module, torch.nn.Linear)][-1]
        with torch.no_grad():
            logits = task(images)
            low, high = logits.amin(0), logits.amax(0)
            # Unequal, so that no two classes tie at their ends.
            gain = 2 * reach * torch.linspace(1.0, 0.7, len(low)) / (high - low)
            last.weight *= gain[:, None]
            last.bias.sub_((low + high) / 2).mul_(gain)
        task.record = volume_record(
            {
                "data": {"geometry": GEOMETRY, "window": [-1000, 400], "override_checks": []},
                "model": {"name": "tiny"},
                "trainer": {"precision": precision},
                "label_rule": label_rule(classes),
            },
            split_hash="abc",
        )
        path = (folder or tmp_path_factory.mktemp("run")) / "checkpoints" / "best.ckpt"
        trainer = pl.Trainer(accelerator="cpu", logger=False, enable_model_summary=False)
        trainer.strategy.connect(task)
        trainer.save_checkpoint(path)
        return path

    return save


@pytest.fixture(scope="session")
def checkpoint(once: Callable[..., Path], save_run: SaveRun, scans: Path) -> Path:
    """A binary CSAC-Net with its export, for both engines, beside it."""
    folder = once("deploy_run", lambda folder: export(save_run(CSACNET, folder=folder), scans))
    return folder / "checkpoints" / "best.ckpt"
