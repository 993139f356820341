"""Figures of what was compared at an export in fewer bits."""

from __future__ import annotations

from collections.abc import Callable

from covidlit.deploy.exported import ExportRecord


def add_parity(
    add: Callable[..., None], done: ExportRecord, net: str, targets: bool = True
) -> None:
    """Add what was compared at the export of a network in fewer bits."""
    parity = done.parity["openvino"]
    scans = f"{parity.n_scans} unseen synthetic scans"
    on = f"{net}, OpenVINO in {done.computes_in} to PyTorch in float32, {scans}"
    add(f"largest difference of a score, {on}", parity.largest, "probability", None, "PyTorch")
    add(f"median difference of a score, {on}", parity.median, "probability", None, "PyTorch")
    per_300 = 300 * parity.n_changed_calls / parity.n_scans
    add(f"changed calls, {on}", per_300, "per 300 scans", "<= 1" if targets else None, "PyTorch")
    if parity.auc is None or parity.auc_difference is None:
        return
    add(f"AUC of PyTorch, {net}, {scans}", parity.auc, "AUC")
    target = "within 0.002" if targets else None
    add(f"difference of the AUC, {on}", parity.auc_difference, "AUC", target, "PyTorch")
    for end, value in (("lower", parity.auc_low), ("upper", parity.auc_high)):
        if value is not None:
            add(f"difference of the AUC, {on}: {end} end of its 95% interval", value, "AUC")
