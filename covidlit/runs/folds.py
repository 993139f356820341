"""A fold of a cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidlit.evaluation.folds import fold_name, model_number
from covidlit.runs.steps import EVALUATED

if TYPE_CHECKING:
    from covidlit.datamodules.cohort_data import CohortData


@dataclass(frozen=True)
class Fold:
    """One training of a cross-validation.

    Args:
        number: from 0; of repeats, through all of them.
        config: the resolved configuration, of this fold.
        run_dir: of the fold.
        data: with the split of the fold.
        parts: which are scored.
        run: `run_id`, and `fold` where it is not the split's.
        n_after: folds that are trained after it, one by one.
        repeat: of the cross-validation, from 0; None where there is one only.
    """

    number: int
    config: dict[str, Any]
    run_dir: Path
    data: CohortData
    parts: Sequence[str] = EVALUATED
    run: Mapping[str, Any] = field(default_factory=dict)
    n_after: int = 0
    repeat: int | None = None

    @property
    def title(self) -> str:
        """For messages: "fold 3", or "fold 3 of repeat 1"."""
        if self.repeat is None:
            return f"fold {self.number}"
        return f"fold {fold_name(model_number(self.data.split.fold or 0, self.repeat))}"
