"""Files and frames as they are sent: as they are stored, or without who the patient is."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.pixels import get_decoder
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from covidlit.dicom.out.source import without_patient_data_in_logs
from covidlit.platform.dicomweb.deidentify import PIXEL_DATA, Stranger, without_identity

_NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)


class NotReadableError(Exception):
    """The pixels of a file cannot be decoded, or it cannot be written in another way."""


def file_of(path: Path, as_stored: bool) -> bytes:
    """A file with all that it holds.

    Args:
        path: of it.
        as_stored: in whichever transfer syntax it is; else in explicit VR, little endian.

    Raises:
        NotReadableError: it would have to be decoded, and cannot be.
    """
    content = path.read_bytes()
    syntax = _syntax_of(content)
    if syntax and (as_stored or syntax == ExplicitVRLittleEndian):
        return content
    data = _read(content)
    return _written(data, _copied(data))


def file_without_identity(path: Path, to: Stranger, as_stored: bool) -> bytes:
    """A file without who the patient is.

    Compressed pixels are decoded, since comments may stand in them, but for objects that covidlit
    wrote itself.

    Raises:
        NotReadableError: they cannot be.
    """
    data = _read(path.read_bytes())
    found = _guarded(lambda: without_identity(data, to))
    if to.is_own and as_stored and _syntax(data) not in _NATIVE:
        return _written_compressed(data, found)
    return _written(data, found)


def header_of(path: Path, to: Stranger | None) -> Dataset:
    """The header of a file without its pixels.

    Args:
        path: of it.
        to: how the patient is called; None: as it is.

    Raises:
        NotReadableError: pydicom cannot read it.
    """
    with without_patient_data_in_logs():
        data: Dataset = _guarded(lambda: dcmread(path, stop_before_pixels=True, force=True))
        return data if to is None else _guarded(lambda: without_identity(data, to))


def frames_of(path: Path, wanted: list[int]) -> Iterator[bytes]:
    """Frames of a file, decoded, little-endian; of one bit a pixel eight in a byte.

    Args:
        path: of it.
        wanted: their indices, from 0.

    Raises:
        NotReadableError: they cannot be decoded.
    """
    data = _read(path.read_bytes())
    for index in wanted:
        yield _bytes(_guarded(lambda index=index: _frame(data, index)), data)


def picture_of(path: Path, index: int) -> np.ndarray[Any, Any]:
    """A decoded frame, (rows, columns) or (rows, columns, samples).

    Raises:
        NotReadableError: it cannot be decoded.
    """
    data = _read(path.read_bytes())
    found: np.ndarray[Any, Any] = _guarded(lambda: _frame(data, index))
    return found


def _syntax_of(content: bytes) -> str:
    """The transfer syntax that a file names where it is one of PS3.10, or empty."""
    if content[128:132] != b"DICM":
        return ""
    with without_patient_data_in_logs():
        try:
            meta = dcmread(BytesIO(content), stop_before_pixels=True, specific_tags=[]).file_meta
        except Exception:  # pydicom may raise nearly anything
            return ""
    return str(meta.get("TransferSyntaxUID", ""))


def _read(content: bytes) -> Dataset:
    with without_patient_data_in_logs():
        data: Dataset = _guarded(lambda: dcmread(BytesIO(content), force=True))
        return data


def _syntax(data: Dataset) -> UID:
    found = getattr(data, "file_meta", FileMetaDataset()).get("TransferSyntaxUID")
    if found is not None:
        return UID(str(found))
    implicit, little = data.original_encoding
    if little is False:
        return ExplicitVRBigEndian
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian


def _copied(data: Dataset) -> Dataset:
    """All elements but the pixels."""
    found = Dataset()
    for tag in data.keys():  # noqa: SIM118 (a data set goes through its elements)
        if tag.group > 0x0002 and tag.element != 0 and tag != 0x7FE00010:
            found.add(data[tag])
    return found


def _written(data: Dataset, header: Dataset) -> bytes:
    """A file in explicit VR, little endian, of a header and the pixels of another data set."""
    if any(name in data for name in PIXEL_DATA):
        _guarded(lambda: _add_pixels(data, header))
    return _file(header, ExplicitVRLittleEndian)


def _add_pixels(data: Dataset, header: Dataset) -> None:
    n_frames = max(1, int(data.get("NumberOfFrames") or 1))
    name = next(each for each in PIXEL_DATA if each in data)
    own = [_frame(data, index) for index in range(n_frames)]
    if data.BitsAllocated == 1:  # frames of one bit a pixel lie bit by bit
        content = np.packbits(np.concatenate([f.ravel() for f in own]), bitorder="little").tobytes()
    else:
        content = b"".join(_bytes(each, data) for each in own)
    setattr(header, name, content + b"\0" * (len(content) % 2))
    if name == "PixelData":
        header["PixelData"].VR = "OB" if data.BitsAllocated <= 8 else "OW"
    if own[0].ndim == 3:
        header.PlanarConfiguration = 0


def _written_compressed(data: Dataset, header: Dataset) -> bytes:
    header.PixelData = data.PixelData
    header["PixelData"].VR = "OB"
    header["PixelData"].is_undefined_length = True
    return _file(header, _syntax(data))


def _file(data: Dataset, syntax: UID) -> bytes:
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    buffer = BytesIO()
    with without_patient_data_in_logs():
        _guarded(lambda: dcmwrite(buffer, data, enforce_file_format=True))
    return buffer.getvalue()


def _frame(data: Dataset, index: int) -> np.ndarray[Any, Any]:
    with without_patient_data_in_logs():
        syntax = _syntax(data)
        if not hasattr(data, "file_meta"):
            data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = syntax
        found, _ = get_decoder(syntax).as_array(data, index=index, raw=True)
        return found


def _bytes(frame: np.ndarray[Any, Any], data: Dataset) -> bytes:
    if data.BitsAllocated == 1:
        return np.packbits(frame.ravel(), bitorder="little").tobytes()
    return np.ascontiguousarray(frame, frame.dtype.newbyteorder("<")).tobytes()


def _guarded(do: Any) -> Any:
    with without_patient_data_in_logs():
        try:
            return do()
        except Exception as error:  # pydicom and its decoders may raise nearly anything
            if isinstance(error, MemoryError | FileNotFoundError):
                raise
            # What it says may quote the patient: the log gets its kind alone.
            raise NotReadableError(type(error).__name__) from None
