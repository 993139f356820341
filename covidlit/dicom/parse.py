"""Parse one DICOM file up to its pixel data, for the few elements that matter.

A short walk over the plain encodings (explicit and implicit VR, either byte order) covers nearly
every CT slice and takes a tenth of the time of a full parse; whatever looks unusual is left to
pydicom. How a file is encoded is seen at its first element: what the file says about itself, or
leaves out, may be wrong.
"""

from __future__ import annotations

import io
import os
import struct
import threading
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from pydicom import dcmread
from pydicom.dataelem import RawDataElement

from covidlit.dicom.elements import Elements
from covidlit.dicom.transfer_syntax import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    is_encapsulated,
)
from covidlit.errors import DicomError

PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
UNDEFINED = 0xFFFFFFFF
NOT_DICOM = "not a DICOM file"

_MEDIA_CLASS = 0x00020002
_HEAD_BYTES = (16_384, 262_144)
_SHORT_VR = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG_VR = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_CMS_OBJECT_ID = bytes.fromhex("06092a864886f70d0107")  # PS3.10 section 7.4, Secure DICOM file
_EXPLICIT = {endian: struct.Struct(endian + "HH2sH").unpack_from for endian in "<>"}
_IMPLICIT = {endian: struct.Struct(endian + "HHL").unpack_from for endian in "<>"}
_SHORT = {endian: struct.Struct(endian + "H").unpack_from for endian in "<>"}
_LENGTH = {endian: struct.Struct(endian + "L").unpack_from for endian in "<>"}
_FIRST_GROUPS = (0x0002, 0x0008)
_pydicom_lock = threading.Lock()


class _Encoding(NamedTuple):
    """How the elements of a file are really written."""

    explicit: bool
    endian: str

    @property
    def transfer_syntax(self) -> str:
        """Its UID; empty for implicit VR in big endian, which DICOM never had."""
        if self.explicit:
            return EXPLICIT_LITTLE if self.endian == "<" else EXPLICIT_BIG
        return IMPLICIT_LITTLE if self.endian == "<" else ""


class NotDicomError(Exception):
    """The file is not DICOM; the message says what it looks like, where that is known."""


class NoImageError(NotDicomError):
    """The file is DICOM, but holds no image; `series_uid` says which series it belongs to."""

    def __init__(self, series_uid: str) -> None:
        super().__init__("a DICOM object without an image")
        self.series_uid = series_uid


class _UnusualError(Exception):
    """The short walk met something that it leaves to pydicom."""


class _MoreBytesError(Exception):
    """The header goes on after the bytes read so far."""


def read_elements(path: Path | str, wanted: Collection[int]) -> Elements:
    """Read the `wanted` top-level elements of a DICOM file, up to its pixel data.

    Args:
        path: the file; a missing preamble is accepted where the content parses.
        wanted: tags as integers (group << 16 | element).

    Raises:
        NotDicomError: the file is not DICOM.
        DicomError: it is DICOM, but damaged or encrypted.
        Exception: pydicom may raise nearly anything on a damaged file; the caller guards.
    """
    with open(path, "rb", buffering=0) as handle:  # noqa: PTH123 (os.open speed, many files)
        size = os.fstat(handle.fileno()).st_size
        head = handle.read(_HEAD_BYTES[0])
        start = _start_of_data(head, size)
        for limit in _HEAD_BYTES:
            if len(head) < min(limit, size):
                head += handle.read(limit - len(head))
            try:
                return _walk_file(head, start, size, wanted)
            except _UnusualError:
                break
            except _MoreBytesError:
                continue
    return _read_with_pydicom(path, start, size, wanted)


def _start_of_data(head: bytes, size: int) -> int:
    """Where the first data element starts: after the preamble, or at 0 without one."""
    if size == 0:
        raise DicomError("the file is empty (0 bytes).")
    if head[128:132] == b"DICM":
        return 132
    if head[132:136] == b"\x02\0\0\0" and head[136:138] == b"UL":
        raise DicomError("damaged: the mark DICM at byte 128 is not there.")
    if _CMS_OBJECT_ID in head[:64]:
        raise DicomError(
            "encrypted (a CMS envelope, DICOM PS3.10 section 7.4).",
            fix="decrypt the files with your PACS's tool, then read the result.",
        )
    first = head[:8]
    if len(first) == 8:
        encoding = _encoding_at(head, 0)
        group, element, length = _IMPLICIT[encoding.endian](head, 0)
        if group in _FIRST_GROUPS and element <= 0x0100 and (encoding.explicit or length <= 128):
            return 0
    raise NotDicomError(NOT_DICOM)


def _encoding_at(head: bytes, position: int) -> _Encoding:
    """How the element at `position` is written, which must be the first of a group."""
    vr = head[position + 4 : position + 6]
    # The first groups of a file have small numbers: 0x0008, or 0x0800 in the wrong byte order.
    big = head[position] < head[position + 1]
    return _Encoding(vr in _SHORT_VR or vr in _LONG_VR, ">" if big else "<")


def _walk_file(head: bytes, start: int, size: int, wanted: Collection[int]) -> Elements:
    found = Elements({}, size=size)
    position = start
    if len(head) < start + 8:
        raise _UnusualError
    meta = _encoding_at(head, start)
    if _SHORT[meta.endian](head, start)[0] == 2:
        found.endian = meta.endian
        position = _walk(head, start, size, meta, (0x00020010, _MEDIA_CLASS), found, end_group=2)
    if len(head) < position + 8:
        raise _UnusualError
    encoding = _encoding_at(head, position)
    declared = found.text(0x00020010)
    plain = _SHORT[encoding.endian](head, position)[0] in _FIRST_GROUPS and encoding.explicit
    if declared == DEFLATED and not plain:
        raise _UnusualError
    _set_encoding(found, declared, encoding)
    _walk(head, position, size, encoding, wanted, found)
    return found


def _set_encoding(found: Elements, declared: str, encoding: _Encoding) -> None:
    """Note the encoding as it is; a compressed transfer syntax says more than the elements show."""
    found.endian, found.transfer_syntax = encoding.endian, declared
    if not is_encapsulated(declared):
        found.transfer_syntax = encoding.transfer_syntax
        if declared and declared != found.transfer_syntax:
            found.declared = declared


def _walk(
    head: bytes,
    position: int,
    size: int,
    encoding: _Encoding,
    wanted: Collection[int],
    found: Elements,
    end_group: int | None = None,
) -> int:
    """Collect wanted elements from `position` on; stop at pixel data or after `end_group`."""
    available, previous = len(head), 0
    explicit, endian = encoding
    explicit_at, implicit_at, length_at = _EXPLICIT[endian], _IMPLICIT[endian], _LENGTH[endian]
    while True:
        if position + 12 > available:
            if available < size:
                raise _MoreBytesError
            if position == size:
                return position
            raise _UnusualError
        if explicit:
            group, element, vr, length = explicit_at(head, position)
            if end_group is not None and group != end_group:
                return position
            value = position + 8
            if vr not in _SHORT_VR:
                if vr not in _LONG_VR:
                    raise _UnusualError
                length = length_at(head, value)[0]
                value += 4
        else:
            group, element, length = implicit_at(head, position)
            if end_group is not None and group != end_group:
                return position
            value = position + 8
        tag = group << 16 | element
        if tag in PIXEL_TAGS:
            found.pixel_tag, found.pixel_offset = tag, value
            found.pixel_length = -1 if length == UNDEFINED else length
            return position
        if tag <= previous:
            raise _UnusualError
        previous = tag
        if length == UNDEFINED:
            if explicit and vr != b"SQ":
                raise _UnusualError
            position = _skip_items(head, value, size, encoding)
            if tag in wanted:
                found.values[tag] = head[value:position]
            continue
        position = value + length
        if position > size:
            raise _UnusualError
        if tag in wanted:
            if position > available:
                raise _MoreBytesError
            found.values[tag] = head[value:position]


def _skip_items(head: bytes, position: int, size: int, encoding: _Encoding, depth: int = 0) -> int:
    """The position after a sequence of undefined length whose items start at `position`."""
    if depth > 16:
        raise _UnusualError
    explicit, endian = encoding
    while True:
        if position + 8 > len(head):
            raise _MoreBytesError if len(head) < size else _UnusualError
        group, element, length = _IMPLICIT[endian](head, position)
        position += 8
        if (group, element) == (0xFFFE, 0xE0DD):
            return position
        if (group, element) != (0xFFFE, 0xE000):
            raise _UnusualError
        if length != UNDEFINED:
            position += length
            continue
        while True:
            if position + 12 > len(head):
                raise _MoreBytesError if len(head) < size else _UnusualError
            group, element, length = _IMPLICIT[endian](head, position)
            value = position + 8
            if (group, element) == (0xFFFE, 0xE00D):
                position = value
                break
            if explicit:
                vr = head[position + 4 : position + 6]
                if vr in _SHORT_VR:
                    length = _SHORT[endian](head, position + 6)[0]
                elif vr in _LONG_VR:
                    length = _LENGTH[endian](head, value)[0]
                    value += 4
                else:
                    raise _UnusualError
            if length == UNDEFINED:
                if explicit and vr != b"SQ":
                    raise _UnusualError
                position = _skip_items(head, value, size, encoding, depth + 1)
            else:
                position = value + length


def _read_with_pydicom(
    path: Path | str, start: int, size: int, wanted: Collection[int]
) -> Elements:
    with Path(path).open("rb") as handle, _pydicom_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = io.BytesIO(handle.read()) if start == 0 else handle
        dataset = dcmread(content, stop_before_pixels=True, force=True, specific_tags=list(wanted))
        position = content.tell()
        syntax = str(dataset.file_meta.get("TransferSyntaxUID", ""))
        implicit, little = dataset.original_encoding
        encoding = _Encoding(not implicit, "<" if little is not False else ">")
        values = {_MEDIA_CLASS: str(dataset.file_meta.get("MediaStorageSOPClassUID", "")).encode()}
        for tag in wanted:
            if tag not in dataset:
                continue
            item = dataset.get_item(tag)
            if isinstance(item, RawDataElement) and item.value is not None:
                values[tag] = item.value
            elif item.VR == "SQ" and item.value:
                values[tag] = b"items"  # pydicom has parsed them; only that there are any counts
        found = Elements(values, size=size)
        if syntax == DEFLATED:
            found.transfer_syntax = syntax
            found.pixel_tag, found.pixel_offset = 0x7FE00010, -1
            return found
        _set_encoding(found, syntax, encoding)
        content.seek(position)
        _locate_pixels(content.read(12), position, bool(implicit), found)
    return found


def _locate_pixels(start: bytes, position: int, implicit: bool, found: Elements) -> None:
    """Note tag, offset and length of the pixel data element whose first 12 bytes are `start`."""
    if len(start) < 12:
        return
    group, element = struct.unpack(found.endian + "HH", start[:4])
    if (group << 16 | element) not in PIXEL_TAGS:
        return
    at = 4 if implicit or start[4:6] not in _LONG_VR else 8
    length = struct.unpack(found.endian + "L", start[at : at + 4])[0]
    found.pixel_tag = group << 16 | element
    found.pixel_offset = position + at + 4
    found.pixel_length = -1 if length == UNDEFINED else length
