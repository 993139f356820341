"""Writing contract 7: the volume of classes and the volume of instances of a scan, as NIfTI."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from covidlit.files import atomic_path, remove_leftovers
from covidlit.scans.images import write_nifti
from covidlit.scans.lesion_labels import LesionLabels, label_paths


def write_labels(folder: str | Path, scan_id: str, labels: LesionLabels) -> tuple[Path, Path]:
    """Write the labels of a scan so that `read_labels` gives them back equal.

    Both files are whole before either one takes its place. Values are stored unscaled (slope 1,
    intercept 0), the instances in 16 bits where they fit, which every viewer reads.

    Args:
        folder: made if it is not there.
        scan_id: of the manifest (contract 12).
        labels: classes and instances in the scan's geometry.

    Returns:
        The paths of `label_paths`.

    Raises:
        LabelError: `scan_id` is no name of a file.
        CovidlitError: axes that are not perpendicular, a folder that cannot be written.
    """
    paths = label_paths(folder, scan_id)
    for path in paths:
        remove_leftovers(path)
    few = not labels.instances.size or int(labels.instances.max()) <= np.iinfo(np.int16).max
    numbers = labels.instances.astype(np.int16 if few else np.int32, copy=False)
    with atomic_path(paths[0]) as classes, atomic_path(paths[1]) as instances:
        write_nifti(labels.classes, labels.affine, classes)
        write_nifti(numbers, labels.affine, instances)
    return paths
