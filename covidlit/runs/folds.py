"""A fold of a cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidlit.runs.steps import EVALUATED

if TYPE_CHECKING:
    from covidlit.datamodules.cohort_data import CohortData


@dataclass(frozen=True)
class Fold:
    """One training of a cross-validation.

    Args:
        number: from 0.
        config: the resolved configuration, of this fold.
        run_dir: of the fold.
        data: with the split of the fold.
        parts: which are scored.
        run: `run_id`, and `fold` where it is not the split's.
        n_after: folds that are trained after it, one by one.
    """

    number: int
    config: dict[str, Any]
    run_dir: Path
    data: CohortData
    parts: Sequence[str] = EVALUATED
    run: Mapping[str, Any] = field(default_factory=dict)
    n_after: int = 0
