"""The parts of Mask R-CNN that compute most, so that an exported graph can stand in for them.

What lies between them (anchors, proposals, regions, suppression, pasting) depends on what was found
and stays the code of this package, whoever computes the parts.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor

from covidlit.models.maskrcnn.heads import RegionHeads


class Dense(NamedTuple):
    """What is computed for all of a batch of slices, whatever is in them.

    Args:
        levels: (B, channels, rows, columns) of the pyramid by level, at least "0" to "3".
        objectness: (B, anchors, rows, columns) logits of each level, from the finest.
        deltas: (B, 4 * anchors, rows, columns) of the same.
        classes: (B, rows, columns) uint8, the class of each pixel.
    """

    levels: dict[str, Tensor]
    objectness: list[Tensor]
    deltas: list[Tensor]
    classes: Tensor


class Stages(Protocol):
    """What computes the parts: the network itself, or an exported one."""

    @property
    def heads(self) -> RegionHeads:
        """Of the regions."""

    def dense(self, tensors: Tensor) -> Dense:
        """Of standardised slices (B, channels, rows, columns), sides multiples of 32."""
