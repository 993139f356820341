"""The one absolute scale of a network's heatmaps: a property of its weights, layer and method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from covidlit.checkpoints.record import RunRecord
from covidlit.counted import counted
from covidlit.explain.explain_error import ExplainError

QUANTILE = 0.75
"""A quarter of the positive scans reach the end of the scale: of a dozen validation scans, a higher
percentile is the one outlier, and all others would look cold."""


def scale_of(maxima: Sequence[float]) -> float:
    """The upper end of the scale: the upper quartile of the largest heats of positive scans.

    Args:
        maxima: the largest heat of each positive scan of the validation part.

    Raises:
        ExplainError: no scan, or no heat in any.
    """
    scale = float(np.quantile(maxima, QUANTILE)) if len(maxima) else 0.0
    if not scale > 0:
        raise ExplainError(
            f"no scale can be made from {counted(len(maxima), 'positive scan')} with a largest "
            f"heat of {max(maxima, default=0.0):g}.",
            where="scale",
            fix="choose another layer or method, or give a scale.",
        )
    return scale


def stored_scale(record: RunRecord, layer: str, method: str) -> float | None:
    """The scale that a checkpoint carries for a layer and method, or None."""
    return record.heat_scales.get(f"{method}:{layer}")


def store_scale(checkpoint: str | Path, layer: str, method: str, scale: float) -> None:
    """Write the scale into a checkpoint, so that it goes where the weights go; atomic.

    Raises:
        CheckpointError: see `load_checkpoint`.
    """
    # Only here: a checkpoint takes torch, an exported network brings its scale along.
    from covidlit.checkpoints.file import load_checkpoint, read_record, update_record

    record = read_record(load_checkpoint(checkpoint), checkpoint)
    scales = {**record.heat_scales, f"{method}:{layer}": float(scale)}
    update_record(checkpoint, heat_scales=scales)


def require_scale(record: RunRecord, layer: str, method: str, where: object) -> float:
    """The scale that a checkpoint carries.

    Raises:
        ExplainError: it carries none for this layer and method.
    """
    scale = stored_scale(record, layer, method)
    if scale is None:
        raise ExplainError(
            f"the checkpoint has no scale for {method} at {layer}, so that heatmaps of different "
            "scans could not be compared.",
            where=where,
            fix=f"run `covidlit explain {where}` once where it lies in its run's folder "
            "(RUN/checkpoints/), which finds and keeps it; or give a scale (`covidlit explain "
            "... --scale 1`, heat_scale=1 in Python), the heat of the brightest colour.",
        )
    return scale
