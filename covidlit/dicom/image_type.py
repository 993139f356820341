"""What ImageType says an image was made of: the measurement itself, or other images."""

from __future__ import annotations

import re
from functools import lru_cache

from covidlit.dicom.series import ImageFile, Series

# Value 3 of a CT is only AXIAL or LOCALIZER; how an image was derived stands behind it in words of
# the maker: "MIN IP", "CT_SOM5 MIP", "PROJECTION IMAGE", "SCREEN SAVE". "MPR", "REFORMATTED" and
# "AVERAGE" are slices.
_NOT_SLICES = re.compile(
    r"\b(?:MIP|M(?:IN|AX)(?:IMUM)? ?(?:IP|INTENSITY)|M(?:IN|AX)IMUM|PROJECTION|"
    r"VRT|(?:VOLUME|SURFACE) RENDER\w*|SCREEN ?(?:SAVE|SHOT|CAPTURE|GRAB))\b"
)
_NOT_SLICES_TECHNIQUES = {"MAX_IP", "MIN_IP", "VOLUME_RENDER", "SURFACE_RENDER"}


def is_localizer(image: ImageFile) -> bool:
    """Whether the image is a scout view."""
    return "LOCALIZER" in image.image_type


def is_projection(image: ImageFile) -> bool:
    """Whether the image is a projection (MIP, MinIP), a rendering or a copy of a screen.

    Its values are no Hounsfield units of a slice. Being DERIVED or SECONDARY alone does not make
    it one: archives and scanners mark reconstructions of thicker slices so.

    Source: DICOM PS3.3, sections C.7.6.1.1.2, C.8.2.1.1.1 and C.8.16.2 (Volume Based Calculation
    Technique of enhanced CT).
    """
    technique = image.facts.get("volume_technique", "").upper()
    return any(map(_names_no_slice, image.image_type)) or technique in _NOT_SLICES_TECHNIQUES


@lru_cache
def _names_no_slice(value: str) -> bool:
    """Whether a value of ImageType names a projection; all slices of a series have the same few."""
    return _NOT_SLICES.search(re.sub(r"[^A-Z0-9]+", " ", value.upper())) is not None


def is_secondary(image: ImageFile) -> bool:
    """Whether an image says that it was made after the examination: a saved screen, a reformation.

    Source: DICOM PS3.3, section C.7.6.1.1.2, value 2.
    """
    return image.image_type[1:2] == ("SECONDARY",)


def is_derived(series: Series) -> bool:
    """Whether most images of a series say that they were made from other images.

    Source: DICOM PS3.3, section C.7.6.1.1.2, value 1.
    """
    derived = [image.image_type[:1] == ("DERIVED",) for image in series.images]
    return 2 * sum(derived) > len(derived)
