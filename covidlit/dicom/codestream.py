"""What a compressed image says of itself, read without decoding and held against the header."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise

from covidlit.dicom.series import ImageFile
from covidlit.dicom.transfer_syntax import decoder_name

_END = b"\xff\xd9"
_END_BYTES = 64
"""Where the end marker is looked for: encoders fill up the last fragment in many ways."""
_SIZ = b"\xff\x4f\xff\x51"
_RLE_HEADER = struct.Struct("<16L")


@dataclass(frozen=True, slots=True)
class Codestream:
    """The frame header of a compressed image.

    Args:
        rows, columns, components: its size; 0 rows where the code leaves them open.
        precision: bits of a value.
        signed: None where the code does not tell.
    """

    rows: int
    columns: int
    components: int
    precision: int
    signed: bool | None = None


def read_codestream(code: bytes, transfer_syntax: str) -> Codestream | None:
    """The frame header of a JPEG, JPEG-LS or JPEG 2000 code; None where there is none.

    Source: ITU-T T.81 B.2.2 (JPEG), T.87 C.2.2 (JPEG-LS), T.800 A.5.1 (JPEG 2000).
    """
    if decoder_name(transfer_syntax) == "openjpeg":
        return _jpeg_2000(code)
    return _jpeg(code)


def check_code(code: bytes, image: ImageFile) -> Codestream | None:
    """Hold the code of one slice against the header of its file, before anything decodes it.

    Returns:
        What the code says of itself; None for RLE, whose code says nothing of the image.

    Raises:
        ValueError: it is of another size or precision than the header says, is damaged at its
            start, or is cut off.
    """
    if decoder_name(image.transfer_syntax) == "rle":
        _check_rle(code, image)
        return None
    said = read_codestream(code, image.transfer_syntax)
    wanted = (image.rows, image.columns, 1)
    if said is None or (said.rows, said.columns, said.components) != wanted:
        told = None if said is None else (said.rows, said.columns, said.components)
        raise ValueError(
            f"the compressed code says (rows, columns, components) {told}, the header {wanted}"
        )
    if said.precision > image.bits_allocated or said.precision <= 8 < image.bits_stored:
        raise ValueError(
            f"the compressed code holds values of {said.precision} bits, the header says "
            f"{image.bits_stored} of {image.bits_allocated}"
        )
    if _END not in code[-_END_BYTES:]:
        raise ValueError("the compressed code is cut off: its end is missing")
    return said


def _jpeg(code: bytes) -> Codestream | None:
    place = 2
    while code[:2] == b"\xff\xd8" and place + 10 <= len(code) and code[place] == 0xFF:
        if code[place + 1] == 0xFF:  # fill bytes
            place += 1
            continue
        marker, length = struct.unpack(">xBH", code[place : place + 4])
        if 0xC0 <= marker <= 0xC3 or marker == 0xF7:
            fields = struct.unpack(">BHHB", code[place + 4 : place + 10])
            precision, rows, columns, components = fields
            return Codestream(rows, columns, components, precision)
        place += 2 + length
    return None


def _jpeg_2000(code: bytes) -> Codestream | None:
    # DICOM wants the bare codestream; some writers put the file format around it.
    start = 0 if code[:4] == _SIZ else code[:4096].find(_SIZ)
    if start < 0 or len(code) < start + 43:
        return None
    x, y, x0, y0 = struct.unpack_from(">4L", code, start + 8)
    components, depth = struct.unpack_from(">HB", code, start + 40)
    return Codestream(y - y0, x - x0, components, (depth & 0x7F) + 1, bool(depth & 0x80))


def _check_rle(code: bytes, image: ImageFile) -> None:
    """Source: DICOM PS3.5, section G.5."""
    if len(code) < _RLE_HEADER.size:
        raise ValueError("the RLE header is cut off")
    count, *offsets = _RLE_HEADER.unpack_from(code)
    wanted = image.bits_allocated // 8
    if count != wanted:
        raise ValueError(f"{count} RLE segments, the header says {wanted}")
    places = [*offsets[:count], len(code)]
    if places[0] != _RLE_HEADER.size or any(second <= first for first, second in pairwise(places)):
        raise ValueError("the RLE segments lie outside the code")
