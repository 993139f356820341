"""DICOM objects out: segmentations, structured report, secondary captures and PDF of a scan."""

from covidlit.dicom.out.equipment import Algorithm
from covidlit.dicom.out.tracking import scan_tracking_uid, tracking_uid, with_tracking_uids
from covidlit.dicom.out.write import WrittenObjects, write_objects

__all__ = [
    "Algorithm",
    "WrittenObjects",
    "scan_tracking_uid",
    "tracking_uid",
    "with_tracking_uids",
    "write_objects",
]
