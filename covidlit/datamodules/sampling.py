"""The order in which scans are seen: a function of (seed, epoch) alone.

Nothing is carried over from epoch to epoch, so a resumed run goes on as the killed one would have.
The sampler hands the epoch to the dataset together with the index, because a dataset inside a
persistent worker process cannot be told otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler

from covidlit.datamodules.balance import balanced_order
from covidlit.errors import ConfigError


class Draw(NamedTuple):
    """One scan to be loaded: its index, and what its augmentation is seeded by.

    Args:
        row: of the dataset.
        epoch: from 0.
        repeat: how often this scan was drawn before in this epoch (balanced sampling).
        counts: False for a draw that only fills up the share of a process; it is in no loss and in
            no metric.
    """

    row: int
    epoch: int = 0
    repeat: int = 0
    counts: bool = True


def derive_seed(*parts: object) -> int:
    """A 63-bit seed from any values, well mixed and the same in every process."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def draw_order(
    size: int,
    *,
    seed: int,
    epoch: int,
    shuffle: bool = True,
    weights: NDArray[np.float64] | None = None,
    classes: NDArray[np.integer] | None = None,
) -> list[Draw]:
    """The draws of one epoch over `size` scans.

    Args:
        size: number of scans.
        seed: of the run.
        epoch: from 0.
        shuffle: False: in order.
        weights: (size,) probability of each scan, see `balanced_order`. None: every scan once.
        classes: (size,) class of each scan; needed with weights.
    """
    generator = np.random.default_rng(derive_seed("order", seed, epoch))
    if weights is not None:
        assert classes is not None
        order = balanced_order(weights / weights.sum(), classes, generator)
    else:
        order = generator.permutation(size) if shuffle else np.arange(size)
    seen = np.zeros(size, dtype=int)
    draws = []
    for index in order.tolist():
        draws.append(Draw(index, epoch, int(seen[index])))
        seen[index] += 1
    return draws


class EpochSampler(DistributedSampler[Draw]):
    """Yields this process' draws of an epoch.

    A `DistributedSampler`, so that Lightning leaves it in place under DDP and tells it the epoch.
    Batch k of all processes together is batch k of one process whose batches are as large. All get
    equally many draws, because they wait for each other after every batch: if the scans do not
    divide, the first ones are drawn again, marked as not counting.

    Args:
        dataset: anything with a length.
        seed: of the run.
        shuffle: False: in order.
        weights, classes: see `draw_order`.
        drop_last: leave out the last draws instead, if the scans do not divide.
        rank: number of this process.
        world_size: number of processes.
    """

    def __init__(
        self,
        dataset: Dataset[object],
        *,
        seed: int = 0,
        shuffle: bool = True,
        weights: NDArray[np.float64] | None = None,
        classes: NDArray[np.integer] | None = None,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if not 0 <= rank < world_size:
            raise ConfigError(f"rank {rank} is not in 0..{world_size - 1}.", where="rank")
        super().__init__(
            dataset,
            num_replicas=world_size,
            rank=rank,
            shuffle=shuffle,
            seed=seed,
            drop_last=drop_last,
        )
        self.weights = weights
        self.classes = classes

    def __iter__(self) -> Iterator[Draw]:
        size = len(self.dataset)  # type: ignore[arg-type]
        draws = draw_order(
            size,
            seed=self.seed,
            epoch=self.epoch,
            shuffle=self.shuffle,
            weights=self.weights,
            classes=self.classes,
        )
        filled = draws[: self.total_size]
        filled += [draws[i % size]._replace(counts=False) for i in range(size, self.total_size)]
        return iter(filled[self.rank :: self.num_replicas])


class EpochLoader(DataLoader[dict[str, object]]):
    """A DataLoader that draws its order when the first batch is asked for.

    Lightning makes the first iterator of a resumed run before it tells the sampler the epoch; a
    plain DataLoader with workers has asked the sampler for epoch 0 by then.
    """

    def __iter__(self) -> Iterator[dict[str, object]]:  # type: ignore[override]
        yield from super().__iter__()
