"""The paper's augmentation with TorchIO: the only file that imports torchio.

Scaling by 0.9 to 1.1, horizontal and vertical flips, rotation by -15 to 15 degrees (3D CSAC-Net,
methods), at network size. The parameters are drawn once from a seed, and applied alike to whatever
belongs to one image: the image itself, its masks, boxes, landmarks and its affine. TorchIO draws
the parameters, and resamples what is turned out of the axial plane: covidlit hands it the volume
without the copies that a `Subject` makes, which would cost as much again as the resampling.
What stays in the axial plane is resampled by `covidlit.transforms.axial`, in a fifth of the time.

Coordinates are indices (z, y, x) of a volume, or (y, x) of a slice, and whole at voxel centres: a
point at (2, 0, 0) is the centre of voxel [2, 0, 0]. Boxes are half-open: that of voxel [2, 0, 0]
alone reaches from (2, 0, 0) to (3, 1, 1). A slice, or a volume of one slice, is scaled and rotated
in its plane alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
import torchio as tio
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from covidlit.arguments import is_number
from covidlit.errors import ConfigError
from covidlit.scans.scan import AIR_HU, to_ras_xyz
from covidlit.transforms.axial import resample_axial

FLIP_AXES = {"LR": -1, "AP": -2, "IS": -3}
"""Anatomical axes that can be flipped, and their dimension in (..., z, y, x)."""

_EXACT = 2**24
"""float32, which resampling is done in, holds every whole number up to here."""


def _is_pair(value: object) -> bool:
    """Whether a value is a sequence of two numbers."""
    return isinstance(value, Sequence) and len(value) == 2 and all(map(is_number, value))


@dataclass(frozen=True)
class AugmentationParameters:
    """What was drawn for one volume or slice.

    Args:
        scale: above 1 the body looks larger.
        degrees: rotation about the left-right, the posterior-anterior and the foot-head axis.
        flips: names of the axes to flip.
    """

    scale: float
    degrees: tuple[float, float, float]
    flips: tuple[str, ...]


class Augmentation:
    """Flip, scale and rotate about the centre at random, the same for the same seed.

    Args:
        spacing: voxel spacing in mm, (z, y, x); for slices (y, x) is enough.
        scales: range of the isotropic scale.
        degrees: range of the rotation: (-degrees, degrees), or two numbers.
        in_plane: rotate about the foot-head axis alone; False: about all three.
        flip_axes: axes that are flipped with probability 1/2 each: LR, AP, IS.
        pad: value of what comes into an image from outside.

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
        if not _is_pair(scales) or not 0 < scales[0] <= scales[1] < np.inf:
            raise ConfigError(
                f"scales must be two positive numbers, the lower first, got {scales!r}.",
                where="augmentation.scales",
                fix="use for example [0.9, 1.1].",
            )
        turn: Any = (-degrees, degrees) if is_number(degrees) else degrees  # type: ignore[operator]
        if not _is_pair(turn) or not -180 <= turn[0] <= turn[1] <= 180:
            raise ConfigError(
                f"degrees must be a range within -180..180, got {degrees!r}.",
                where="augmentation.degrees",
                fix="use for example 15.",
            )
        if not isinstance(in_plane, bool):
            raise ConfigError(
                f"in_plane must be true or false, got {in_plane!r}.", where="augmentation.in_plane"
            )
        if isinstance(flip_axes, str) or not isinstance(flip_axes, Sequence):
            raise ConfigError(
                f"flip_axes must be a list, got {flip_axes!r}.",
                where="augmentation.flip_axes",
                fix="use for example [LR].",
            )
        unknown = [axis for axis in flip_axes if axis not in tuple(FLIP_AXES)]
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
        self._spacing = np.array((1.0, *spacing) if len(spacing) == 2 else spacing, np.float64)
        index_to_lps = np.eye(4)[[2, 1, 0, 3]] * [*self._spacing, 1.0]
        self._ras_affine = to_ras_xyz(index_to_lps)

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

    def apply_to_image(
        self, image: torch.Tensor, parameters: AugmentationParameters
    ) -> torch.Tensor:
        """Flip, then scale and rotate with linear interpolation.

        Args:
            image: (channels, z, y, x) or (channels, y, x), int16 or float32, axes as in Scan.
            parameters: from `draw`.

        Returns:
            float32 of the same shape, contiguous; `pad` where it comes from outside.
        """
        return self._resample(image, parameters, "linear", self.pad).to(torch.float32).contiguous()

    def apply_to_labels(
        self, labels: torch.Tensor, parameters: AugmentationParameters
    ) -> torch.Tensor:
        """Flip, scale and rotate with nearest-neighbour interpolation.

        Args:
            labels: (channels, z, y, x) or (channels, y, x), of any type: label maps, or one mask
                per channel.
            parameters: from `draw`.

        Returns:
            The same type and shape, contiguous; 0 where it comes from outside.

        Raises:
            ConfigError: a label above 2**24, which resampling would round.
        """
        if labels.dtype in (torch.int32, torch.int64) and labels.numel():
            largest = int(labels.max())
            if largest > _EXACT:
                raise ConfigError(
                    f"label {largest} is above {_EXACT} and would be rounded.",
                    where="labels",
                    fix="number the labels from 1.",
                )
        return self._resample(labels, parameters, "nearest", 0.0).to(labels.dtype).contiguous()

    def apply_to_points(
        self,
        points: NDArray[np.floating],
        parameters: AugmentationParameters,
        shape: Sequence[int],
    ) -> NDArray[np.float64]:
        """Where points of the image lie after the augmentation, also if that is outside.

        Args:
            points: (..., 3) indices (z, y, x), or (..., 2) indices (y, x).
            parameters: from `draw`.
            shape: of the image, (z, y, x) or (y, x).
        """
        matrix = self._index_matrix(parameters, shape)
        n = len(shape)
        return np.asarray(points) @ matrix[3 - n : 3, 3 - n : 3].T + matrix[3 - n : 3, 3]

    def apply_to_boxes(
        self,
        boxes: NDArray[np.floating],
        parameters: AugmentationParameters,
        shape: Sequence[int],
    ) -> NDArray[np.float64]:
        """The axis-aligned boxes of the transformed corners; not clipped to the image.

        After a rotation such a box is larger than that of the rotated object need be.

        Args:
            boxes: (n, 6): lower (z, y, x), then upper (z, y, x), half-open; (n, 4) for slices.
            parameters: from `draw`.
            shape: of the image, (z, y, x) or (y, x).
        """
        lower, upper = np.split(np.asarray(boxes, dtype=np.float64), 2, axis=-1)
        at_upper = np.array(list(product((False, True), repeat=len(shape))))
        # Half a voxel lies between the edges, which boxes count, and the centres, which points do.
        corners = np.where(at_upper, upper[:, None], lower[:, None]) - 0.5
        moved = self.apply_to_points(corners, parameters, shape) + 0.5
        return np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=-1)

    def apply_to_affine(
        self,
        affine: NDArray[np.floating],
        parameters: AugmentationParameters,
        shape: Sequence[int],
    ) -> NDArray[np.float64]:
        """The affine of the augmented image: its indices to where their content lies in the source.

        Args:
            affine: (4, 4), index (z, y, x, 1) of the image to anything, such as LPS millimetres.
            parameters: from `draw`.
            shape: of the image, (z, y, x) or (y, x).
        """
        return np.asarray(affine) @ np.linalg.inv(self._index_matrix(parameters, shape))

    def _index_matrix(
        self, parameters: AugmentationParameters, shape: Sequence[int]
    ) -> NDArray[np.float64]:
        """(4, 4), index (z, y, x, 1) before the augmentation to that after it."""
        volume = (1, *shape)[-3:]
        in_plane = volume[0] == 1  # as TorchIO does
        x, y, z = parameters.degrees
        # ITK's order of the axes; TorchIO's angles are of RAS, these of LPS.
        angles = (z, 0.0, 0.0) if in_plane else (z, -x, -y)
        turn = Rotation.from_euler("ZXY", angles, degrees=True).as_matrix()[::-1, ::-1]
        scale = np.full((3, 1), parameters.scale)
        scale[0] = 1.0 if in_plane else parameters.scale
        flip = np.ones(3)
        flip[[FLIP_AXES[axis] for axis in parameters.flips]] = -1.0
        matrix = np.eye(4)
        matrix[:3, :3] = scale * turn * (self._spacing / self._spacing[:, None]) * flip
        centre = (np.array(volume) - 1) / 2
        matrix[:3, 3] = centre - matrix[:3, :3] @ centre
        return matrix

    def _resample(
        self,
        image: torch.Tensor,
        parameters: AugmentationParameters,
        interpolation: str,
        pad: float,
    ) -> torch.Tensor:
        """Flip, then scale and rotate; float32 if there is anything to scale or rotate."""
        flips = [FLIP_AXES[axis] for axis in parameters.flips if -FLIP_AXES[axis] < image.ndim]
        if (parameters.scale == 1.0 and not any(parameters.degrees)) or not image.numel():
            return image.flip(flips)
        # (channels, z, y, x), also of slices.
        volume = image.reshape(len(image), *(1, *image.shape[1:])[-3:])
        if volume.shape[1] == 1 or not any(parameters.degrees[:2]):
            back = np.linalg.inv(self._index_matrix(parameters, volume.shape[1:]))
            moved = resample_axial(volume, back, pad=pad, nearest=interpolation == "nearest")
        else:
            moved = self._tilt(volume.flip(flips), parameters, interpolation, pad)
        return moved.reshape(image.shape)

    def _tilt(
        self,
        volume: torch.Tensor,
        parameters: AugmentationParameters,
        interpolation: str,
        pad: float,
    ) -> torch.Tensor:
        """Scale and rotate (channels, z, y, x) along three axes at once, as TorchIO does."""
        affine = tio.Affine(
            scales=(parameters.scale,) * 3,
            degrees=parameters.degrees,
            translation=(0.0, 0.0, 0.0),
        )
        # TorchIO's order is (channel, x, y, z): a view, and so is the way back.
        moved = []
        for channel in volume:
            ras = tio.ScalarImage(tensor=channel.permute(2, 1, 0)[None], affine=self._ras_affine)
            transform = affine.get_affine_transform(ras)
            one = affine.apply_affine_transform(
                ras.as_sitk(force_3d=True), transform, interpolation, pad
            )
            moved.append(one.permute(2, 1, 0)[None])
        # torch.cat would copy a single volume.
        return moved[0] if len(moved) == 1 else torch.cat(moved)
