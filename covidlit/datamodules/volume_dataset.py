"""Prepared volumes as training examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from covidlit.datamodules.sampling import Draw, derive_seed
from covidlit.preprocess.cache import VolumeCache, open_array

if TYPE_CHECKING:
    from covidlit.transforms import Augmentation


def apply_window(hu: torch.Tensor, window: tuple[float, float]) -> torch.Tensor:
    """Map the HU window to [0, 1], clipped: a float32 tensor of the same shape.

    Args:
        hu: HU, any shape; a float32 tensor is changed in place.
        window: lowest and highest HU.
    """
    low, high = window
    image = hu.to(torch.float32)
    return image.sub_(low).mul_(1.0 / (high - low)).clamp_(0.0, 1.0)


class VolumeDataset(Dataset[dict[str, object]]):
    """One example per scan, read from the cache when asked for.

    Holds three flat arrays and no open file, so that its memory does not depend on the volumes and
    worker processes share it. The augmentation is applied to HU and the window after it: the
    interpolation then mixes densities as a scanner's partial volume does, and works on int16.

    Args:
        cache_dir: the cache folder.
        size: shape of every volume, (z, y, x).
        scan_ids: of the scans, in order.
        keys: their cache keys.
        targets: their classes.
        window: lowest and highest HU, mapped to 0 and 1.
        augment: draws from a seed how each volume is moved; None: not at all.
        seed: of the run.
    """

    def __init__(
        self,
        cache_dir: str | Path,
        size: tuple[int, int, int],
        scan_ids: Sequence[str],
        keys: Sequence[str],
        targets: Sequence[int] | NDArray[np.integer],
        *,
        window: tuple[float, float],
        augment: Augmentation | None = None,
        seed: int = 0,
    ) -> None:
        self.cache = VolumeCache(cache_dir)
        self.size = size
        # Arrays, not lists: reading a list's objects copies their pages into every worker.
        self.scan_ids = np.asarray(scan_ids, dtype=np.str_)
        self.keys = np.asarray(keys, dtype=np.bytes_)
        self.targets = np.asarray(targets, dtype=np.int64)
        self.window = window
        self.augment = augment
        self.seed = seed

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, draw: Draw | int) -> dict[str, object]:
        """The example of a draw, or of an index in epoch 0.

        Returns:
            image: float32 (1, z, y, x) in [0, 1]; affine: float32 (4, 4), index (z, y, x, 1) of the
            image, as augmented, to LPS millimetres (x, y, z, 1) of the source scan; target: int;
            scan_id: str; counts: bool, see `covidlit.datamodules.sampling.Draw`.

        Raises:
            CacheError: the volume or its sidecar is missing or damaged.
        """
        index, epoch, repeat, counts = draw if isinstance(draw, tuple) else Draw(draw)
        scan_id = str(self.scan_ids[index])
        key = self.keys[index].decode()
        array = open_array(self.cache.array_path(key), self.size)
        # Read for every item: 30 microseconds, beside milliseconds for the volume.
        affine = np.array(self.cache.sidecar(key).target_affine)
        if self.augment is None:
            # astype copies, because the map is read-only.
            image = torch.from_numpy(array.astype(np.float32))[None]
        else:
            seed = derive_seed("augmentation", self.seed, epoch, scan_id, repeat)
            parameters = self.augment.draw(seed)
            hu = torch.from_numpy(np.array(array))[None]
            image = self.augment.apply_to_image(hu, parameters)
            affine = self.augment.apply_to_affine(affine, parameters, self.size)
        return {
            "image": apply_window(image, self.window),
            # Apple's GPUs have no float64; float32 is exact to a thousandth of a millimetre.
            "affine": torch.from_numpy(affine.astype(np.float32)),
            "target": int(self.targets[index]),
            "scan_id": scan_id,
            "counts": counts,
        }
