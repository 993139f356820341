"""Prepared volumes as training examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from covidlit.datamodules.sampling import Draw, derive_seed
from covidlit.preprocess.cache import VolumeCache, open_array

Augment = Callable[[torch.Tensor, int], torch.Tensor]


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
        augment: called with an int16 tensor (1, z, y, x) of HU and a seed.
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
        augment: Augment | None = None,
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
            image: float32 (1, z, y, x) in [0, 1]; target: int; scan_id: str; counts: bool, see
            `covidlit.datamodules.sampling.Draw`.

        Raises:
            CacheError: the volume is missing or damaged.
        """
        index, epoch, repeat, counts = draw if isinstance(draw, tuple) else Draw(draw)
        scan_id = str(self.scan_ids[index])
        path = self.cache.array_path(self.keys[index].decode())
        array = open_array(path, self.size)
        if self.augment is None:
            # astype copies, because the map is read-only.
            image = torch.from_numpy(array.astype(np.float32))[None]
        else:
            image = self.augment(
                torch.from_numpy(np.array(array))[None],
                derive_seed("augmentation", self.seed, epoch, scan_id, repeat),
            )
        return {
            "image": apply_window(image, self.window),
            "target": int(self.targets[index]),
            "scan_id": scan_id,
            "counts": counts,
        }
