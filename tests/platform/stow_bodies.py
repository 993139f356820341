"""Bodies of STOW-RS."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

BOUNDARY = "a-boundary"
KIND = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'


def body_of(objects: Sequence[Dataset | bytes]) -> bytes:
    """A body with an object in each part."""
    parts = [
        b"--" + BOUNDARY.encode() + b"\r\nContent-Type: application/dicom\r\n\r\n"
        + (each if isinstance(each, bytes) else file_of(each)) + b"\r\n"
        for each in objects
    ]  # fmt: skip
    return b"".join(parts) + b"--" + BOUNDARY.encode() + b"--\r\n"


def file_of(data: Dataset) -> bytes:
    """The bytes of a file."""
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
