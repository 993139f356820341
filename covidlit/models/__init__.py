"""Networks: plain modules from a volume (B, channels, z, y, x) to logits, slices to lesions, or
numbers to logits.

They are imported at their first use: torch, torchvision and timm take seconds, and a prepared table
of numbers does without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from covidlit.models.csacnet import CSACNet3D
    from covidlit.models.densenet3d import DenseNet3D
    from covidlit.models.fusion_ann.network import FusionANN
    from covidlit.models.maskrcnn.network import MaskRCNN
    from covidlit.models.resnet3d import ResNet3D
    from covidlit.models.tabm import TabM

__all__ = ["CSACNet3D", "DenseNet3D", "FusionANN", "MaskRCNN", "ResNet3D", "TabM"]

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "csacnet": ["CSACNet3D"],
        "densenet3d": ["DenseNet3D"],
        "fusion_ann.network": ["FusionANN"],
        "maskrcnn.network": ["MaskRCNN"],
        "resnet3d": ["ResNet3D"],
        "tabm": ["TabM"],
    },
)
