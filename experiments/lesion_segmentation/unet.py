"""The peer: MONAI's 2D U-Net, pixel by pixel, with the loss of the semantic branch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from monai.networks.nets.unet import UNet
from torch import Tensor
from torch.nn import functional

from covidlit.models.maskrcnn.semantic import semantic_losses
from covidlit.tasks.segmentation_metrics import LUNG, OverlapMetric

_DIVISIBLE = 16


class PixelSegmentation(pl.LightningModule):
    """A U-Net on the batches that `LesionSegmentation` gets; lr and optimizer as there.

    Args:
        classes: names of the labels from 1.
        channels: of its levels.
        lr: of AdamW.
        weight_decay: of AdamW.
    """

    def __init__(
        self,
        classes: Sequence[str],
        channels: Sequence[int] = (16, 32, 64, 128, 256),
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
    ) -> None:
        super().__init__()
        self.classes, self.settings = list(classes), {"lr": lr, "weight_decay": weight_decay}
        self.net = UNet(
            spatial_dims=2,
            in_channels=3,
            out_channels=len(self.classes) + 1,
            channels=list(channels),
            strides=[2] * (len(channels) - 1),
            num_res_units=2,
        )
        self.val_overlap = OverlapMetric(self.classes)

    def forward(self, images: Sequence[Tensor]) -> list[dict[str, Tensor]]:
        """`semantic` (rows, columns) uint8 of each slice."""
        return [{"semantic": each.argmax(dim=0).to(torch.uint8)} for each in self.logits(images)]

    def logits(self, images: Sequence[Tensor]) -> list[Tensor]:
        """(classes + 1, rows, columns) of each slice."""
        sizes = [each.shape[-2:] for each in images]
        rows, columns = (
            -(-max(size[axis] for size in sizes) // _DIVISIBLE) * _DIVISIBLE for axis in (0, 1)
        )
        padded = [
            functional.pad(each, (0, columns - size[1], 0, rows - size[0]))
            for each, size in zip(images, sizes, strict=True)
        ]
        found = self.net(torch.stack(padded))
        return [own[:, : size[0], : size[1]] for own, size in zip(found, sizes, strict=True)]

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        targets = [target["semantic"] for target in batch["target"]]
        known = [target.get("annotated") for target in batch["target"]]
        lung = self.classes.index(LUNG) + 1
        terms = semantic_losses(self.logits(batch["image"]), targets, known, lung)
        loss = terms["semantic"] + terms["dice"]
        size = len(batch["image"])
        self.log("train_loss", loss.detach(), on_step=False, on_epoch=True, batch_size=size)
        return loss

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        known = torch.ones(len(self.classes) + 1, dtype=torch.bool)
        for found, target in zip(self(batch["image"]), batch["target"], strict=True):
            self.val_overlap.update(found["semantic"], target["semantic"], known)

    def on_validation_epoch_end(self) -> None:
        for name, value in self.val_overlap.compute().items():
            self.log(f"val_{name}", value)
        self.val_overlap.reset()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), **self.settings)
