"""Whether two engines give the same scores, and whether the scans compared can show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from covidlit.cohort.class_names import class_of_interest
from covidlit.deploy.parity_record import ScoreParity, Tolerances
from covidlit.deploy.precisions import WITH_TORCH, Precision
from covidlit.errors import ExportError, ParityError

if TYPE_CHECKING:
    from covidlit.checkpoints.record import RunRecord

SPREAD: dict[Precision, float] = {"f32": 10.0, "bf16": 4.0, "int8": 4.0}
"""The scores compared must lie this many tolerances apart, by the precision of the export. Scores
that are all alike stay alike whatever a network does to the image."""


@dataclass(frozen=True)
class Labels:
    """What is known of the scans that are compared.

    Args:
        target: shape (n,), 1 for the class of interest, 0, or NaN where it is not known.
        patient: shape (n,), whose scan it is.
        problem: why no target is known; empty where some are.
    """

    target: NDArray[np.float64]
    patient: NDArray[np.str_]
    problem: str = ""


def largest_difference(first: Sequence[Any], second: Sequence[Any]) -> float:
    """The largest absolute difference of two engines' scores; infinite where one is not finite.

    Args:
        first, second: n scores, or n lists of one score per class, of the same scans in order.
    """
    a, b = _pair(first, second)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("inf")
    return float(np.abs(a - b).max())


def spread_of(scores: Sequence[Any]) -> float:
    """How far apart the scores of the scans lie: highest less lowest, of the class that has most.

    Args:
        scores: n scores, or n lists of one score per class.
    """
    return float(np.ptp(np.asarray(scores, dtype=np.float64), axis=0).max())


def score_parity(
    reference: Sequence[Any], exported: Sequence[Any], record: RunRecord, labels: Labels
) -> ScoreParity:
    """How an export's scores differ from PyTorch's, and what that changes.

    Args:
        reference: n finite scores of PyTorch, or n lists of one score per class.
        exported: those of the export, of the same scans in order.
        record: of the run, for its operating point and classes.
        labels: of these scans.

    Raises:
        ExportError: a score of the export is not finite.
    """
    from covidlit.evaluation.bootstrap import Sampling
    from covidlit.evaluation.delong import delong_covariance
    from covidlit.evaluation.paired import auc_difference

    a, b = _pair(reference, exported)
    if not np.isfinite(b).all():
        raise ExportError(
            "the exported network gives scores that are not finite.", fix=f"{WITH_TORCH}."
        )
    point = _operating_point(record) if a.ndim == 1 else None
    changed = (a >= point) != (b >= point) if point is not None else a.argmax(1) != b.argmax(1)
    found: dict[str, Any] = {
        "largest": float(np.abs(a - b).max()),
        "median": float(np.median(np.abs(a - b))),
        "n_scans": len(a),
        "n_changed_calls": int(changed.sum()),
        "operating_point": point,
    }
    known = np.isfinite(labels.target)
    target = labels.target[known].astype(int)
    if not known.any() or np.ptp(target) == 0:
        why = labels.problem or "the scans with a known class are all of one class"
        return ScoreParity(**found, auc_reason=why)
    if a.ndim == 2:
        names = record.classes or [str(index) for index in range(a.shape[1])]
        a, b = (scores[:, names.index(class_of_interest(names))] for scores in (a, b))
    test = auc_difference(target, b[known], a[known], Sampling(labels.patient[known])).difference
    (auc,), _ = delong_covariance(target, a[known])
    return ScoreParity(
        **found,
        n_labelled=int(known.sum()),
        auc=float(auc),
        auc_difference=test.value,
        auc_low=test.low,
        auc_high=test.high,
        auc_reason=test.reason or "",
    )


def check_parity(
    parity: Mapping[str, ScoreParity],
    allowed: Tolerances,
    where: object,
    precision: Precision = "f32",
) -> None:
    """Refuse an export that differs more than is allowed.

    Args:
        parity: by format.
        allowed: differences.
        where: the checkpoint.
        precision: of the export.

    Raises:
        ParityError: names what differs, by format, and the options that allow more of it.
    """
    above = {kind: _above(one, allowed) for kind, one in parity.items()}
    over = [f"{kind}: {', '.join(said.values())}" for kind, said in above.items() if said]
    if over:
        options = " and ".join(dict.fromkeys(name for said in above.values() for name in said))
        instead = WITH_TORCH if precision == "f32" else "use --precision f32"
        raise ParityError(
            f"the exported scores differ from PyTorch's by more than is allowed: {'; '.join(over)}."
            " Nothing was written.",
            where=where,
            fix=f"{instead}; or allow more with a larger {options}.",
            measured=parity,
        )


def _above(one: ScoreParity, allowed: Tolerances) -> dict[str, str]:
    """What differs by more than is allowed, by the option that says how much is."""
    said = {}
    if not one.largest <= allowed.score:
        said["--tolerance"] = f"a score by {one.largest:.2e} (allowed {allowed.score:.0e})"
    if one.auc_difference is not None and not abs(one.auc_difference) <= allowed.auc:
        said["--auc-tolerance"] = f"the AUC by {one.auc_difference:+.4f} (allowed {allowed.auc:g})"
    if one.n_changed_calls > allowed.changed_calls * one.n_scans:
        share = allowed.changed_calls
        most = f"1 in {1 / share:.0f}" if share else "none"
        said["--changed-calls"] = f"{one.n_changed_calls} of {one.n_scans} calls (allowed {most})"
    return said


def _operating_point(record: RunRecord) -> float:
    """The record's own; 0.5 where it has none."""
    return 0.5 if record.operating_point is None else record.operating_point


def _pair(
    first: Sequence[Any], second: Sequence[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"{a.shape} and {b.shape} are not scores of the same scans")
    return a, b
