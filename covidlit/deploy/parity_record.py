"""What is kept of the comparison of an export with PyTorch, and what was allowed."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class Tolerances(BaseModel):
    """How far an export may be from PyTorch, on the scans that are compared.

    Args:
        score: the largest difference of a score.
        auc: the difference of the AUC, where the scans' classes are known.
        changed_calls: the share of scans that are called otherwise; 1 in 300 allows none where
            there are fewer scans.
    """

    model_config = ConfigDict(extra="forbid")

    score: Annotated[float, Field(gt=0, lt=1)]
    auc: Annotated[float, Field(ge=0, le=1)] = 0.002
    changed_calls: Annotated[float, Field(ge=0, le=1)] = 1 / 300


class ScoreParity(BaseModel):
    """How the scores of an export differ from PyTorch's in float32.

    Args:
        largest, median: of the differences of the scans' scores.
        n_scans: compared.
        n_changed_calls: that are called otherwise: on the other side of the operating point, or
            another class is the most probable one.
        operating_point: 0.5 where the run has none; None where there are more than two classes.
        n_labelled: of which the class is known.
        auc: PyTorch's on these; None where there is none, which `auc_reason` explains.
        auc_difference: the export's less PyTorch's.
        auc_low, auc_high: its 95% interval (DeLong's, or of a bootstrap of patients where one has
            several scans); None where there is none, as where no scan changes its place.
        auc_reason: why the AUC or its interval is missing.
    """

    model_config = ConfigDict(extra="forbid")

    largest: Number
    median: Number
    n_scans: Count
    n_changed_calls: Count
    operating_point: float | None
    n_labelled: Count = 0
    auc: float | None = None
    auc_difference: float | None = None
    auc_low: float | None = None
    auc_high: float | None = None
    auc_reason: str = ""
