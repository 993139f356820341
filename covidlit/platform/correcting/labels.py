"""What the labels of a scan are after edits: of one slice for a picture, of all to be measured."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.lesions.edits import EditedLabels
from covidlit.platform.correcting.models import Correction
from covidlit.platform.registry.files import label_planes
from covidlit.platform.registry.models import Labelling
from covidlit.platform.viewing.planes import Planes
from covidlit.scans.lesion_labels import LESION_CLASSES, LabelError, LesionLabels
from covidlit.scans.scan import Scan as Volume

VALUE_OF = {name: value for value, name in LESION_CLASSES.items()}


def planes_of(labelling: Labelling) -> Planes:
    """The labels of a version, by slice."""
    return Planes(label_planes(labelling))


def classes_of(labelling: Labelling) -> dict[int, int]:
    """Class of each lesion of a version, by number."""
    rows = labelling.lesions.values_list("number", "kind")
    return {number: VALUE_OF[kind] for number, kind in rows}


def edited(correction: Correction) -> EditedLabels:
    """The version that a correction begins with, and its edits that apply there."""
    edits = [row.as_label_edit() for row in correction.edits.all() if not row.left_out]
    return EditedLabels(classes_of(correction.corrects), edits)


def slice_of(correction: Correction, index: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Classes and numbers of a slice as the correction has it."""
    classes, instances = planes_of(correction.corrects).plane(index)
    return edited(correction).slice_at(index, classes, instances)


def labels_of(correction: Correction, volume: Volume) -> LesionLabels:
    """The corrected labels of a scan.

    Those of the version that it became, once it is one: what was measured then stays what it is.

    Raises:
        LabelError: the labels that are corrected are not those of this scan.
    """
    if correction.labelling is not None:
        planes, labels = planes_of(correction.labelling), EditedLabels({})
    else:
        planes, labels = planes_of(correction.corrects), edited(correction)
    classes = np.zeros(volume.hu.shape, np.uint8)
    instances = np.zeros(volume.hu.shape, np.int32)
    if (len(planes), *planes.shape) != classes.shape:
        raise LabelError(
            f"the labels have {(len(planes), *planes.shape)} voxels (z, y, x), and the scan "
            f"{classes.shape}.",
            where=str(correction),
            fix="have the scan measured again, and correct that version.",
        )
    for index in range(len(planes)):
        classes[index], instances[index] = labels.slice_at(index, *planes.plane(index))
    return LesionLabels(classes, instances, volume.affine)
