"""JPEG lossless and 12-bit JPEG extended, decoded by GDCM directly.

pydicom hands lossless JPEG to GDCM too, with more work around it; 12-bit JPEG extended it does not,
although GDCM decodes it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import get_frame

from covidlit.dicom.series import Frame, ImageFile
from covidlit.dicom.transfer_syntax import JPEG_EXTENDED, JPEG_LOSSLESS


def uses_gdcm(image: ImageFile) -> bool:
    """Whether the pixels of this file are decoded here."""
    if image.bits_allocated != 16 or image.bits_stored <= 8:
        return False
    return image.transfer_syntax == JPEG_EXTENDED or image.transfer_syntax in JPEG_LOSSLESS


def decode_with_gdcm(content: bytes, frame: Frame) -> NDArray[Any]:
    """Stored 16-bit values (row, column) of one slice.

    Args:
        content: the encapsulated value of the pixel data element.
        frame: which slice.

    Raises:
        ValueError: GDCM decodes nothing, or another number of pixels.
    """
    import gdcm

    image = frame.source
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(get_frame(content, frame.index, number_of_frames=image.n_frames))
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    picture = gdcm.Image()
    picture.SetNumberOfDimensions(2)
    picture.SetDimensions((image.columns, image.rows, 1))
    picture.SetDataElement(element)
    kind = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")
    picture.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    syntax = gdcm.TransferSyntax.GetTSType(image.transfer_syntax)
    picture.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    stored = image.bits_stored
    picture.SetPixelFormat(gdcm.PixelFormat(1, 16, stored, stored - 1, int(image.signed)))
    # GDCM hands its bytes over as text; see pydicom's own GDCM plugin.
    values = picture.GetBuffer().encode("utf-8", "surrogateescape")
    pixels = np.frombuffer(values, "<i2" if image.signed else "<u2")
    return pixels.reshape(image.rows, image.columns)
