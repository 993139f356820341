"""Regions of a feature pyramid, cut out where their boxes lie."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

STRIDES = (4, 8, 16, 32)
"""Of the levels that regions are cut out of, in pixels."""


class AlignedRoIAlign(nn.Module):
    """Features of regions, from the level that fits their size.

    As torchvision's `MultiScaleRoIAlign`, but with aligned=True: without it, regions lie half a
    cell off, which is two pixels at the finest level, whatever the size of the lesion.

    Args:
        size: rows and columns of a region's features.
        sampling: samples along either side of a cell.
        canonical: regions of that size in pixels are cut out of the level of stride 16.

    Source: Lin et al., Feature Pyramid Networks, CVPR 2017, eq. 1.
    """

    def __init__(self, size: int, sampling: int = 2, canonical: float = 224.0) -> None:
        super().__init__()
        self.output_size = (size, size)
        self.sampling, self.canonical = sampling, canonical

    def forward(
        self,
        features: dict[str, Tensor],
        boxes: Sequence[Tensor],
        image_sizes: Sequence[tuple[int, int]],
    ) -> Tensor:
        """(regions, channels, size, size) of the boxes of every slice, in order."""
        levels = [features[str(level)] for level in range(len(STRIDES))]
        rois = torch.cat(
            [
                torch.cat([own.new_full((len(own), 1), float(index)), own], dim=1)
                for index, own in enumerate(boxes)
            ]
        ).float()  # in bfloat16 a coordinate of 300 pixels is off by up to one
        size = ((rois[:, 3] - rois[:, 1]) * (rois[:, 4] - rois[:, 2])).clamp(min=0).sqrt()
        level = torch.floor(4 + torch.log2(size / self.canonical + 1e-6))
        level = (level - int(math.log2(STRIDES[0]))).clamp(0, len(STRIDES) - 1)
        cut = levels[0].new_zeros((len(rois), levels[0].shape[1], *self.output_size))
        for index, (feature, stride) in enumerate(zip(levels, STRIDES, strict=True)):
            own = torch.where(level == index)[0]
            found = roi_align(
                feature.float(), rois[own], self.output_size, 1 / stride, self.sampling,
                aligned=True,
            )  # fmt: skip
            cut[own] = found.to(cut.dtype)
        return cut
