"""DICOM objects out: segmentations, structured report, secondary captures and PDF of a scan."""

from covidlit.dicom.out.equipment import Algorithm
from covidlit.dicom.out.write import WrittenObjects, remove_objects, write_objects
from covidlit.dicom.tracking import (
    scan_tracking_uid,
    tracking_identifier,
    tracking_uid,
    with_tracking_uids,
)

__all__ = [
    "Algorithm",
    "WrittenObjects",
    "remove_objects",
    "scan_tracking_uid",
    "tracking_identifier",
    "tracking_uid",
    "with_tracking_uids",
    "write_objects",
]
