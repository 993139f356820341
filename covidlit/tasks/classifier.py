"""What a classification predicts with, in training and after it.

It stands apart from the LightningModule because `covidlit predict` needs no more, and importing
Lightning is a third of the processor time of scoring a scan (`benchmarks/prediction.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from covidlit.errors import ConfigError
from covidlit.settings.targets import build
from covidlit.tasks.losses import log_probabilities


class ClassifierMixin:
    """The network of a classification and its scores; for an `nn.Module` with `hparams`."""

    hparams: Any
    net: nn.Module

    def build_net(self) -> nn.Module:
        """The untrained network that the hyper-parameters describe.

        Raises:
            ConfigError: fewer than 2 classes, or see `covidlit.settings.targets.build`.
        """
        n_classes = self.hparams["n_classes"]
        if n_classes < 2:
            raise ConfigError(
                f"n_classes must be at least 2, got {n_classes!r}.", where="n_classes", fix="use 2."
            )
        n_outputs = 1 if n_classes == 2 else n_classes
        net: nn.Module = build(self.hparams["net"], "models", n_outputs=n_outputs)
        if self.hparams["channels_last"]:
            net = net.to(memory_format=torch.channels_last_3d)
        return net

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, 1), or (B, classes), of volumes (B, 1, z, y, x)."""
        if self.hparams["channels_last"]:
            image = image.contiguous(memory_format=torch.channels_last_3d)
        logits: Tensor = self.net(image)
        return logits

    def predict_step(self, batch: Mapping[str, Any], batch_idx: int) -> dict[str, Any]:
        """{"scan_id": texts, "score": one of the positive class each, or (scans, classes)}.

        Without the scans that only fill up the batch of one of several processes.
        """
        counts = counted(batch)
        kept = [scan for scan, own in zip(batch["scan_id"], counts.tolist(), strict=True) if own]
        return {"scan_id": kept, "score": self.scores(self.forward(batch["image"]))[counts]}

    @staticmethod
    def scores(logits: Tensor) -> Tensor:
        """Probabilities in float32: (B,) of the positive class, or (B, classes)."""
        probabilities = log_probabilities(logits).exp()
        return probabilities[:, 1] if logits.shape[1] == 1 else probabilities


class Classifier(ClassifierMixin, nn.Module):
    """A `VolumeClassification` without its training: the same weights under the same names.

    Args:
        hparams: of the task: `net`, `n_classes` and `channels_last`.

    Raises:
        ConfigError: they do not describe a network.
    """

    def __init__(self, hparams: Mapping[str, Any]) -> None:
        super().__init__()
        self.hparams = dict(hparams)
        self.record: dict[str, Any] = {}
        self.net = self.build_net()
        self.class_weights: Tensor
        self.register_buffer("class_weights", torch.ones(self.hparams["n_classes"]))

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.class_weights.device


def counted(batch: Mapping[str, Any]) -> Tensor:
    """(B,) whether each scan counts; all do in batches that say nothing of it."""
    counts: Tensor | None = batch.get("counts")
    if counts is not None:
        return counts
    image: Tensor = batch["image"]  # scans to predict have no target
    return torch.ones(len(image), dtype=torch.bool, device=image.device)
