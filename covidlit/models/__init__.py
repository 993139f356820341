"""Networks: plain modules from a volume (B, channels, z, y, x) to logits (B, outputs)."""

from covidlit.models.csacnet import CSACNet3D
from covidlit.models.resnet3d import ResNet3D

__all__ = ["CSACNet3D", "ResNet3D"]
