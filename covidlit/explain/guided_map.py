"""The default heatmap from its two parts: which region raises the score, and where in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from covidlit.explain.heatmap import Heatmap
from covidlit.models.voxel_grid import Axes, VoxelGrid

LUNG_HU = -850.0
"""Healthy aerated lung: what the image is compared with."""

SMOOTH_MM = 6.0
"""Standard deviation of the Gaussian over the gradient, which strided layers leave spiky."""


def guided_map(
    region: NDArray[np.float32], effect: NDArray[np.float32], grid: VoxelGrid, spacing: Axes
) -> NDArray[np.float32]:
    """The geometric mean of the region's heat and of the smoothed effect of the image's voxels.

    The effect is smoothed with its sign and then rectified, so that what cancels out leaves no
    heat.

    Args:
        region: (z', y', x'), LayerCAM of a layer, at least 0.
        effect: (z, y, x) of the image, what each voxel adds to the logit, of either sign.
        grid: where the region's voxels lie in the image.
        spacing: of the image's voxels in mm, (z, y, x).

    Returns:
        (z, y, x) of the image, at least 0.
    """
    z, y, x = effect.shape
    on_image = Heatmap(region, grid, (z, y, x), np.eye(4)[[2, 1, 0, 3]], "", "").on_input()
    sigma = [SMOOTH_MM / mm for mm in spacing]
    smooth = np.maximum(gaussian_filter(effect, sigma, mode="constant"), 0)
    return np.sqrt(on_image * smooth)
