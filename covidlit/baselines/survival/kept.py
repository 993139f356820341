"""What a kept model of times to an event has in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from covidlit.errors import CheckpointError

if TYPE_CHECKING:
    from covidlit.checkpoints.record import RunRecord

Floats = NDArray[np.float64]


class SurvivalModel(Protocol):
    """A fitted model with its preparation and the record of its run.

    Attributes:
        columns: names of the raw features, in order.
        cuts: risk scores that separate the risk groups.
        horizons: days at which risks are given.
        record: of the run.
    """

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def cuts(self) -> tuple[float, ...]: ...

    @property
    def horizons(self) -> tuple[float, ...]: ...

    @property
    def record(self) -> RunRecord: ...

    def log_hazard(self, table: pd.DataFrame) -> Floats:
        """(n,) log hazard relative to the mean; raw features by name, NaN where one is missing."""

    def scores(self, table: pd.DataFrame) -> pd.DataFrame:
        """`risk_score` (the log hazard), `risk_group` and `risk_<days>_days`, one row each."""

    def with_record(self, **fields: Any) -> Self:
        """The same model with other fields of its record."""

    def save(self, path: str | Path) -> Path:
        """Keep the model at `path`, atomically."""


def risk_column(days: float) -> str:
    """The column of risks until a time, such as `risk_14_days`."""
    return f"risk_{days:g}_days"


def risk_table(
    log_hazard: Floats,
    cuts: Sequence[float],
    risks: Callable[[float], ArrayLike],
    horizons: Sequence[float],
    index: pd.Index,
) -> pd.DataFrame:
    """What `SurvivalModel.scores` gives.

    Args:
        log_hazard: (n,).
        cuts: that separate the risk groups; the lowest group is 0.
        risks: (n,) risks until a time.
        horizons: days.
        index: of the rows.
    """
    group = np.searchsorted(cuts, log_hazard, side="left")
    found: dict[str, Any] = {"risk_score": log_hazard, "risk_group": group}
    for days in horizons:
        found[risk_column(days)] = risks(days)
    return pd.DataFrame(found, index=index)


def values_by_name(table: pd.DataFrame, columns: Sequence[str]) -> Floats:
    """(n, columns) raw features of rows, found by name.

    Raises:
        CheckpointError: the table lacks one.
    """
    if lacking := [name for name in columns if name not in table]:
        raise CheckpointError(
            f"the table has no {', '.join(lacking)}, which the model takes.",
            fix="give undefined values (NaN) where a feature was not measured.",
        )
    return table[list(columns)].to_numpy(dtype=np.float64)
