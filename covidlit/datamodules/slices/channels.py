"""The three channels that a network sees of a slice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from covidlit.errors import ConfigError
from covidlit.scans.scan import Scan

CHANNELS = ("windows", "neighbours")
"""Three CT windows of the slice, or the slice and its neighbours in one window."""

WINDOWS = ((-1000.0, 400.0), (-1000.0, -300.0), (-160.0, 240.0))
"""Lowest and highest HU: all of the chest, aerated lung and ground glass, soft tissue and fluid."""

GREY_MAX = 255.0


def planes_of(index: int, n_slices: int, channels: str) -> list[int]:
    """The slices that a network's input needs: itself, or the one below, itself, the one above.

    At the ends of a scan the last slice stands for the one that is not there.
    """
    if channels == "windows":
        return [index]
    return [int(np.clip(index + step, 0, n_slices - 1)) for step in (-1, 0, 1)]


def channels_of(
    planes: torch.Tensor, channels: str, windows: Sequence[Sequence[float]], *, grey: bool = False
) -> torch.Tensor:
    """The input of a network: float32 (3, rows, columns) within [0, 1].

    Args:
        planes: (1 or 3, rows, columns) of `planes_of`, in HU; grey values 0 to 255 of pictures.
        channels: "windows" or "neighbours".
        windows: lowest and highest HU: of each channel, or one of all.
        grey: the planes are pictures without HU, which are repeated.
    """
    image = planes.to(torch.float32)
    if grey:
        found = (image[len(image) // 2] / GREY_MAX).expand(3, -1, -1)
    elif channels == "neighbours":
        low, high = windows[0]
        found = (image - low) / (high - low)
    else:
        found = torch.stack([(image[0] - low) / (high - low) for low, high in windows])
    return found.clamp(0.0, 1.0).contiguous()


def resize_image(planes: torch.Tensor, size: Sequence[int] | None) -> torch.Tensor:
    """Planes (n, rows, columns) at another size, float32; None: as they are."""
    if size is None or tuple(planes.shape[1:]) == tuple(size):
        return planes
    return torch.nn.functional.interpolate(
        planes[None].to(torch.float32), tuple(size), mode="bilinear", antialias=True
    )[0]


def resize_labels(layers: torch.Tensor, size: Sequence[int] | None) -> torch.Tensor:
    """Label maps (n, rows, columns) at another size, by the nearest pixel."""
    if size is None or tuple(layers.shape[1:]) == tuple(size) or not len(layers):
        rows, columns = size or layers.shape[1:]
        return layers if len(layers) else layers.new_zeros((0, rows, columns))
    scaled = torch.nn.functional.interpolate(
        layers[None].to(torch.float32), tuple(size), mode="nearest-exact"
    )
    return scaled[0].to(layers.dtype)


def resized_affine(
    affine: NDArray[np.float64], shape: Sequence[int], size: Sequence[int] | None
) -> NDArray[np.float64]:
    """The affine of a slice at another size: the edges of the image stay where they are."""
    if size is None:
        return affine
    step = np.diag([1.0, shape[0] / size[0], shape[1] / size[1], 1.0])
    step[1:3, 3] = [(step[k, k] - 1) / 2 for k in (1, 2)]
    return np.asarray(affine @ step, dtype=np.float64)


def slice_images(
    scan: Scan, record: Mapping[str, Any], indices: Iterable[int] | None = None
) -> Iterator[torch.Tensor]:
    """The slices of a scan as a network sees them.

    Args:
        scan: canonical.
        record: `SliceDataModule.input_record()`, as a checkpoint keeps it.
        indices: which slices, counted from the feet; None: all, from the feet on.

    Yields:
        float32 (3, rows, columns) within [0, 1].

    Raises:
        ConfigError: see `check_takes_scans`.
    """
    check_takes_scans(record)
    count = len(scan.hu)
    for index in range(count) if indices is None else indices:
        planes = np.ascontiguousarray(scan.hu[planes_of(index, count, record["channels"])])
        image = resize_image(torch.from_numpy(planes), record["size"])
        yield channels_of(image, record["channels"], record["windows"])


def check_takes_scans(record: Mapping[str, Any]) -> None:
    """Refuse the input of a network that has learnt from something else than slices in HU.

    Args:
        record: `SliceDataModule.input_record()`, as a checkpoint keeps it.

    Raises:
        ConfigError: it has.
    """
    if record.get("kind") != "slices" or record.get("intensity") != "hu":
        raise ConfigError(
            f"the network takes {record.get('kind')} of {record.get('intensity', 'another')} "
            "intensity, and a scan has slices in HU.",
            where="the checkpoint",
            fix="train on slices of scans (data=slices): pictures do not tell their HU.",
        )
