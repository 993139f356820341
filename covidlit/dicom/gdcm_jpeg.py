"""JPEG lossless and 12-bit JPEG extended, decoded by GDCM directly.

pydicom hands lossless JPEG to GDCM too, with more work around it; 12-bit JPEG extended it does not,
although GDCM decodes it.
"""

from __future__ import annotations

from ctypes import string_at
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.dicom.series import ImageFile
from covidlit.dicom.transfer_syntax import JPEG_EXTENDED, JPEG_LOSSLESS


def uses_gdcm(image: ImageFile) -> bool:
    """Whether the pixels of this file are decoded here."""
    if image.bits_allocated != 16 or image.bits_stored <= 8:
        return False
    return image.transfer_syntax == JPEG_EXTENDED or image.transfer_syntax in JPEG_LOSSLESS


def decode_with_gdcm(image: ImageFile) -> NDArray[Any]:
    """Stored 16-bit values (frame, row, column) of one file.

    Raises:
        ValueError: GDCM cannot read or decode the file, or decodes another number of pixels.
    """
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(str(image.path))
    if not reader.Read():
        raise ValueError("GDCM cannot read the file")
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.ExplicitVRLittleEndian))
    change.SetInput(reader.GetImage())
    if not change.Change():
        raise ValueError("GDCM cannot decode the pixel data")
    decoded = change.GetOutput()
    length = 2 * image.rows * image.columns * image.n_frames
    if decoded.GetBufferLength() != length:
        raise ValueError(f"decoded to {decoded.GetBufferLength()} bytes instead of {length}")
    # GetBuffer would hand the bytes over as text, at a third of the whole time; copy them from
    # where GDCM keeps them (alive as long as `change`) instead.
    address = int(decoded.GetDataElement().GetByteValue().GetVoidPointer())
    pixels = np.frombuffer(string_at(address, length), "<i2" if image.signed else "<u2")
    return pixels.reshape(image.n_frames, image.rows, image.columns)
