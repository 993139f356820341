"""DICOM objects that are no image series: reports, segmentations, documents, and the like."""

from __future__ import annotations

from typing import NamedTuple

from covidlit.dicom.series import ImageFile

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_KINDS = {
    "88.59": "key object selection (KO)",
    "88": "structured report (SR)",
    "104": "document (PDF)",
    "66.1": "registration (REG)",
    "66.2": "fiducials (FID)",
    "66.3": "registration (REG)",
    "66.4": "segmentation (SEG)",
    "66.5": "segmentation (SEG)",
    "66.7": "segmentation (SEG)",
    "66.8": "segmentation (SEG)",
    "66": "raw data",
    "67": "real-world value map",
    "30": "parametric map",
    "11": "presentation state (PR)",
    "9": "waveform",
    "481": "radiotherapy object (RT)",
    "7": "saved screen",
}
"""SOP classes below storage, and what their objects are; the longest that fits counts."""

_SCREEN = "7"


class OtherObject(NamedTuple):
    """A file that is no scan and no damaged one.

    Args:
        path: of the file, as text.
        kind: what it is.
    """

    path: str
    kind: str


def kind_of_class(sop_class: str) -> str | None:
    """What objects of a SOP class are that hold no slices of a scan; None: perhaps slices.

    Args:
        sop_class: its UID (DICOM PS3.4, table B.5-1).
    """
    if not sop_class.startswith(_STORAGE):
        return None
    parts = sop_class.removeprefix(_STORAGE).split(".")
    for n in (2, 1):
        if (kind := _KINDS.get(".".join(parts[:n]))) is not None:
            return kind
    return None


def kind_of_image(image: ImageFile) -> str | None:
    """What an image is that is of no scan; None: perhaps a slice.

    A saved screen of the modality CT may be a slice that an archive wrote anew.
    """
    kind = kind_of_class(image.sop_class)
    if kind == _KINDS[_SCREEN] and image.modality in ("", "CT"):
        return None
    return kind
