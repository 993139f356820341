"""What turns prepared scans into scores: PyTorch, ONNX Runtime or OpenVINO behind one protocol."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from covidlit.checkpoints.record import RunRecord
from covidlit.counted import counted
from covidlit.errors import ConfigError


class Engine(Protocol):
    """A trained model that scores prepared volumes.

    Attributes:
        record: of the run that it was trained in: how scans are prepared, its classes.
        name: what computes the scores and on how many threads, for people.
    """

    @property
    def record(self) -> RunRecord: ...

    @property
    def name(self) -> str: ...

    def scores(self, hu: NDArray[np.int16]) -> list[float] | list[list[float]]:
        """The score of the positive class for each volume, or the list of one score per class.

        Args:
            hu: int16 Hounsfield units (B, z, y, x) in the geometry of the record; the HU window is
                applied inside.

        Raises:
            ConfigError: an array of another type or size.
        """


def check_volumes(hu: NDArray[np.int16], record: RunRecord) -> None:
    """Refuse volumes that are not as the network's geometry says.

    Raises:
        ConfigError: not int16 (B, z, y, x) of that size.
    """
    size = record.volume_input.geometry.size
    if hu.dtype != np.int16 or hu.ndim != 4 or hu.shape[1:] != size:
        raise ConfigError(
            f"volumes must be int16 HU (B, {', '.join(map(str, size))}), got {hu.dtype} "
            f"{hu.shape}.",
            where="hu",
            fix="prepare the scans with covidlit.preprocess.prepare_scan in the run's geometry.",
        )


def on_threads(engine: str, threads: int) -> str:
    """The name of an engine with its number of threads."""
    return f"{engine}, {counted(threads, 'thread')}"
