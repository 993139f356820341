"""A trained classification without the training around it, hence without Lightning's imports."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from covidlit.checkpoints.file import described, load_checkpoint
from covidlit.checkpoints.weights import check_weights
from covidlit.empty_weights import EmptyWeights
from covidlit.errors import ConfigError
from covidlit.settings.targets import CLASSIFICATION, build
from covidlit.tasks.losses import log_probabilities

TASKS = (CLASSIFICATION, "covidlit.tasks.VolumeClassification")
"""The task whose checkpoints a `Classifier` opens, by both of its names."""


class Classifier(nn.Module):
    """The network of a `VolumeClassification`, with the same weights under the same names.

    Args:
        hparams: of the task: `net`, `n_classes` and `channels_last`.

    Raises:
        ConfigError: they do not describe a network.
    """

    def __init__(self, hparams: Mapping[str, Any]) -> None:
        super().__init__()
        self.hparams = dict(hparams)
        self.record: dict[str, Any] = {}
        self.net = classification_net(self.hparams)
        self.class_weights: Tensor
        self.register_buffer("class_weights", torch.ones(self.hparams["n_classes"]))

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.class_weights.device

    @staticmethod
    def scores(logits: Tensor) -> Tensor:
        """Probabilities in float32: (B,) of the positive class, or (B, classes)."""
        probabilities = log_probabilities(logits).exp()
        return probabilities[:, 1] if logits.shape[1] == 1 else probabilities


def classification_net(hparams: Mapping[str, Any]) -> nn.Module:
    """The untrained network that the hyper-parameters of a classification describe.

    Raises:
        ConfigError: fewer than 2 classes, or see `covidlit.settings.targets.build`.
    """
    n_classes = hparams["n_classes"]
    if n_classes < 2:
        raise ConfigError(
            f"n_classes must be at least 2, got {n_classes!r}.", where="n_classes", fix="use 2."
        )
    net: nn.Module = build(hparams["net"], "models", n_outputs=1 if n_classes == 2 else n_classes)
    return net.to(memory_format=torch.channels_last_3d) if hparams["channels_last"] else net


def load_classifier(path: str | Path) -> Classifier | None:
    """The classifier of a checkpoint, in evaluation mode on the CPU; None if it is of another task.

    Raises:
        CheckpointError: see `load_task`.
    """
    checkpoint = load_checkpoint(path)
    if checkpoint["covidlit"]["task"] not in TASKS:
        return None
    with described(path), EmptyWeights():
        classifier = Classifier(checkpoint["hyper_parameters"])
    check_weights(classifier.state_dict(), checkpoint["state_dict"], path)
    classifier.load_state_dict(checkpoint["state_dict"])
    classifier.record = checkpoint["covidlit"]["record"]
    return classifier.eval()
