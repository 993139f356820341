"""Networks: plain modules from a volume (B, channels, z, y, x) to logits, slices to lesions, or
numbers to logits.

`MaskRCNN` is imported at its first use: torchvision and timm take seconds, and volumes do without.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from covidlit.models.csacnet import CSACNet3D
from covidlit.models.fusion_ann.network import FusionANN
from covidlit.models.resnet3d import ResNet3D

if TYPE_CHECKING:
    from covidlit.models.maskrcnn.network import MaskRCNN

__all__ = ["CSACNet3D", "FusionANN", "MaskRCNN", "ResNet3D"]


def __getattr__(name: str) -> Any:
    if name != "MaskRCNN":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("covidlit.models.maskrcnn.network").MaskRCNN
