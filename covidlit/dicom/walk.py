"""A walk over the elements of a DICOM file in one of the plain encodings."""

from __future__ import annotations

import struct
from collections.abc import Collection
from typing import NamedTuple

from covidlit.dicom.elements import Elements
from covidlit.dicom.transfer_syntax import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    is_encapsulated,
)

PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
FIRST_PIXEL_TAG = min(PIXEL_TAGS)
UNDEFINED = 0xFFFFFFFF
MEDIA_CLASS = 0x00020002
SHORT_VR = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
LONG_VR = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_EXPLICIT = {endian: struct.Struct(endian + "HH2sH").unpack_from for endian in "<>"}
IMPLICIT = {endian: struct.Struct(endian + "HHL").unpack_from for endian in "<>"}
_SHORT = {endian: struct.Struct(endian + "H").unpack_from for endian in "<>"}
_LENGTH = {endian: struct.Struct(endian + "L").unpack_from for endian in "<>"}
FIRST_GROUPS = (0x0002, 0x0008)


class Encoding(NamedTuple):
    """How the elements of a file are really written."""

    explicit: bool
    endian: str

    @property
    def transfer_syntax(self) -> str:
        """Its UID; empty for implicit VR in big endian, which DICOM never had."""
        if self.explicit:
            return EXPLICIT_LITTLE if self.endian == "<" else EXPLICIT_BIG
        return IMPLICIT_LITTLE if self.endian == "<" else ""


class UnusualError(Exception):
    """The short walk met something that it leaves to pydicom."""


class DeflatedError(Exception):
    """What follows is deflated; `args[0]`: where it starts."""


class MoreBytesError(Exception):
    """The header goes on after the bytes read so far."""


def encoding_at(head: bytes, position: int) -> Encoding:
    """How the element at `position` is written, which must be the first of a group."""
    vr = head[position + 4 : position + 6]
    # The first groups of a file have small numbers: 0x0008, or 0x0800 in the wrong byte order.
    big = head[position] < head[position + 1]
    return Encoding(vr in SHORT_VR or vr in LONG_VR, ">" if big else "<")


def walk_file(head: bytes, start: int, size: int, wanted: Collection[int]) -> Elements:
    found = Elements({}, size=size)
    position = start
    if len(head) < start + 8:
        raise UnusualError
    meta = encoding_at(head, start)
    if _SHORT[meta.endian](head, start)[0] == 2:
        found.endian = meta.endian
        position = walk(head, start, size, meta, (0x00020010, MEDIA_CLASS), found, end_group=2)
    if len(head) < position + 8:
        raise UnusualError
    encoding = encoding_at(head, position)
    declared = found.text(0x00020010)
    plain = _SHORT[encoding.endian](head, position)[0] in FIRST_GROUPS and encoding.explicit
    if declared == DEFLATED and not plain:
        raise DeflatedError(position)
    set_encoding(found, declared, encoding)
    walk(head, position, size, encoding, wanted, found)
    return found


def set_encoding(found: Elements, declared: str, encoding: Encoding) -> None:
    """Note the encoding as it is; a compressed transfer syntax says more than the elements show."""
    found.endian, found.transfer_syntax = encoding.endian, declared
    if not is_encapsulated(declared):
        found.transfer_syntax = encoding.transfer_syntax
        if declared and declared != found.transfer_syntax:
            found.declared = declared


def walk(
    head: bytes,
    position: int,
    size: int,
    encoding: Encoding,
    wanted: Collection[int],
    found: Elements,
    end_group: int | None = None,
) -> int:
    """Collect wanted elements from `position` on; stop at pixel data or after `end_group`."""
    available, previous = len(head), 0
    explicit, endian = encoding
    explicit_at, implicit_at, length_at = _EXPLICIT[endian], IMPLICIT[endian], _LENGTH[endian]
    group_at = _SHORT[endian]
    while True:
        if position + 12 > available:
            if available < size:
                raise MoreBytesError
            if position == size:
                return position
            raise UnusualError
        if end_group is not None and group_at(head, position)[0] != end_group:
            return position  # what follows may be deflated, no element at all
        if explicit:
            group, element, vr, length = explicit_at(head, position)
            value = position + 8
            if vr not in SHORT_VR:
                if vr not in LONG_VR:
                    raise UnusualError
                length = length_at(head, value)[0]
                value += 4
        else:
            group, element, length = implicit_at(head, position)
            value = position + 8
        tag = group << 16 | element
        if tag >= FIRST_PIXEL_TAG and tag in PIXEL_TAGS:
            found.pixel_tag, found.pixel_offset = tag, value
            found.pixel_length = -1 if length == UNDEFINED else length
            return position
        if tag <= previous:
            raise UnusualError
        previous = tag
        if length == UNDEFINED:
            if explicit and vr != b"SQ":
                raise UnusualError
            position = _skip_items(head, value, size, encoding)
            if tag in wanted:
                found.values[tag] = head[value:position]
            continue
        position = value + length
        if position > size:
            raise UnusualError
        if tag in wanted:
            if position > available:
                raise MoreBytesError
            found.values[tag] = head[value:position]


def _skip_items(head: bytes, position: int, size: int, encoding: Encoding, depth: int = 0) -> int:
    """The position after a sequence of undefined length whose items start at `position`."""
    if depth > 16:
        raise UnusualError
    explicit, endian = encoding
    while True:
        if position + 8 > len(head):
            raise MoreBytesError if len(head) < size else UnusualError
        group, element, length = IMPLICIT[endian](head, position)
        position += 8
        if (group, element) == (0xFFFE, 0xE0DD):
            return position
        if (group, element) != (0xFFFE, 0xE000):
            raise UnusualError
        if length != UNDEFINED:
            position += length
            continue
        while True:
            if position + 12 > len(head):
                raise MoreBytesError if len(head) < size else UnusualError
            group, element, length = IMPLICIT[endian](head, position)
            value = position + 8
            if (group, element) == (0xFFFE, 0xE00D):
                position = value
                break
            if explicit:
                vr = head[position + 4 : position + 6]
                if vr in SHORT_VR:
                    length = _SHORT[endian](head, position + 6)[0]
                elif vr in LONG_VR:
                    length = _LENGTH[endian](head, value)[0]
                    value += 4
                else:
                    raise UnusualError
            if length == UNDEFINED:
                if explicit and vr != b"SQ":
                    raise UnusualError
                position = _skip_items(head, value, size, encoding, depth + 1)
            else:
                position = value + length
