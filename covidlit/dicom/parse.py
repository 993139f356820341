"""Parse one DICOM file up to its pixel data, for the few elements that matter.

A short walk over the plain encodings (explicit and implicit VR, either byte order) covers nearly
every CT slice and takes a tenth of the time of a full parse; whatever looks unusual is left to
pydicom. How a file is encoded is seen at its first element: what the file says about itself, or
leaves out, may be wrong.
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
from covidlit.dicom.inflate import Inflated, header_limit, inflated_bytes, too_long
from covidlit.dicom.transfer_syntax import DEFLATED
from covidlit.dicom.walk import (
    FIRST_GROUPS,
    IMPLICIT,
    LONG_VR,
    MEDIA_CLASS,
    PIXEL_TAGS,
    UNDEFINED,
    DeflatedError,
    Encoding,
    MoreBytesError,
    UnusualError,
    encoding_at,
    set_encoding,
    walk,
    walk_file,
)
from covidlit.errors import DicomError

NOT_DICOM = "not a DICOM file"

_HEAD_BYTES = (16_384, 262_144)
_CMS_OBJECT_ID = bytes.fromhex("06092a864886f70d0107")  # PS3.10 section 7.4, Secure DICOM file
_DEFLATED_META = re.compile(
    rb"\x02\x00\x10\x00(UI..|....)" + re.escape(DEFLATED.encode()), re.DOTALL
)
_pydicom_lock = threading.Lock()


class NotDicomError(Exception):
    """The file is not DICOM; the message says what it looks like, where that is known."""


class NoImageError(NotDicomError):
    """The file is DICOM, but holds no image; `series_uid` says which series it belongs to."""

    def __init__(self, series_uid: str, sop_class: str = "") -> None:
        super().__init__("a DICOM object without an image")
        self.series_uid, self.sop_class = series_uid, sop_class


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
                return walk_file(head, start, size, wanted)
            except UnusualError:
                break
            except MoreBytesError:
                continue
            except DeflatedError as deflated:
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


def check_inflated(path: Path | str, most: int) -> None:
    """Refuse a deflated file that is longer than `most` when it is inflated; others pass.

    For whoever reads it by pydicom, which inflates all of it.

    Raises:
        DicomError: it is, or its deflated part is damaged.
    """
    start = _start_of_deflated(path)
    if start is not None and inflated_bytes(path, start, most) > most:
        raise DicomError(
            f"its deflated part holds more than {most >> 20} MiB.",
            fix="write it in explicit VR little endian.",
        )


def _start_of_deflated(path: Path | str) -> int | None:
    with Path(path).open("rb") as handle:
        head = handle.read(_HEAD_BYTES[1])
        size = os.fstat(handle.fileno()).st_size
    try:
        walk_file(head, _start_of_data(head, size), size, ())
    except DeflatedError as deflated:
        return int(deflated.args[0])
    except (UnusualError, MoreBytesError, DicomError, NotDicomError, struct.error):
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
            walk(head, 0, length, Encoding(True, "<"), wanted, found)
            break
        except MoreBytesError:
            if limit >= header_limit():
                raise too_long() from None
            limit = min(4 * limit, header_limit())
        except (UnusualError, struct.error):
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
    if len(first) == 8:
        encoding = encoding_at(head, 0)
        group, element, length = IMPLICIT[encoding.endian](head, 0)
        if group in FIRST_GROUPS and element <= 0x0100 and (encoding.explicit or length <= 128):
            return 0
    raise NotDicomError(NOT_DICOM)


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
        implicit, little = dataset.original_encoding
        encoding = Encoding(not implicit, "<" if little is not False else ">")
        values = {MEDIA_CLASS: str(dataset.file_meta.get("MediaStorageSOPClassUID", "")).encode()}
        for tag in wanted:
            if tag not in dataset:
                continue
            item = dataset.get_item(tag)
            if isinstance(item, RawDataElement) and item.value is not None:
                values[tag] = item.value
            elif item.VR == "SQ" and item.value:
                values[tag] = b"items"  # pydicom has parsed them; only that there are any counts
        found = Elements(values, size=size)
        set_encoding(found, syntax, encoding)
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
    at = 4 if implicit or start[4:6] not in LONG_VR else 8
    length = struct.unpack(found.endian + "L", start[at : at + 4])[0]
    found.pixel_tag = group << 16 | element
    found.pixel_offset = position + at + 4
    found.pixel_length = -1 if length == UNDEFINED else length
