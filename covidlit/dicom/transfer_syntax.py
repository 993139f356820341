"""Transfer syntaxes: which are compressed, which can be decoded, and where fragments end."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path

from covidlit.dicom.elements import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE

_UNDECODABLE = {
    # JPEG extended with a full progression and the 12-bit spectral selection were retired; GDCM
    # returns the wrong pixels or none for them.
    "1.2.840.10008.1.2.4.53",
    "1.2.840.10008.1.2.4.55",
}


def is_encapsulated(transfer_syntax: str) -> bool:
    """Whether pixel data in this transfer syntax is stored in compressed fragments."""
    return transfer_syntax not in ("", DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE)


@cache
def can_decode(transfer_syntax: str) -> bool:
    """Whether one of pydicom's installed plugins decodes this transfer syntax."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID

    if transfer_syntax in _UNDECODABLE:
        return False
    try:
        return bool(get_decoder(UID(transfer_syntax)).is_available)
    except NotImplementedError:
        return False


def end_of_fragments(path: Path, offset: int, limit: int = 1024) -> int | None:
    """Where the compressed fragments that start at `offset` end, delimiter not counted.

    Args:
        path: the file.
        offset: where the value of the pixel data element starts.
        limit: the most fragments to step over.

    Returns:
        The offset of the sequence delimiter; None where the file ends before it.
    """
    with path.open("rb", buffering=0) as handle:
        for _ in range(limit):
            handle.seek(offset)
            item = handle.read(8)
            if len(item) < 8:
                return None
            group, element, length = struct.unpack("<HHL", item)
            if (group, element) == (0xFFFE, 0xE0DD):
                return offset
            if (group, element) != (0xFFFE, 0xE000):
                return None
            offset += 8 + length
    return None
