"""What a network declares about itself so that its layers can be shown as heatmaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import nn

from covidlit.models.voxel_grid import VoxelGrid


@dataclass(frozen=True)
class ExplainableLayer:
    """A layer whose output can be shown: non-negative features (B, channels, z, y, x).

    Args:
        module: part of the network; its output is taken.
        grid: where the voxels of that output lie in the network's input.
    """

    module: nn.Module
    grid: VoxelGrid


@runtime_checkable
class Explainable(Protocol):
    """A network that says which of its layers heatmaps can be made from."""

    def explainable_layers(self) -> Mapping[str, ExplainableLayer]:
        """The layers by name, the ones to prefer first."""
