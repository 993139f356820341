"""What was compared at an export, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from covidlit.counted import counted
from covidlit.deploy.exported import ExportRecord
from covidlit.deploy.parity_record import ScoreParity
from covidlit.deploy.precisions import IN_WORDS, N_SCANS

FEW_CALIBRATION = 32
"""Fewer scans than this calibrate int8 less well than it can be (our limit)."""


def auc_text(parity: ScoreParity) -> str:
    """How far the AUC differs, with its interval if it has one; a dash where there is no AUC."""
    if parity.auc is None or parity.auc_difference is None:
        return "-"
    text = f"{parity.auc:.4f} {parity.auc_difference:+.4f}"
    if parity.auc_low is not None:
        text += f" ({parity.auc_low:+.4f} to {parity.auc_high:+.4f})"
    return text


def interval_text(parity: Mapping[Any, ScoreParity]) -> str:
    """That the difference has an interval, or why it has none."""
    missing = {kind: one.auc_reason for kind, one in parity.items() if one.auc_low is None}
    said = " (95% interval)" if len(missing) < len(parity) else ""
    if missing:
        why = "; ".join(dict.fromkeys(reason.rstrip(".") for reason in missing.values()))
        of = f" for {' and '.join(missing)}" if said else ""
        said += f"; no interval{of}: {why}"
    return said


def sentences_of(export: ExportRecord) -> list[str]:
    """What the numbers of an export are of, what was allowed, and what they leave open."""
    allowed = export.tolerances
    lines = [
        f"Differences are from PyTorch's scores in float32 on {export.n_scans} scans, which spread "
        f"over {export.spread:.3f}; the export computes in {IN_WORDS[export.computes_in]}."
    ]
    if allowed is not None:
        calls = f"1 in {1 / allowed.changed_calls:.0f}" if allowed.changed_calls else "none"
        lines.append(
            f"Allowed: a score {allowed.score:.0e}, the AUC {allowed.auc:g}, other calls {calls}."
        )
    parity = next(iter(export.parity.values()), None)
    if parity is not None:
        if parity.auc is None:
            lines.append(f"The AUC was not compared: {parity.auc_reason}.")
        else:
            lines.append(
                f"AUC: PyTorch's on the {counted(parity.n_labelled, 'scan')} of known class, and "
                f"how much the export's is above it{interval_text(export.parity)}."
            )
    if export.computes_in == "f32":
        return lines
    if export.n_calibration:
        few = ": more may do better" if export.n_calibration < FEW_CALIBRATION else ""
        lines.append(f"Calibrated on {export.n_calibration} other scans{few}.")
    if export.n_scans < N_SCANS[export.computes_in]:
        lines.append(
            f"{export.n_scans} scans show little of how often a call changes; "
            f"{N_SCANS[export.computes_in]} are better."
        )
    return lines
