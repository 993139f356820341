"""Where the voxels of a feature map lie in a network's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

Axes = tuple[float, float, float]


@dataclass(frozen=True)
class VoxelGrid:
    """Where the voxels of a feature map lie in the network's input, along each axis (z, y, x).

    Voxel i of an axis is centred on `first + step * i`, in index units of the input. This is the
    centre of what it sees (its receptive field), so a map can be laid over the input without the
    shift of half a coarse voxel that resizing from corner to corner makes.

    Args:
        step: input voxels from one voxel of the map to the next.
        first: input index of the map's first voxel.
    """

    step: Axes = (1.0, 1.0, 1.0)
    first: Axes = (0.0, 0.0, 0.0)

    def after(self, layer: nn.Module) -> VoxelGrid:
        """The grid after a convolution or a pooling layer, from its kernel, stride and padding."""
        kernel, stride, padding = (
            _axes(getattr(layer, name)) for name in ("kernel_size", "stride", "padding")
        )
        dilation = _axes(getattr(layer, "dilation", 1))
        centre = [(k - 1) * d / 2 - p for k, d, p in zip(kernel, dilation, padding, strict=True)]
        first = [f + s * c for f, s, c in zip(self.first, self.step, centre, strict=True)]
        step = [s * t for s, t in zip(self.step, stride, strict=True)]
        return VoxelGrid((step[0], step[1], step[2]), (first[0], first[1], first[2]))


def _axes(value: object) -> Axes:
    if isinstance(value, int | float):
        return (float(value),) * 3
    assert isinstance(value, tuple | list)
    z, y, x = value
    return float(z), float(y), float(x)
