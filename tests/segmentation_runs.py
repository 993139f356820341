"""Checkpoints of small networks that segment slices and find something, without training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from covidlit.checkpoints.record import run_record
from covidlit.cohort.scan_sources import find_scans
from covidlit.datamodules.slices.channels import WINDOWS, slice_images
from covidlit.dicom import Checks
from covidlit.models import MaskRCNN
from covidlit.models.maskrcnn.stages import Dense
from covidlit.settings.targets import allow_target
from covidlit.tasks import LesionSegmentation

NET: dict[str, Any] = {
    "_target_": "covidlit.models.MaskRCNN", "backbone": "efficientnet_lite0", "fpn_channels": 16,
    "box_head": "mlp", "head_width": 32, "semantic_width": 16, "mask_size": 28, "proposals": 40,
    "max_detections": 20, "anchor_sizes": [[4, 6], [8, 10], [12, 16], [20, 24], [28, 32]],
}  # fmt: skip
LESIONS = 0.01
"""Share of the pixels that are no background."""


class Changeling(MaskRCNN):
    """Computes otherwise when it is traced, which is how it is exported."""

    def dense(self, tensors: Tensor) -> Dense:
        found = super().dense(tensors)
        if not torch.jit.is_tracing():
            return found
        return found._replace(deltas=[each + 0.01 for each in found.deltas])


allow_target("segmentation_runs.Changeling")


def record_of(size: Sequence[int] | None = None) -> dict[str, Any]:
    """As `SliceDataModule.input_record` gives it."""
    return {
        "kind": "slices", "classes": list(LesionSegmentation(NET).classes), "channels": "windows",
        "windows": [list(window) for window in WINDOWS],
        "size": None if size is None else list(size), "intensity": "hu", "min_area_mm2": 0.0,
        "min_slices": 12, "override_checks": [], "image_orientation": None,
    }  # fmt: skip


def save_segmentation(
    path: Path, scans: Path, *, net: str = "covidlit.models.MaskRCNN", seed: int = 0
) -> Path:
    """Write a checkpoint of random weights whose scores spread, and few pixels are a lesion.

    Args:
        path: of the checkpoint.
        scans: on which that is so.
        net: the class of the network.
        seed: of its weights.
    """
    torch.manual_seed(seed)
    task = LesionSegmentation({**NET, "_target_": net}).eval()
    record = record_of()
    images = [
        image
        for source in find_scans(scans, Checks())
        if source.read is not None
        for image in list(slice_images(source.read(), record))[10:22:4]
    ]
    own = task.net
    with torch.no_grad():
        for layer, gain in (
            (own.roi_heads.box_predictor.cls_score, 60.0), (own.rpn.head.cls_logits, 30.0),
        ):  # fmt: skip
            layer.weight *= gain
        batch = own.batch(images)
        logits = own.semantic(own.features(batch), batch.tensors)
        margin = logits[:, 1:].amax(dim=1) - logits[:, 0]
        own.semantic.classify.bias[0] += margin.flatten().quantile(1 - LESIONS)
    task.record = run_record({"model": {"name": "tiny"}}, "abc", record)
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_model_summary=False)
    trainer.strategy.connect(task)
    trainer.save_checkpoint(path)
    return path
