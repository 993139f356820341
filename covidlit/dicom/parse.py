"""Parse one DICOM file up to its pixel data, for the few elements that matter.

A short walk over the plain encodings (explicit and implicit VR, little endian) covers nearly every
CT slice and takes a tenth of the time of a full parse; whatever looks unusual is left to pydicom.
"""

from __future__ import annotations

import io
import os
import re
import struct
import threading
import warnings
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from pydicom import dcmread
from pydicom.dataelem import RawDataElement

from covidlit.dicom.elements import Elements
from covidlit.dicom.inflate import Inflated, header_limit, too_long
from covidlit.dicom.transfer_syntax import DEFLATED, EXPLICIT_BIG, IMPLICIT_LITTLE
from covidlit.errors import DicomError

PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
UNDEFINED = 0xFFFFFFFF
NOT_DICOM = "not a DICOM file"

_MEDIA_CLASS = 0x00020002
_HEAD_BYTES = (16_384, 262_144)
_SHORT_VR = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG_VR = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_CMS_OBJECT_ID = bytes.fromhex("06092a864886f70d0107")  # PS3.10 section 7.4, Secure DICOM file
_DEFLATED_META = re.compile(
    rb"\x02\x00\x10\x00(UI..|....)" + re.escape(DEFLATED.encode()), re.DOTALL
)
_EXPLICIT = struct.Struct("<HH2sH").unpack_from
_IMPLICIT = struct.Struct("<HHL").unpack_from
_LENGTH = struct.Struct("<L").unpack_from
_pydicom_lock = threading.Lock()


class NotDicomError(Exception):
    """The file is not DICOM; the message says what it looks like, where that is known."""


class _UnusualError(Exception):
    """The short walk met something that it leaves to pydicom."""


class _DeflatedError(Exception):
    """What follows is deflated; `args[0]`: where it starts."""


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
            except _DeflatedError as deflated:
                return _read_deflated(path, deflated.args[0], size, wanted)[0]
    return _read_with_pydicom(path, start, size, wanted)


def inflated_header(path: Path | str) -> io.BytesIO | None:
    """The data set of a deflated file up to its pixel data, at most `header_limit` bytes of it.

    Returns:
        Explicit VR little endian without a preamble; None where the file is not deflated.

    Raises:
        DicomError: the deflated part is damaged.
    """
    start = _start_of_deflated(path)
    if start is None:
        return None
    return io.BytesIO(Inflated(path, start).grow_to(header_limit()))


def inflated_pixels(path: Path | str, length: int) -> bytes:
    """The first `length` bytes of the pixel data of a deflated file.

    Raises:
        DicomError: it is damaged, or has fewer.
    """
    start = _start_of_deflated(path)
    if start is None:
        raise DicomError("damaged: what is called deflated is not.")
    found, inflated, offset = _read_deflated(path, start, 0, ())
    if offset < 0:
        raise DicomError("no pixel data can be found in its deflated part.")
    there = min(len(inflated.grow_to(offset + length)) - offset, found.pixel_length)
    if there < length:
        raise DicomError(f"truncated: {there} of {length} bytes of pixel data.")
    return bytes(inflated.content[offset : offset + length])


def _start_of_deflated(path: Path | str) -> int | None:
    with Path(path).open("rb") as handle:
        head = handle.read(_HEAD_BYTES[1])
        size = os.fstat(handle.fileno()).st_size
    try:
        _walk_file(head, _start_of_data(head, size), size, ())
    except _DeflatedError as deflated:
        return int(deflated.args[0])
    except (_UnusualError, _MoreBytesError, DicomError, NotDicomError, struct.error):
        return None
    return None


def _read_deflated(
    path: Path | str, start: int, size: int, wanted: Collection[int]
) -> tuple[Elements, Inflated, int]:
    """The elements of a deflated file, what was inflated of it, and where its pixel data start.

    The place is -1 where only pydicom can read the header.
    """
    inflated = Inflated(path, start)
    limit = _HEAD_BYTES[0]
    while True:
        head = inflated.grow_to(limit)
        found = Elements({}, transfer_syntax=DEFLATED, size=size)
        length = len(head) if inflated.is_whole else 1 << 62
        try:
            _walk(head, 0, length, True, wanted, found)
            break
        except _MoreBytesError:
            if limit >= header_limit():
                raise too_long() from None
            limit = min(4 * limit, header_limit())
        except (_UnusualError, struct.error):
            head = inflated.grow_to(header_limit())
            found = _read_with_pydicom(io.BytesIO(head), 0, size, wanted)
            found.transfer_syntax = DEFLATED
            break
    place, found.pixel_offset = found.pixel_offset, -1
    return found, inflated, place if found.pixel_tag else -1


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
    group, element = struct.unpack("<HH", first[:4]) if len(first) == 8 else (0, 0)
    explicit = first[4:6] in _SHORT_VR or first[4:6] in _LONG_VR
    length = 0 if len(first) < 8 else struct.unpack("<L", first[4:])[0]
    if group in (2, 8) and element <= 0x0100 and (explicit or length <= 128):
        return 0
    if first[:2] == b"\0\x08" and explicit:  # big endian without preamble
        return 0
    raise NotDicomError(NOT_DICOM)


def _walk_file(head: bytes, start: int, size: int, wanted: Collection[int]) -> Elements:
    found = Elements({}, size=size)
    position = start
    if struct.unpack_from("<H", head, start)[0] == 2:
        position = _walk(head, start, size, True, (0x00020010, _MEDIA_CLASS), found, end_group=2)
        found.transfer_syntax = found.text(0x00020010)
    explicit = head[position + 4 : position + 6] in _SHORT_VR
    if found.transfer_syntax == DEFLATED:
        raise _DeflatedError(position)
    if found.transfer_syntax == EXPLICIT_BIG:
        raise _UnusualError
    if explicit == (found.transfer_syntax == IMPLICIT_LITTLE):
        raise _UnusualError
    _walk(head, position, size, explicit, wanted, found)
    return found


def _walk(
    head: bytes,
    position: int,
    size: int,
    explicit: bool,
    wanted: Collection[int],
    found: Elements,
    end_group: int | None = None,
) -> int:
    """Collect wanted elements from `position` on; stop at pixel data or after `end_group`."""
    available, previous = len(head), 0
    while True:
        if position + 12 > available:
            if available < size:
                raise _MoreBytesError
            if position == size:
                return position
            raise _UnusualError
        if end_group is not None and head[position] | head[position + 1] << 8 != end_group:
            return position  # what follows may be deflated, no element at all
        if explicit:
            group, element, vr, length = _EXPLICIT(head, position)
            value = position + 8
            if vr not in _SHORT_VR:
                if vr not in _LONG_VR:
                    raise _UnusualError
                length = _LENGTH(head, value)[0]
                value += 4
        else:
            group, element, length = _IMPLICIT(head, position)
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
            position = _skip_items(head, value, size, explicit)
            continue
        position = value + length
        if position > size:
            raise _UnusualError
        if tag in wanted:
            if position > available:
                raise _MoreBytesError
            found.values[tag] = head[value:position]


def _skip_items(head: bytes, position: int, size: int, explicit: bool, depth: int = 0) -> int:
    """The position after a sequence of undefined length whose items start at `position`."""
    if depth > 16:
        raise _UnusualError
    while True:
        if position + 8 > len(head):
            raise _MoreBytesError if len(head) < size else _UnusualError
        group, element, length = struct.unpack_from("<HHL", head, position)
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
            group, element, length = struct.unpack_from("<HHL", head, position)
            value = position + 8
            if (group, element) == (0xFFFE, 0xE00D):
                position = value
                break
            if explicit:
                vr = head[position + 4 : position + 6]
                if vr in _SHORT_VR:
                    length = struct.unpack_from("<H", head, position + 6)[0]
                elif vr in _LONG_VR:
                    length = struct.unpack_from("<L", head, value)[0]
                    value += 4
                else:
                    raise _UnusualError
            if length == UNDEFINED:
                if explicit and vr != b"SQ":
                    raise _UnusualError
                position = _skip_items(head, value, size, explicit, depth + 1)
            else:
                position = value + length


def _read_with_pydicom(
    source: Path | str | io.BytesIO, start: int, size: int, wanted: Collection[int]
) -> Elements:
    with ExitStack() as stack:
        if isinstance(source, io.BytesIO):
            content: BinaryIO = source
        else:
            handle = stack.enter_context(Path(source).open("rb"))
            _refuse_deflated(handle)
            content = io.BytesIO(handle.read()) if start == 0 else handle
        return _parse_with_pydicom(content, size, wanted)


def _refuse_deflated(handle: BinaryIO) -> None:
    """pydicom inflates a file as a whole, whatever is wanted of it.

    Raises:
        DicomError: the file is deflated, but the short walk could not read that it is.
    """
    if _DEFLATED_META.search(handle.read(_HEAD_BYTES[1])):
        raise DicomError("damaged: deflated, behind a file meta group that cannot be read.")
    handle.seek(0)


def _parse_with_pydicom(content: BinaryIO, size: int, wanted: Collection[int]) -> Elements:
    with _pydicom_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dcmread(content, stop_before_pixels=True, force=True, specific_tags=list(wanted))
        position = content.tell()
        syntax = str(dataset.file_meta.get("TransferSyntaxUID", ""))
        endian = "<" if dataset.original_encoding[1] is not False else ">"
        values = {_MEDIA_CLASS: str(dataset.file_meta.get("MediaStorageSOPClassUID", "")).encode()}
        for tag in wanted:
            if tag not in dataset:
                continue
            item = dataset.get_item(tag)
            if isinstance(item, RawDataElement) and item.value is not None:
                values[tag] = item.value
        found = Elements(values, endian, syntax, size)
        content.seek(position)
        _locate_pixels(content.read(12), position, bool(dataset.original_encoding[0]), found)
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
