"""Rows of numbers as training examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from covidlit.datamodules.sampling import Draw


class TableDataset(Dataset[dict[str, object]]):
    """One example per row, all of them in memory.

    Args:
        names: of the rows, such as scan_ids.
        numbers: (n, features), NaN where one is undefined.
        targets: (n,) classes.
        key: what a row's name is called in an example, such as `scan_id`.
    """

    def __init__(
        self,
        names: Sequence[str],
        numbers: NDArray[np.floating],
        targets: NDArray[np.integer],
        key: str = "scan_id",
    ) -> None:
        self.names = np.asarray(names, dtype=np.str_)
        self.numbers = torch.from_numpy(np.asarray(numbers, dtype=np.float32))
        self.targets = np.asarray(targets, dtype=np.int64)
        self.key = key

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, draw: Draw | int) -> dict[str, object]:
        """The example of a draw, or of an index.

        Returns:
            numbers: float32 (features,); target: int; the row's name; counts: bool, see
            `covidlit.datamodules.sampling.Draw`.
        """
        index, _, _, counts = draw if isinstance(draw, tuple) else Draw(draw)
        return {
            "numbers": self.numbers[index],
            "target": int(self.targets[index]),
            self.key: str(self.names[index]),
            "counts": counts,
        }
