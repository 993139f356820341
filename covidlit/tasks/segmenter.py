"""What a segmentation of slices predicts with, in training and after it.

It stands apart from the LightningModule because `covidlit quantify` needs no more, and importing
Lightning takes seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from covidlit.models.maskrcnn.network import MaskRCNN
from covidlit.scans.lesion_labels import LESION_CLASSES
from covidlit.settings.targets import build

CLASSES = tuple(LESION_CLASSES[value] for value in sorted(LESION_CLASSES) if value)
LUNG = "lung"


class SegmenterMixin:
    """The network of a segmentation and its classes; for an `nn.Module` with `hparams`."""

    hparams: Any
    net: MaskRCNN

    @property
    def classes(self) -> list[str]:
        """Names of the labels from 1."""
        return list(self.hparams["classes"] or CLASSES)

    @property
    def lung(self) -> int:
        """The label of the lung; 0: there is none."""
        return self.classes.index(LUNG) + 1 if LUNG in self.classes else 0

    def build_net(self) -> MaskRCNN:
        """The network that the hyper-parameters describe."""
        net: MaskRCNN = build(self.hparams["net"], "models", n_classes=len(self.classes) + 1)
        return net


class Segmenter(SegmenterMixin, nn.Module):
    """A `LesionSegmentation` without its training: the same weights under the same names.

    Args:
        hparams: of the task: `net` and `classes`.

    Raises:
        ConfigError: they do not describe a network.
    """

    def __init__(self, hparams: Mapping[str, Any]) -> None:
        super().__init__()
        self.hparams = dict(hparams)
        self.record: dict[str, Any] = {}
        self.net = self.build_net()
