"""Key slices with contours as secondary captures, for viewers that show no segmentations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
from highdicom.sc import SCImage
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from covidlit.dicom.out.equipment import MANUFACTURER, SeriesNumber, made_from, save
from covidlit.dicom.out.source import SourceSeries

_LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))
_LEAST_SHARE = 0.1
"""Of a direction: a letter is written for each axis that it runs along by more."""


def write_secondary_captures(
    source: SourceSeries,
    pictures: Sequence[tuple[int, NDArray[np.uint8]]],
    paths: Sequence[Path],
) -> list[Path]:
    """Write pictures of source slices as secondary captures, one series.

    Args:
        source: the slices.
        pictures: (number of the source slice, RGB uint8 (rows, columns, 3)), of the slice's size.
        paths: the files to write, as many.

    Raises:
        DicomError: the headers do not allow it.
    """
    series_uid = hd.UID()
    orientation = (direction_letters(source.row), direction_letters(source.column))
    for instance, ((k, picture), path) in enumerate(zip(pictures, paths, strict=True), start=1):
        header = source.headers[k]
        with made_from(source, "secondary capture"):
            dataset = SCImage.from_ref_dataset(
                header,
                picture,
                photometric_interpretation="RGB",
                bits_allocated=8,
                coordinate_system="PATIENT",
                series_instance_uid=series_uid,
                series_number=SeriesNumber.KEY_SLICES.value,
                sop_instance_uid=hd.UID(),
                instance_number=instance,
                manufacturer=MANUFACTURER,
                patient_orientation=(orientation[0][0], orientation[1][0]),
                pixel_spacing=source.pixel_spacing,  # type: ignore[arg-type]
                transfer_syntax_uid=ExplicitVRLittleEndian,
                series_description="covidlit: Key slices",
                specific_character_set=header.SpecificCharacterSet,
            )
            # highdicom takes one letter each; oblique slices run along several.
            dataset.PatientOrientation = list(orientation)
            dataset.BodyPartExamined = "CHEST"
            dataset.ImageType = ["DERIVED", "SECONDARY"]
            dataset.BurnedInAnnotation = "NO"
            dataset.DerivationDescription = "Contours of lung and lesions on a slice"
            dataset.SourceImageSequence = [_reference(header)]
            save(dataset, path)
    return list(paths)


def _reference(header: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = header.SOPClassUID
    item.ReferencedSOPInstanceUID = header.SOPInstanceUID
    return item


def direction_letters(direction: NDArray[np.float64]) -> str:
    """Where a direction in LPS runs to, as PatientOrientation has it: the main letter first.

    Args:
        direction: (3,) unit vector.

    Source: DICOM PS3.3, section C.7.6.1.1.1.
    """
    axes = [axis for axis in np.argsort(-np.abs(direction)) if abs(direction[axis]) > _LEAST_SHARE]
    return "".join(_LETTERS[axis][int(direction[axis] < 0)] for axis in axes)
