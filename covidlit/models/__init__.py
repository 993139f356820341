"""Networks: plain modules from a volume (B, channels, z, y, x) to logits, slices to lesions, or
numbers to logits.

They are imported at their first use: torch, torchvision and timm take seconds, and a prepared table
of numbers does without.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from covidlit.models.csacnet import CSACNet3D
    from covidlit.models.densenet3d import DenseNet3D
    from covidlit.models.fusion_ann.network import FusionANN
    from covidlit.models.maskrcnn.network import MaskRCNN
    from covidlit.models.resnet3d import ResNet3D
    from covidlit.models.tabm import TabM

__all__ = ["CSACNet3D", "DenseNet3D", "FusionANN", "MaskRCNN", "ResNet3D", "TabM"]

_MODULES = {
    "CSACNet3D": "csacnet",
    "DenseNet3D": "densenet3d",
    "FusionANN": "fusion_ann.network",
    "MaskRCNN": "maskrcnn.network",
    "ResNet3D": "resnet3d",
    "TabM": "tabm",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
