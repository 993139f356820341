"""The paper's augmentation with TorchIO: the only file that imports torchio.

Scaling by 0.9 to 1.1, horizontal and vertical flips, rotation by -15 to 15 degrees (3D CSAC-Net,
methods), at network size. TorchIO draws the parameters and resamples; covidlit hands it the volume
without the copies that a `Subject` makes, which would cost as much again as the resampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torchio as tio

from covidlit.errors import ConfigError
from covidlit.scans.scan import AIR_HU, to_ras_xyz

FLIP_AXES = {"LR": 3, "AP": 2, "IS": 1}
"""Anatomical axes that can be flipped, and their dimension in (channel, z, y, x)."""


@dataclass(frozen=True)
class AugmentationParameters:
    """What was drawn for one volume.

    Args:
        scale: above 1 the body looks larger.
        degrees: rotation about the left-right, the posterior-anterior and the foot-head axis.
        flips: names of the axes to flip.
    """

    scale: float
    degrees: tuple[float, float, float]
    flips: tuple[str, ...]


class Augmentation:
    """Flip, scale and rotate a volume at random, the same for the same seed.

    Args:
        spacing: voxel spacing in mm, (z, y, x).
        scales: range of the isotropic scale.
        degrees: range of the rotation: (-degrees, degrees), or two numbers.
        in_plane: rotate about the foot-head axis alone; False: about all three.
        flip_axes: axes that are flipped with probability 1/2 each: LR, AP, IS.
        pad: value of what comes in from outside the volume.

    Raises:
        ConfigError: a range or axis that does not make sense.
    """

    def __init__(
        self,
        spacing: Sequence[float] = (5.0, 1.5, 1.5),
        scales: tuple[float, float] = (0.9, 1.1),
        degrees: float | tuple[float, float] = 15.0,
        in_plane: bool = True,
        flip_axes: Sequence[str] = ("LR", "AP"),
        pad: float = AIR_HU,
    ) -> None:
        turn = (-degrees, degrees) if isinstance(degrees, (int, float)) else tuple(degrees)
        if len(scales) != 2 or not 0 < scales[0] <= scales[1]:
            raise ConfigError(
                f"scales must be two positive numbers, the lower first, got {tuple(scales)}.",
                where="augmentation.scales",
                fix="use for example [0.9, 1.1].",
            )
        if len(turn) != 2 or not -180 <= turn[0] <= turn[1] <= 180:
            raise ConfigError(
                f"degrees must be a range within -180..180, got {degrees}.",
                where="augmentation.degrees",
                fix="use for example 15.",
            )
        unknown = [axis for axis in flip_axes if axis not in FLIP_AXES]
        if unknown:
            raise ConfigError(
                f"there is no flip axis {unknown[0]!r}.",
                where="augmentation.flip_axes",
                fix=f"use of {list(FLIP_AXES)}.",
            )
        self.pad = float(pad)
        self.flip_axes = tuple(flip_axes)
        still = (0.0, 0.0)
        self._random = tio.RandomAffine(
            scales=(float(scales[0]), float(scales[1])),
            degrees=(*(still if in_plane else turn), *(still if in_plane else turn), *turn),
            isotropic=True,
        )
        self._affine = to_ras_xyz(_affine_of(spacing))

    def draw(self, seed: int) -> AugmentationParameters:
        """The parameters of a seed (0 to 2**63 - 1); leaves PyTorch's generators as they were."""
        # TorchIO draws from PyTorch's global CPU generator. torch.manual_seed would reseed the
        # GPUs' as well, which fork_rng(devices=[]) would not restore.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            scales, degrees, _ = self._random.get_params(
                self._random.scales, self._random.degrees, self._random.translation, True
            )
            hot = tio.RandomFlip.get_params(0.5)
        x, y, z = (float(d) for d in degrees)
        flips = tuple(
            axis for axis, on in zip(FLIP_AXES, hot, strict=True) if on and axis in self.flip_axes
        )
        return AugmentationParameters(float(scales[0]), (x, y, z), flips)

    def apply(self, image: torch.Tensor, parameters: AugmentationParameters) -> torch.Tensor:
        """Flip, then scale and rotate about the centre with linear interpolation.

        Args:
            image: (1, z, y, x), int16 or float32, axes as in Scan.
            parameters: from `draw`.

        Returns:
            float32 (1, z, y, x), contiguous; `pad` where it comes from outside.
        """
        if parameters.flips:
            image = image.flip([FLIP_AXES[axis] for axis in parameters.flips])
        if parameters.scale == 1.0 and not any(parameters.degrees):
            return image.to(torch.float32).contiguous()
        affine = tio.Affine(
            scales=(parameters.scale,) * 3,
            degrees=parameters.degrees,
            translation=(0.0, 0.0, 0.0),
        )
        # TorchIO's order is (channel, x, y, z): a view, and so is the way back.
        ras = tio.ScalarImage(tensor=image.permute(0, 3, 2, 1), affine=self._affine)
        transform = affine.get_affine_transform(ras)
        moved = affine.apply_affine_transform(ras.as_sitk(), transform, "linear", self.pad)
        return moved.permute(2, 1, 0)[None].contiguous()

    def __call__(self, image: torch.Tensor, seed: int) -> torch.Tensor:
        """Augment one volume; see `apply`."""
        return self.apply(image, self.draw(seed))


def _affine_of(spacing: Sequence[float]) -> np.ndarray:
    affine = np.zeros((4, 4))
    for axis, (world, step) in enumerate(zip((2, 1, 0), spacing, strict=True)):
        affine[world, axis] = step
    affine[3, 3] = 1.0
    return affine
