"""Export a network that segments slices, proved against PyTorch on slices of real scans."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from covidlit.checkpoints.record import RunRecord, validated_record
from covidlit.cohort.scan_sources import find_scans, refusal_reason
from covidlit.counted import counted
from covidlit.datamodules.slices.channels import slice_images
from covidlit.deploy.exported import SLICE_FILES, SliceExportRecord
from covidlit.deploy.file_hash import file_hash
from covidlit.deploy.precisions import WITH_TORCH
from covidlit.deploy.slice_engine import SliceEngine
from covidlit.deploy.slice_graphs import write_slice_graphs
from covidlit.deploy.slice_parity import SliceParity, compare, in_words
from covidlit.dicom import Checks
from covidlit.errors import ExportError, ParityError
from covidlit.tasks.segmenter import Segmenter

SLICES_OF_A_SCAN = 6
"""That are compared, evenly spaced over its height."""


def export_slices(
    task: Segmenter,
    scans: str | Path,
    folder: Path,
    *,
    tolerance: float,
    n_scans: int,
    override: Iterable[str] = (),
    **known: Any,
) -> SliceExportRecord:
    """Write the graphs of a network into a folder, and compare what they find with PyTorch.

    Args:
        task: in evaluation mode, on the CPU.
        scans: a folder with DICOM series or images, or a manifest.
        folder: that is there and empty.
        tolerance: see `slice_parity.LIMITS`.
        n_scans: how many of the scans are compared, evenly spaced among those found.
        override: names of DICOM checks to switch off.
        known: further fields of the record.

    Raises:
        ExportError: a difference above the tolerance; slices in which nothing is found; no scan
            that can be read; a network that cannot be converted.
        ConfigError: the network has learnt from something else than slices in HU.
    """
    record = validated_record(task.record, "the checkpoint")
    images, n_read = _images(scans, record, n_scans, override)
    write_slice_graphs(task.net, folder)
    engine = SliceEngine(folder)
    with torch.inference_mode():
        parity, shown = compare(task.net, engine, images, task.lung)
    if not shown["objects"] or shown["classes"] < 2:
        raise ExportError(
            f"PyTorch finds {counted(shown['objects'], 'object')} and "
            f"{counted(shown['classes'], 'class', 'classes')} of pixels in "
            f"{counted(shown['slices'], 'slice')}: too little to show a difference.",
            where=scans,
            fix="give scans with lungs and lesions, or train the network until it finds them.",
        )
    check_parity(parity, tolerance, scans)
    return SliceExportRecord(
        kind="segmentation",
        record=record,
        precision=str(record.config.get("trainer", {}).get("precision", "32-true")),
        hyper_parameters=dict(task.hparams),
        files={name: file_hash(folder / name) for name in SLICE_FILES},  # type: ignore[misc]
        tolerance=tolerance,
        n_scans=n_read,
        n_slices=shown["slices"],
        parity=asdict(parity),
        **known,
    )


def check_parity(parity: SliceParity, tolerance: float, where: object) -> None:
    """Raise a ParityError that names the measures above their limits."""
    if above := parity.above(tolerance):
        raise ParityError(
            f"the exported network finds something else than PyTorch (tolerance {tolerance:.0e}): "
            f"{in_words(above)}. Nothing was written.",
            where=where,
            fix=f"{WITH_TORCH}; or allow more with a larger --tolerance.",
            measured=asdict(parity),
        )


def _images(
    path: str | Path, record: RunRecord, n_scans: int, override: Iterable[str]
) -> tuple[list[Tensor], int]:
    """Slices of some of the scans at a path, as the network sees them, and of how many scans.

    Raises:
        ExportError: none could be read.
    """
    wanted = record.preprocess.model_dump()
    overridden = frozenset(wanted.get("override_checks", ())) | frozenset(override)
    least = wanted.get("min_slices", Checks().min_slices)
    found = find_scans(path, Checks(least, overridden, wanted.get("image_orientation")))
    readable = [source.read for source in found if source.read is not None]
    places = np.linspace(0, len(readable) - 1, min(n_scans, len(readable))).round().astype(int)
    reasons = [source.reason for source in found if source.read is None]
    images: list[Tensor] = []
    n_read = 0
    for place in places:
        try:
            scan = readable[place]()
        except Exception as error:
            reasons.append(refusal_reason(error))
            continue
        n_read += 1
        count = min(SLICES_OF_A_SCAN, len(scan.hu))
        # Neither the first nor the last: air and shoulders.
        chosen = np.linspace(0, len(scan.hu) - 1, count + 2).round().astype(int)[1:-1]
        own = enumerate(slice_images(scan, wanted))
        images += [image for index, image in own if index in chosen]
    if not images:
        why = f" ({'; '.join(sorted(set(reasons))[:3])})" if reasons else ""
        raise ExportError(
            f"none of {len(found)} scans could be read{why}.",
            where=path,
            fix="give a folder or manifest with usable scans.",
        )
    return images, n_read
