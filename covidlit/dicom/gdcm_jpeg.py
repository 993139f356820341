"""JPEG lossless and 12-bit JPEG extended, decoded by GDCM directly.

pydicom hands lossless JPEG to GDCM too, with more work around it; 12-bit JPEG extended it does not,
although GDCM decodes it.
"""

from __future__ import annotations

import struct
from ctypes import string_at
from typing import Any

import gdcm
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

    GDCM is given the compressed bytes and the checked facts of the header, never the file: it ends
    the whole process on some damaged headers.

    Args:
        content: the encapsulated value of the pixel data element.
        frame: which slice of it.

    Raises:
        ValueError: it is damaged, or of another size than the header says.
    """
    image = frame.source
    code = get_frame(content, frame.index, number_of_frames=image.n_frames)
    if (told := jpeg_size(code)) != (image.rows, image.columns, 1):
        raise ValueError(
            f"the JPEG code says (rows, columns, components) {told}, the header "
            f"{(image.rows, image.columns, 1)}"
        )
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(code)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    # A reader that reads nothing, for its image: `change` counts references, and would free an
    # image that Python owns as well.
    owner = gdcm.ImageReader()
    picture = owner.GetImage()
    picture.SetNumberOfDimensions(2)
    picture.SetDimensions((image.columns, image.rows, 1))
    kind = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")
    picture.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    syntax = gdcm.TransferSyntax.GetTSType(image.transfer_syntax)
    picture.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    stored = image.bits_stored
    picture.SetPixelFormat(gdcm.PixelFormat(1, 16, stored, stored - 1, int(image.signed)))
    picture.SetDataElement(element)
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.ExplicitVRLittleEndian))
    change.SetInput(picture)
    if not change.Change():
        raise ValueError("GDCM cannot decode the pixel data")
    decoded = change.GetOutput()
    length = 2 * image.rows * image.columns
    if decoded.GetBufferLength() != length:
        raise ValueError(f"decoded to {decoded.GetBufferLength()} bytes instead of {length}")
    # GetBuffer would hand the bytes over as text, at a third of the whole time; copy them from
    # where GDCM keeps them (alive as long as `change`) instead.
    address = int(decoded.GetDataElement().GetByteValue().GetVoidPointer())
    pixels = np.frombuffer(string_at(address, length), "<i2" if image.signed else "<u2")
    return pixels.reshape(image.rows, image.columns)


def jpeg_size(code: bytes) -> tuple[int, int, int] | None:
    """Rows, columns and components in the frame header of a JPEG code; None where it has none.

    Source: ITU-T T.81, sections B.1.1.3 and B.2.2.
    """
    place = 2
    while code[:2] == b"\xff\xd8" and place + 10 <= len(code) and code[place] == 0xFF:
        marker, length = struct.unpack(">xBH", code[place : place + 4])
        if 0xC0 <= marker <= 0xC3:
            _, rows, columns, components = struct.unpack(">BHHB", code[place + 4 : place + 10])
            return rows, columns, components
        place += 2 + length
    return None
