"""DICOM segmentations: the six classes, a segment each, and the lesions, a label each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pandas as pd
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from covidlit.dicom.out.equipment import Algorithm, SeriesNumber, equipment, made_from, save
from covidlit.dicom.out.source import SourceSeries
from covidlit.dicom.out.terms import (
    ARTIFICIAL_INTELLIGENCE,
    CLASS_TERMS,
    VALUE_OF_CLASS,
    ClassTerms,
)
from covidlit.dicom.tracking import tracking_identifier

MOST_SEGMENTS = 255
"""Labels in one label map: viewers show those above it modulo 256."""


def write_classes(
    source: SourceSeries,
    classes: NDArray[np.uint8],
    path: Path,
    algorithm: Algorithm,
    *,
    as_label_map: bool = False,
) -> Path:
    """Write the six classes of contract 7 as one segmentation, a segment each, empty ones too.

    Every slice of the source has a frame per segment, so that no reader can take spacing or extent
    from what happens to be labelled.

    Args:
        source: the slices.
        classes: (slices, rows, columns), values of contract 7, in the source's order.
        path: the file to write.
        algorithm: what drew them.
        as_label_map: LABELMAP with RLE instead of BINARY without compression, which old archives
            and viewers know better.

    Raises:
        DicomError: the headers do not allow it.
    """
    segments = [
        _segment(value, terms.label, terms, algorithm) for value, terms in CLASS_TERMS.items()
    ]
    with made_from(source, "segmentation of the classes"):
        dataset = _segmentation(
            source,
            classes,
            segments,
            SeriesNumber.CLASSES,
            1,
            "Lung and lesion classes",
            as_label_map,
        )
        return save(dataset, path)


def write_instances(
    source: SourceSeries,
    instances: NDArray[np.integer[Any]],
    lesions: pd.DataFrame,
    paths: Sequence[Path],
    algorithm: Algorithm,
) -> pd.DataFrame:
    """Write the lesions as label maps, at most 255 to a file.

    Args:
        source: the slices.
        instances: (slices, rows, columns), 0 or a `lesion_id`, in the source's order.
        lesions: `lesion_id`, `class_name`, `tracking_uid` of every lesion.
        paths: as many files as `n_files` says.
        algorithm: what drew them.

    Returns:
        The lesions with `segment_number`, that of each in its file.

    Raises:
        DicomError: the headers do not allow it.
    """
    ids = lesions["lesion_id"].to_numpy(dtype=np.int64)
    number_of = np.zeros(len(ids), dtype=np.int64)
    series_uid = hd.UID()
    for part, path in enumerate(paths):
        rows = slice(part * MOST_SEGMENTS, (part + 1) * MOST_SEGMENTS)
        numbers = np.arange(1, len(ids[rows]) + 1)
        lookup = np.zeros(int(ids.max()) + 1, np.uint8)
        lookup[ids[rows]] = numbers
        segments = [
            _segment(
                int(number),
                f"Lesion {row.lesion_id}",
                CLASS_TERMS[VALUE_OF_CLASS[row.class_name]],
                algorithm,
                (tracking_identifier(str(row.tracking_uid)), row.tracking_uid),
            )
            for number, row in zip(numbers, lesions[rows].itertuples(), strict=True)
        ]
        with made_from(source, "segmentation of the lesions"):
            dataset = _segmentation(
                source,
                lookup[instances],
                segments,
                SeriesNumber.INSTANCES,
                part + 1,
                "Lesions",
                True,
                series_uid,
            )
            save(dataset, path)
        number_of[rows] = numbers
    return lesions.assign(segment_number=number_of)


def n_files(n_lesions: int) -> int:
    """How many label maps so many lesions need."""
    return -(-n_lesions // MOST_SEGMENTS)


def _segmentation(
    source: SourceSeries,
    labels: NDArray[Any],
    segments: Sequence[SegmentDescription],
    number: SeriesNumber,
    instance: int,
    description: str,
    label_map: bool,
    series_uid: str | None = None,
) -> Segmentation:
    return Segmentation(
        source_images=source.headers,
        pixel_array=labels,
        segmentation_type="LABELMAP" if label_map else "BINARY",
        segment_descriptions=segments,
        series_instance_uid=series_uid or hd.UID(),
        series_number=number.value,
        sop_instance_uid=hd.UID(),
        instance_number=instance,
        omit_empty_frames=False,
        transfer_syntax_uid=RLELossless if label_map else ExplicitVRLittleEndian,
        content_label="LESIONS" if number is SeriesNumber.INSTANCES else "CLASSES",
        content_description=description,
        series_description=f"covidlit: {description}",
        **equipment(),
    )


def _segment(
    number: int,
    label: str,
    terms: ClassTerms,
    algorithm: Algorithm,
    tracking: tuple[str, str] | None = None,
) -> SegmentDescription:
    tracking_id, tracking_uid = tracking or (None, None)
    manual = algorithm.how == "MANUAL"
    return SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=terms.category,
        segmented_property_type=terms.kind,
        algorithm_type=algorithm.how,
        algorithm_identification=None
        if manual
        else hd.AlgorithmIdentificationSequence(
            name=algorithm.name, family=ARTIFICIAL_INTELLIGENCE, version=algorithm.version
        ),
        tracking_uid=tracking_uid,
        tracking_id=tracking_id,
        anatomic_regions=[terms.site],
        display_color=CIELabColor.from_rgb(*terms.rgb),
    )
